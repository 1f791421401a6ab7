"""What containers print is read whatever it is, and kernels are told apart by what they do."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandboxed import GVISOR_SAMPLES, HOST, KATA, KATA_SAMPLES, fact, fetch, host_samples

from aiconform.checks.workload_sandboxing import inside
from aiconform.checks.workload_sandboxing.kernels import behaviour, compare, turns
from aiconform.checks.workload_sandboxing.observations import Kernel, Sight
from aiconform.checks.workload_sandboxing.sight import Words, block_numbers, kernel_lines, number, parse_sight

WORDS = Words("secret-1", "aic-1", {"served-1": "victim", "loop-1": "victim-loopback"})
KINDS = (
    "fact",
    "process",
    "sample",
    "file",
    "fetch",
    "attempt",
    "parameter",
    "environment",
    "shell",
    "searched",
    "host",
)
BASE64 = st.binary(max_size=40).map(lambda data: base64.b64encode(data).decode())
LINES = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.tuples(st.sampled_from(KINDS), st.text(max_size=20), st.text(max_size=20), BASE64).map(" ".join),
    ),
    max_size=30,
)


@given(LINES)
def test_any_output_is_read_and_survives_being_written(lines: list[str]) -> None:
    seen = parse_sight(lines, WORDS)
    assert Sight.model_validate_json(seen.model_dump_json()) == seen
    assert "secret-1" not in seen.model_dump_json() or any("secret-1" in line for line in lines)
    block_numbers(lines)


def test_the_newest_counters_are_kept() -> None:
    seen = parse_sight([f"sample {number} - - -" for number in range(900)], WORDS)
    assert [each.threads for each in seen.samples] == [*range(500, 900)]


@given(st.text(max_size=400))
def test_a_number_is_one_that_can_be_written(text: str) -> None:
    found = number(text)
    assert found is None or (0 <= found < 10**20 and text.isdigit())


def test_what_hostile_containers_print_is_bounded() -> None:
    lines = [f"process {pid} 1 x x" for pid in range(9000)] + ["process 9999 1 aic-1 sh", fetch("a", "y" * 5000)]
    seen = parse_sight([*lines, "searched /" + "z" * 5000], WORDS)
    assert len(seen.processes) == 401
    assert seen.processes[-1].victim
    assert len(seen.model_dump_json()) < 60_000


def test_secrets_of_others_are_not_kept() -> None:
    seen = parse_sight(
        ["process 7 1 kubelet kubelet--token=hunter2", fact("log", "[  12.5] usb hunter2 found"), "done"], WORDS
    )
    assert "hunter2" not in seen.model_dump_json()
    assert len(seen.kernel.log) == 1
    assert seen.whole


def test_a_long_line_of_a_log_is_read_at_once() -> None:
    text = "[" + "1." + "1" * 200_000 + "\n[    2.500000] here"
    assert len(kernel_lines([fact("log", text)])[0].log) <= 1


def test_lines_of_a_log_without_a_time_tell_nothing() -> None:
    assert kernel_lines([fact("log", "[    0.000000] Linux version\nhello")])[0].log == ()


def test_files_and_servers_are_known_by_their_words() -> None:
    secret = base64.b64encode(b"secret-1\n").decode()
    seen = parse_sight([f"file /h/a b {secret}", fetch("x", "HTTP/1.1 200 OK\r\n\r\nserved-1"), "file /a !"], WORDS)
    assert [(each.path, each.victim) for each in seen.found] == [("/h/a b", True)]
    assert seen.fetches[0].word == "victim"


def test_only_devices_have_block_numbers() -> None:
    assert block_numbers(["block 0:22", "block 259:1", "block x", "block 8:1;reboot"]) == ["259:1"]


@given(st.integers(20, 500), st.integers(0, 5000), st.integers(2, 5), st.integers(1, 3))
def test_pulses_are_turns_and_stillness_is_none(size: int, base: int, rounds: int, each: int) -> None:
    values = [base + level for _ in range(rounds) for level in (size, 0) for _ in range(each)]
    assert turns(values, size)
    assert not turns([base] * len(values), size)
    assert not turns([base + size // 4 * (number % 2) for number in range(len(values))], size)
    assert not turns(sorted(values), size)


@given(st.lists(st.integers(0, 10**9), max_size=30), st.integers(-5, 10**6))
def test_any_values_are_judged(values: list[int], size: int) -> None:
    turns(values, size)


def control(*lines: str) -> Sight:
    return parse_sight([*HOST, *host_samples(), *lines], WORDS)


@pytest.mark.parametrize("samples", [GVISOR_SAMPLES, KATA_SAMPLES])
def test_kernels_of_their_own_do_not_follow(samples: list[str]) -> None:
    found = behaviour(kernel_lines(samples)[1], control(), 100, 32768)
    assert found.same == ()
    assert found.apart


def test_forks_among_those_of_the_control_pod_are_one_kernels() -> None:
    found = behaviour(kernel_lines(["sample - 2600150 - -"])[1], control(), 100, 32768)
    assert found.same == ("2600150 to 2600150 processes since the boot, 2600100 to 2601000 by the control Pod",)


def test_as_many_forks_by_chance_are_not_one_kernels() -> None:
    machine = [f"sample {90 + number % 2} {2_600_150 + 20 * number} 500 120" for number in range(12)]
    found = behaviour(kernel_lines(machine)[1], control(), 100, 32768)
    assert found.same == found.apart == ()
    assert len(found.untold) == 3


def test_a_control_pod_that_does_not_see_its_own_pulses_decides_nothing() -> None:
    still = parse_sight([*HOST, *["sample 5 - - 7"] * 9], WORDS)
    found = behaviour(kernel_lines(GVISOR_SAMPLES)[1], still, 100, 32768)
    assert found.same == found.apart == ()
    assert any("do not show what it did" in each for each in found.untold)


def test_noise_is_neither_still_nor_following() -> None:
    noisy = [f"sample {50 * (number % 2)} - - -" for number in range(12)]
    found = behaviour(kernel_lines(noisy)[1], control(), 100, 32768)
    assert found.same == ()
    assert any("neither still nor following" in each for each in found.untold)


def test_one_common_sign_is_enough_for_one_kernel() -> None:
    node, (own, _) = kernel_lines(HOST)[0], kernel_lines(KATA)
    assert compare(own, node).same == ()
    assert compare(own.model_copy(update={"boot": node.boot}), node).same
    assert compare(own.model_copy(update={"started": 1_700_000_001}), node).same
    logs = [each.model_copy(update={"log": ("a", "b")}) for each in (own, node)]
    assert compare(*logs).same == ("2 lines of one kernel's log",)
    assert compare(own, Kernel(), release="6.8.0-45-generic", boot="boot-1").different
    assert compare(own.model_copy(update={"boot": "boot-2"}), Kernel(), boot="boot-2").same
    assert compare(Kernel(), Kernel()).another is None


SHELL = shutil.which("busybox")


@pytest.mark.skipif(not SHELL, reason="busybox is not installed")
@pytest.mark.parametrize("script", ["TRIAL", "ATTACKER", "CONTROL", "LISTENER"])
def test_the_scripts_are_what_busybox_reads(script: str) -> None:
    done = subprocess.run([str(SHELL), "sh", "-n", "-c", getattr(inside, script)], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not SHELL, reason="busybox is not installed")
def test_the_facts_of_this_machines_kernel_are_read() -> None:
    script = f"{inside.KERNEL}echo {inside.DONE}"
    applets = f"for each in awk base64 cat dmesg free head sh tail tr uname; do alias $each='{SHELL} '$each; done\n"
    done = subprocess.run([str(SHELL), "sh", "-c", applets + script], capture_output=True, check=True, text=True)
    kernel, samples = kernel_lines(done.stdout.splitlines())
    assert kernel.name == "Linux"
    assert kernel.release
    assert samples[0].threads


@pytest.mark.skipif(not SHELL, reason="busybox is not installed")
@pytest.mark.parametrize(("path", "code"), [("/dev/null", 1), ("/dev/zero", 0), ("/not/there", 1)])
def test_a_file_is_read_only_if_it_has_a_byte(path: str, code: int, tmp_path: Path) -> None:
    """Runtimes mask files by mounting /dev/null over them."""
    attempts = inside._ATTEMPTS.replace("/proc/kcore", path).replace("/tmp/", f"{tmp_path}/")
    wanted = [line for line in attempts.splitlines() if line.startswith(("byte=", "attempt read-kcore"))]
    script = "\n".join([*inside._HELD.splitlines(), *wanted])
    for name in ("head", "sh", "wc", "grep"):
        (tmp_path / name).symlink_to(str(SHELL))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([str(SHELL), "sh", "-c", script], capture_output=True, check=True, text=True, env=environment)
    (found,) = parse_sight(done.stdout.splitlines(), WORDS).attempts
    assert (found.what, found.code) == ("read-kcore", code)
    assert ("No such file" in found.said) == (path == "/not/there")


def test_ports_of_machines_are_opened_and_never_read() -> None:
    (line,) = [line for line in inside.ATTACKER.splitlines() if "port c 1 4" in line]
    assert "head" not in line


@pytest.mark.skipif(not SHELL, reason="busybox is not installed")
def test_parameters_are_read_whole() -> None:
    """The kernel gives a parameter to one read only, of which a shell's own `read` takes the first digit."""
    (path,) = [path for path in inside.PARAMETERS if path.endswith("swappiness")]
    loop = inside.CONTROL[inside.CONTROL.index("read_parameters() {") : inside.CONTROL.index("while :; do\n  started=")]
    many = Path("/proc/sys/kernel/pid_max")
    script = loop.replace(path, str(many)) + "read_parameters"
    done = subprocess.run([str(SHELL), "sh", "-c", script], capture_output=True, check=True, text=True)
    assert f"parameter {many} {many.read_text().strip()}" in done.stdout.splitlines()
    tried = inside._PARAMETERS.replace(" ".join(inside.PARAMETERS), str(many)).replace('> "$path"', "> /dev/null")
    tried = tried.replace("put_back; exit 0", "exit 0").replace("  put_back\n", '  echo "kept $kept"\n')
    done = subprocess.run([str(SHELL), "sh", "-c", tried], capture_output=True, check=True, text=True)
    assert f"kept  {many}={many.read_text().strip()}" in done.stdout.splitlines()


@pytest.mark.skipif(not SHELL, reason="busybox is not installed")
@pytest.mark.parametrize(("kept", "written"), [("60", True), ("", False), ("sixty", False)])
def test_parameters_are_put_back(kept: str, written: bool, tmp_path: Path) -> None:
    parameter = tmp_path / "swappiness"
    parameter.write_text(f"{kept}\n")
    script = inside._PARAMETERS.replace(" ".join(inside.PARAMETERS), str(parameter))
    script = script.replace("sleep 1.5", f"cat {parameter} & sleep 0.2")
    done = subprocess.run([str(SHELL), "sh", "-c", script], capture_output=True, check=True, text=True)
    assert ("61" in done.stdout.splitlines()) == written
    assert (f"attempt write:{parameter} 0" in done.stdout) == written
    assert parameter.read_text() == f"{kept}\n"


def test_arguments_of_others_are_not_printed() -> None:
    assert "cmdline" not in inside.ATTACKER, "a log keeps what a container prints, and they can hold passwords"


def test_nothing_harmful_is_tried() -> None:
    every = inside.ATTACKER + inside.CONTROL
    for word in ("sysrq", "core_pattern", "reboot", "panic", "swapoff", "/dev/sd"):
        assert word not in every


@pytest.mark.parametrize("script", [inside.ATTACKER, inside.CONTROL, inside.LISTENER])
def test_kubernetes_changes_nothing_in_the_scripts(script: str) -> None:
    assert "$$" not in script, "it takes one of two dollar signs"
