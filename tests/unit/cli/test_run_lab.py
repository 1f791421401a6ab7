"""A run on a lab whose add-ons are still being built: who waits for what, and what is told of a build that fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aiconform.cli import run_lab
from aiconform.cli.run_lab import ComingAddOns
from aiconform.engine.gates import NeverReady
from aiconform.kit.following import background

NEEDS = {
    "ai_service_metrics": ["prometheus"],
    "pod_autoscaling": ["prometheus", "prometheus-adapter"],
    "dra_support": [],
}
NAMES = ("prometheus", "prometheus-adapter")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Has a script in place of `aiconform`: it gets the words of the command, and the folder of what is built."""
    folder = tmp_path / "built"
    folder.mkdir()

    def absent(components: list[str]) -> dict[str, Path]:
        return {name: folder / name for name in components if not (folder / name).exists()}

    def use(script: str) -> Path:
        package = tmp_path / "code" / "aiconform"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(
            f"import sys, time, pathlib\nbuilt = pathlib.Path({str(folder)!r})\n{script}"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "code"))
        monkeypatch.chdir(tmp_path / "code")
        return folder

    monkeypatch.setattr("aiconform.lab.build.assets.absent", absent)
    monkeypatch.setattr("aiconform.lab.addons.registry.components_of", list)
    monkeypatch.setattr(run_lab, "_LOOK_SECONDS", 0.02)
    return use


BUILDS_ONE_AFTER_THE_OTHER = """
words = sys.argv[2:]
print("working:", *words, file=sys.stderr)
if words[0] == "assets":
    for name in words[2:]:
        time.sleep(0.3)
        (built / name).touch()
else:
    (built / f"installed-{words[-1]}").touch()
"""


async def test_a_check_begins_when_its_add_ons_work(
    build: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    folder = build(BUILDS_ONE_AFTER_THE_OTHER)
    coming = ComingAddOns("lab", NAMES, NEEDS)
    assert coming.gates.keys() == {"ai_service_metrics", "pod_autoscaling"}
    begun = []

    async def begin(check: str) -> None:
        await coming.gates[check]()
        begun.append((check, sorted(path.name for path in folder.glob("installed-*"))))

    async with background(coming.arrive()):
        await asyncio.gather(*map(begin, coming.gates))
    assert begun == [
        ("ai_service_metrics", ["installed-prometheus"]),
        ("pod_autoscaling", ["installed-prometheus", "installed-prometheus-adapter"]),
    ]
    told = capfd.readouterr().err
    assert "lab: working: assets build prometheus prometheus-adapter" in told
    assert "lab: working: up --name lab --with prometheus-adapter" in told


@pytest.mark.parametrize(
    "script",
    [
        "(built / 'prometheus').touch(); print('aiconform: no space left on device', file=sys.stderr); sys.exit(2)",
        "(built / 'prometheus').touch()\nif 'assets' in sys.argv: time.sleep(60)\n"
        "print('aiconform: no space left on device', file=sys.stderr); sys.exit(2)",
    ],
    ids=["the build fails", "the installation fails"],
)
async def test_what_fails_is_told_to_the_checks_that_need_it(build: Callable[[str], Path], script: str) -> None:
    build(script)
    coming = ComingAddOns("lab", NAMES, NEEDS)
    async with background(coming.arrive()):
        with pytest.raises(NeverReady, match="prometheus of the lab is not there: no space left on device"):
            await coming.gates["pod_autoscaling"]()


async def test_the_end_of_the_run_ends_the_builds(build: Callable[[str], Path]) -> None:
    folder = build("import os; (built / 'pid').write_text(str(os.getpid())); time.sleep(600)")
    coming = ComingAddOns("lab", NAMES, NEEDS)
    async with background(coming.arrive()):
        while not (folder / "pid").exists() or not (folder / "pid").read_text():  # noqa: ASYNC110 - a process writes it
            await asyncio.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)


ENDS_SLOWLY = """
import os, signal

def end(*_):
    (built / "ending").touch()
    time.sleep(1)
    sys.exit(1)

if sys.argv[2] == "assets":
    signal.signal(signal.SIGTERM, end)
    (built / "pid").write_text(str(os.getpid()))
    (built / "prometheus").touch()
    time.sleep(600)
"""


async def test_a_run_that_ends_while_a_build_is_ended_waits_for_it(build: Callable[[str], Path]) -> None:
    folder = build(ENDS_SLOWLY)
    coming = ComingAddOns("lab", ["prometheus"], NEEDS)
    async with background(coming.arrive()):
        await coming.gates["ai_service_metrics"]()
        while not (folder / "ending").exists():  # noqa: ASYNC110 - a process writes it
            await asyncio.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(int((folder / "pid").read_text()), 0)
