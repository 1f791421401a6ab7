"""Keeping processes alive, and knowing them by more than a number."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiconform.lab.config import LabError
from aiconform.lab.machines import control
from aiconform.lab.machines.files import rotate, write_json
from aiconform.lab.machines.preconditions import Precondition
from aiconform.lab.machines.process_identity import ProcessIdentity
from aiconform.lab.machines.processes import Children, ProcessSpec, Supervisor, code_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    children = Children()
    children.listen()
    found = Supervisor(tmp_path / "logs", children)
    yield found
    await found.reconcile(())
    asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)


def sleeper(name: str = "sleeper", **options: object) -> ProcessSpec:
    return ProcessSpec(name, ("sleep", "1000"), **options)  # type: ignore[arg-type]


async def until(supervisor: Supervisor, name: str, state: str) -> dict[str, object]:
    async with asyncio.timeout(20):
        while supervisor.status()[name]["state"] != state:  # noqa: ASYNC110 - it is what is tested
            await asyncio.sleep(0.01)
    return supervisor.status()[name]


def test_a_process_is_itself_and_nobody_else() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        identity = ProcessIdentity.of(process.pid)
        assert identity is not None
        assert identity.alive
        # The same number at another time is another process: it is not touched.
        assert not ProcessIdentity(identity.pid, identity.start + 1).kill()
        assert identity.alive
        assert identity.kill()
        process.wait()
    assert not identity.alive
    assert not identity.kill()
    assert ProcessIdentity.of(process.pid) != identity


def test_a_process_that_has_ended_is_not_alive_while_nobody_buried_it() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert ProcessIdentity.of(process.pid) is None
    process.wait()


async def test_what_dies_is_started_again(supervisor: Supervisor) -> None:
    await supervisor.reconcile((sleeper(),))
    first = await until(supervisor, "sleeper", "running")
    supervisor.signal("sleeper", signal.SIGKILL)
    await until(supervisor, "sleeper", "backing-off")
    second = await until(supervisor, "sleeper", "running")
    assert second["pid"] != first["pid"]
    assert (second["restarts"], second["last_exit"]) == (1, -signal.SIGKILL)


async def test_a_command_that_is_not_there_is_tried_again_and_said_in_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    await supervisor.reconcile((ProcessSpec("absent", ("/no/such/command",)),))
    status = await until(supervisor, "absent", "backing-off")
    assert status["last_exit"] == 127
    assert "/no/such/command: No such file" in (tmp_path / "logs/absent.log").read_text()


async def test_only_what_changed_is_restarted(supervisor: Supervisor) -> None:
    await supervisor.reconcile((sleeper("a"), sleeper("b"), sleeper("c")))
    before = {name: (await until(supervisor, name, "running"))["pid"] for name in "abc"}
    await supervisor.reconcile((sleeper("a"), sleeper("b", env={"CHANGED": "yes"})))
    after = {name: (await until(supervisor, name, "running"))["pid"] for name in "ab"}
    assert after["a"] == before["a"]
    assert after["b"] != before["b"]
    assert "c" not in supervisor.status()
    assert ProcessIdentity.of(int(str(before["c"]))) is None


async def test_a_process_that_runs_once_runs_until_it_succeeds_and_others_wait_for_it(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    once = ProcessSpec("once", ("sh", "-c", f"[ -e {marker} ] || {{ touch {marker}; exit 3; }}"), once=True)
    await supervisor.reconcile((sleeper(needs=(Precondition(done="once"),)), once))
    assert supervisor.status()["sleeper"]["state"] == "waiting"
    done = await until(supervisor, "once", "done")
    assert (done["restarts"], done["last_exit"]) == (1, 0)
    await until(supervisor, "sleeper", "running")


async def test_a_process_waits_for_a_socket(supervisor: Supervisor, tmp_path: Path) -> None:
    socket = tmp_path / "socket"
    await supervisor.reconcile((sleeper(needs=(Precondition(unix=str(socket)),)),))
    await asyncio.sleep(0.1)
    assert supervisor.status()["sleeper"]["state"] == "waiting"
    server = await asyncio.start_unix_server(lambda _, writer: writer.close(), str(socket))
    await until(supervisor, "sleeper", "running")
    server.close()


async def test_a_stopped_process_stays_so_until_it_is_restarted(supervisor: Supervisor) -> None:
    await supervisor.reconcile((sleeper(),))
    await until(supervisor, "sleeper", "running")
    await supervisor.stop("sleeper")
    assert supervisor.status()["sleeper"]["state"] == "stopped"
    await supervisor.restart("sleeper")
    await until(supervisor, "sleeper", "running")
    with pytest.raises(KeyError):
        await supervisor.restart("other")


async def test_what_ignores_sigterm_is_killed(supervisor: Supervisor, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = ("sh", "-c", f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done")
    await supervisor.reconcile((ProcessSpec("stubborn", stubborn),))
    async with asyncio.timeout(20):
        while not ready.exists():  # noqa: ASYNC110 - the other side is a shell
            await asyncio.sleep(0.01)
    identity = ProcessIdentity.of(supervisor.status()["stubborn"]["pid"])
    assert identity
    await supervisor._processes["stubborn"].stop(grace=0.2)
    assert not identity.alive


def test_a_specification_survives_its_file() -> None:
    spec = sleeper(
        env={"A": "b"}, needs=(Precondition(https="https://x/readyz", ca="/ca"), Precondition(done="y")), once=True
    )
    assert ProcessSpec.from_json(spec.to_json()) == spec


def test_a_file_is_replaced_only_by_another_content(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file.json"
    write_json(file, {"a": 1})
    first = file.stat()
    write_json(file, {"a": 1})
    assert file.stat() == first
    write_json(file, {"a": 2})
    assert file.stat().st_ino != first.st_ino
    assert list(file.parent.iterdir()) == [file]


def test_a_log_that_has_grown_large_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "kubelet.log"
    log.touch()
    os.truncate(log, 65 * 1024 * 1024)
    rotate(log)
    assert not log.exists()
    assert (tmp_path / "kubelet.log.1").exists()


async def test_requests_are_answered_and_refusals_name_the_reason(tmp_path: Path) -> None:
    async def handle(request: dict[str, object]) -> object:
        if request["do"] == "refuse":
            raise ValueError("not today")
        return request

    socket = tmp_path / "socket"
    server = await control.serve(socket, handle)
    assert await asyncio.to_thread(control.ask, socket, do="echo", n=1) == {"do": "echo", "n": 1}
    with pytest.raises(LabError, match="refuse was refused: ValueError: not today"):
        await asyncio.to_thread(control.ask, socket, do="refuse")
    server.close()
    with pytest.raises(FileNotFoundError):
        control.ask(tmp_path / "nobody", do="echo")


def test_new_code_of_a_package_is_a_new_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "helper_of_a_lab"
    (package / "inside").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "inside" / "work.py").write_text("x = 1")
    monkeypatch.syspath_prepend(tmp_path)
    before = code_of("helper_of_a_lab")
    assert code_of("helper_of_a_lab") == before
    (package / "inside" / "work.py").write_text("x = 2")
    assert code_of("helper_of_a_lab") != before
    assert code_of("aiconform.lab.accelerators") != code_of("aiconform.lab.cloud")
