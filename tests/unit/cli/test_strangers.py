"""Every command that reads files of strangers, over files that are wrong in any way.

A command answers: no trace, no hang, no exit code that means another thing, nothing written outside of its folder, and
no more memory than a run needs.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support import strangers
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, make_run
from support.strangers import Change

from aiconform.cli import main
from aiconform.recorded import BadFolder, RecordedPlatform
from aiconform.spec.standard import REQUIREMENTS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes and limits of POSIX")
CASES: dict[str, dict[str, list[Change]]] = json.loads(
    (Path(__file__).parents[2] / "strangers/cases.json").read_text(encoding="utf-8")
)
PLATFORM = {
    "objects.yaml": "apiVersion: v1\nkind: Node\nmetadata: {name: one, labels: {a: b}}\n---\n"
    "apiVersion: v1\nkind: Pod\nmetadata: {name: exporter-1, namespace: monitoring}\n",
    "api.yaml": "version: v1.37.0\nserves: [{version: v1, kind: Secret, plural: secrets, namespaced: true}]\n",
    "metrics/monitoring__exporter-1__9400.txt": "up 1\n",
    "answers.yaml": "- {namespace: monitoring, pod: exporter-1, port: 9400, body: x}\n",
}
MOST_MEMORY = 1536 << 20  # bytes of addresses; Python with all that is imported takes 500 MB of them
MOST_SECONDS = 60  # of a processor
FUZZ = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good folder of each kind."""
    root = tmp_path_factory.mktemp("good")
    run = make_run(root / "run")
    start = write(root / "start", product(**{CHECK: {"status": "", "evidence": []}}))
    bundle = root / "v1.37/p"
    built = certify("build", run, "--product", start, "--out", bundle)
    assert built.exit_code == 0, built.output
    signed = certify("sign", bundle, "--new-key", root / "key")
    assert signed.exit_code == 0, signed.output
    platform = root / "platform"
    for name, text in PLATFORM.items():
        (platform / name).parent.mkdir(parents=True, exist_ok=True)
        (platform / name).write_text(text)
    standard = root / "standard/requirements"
    shutil.copytree(REQUIREMENTS, standard)
    return {"run": run, "bundle": bundle, "platform": platform, "standard": standard, "start": start}


def commands(kind: str, place: Path, good: dict[str, Path]) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """What is called, and the exit codes that it may have; 1 only where it means that something does not hold."""
    out = place.parent / "out"
    if kind == "run":
        yield ["judge", f"{place}"], (0, 2, 3)
        yield ["judge", f"{place}", "--strict", "-o", "json"], (0, 1, 2, 3)
        for form in ("text", "markdown", "html", "junit", "go-test"):
            yield ["report", f"{place}", "-o", form], (0, 2)
        yield ["compare", f"{good['run']}", f"{place}"], (0, 2, 3, 4)
        yield ["compare", f"{place}", f"{good['run']}", "-o", "json", "--any-version"], (0, 2, 3, 4)
        yield ["history", f"{place.parent}"], (0, 2, 3, 4)
        yield ["certify", "redact", f"{place}", "--out", f"{out}/redacted"], (0, 2)
        built = f"{out}/v1.37/p"
        yield ["certify", "build", f"{place}", "--product", f"{good['start']}", "--out", built], (0, 2)
    elif kind == "bundle":
        yield ["certify", "verify", f"{place}", "--unsigned"], (0, 1, 2, 3)
        key = good["bundle"].parents[1] / "key.pub"
        yield ["certify", "verify", f"{place}", "--key", f"{key}", "-o", "json"], (0, 1, 2, 3)
        product = place / "PRODUCT.yaml"
        nothing = product.is_dir() or not os.path.lexists(product)
        yield ["certify", "validate", f"{place}", "--offline"], (2,) if nothing else (0, 1)
        yield ["certify", "compare", f"{place}", f"{good['bundle']}"], (0, 2)
    else:
        yield ["spec", "check", f"{place}"], (0, 1, 2)


def call(kind: str, place: Path, good: dict[str, Path], only: int | None = None) -> None:
    """Every command of the kind, or the one of that number (counted around)."""
    before = everything(place.parents[1])
    if kind == "platform":
        try:
            RecordedPlatform.read(place)
        except BadFolder:
            return
    else:
        every = list(commands(kind, place, good))
        for arguments, codes in every if only is None else [every[only % len(every)]]:
            done = CliRunner().invoke(main, arguments)
            said = f"{done.output}\n{done.stderr}"
            assert "a defect of" not in said, f"{arguments}: {said[-2000:]}"
            assert "Traceback" not in said, f"{arguments}: {said[-2000:]}"
            assert done.exit_code in codes, f"{arguments}: {done.exit_code}: {said[-2000:]}"
    shutil.rmtree(place.parent / "out", ignore_errors=True)
    assert everything(place.parents[1]) == before


def everything(folder: Path) -> list[str]:
    return sorted(
        os.path.relpath(Path(root, name), folder)
        for root, *found in os.walk(folder)
        for names in found
        for name in names
    )


@contextmanager
def limits() -> Iterator[None]:
    """A hang ends the test."""

    def late(*_: object) -> None:
        raise AssertionError("a command does not come to an end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(300)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def files(folder: Path, *, most: int = 40) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())[:most]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, cases in CASES.items() for name in cases], ids=lambda each: str(each)
)
def test_a_known_case_is_answered(tmp_path: Path, good: dict[str, Path], kind: str, name: str) -> None:
    place = strangers.copied(good[kind], tmp_path / "a/v1.37/p")
    strangers.apply(place, CASES[kind][name])
    with limits():
        call(kind, place, good)


@pytest.mark.parametrize("kind", list(CASES))
@FUZZ
@given(data=st.data())
def test_any_change_is_answered(tmp_path: Path, good: dict[str, Path], kind: str, data: Any) -> None:
    changes = data.draw(strangers.changes(files(good[kind])))
    only = data.draw(st.integers(0, 100))
    place = strangers.copied(good[kind], tmp_path / "a/v1.37/p")
    strangers.apply(place, changes)
    try:
        with limits():
            call(kind, place, good, only)
    except AssertionError as error:
        raise AssertionError(f"for tests/strangers/cases.json, {kind}: {json.dumps(changes)}\n{error}") from error


HEAVY = [
    ("run", "journal-nested", ["judge", "{}"]),
    ("run", "sparse-observations", ["report", "{}"]),
    ("run", "device-for-journal", ["certify", "redact", "{}", "--out", "{}-redacted"]),
    ("bundle", "attestation-nested", ["certify", "verify", "{}", "--key", "{key}"]),
    ("bundle", "sparse-file", ["certify", "verify", "{}", "--unsigned"]),
    ("bundle", "sparse-file", ["certify", "validate", "{}", "--offline"]),
    ("bundle", "sparse-file", ["certify", "compare", "{}", "{good}"]),
    ("platform", "device", ["replay", "{}"]),
    ("platform", "nested", ["replay", "{}"]),
    ("standard", "device", ["spec", "check", "{}"]),
]


@pytest.mark.parametrize(("kind", "name", "arguments"), HEAVY, ids=lambda each: each if isinstance(each, str) else "")
def test_little_memory_and_time_is_enough(
    tmp_path: Path, good: dict[str, Path], kind: str, name: str, arguments: list[str]
) -> None:
    place = strangers.copied(good[kind], tmp_path / "v1.37/p")
    strangers.apply(place, CASES[kind][name])
    key = str(good["bundle"].parents[1] / "key.pub")
    names = {"{}": str(place), "{key}": key, "{good}": str(good["bundle"])}
    done = limited([names.get(each, each.replace("{}", str(place))) for each in arguments])
    reads_what_is_named_only = arguments[1] in ("validate", "compare")
    assert done.returncode in ((0,) if reads_what_is_named_only else (1, 2, 3)), done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr


def limited(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """The command in a process that may take MOST_MEMORY and MOST_SECONDS."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))

    return subprocess.run(
        [sys.executable, "-m", "aiconform", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
