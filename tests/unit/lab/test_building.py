"""Builds that are killed, that fail, and that wait for each other; the Go command is a script."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aiconform.lab.build import components, golang
from aiconform.lab.build.building import Build
from aiconform.lab.build.components import Component
from aiconform.lab.build.levers import Levers
from aiconform.lab.config import LabError

SCRIPT = """
import sys
from pathlib import Path
from aiconform.lab.build import components, golang
from aiconform.lab.build.building import Build
bin = Path(sys.argv[1]) / "bin"
missing = {each: bin / f"{each.name}-1-abc" for each in (components.ETCD, components.CNI)}
Build(missing, golang.Toolchain(Path(sys.argv[2]), "go1.26.8"), Path(sys.argv[1]), print).run({})
"""


def fake_go(folder: Path, build: str) -> golang.Toolchain:
    """A Go command whose `go build` is this line of shell; $out is the folder to fill."""
    command = folder / "go"
    command.write_text(
        "#!/bin/sh\n[ $1 = build ] || exit 0\n"
        'while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done\n' + build + "\n"
    )
    command.chmod(0o755)
    return golang.Toolchain(command, "go1.26.8")


def missing(cache: Path, *chosen: Component) -> dict[Component, Path]:
    return {each: cache / "bin" / f"{each.name}-1-abc" for each in chosen}


def until(what: object) -> None:
    """Wait until what is seen from outside holds."""
    deadline = time.monotonic() + 60
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_build_goes_on_and_leaves_nothing(tmp_path: Path) -> None:
    cache, pids = tmp_path / "cache", tmp_path / "pids"
    pids.mkdir()
    # One component is done at once; the compiler of the other one does not end.
    hang = f"echo $$ > {pids}/pid; mv {pids}/pid {pids}/go; exec sleep 600"
    go = fake_go(tmp_path, f'case $PWD in */etcd) {hang};; esac; echo cni > "$out/cni"')
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(cache), str(go.command)]) as process:
        until(lambda: (pids / "go").exists() and (cache / "bin" / "cni-1-abc").exists())
        process.send_signal(signal.SIGKILL)
    compiler = int((pids / "go").read_text())
    until(lambda: not alive(compiler))
    assert list((cache / "bin").glob(".etcd-*"))
    said: list[str] = []
    built = tmp_path / "built"
    again = fake_go(tmp_path, f'basename $PWD >> {built}; echo etcd > "$out/server"')
    left = {
        each: place for each, place in missing(cache, components.ETCD, components.CNI).items() if not place.exists()
    }
    Build(left, again, cache, said.append).run({})
    assert built.read_text().split() == ["etcd"]
    assert sorted(each.name for each in (cache / "bin").iterdir()) == ["cni-1-abc", "etcd-1-abc"]
    assert any("etcd" in line and "was interrupted: it goes on" in line for line in said)


def test_what_another_process_builds_now_is_not_swept_away(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    go = fake_go(
        tmp_path, f'touch {tmp_path}/begun; while [ ! -e {tmp_path}/go-on ]; do sleep 0.05; done; echo > "$out/x"'
    )
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(cache), str(go.command)]) as process:
        until((tmp_path / "begun").exists)
        Build(missing(cache, components.PAUSE), fake_go(tmp_path, 'echo > "$out/pause"'), cache, lambda _: None).run({})
        (tmp_path / "go-on").touch()
        assert process.wait(60) == 0
    assert sorted(each.name for each in (cache / "bin").iterdir()) == ["cni-1-abc", "etcd-1-abc", "pause-1-abc"]


def test_the_first_failure_ends_the_others_and_is_told(tmp_path: Path) -> None:
    go = fake_go(tmp_path, "case $PWD in */etcd) sleep 600;; esac; echo undefined: x >&2; exit 1")
    with pytest.raises(LabError, match="building cni failed:\nundefined: x"):
        Build(missing(tmp_path, components.ETCD, components.CNI), go, tmp_path, lambda _: None).run({})
    assert list((tmp_path / "bin").iterdir()) == []


def test_progress_says_how_long_it_took_elsewhere_and_what_is_left(tmp_path: Path) -> None:
    said: list[str] = []
    go = fake_go(tmp_path, 'echo > "$out/x"')
    Build(missing(tmp_path, components.ETCD, components.CNI), go, tmp_path, said.append).run({})
    assert said[0].startswith("2 components to build, about")
    assert sum("on 2 cores" in line for line in said) == 3
    assert any(line.startswith("built ") and "; left: " in line for line in said)


@pytest.mark.parametrize(
    ("gibibytes", "expected"), [(16, {"GOGC": "off"}), (0, {})], ids=["much memory", "hardly any memory"]
)
def test_the_limit_of_compilers_follows_from_the_memory(gibibytes: int, expected: dict[str, str]) -> None:
    found = Levers().environment(lambda: gibibytes << 30)
    assert {name: value for name, value in found.items() if name == "GOGC"} == expected
    assert Levers(memory=False).environment(lambda: gibibytes << 30) == {}
