"""Commands whose credentials are no longer accepted after some requests."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.api_server import serving, usual, write_kubeconfig

# As long as a command needs to end after the first refusal.
LATE_SECONDS = 0.6


@pytest.mark.parametrize(
    ("command", "accepted"), [(["run"], 10), (["run"], 20), (["inspect"], 20), (["cleanup", "--dry-run"], 1)]
)
def test_what_is_refused_late_leaves_no_connection_open(command: list[str], accepted: int, tmp_path: Path) -> None:
    """Requests are made side by side: one may be refused when the first refusal has ended the command."""
    lock, count = threading.Lock(), [0]

    def answer(path: str, _: Any) -> tuple[int, Any]:
        with lock:
            count[0] += 1
            number = count[0]
        if number <= accepted:
            return usual(path)
        # The first refusal, and that of the repeated request, come at once.
        if accepted + 2 < number < accepted + 9:
            time.sleep(LATE_SECONDS)
        return 401, {"kind": "Status", "message": "Unauthorized"}

    with serving() as server:
        server.answer = answer
        kubeconfig = write_kubeconfig(tmp_path / "k", server.url, {"token": "of-a-user"})
        done = subprocess.run(
            [sys.executable, "-m", "aiconform", *command, "--kubeconfig", str(kubeconfig)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert "nclosed" not in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
