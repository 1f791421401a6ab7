"""The share of the CPU of the tests is asked for only where the kernel shares by session."""

from pathlib import Path

import pytest
from support.share_of_cpu import nice_of_session


@pytest.mark.parametrize(
    ("told", "nice"),
    [
        pytest.param("/autogroup-25 nice 0\n", 0, id="usual"),
        pytest.param("/autogroup-517267 nice -12\n", -12, id="raised"),
        pytest.param("", None, id="in the session that the machine began with"),
        pytest.param("\n", None, id="blank"),
        pytest.param("/autogroup-25 nice\n", None, id="cut"),
        pytest.param(None, None, id="kernel without autogroups"),
    ],
)
def test_nice_of_the_session_as_the_kernel_tells_it(tmp_path: Path, told: str | None, nice: int | None) -> None:
    autogroup = tmp_path / "autogroup"
    if told is not None:
        autogroup.write_text(told)
    assert nice_of_session(autogroup) == nice
