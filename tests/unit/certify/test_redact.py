"""Redaction: what the rules name is gone, a value has one placeholder everywhere, and the run still judges."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.certify_material import certify, product, write
from support.certify_runs import CHECK, NODE, change_json, make_run

from aiconform.certify.redaction.patterns import is_address
from aiconform.certify.redaction.redactor import Redaction, Redactor
from aiconform.cli import main
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.times import read_times

RUNS = Path(__file__).parents[2] / "runs"
SECRETS = (
    NODE,
    "gpu-worker-7",
    "i-0123456789abcdef0",
    "10.20.30.40",
    "10.20.30.41",
    "s3cr3t-value",
    "api.corp.test",
    "corp",
    "T1",
)


def everything(folder: Path) -> str:
    names = " ".join(path.name for path in folder.rglob("*"))
    return names + " ".join(path.read_text() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("kind", ["pass", "fail", "error"])
def test_a_redacted_run_judges_as_before(tmp_path: Path, kind: str) -> None:
    run = make_run(tmp_path / "run", leaks=kind == "fail", started=kind != "error")
    assert all(secret in everything(run) for secret in (NODE, "api.corp.test"))
    result = certify("redact", run, "--out", tmp_path / "out", "--word", "T1", "-o", "json")
    assert result.exit_code == 0, result.output
    text = everything(tmp_path / "out")
    assert not [secret for secret in SECRETS if re.search(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])", text)]
    judged = CliRunner().invoke(main, ["judge", str(tmp_path / "out"), "-o", "json"])
    assert judged.exit_code == 0, judged.output
    report = json.loads(judged.stdout)["report"]
    assert [check["verdict"] for check in report["checks"]] == [kind]
    last = json.loads((tmp_path / "out/journal.ndjson").read_text().splitlines()[-1])
    assert last["event"] == "redacted"
    assert last["data"]["original"] == json.loads((run / "run.json").read_text())["journal"]


def test_a_redacted_run_says_when_probes_worked_and_nothing_of_what_they_saw(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert certify("redact", run, "--out", tmp_path / "out").exit_code == 0
    before, after = (read_times(RunDirectory(each)) for each in (run, tmp_path / "out"))
    assert before.recorded.values() != {}
    assert list(before.recorded.values()) == list(after.recorded.values())
    assert not before.recorded.keys() & after.recorded.keys()
    assert ">Timeline</b>" in (tmp_path / "out/report.html").read_text()


@pytest.mark.parametrize("run", sorted(path.parent for path in RUNS.glob("*/run.json")), ids=lambda path: path.name)
def test_a_run_of_an_earlier_version_is_redacted(tmp_path: Path, run: Path) -> None:
    result = certify("redact", run, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    judged = CliRunner().invoke(main, ["judge", str(tmp_path / "out"), "-o", "json"])
    assert json.loads(judged.stdout)["agrees"]


def test_a_redacted_bundle_verifies_and_says_so(tmp_path: Path) -> None:
    start = write(tmp_path / "start", product(**{CHECK: {"status": "", "evidence": []}}))
    out = tmp_path / "v1.37/p"
    built = certify("build", make_run(tmp_path / "run"), "--product", start, "--out", out, "--redact")
    assert built.exit_code == 0, built.output
    assert NODE not in everything(out)
    found = json.loads(certify("verify", out, "--unsigned", "-o", "json").stdout)
    assert found["holds"]
    assert found["grades"][CHECK] == "executed"
    assert any("redacted" in text for text in found["notes"])


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("run.json", ("accelerators", 0, "simulated"), False),
        ("report.json", ("simulated",), False),
        ("report.json", ("checks", 0, "assertions", 0, "reason"), "seen by nobody"),
        (f"observations/{CHECK}.json", ("records", 0, "observation", "simulated"), False),
    ],
)
def test_a_run_that_was_edited_is_not_sealed_again(
    tmp_path: Path, file: str, keys: tuple[str | int, ...], value: object
) -> None:
    """Not by redact, and by no other command that makes something of a run."""
    run = make_run(tmp_path / "run", simulated=True)
    change_json(run / file, *keys, value=value)
    start = write(tmp_path / "start", product(**{CHECK: {"status": "", "evidence": []}}))
    out = tmp_path / "v1.37/p"
    build = ("build", run, "--product", start, "--out", out)
    for command in (("redact", run, "--out", out), build, (*build, "--redact")):
        done = certify(*command)
        assert done.exit_code == 2, done.output
        assert "aiconform judge" in done.output
        assert not out.exists()
    rendered = CliRunner().invoke(main, ["report", str(run)])
    assert (rendered.exit_code, rendered.stdout) == (2, "")


def test_simulated_stays_simulated(tmp_path: Path) -> None:
    done = certify("redact", make_run(tmp_path / "run", simulated=True), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    judged = CliRunner().invoke(main, ["judge", str(tmp_path / "out"), "-o", "json"])
    assert json.loads(judged.stdout)["report"]["simulated"] is True


def test_redacting_what_the_verdict_needs_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    result = certify("redact", run, "--out", tmp_path / "out", "--word", "Operation not permitted")
    assert result.exit_code == 2
    assert "took too much" in result.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("at 10.1.2.3:443", "10.1.2.3"),
        ("from fd00:1:2::17 port", "fd00:1:2::17"),
        ("no route to fd00::2: timeout", "fd00::2"),
        ("arn:aws:iam::123456789012:role/x", "123456789012"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/x", "123456789012"),
        ("/subscriptions/01234567-89ab-cdef-0123-456789abcdef/x", "01234567-89ab-cdef-0123-456789abcdef"),
        ("Authorization: Bearer abcdefghijklmnop1234", "abcdefghijklmnop1234"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0AA.c2lnbmF0dXJl", "eyJzdWIiOiJ4In0AA"),
        ("mail someone@corp.test now", "someone@corp.test"),
        ("02:42:ac:11:00:02", "02:42:ac:11:00:02"),
        ("00:00:10:29:fe:80:00:00:00:00:00:00:e8:eb:d3:03:00:aa:bb:cc", "e8:eb:d3"),
        ("guid e8:eb:d3:03:00:aa:bb:cc", "aa:bb:cc"),
        ("on node-a/dra", "node-a"),
    ],
)
def test_what_is_taken_out(text: str, gone: str) -> None:
    assert gone not in Redactor(["node-a"], Redaction()).text(text)


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "v1.37.2", "c:240:0", "node-ab", "12:30:45", "sha256:0011223344556677", "/dev/gpu0"],
)
def test_what_stays(text: str) -> None:
    assert Redactor(["node-a"], Redaction()).text(text) == text


def test_a_version_of_four_numbers_is_no_address() -> None:
    observation = {"found": [{"path": "/sys/module/neuron/version", "version": "2.22.2.0"}], "says": "2.22.2.0"}
    told = {"observation": observation | {"address": "10.20.30.40"}}
    redacted = Redactor([], Redaction()).data(told)["observation"]
    assert redacted == observation | {"address": "192.0.2.1"}


@pytest.mark.parametrize("key", ["says", "version"])
@pytest.mark.parametrize(
    "words", ["Accepted: waits for 10.20.30.40", "1 of 2 listeners on node-a", "2.1 at 10.20.30.40"]
)
def test_words_beside_versions_are_redacted(key: str, words: str) -> None:
    redacted = Redactor(["node-a"], Redaction()).data({"observation": {key: words}})["observation"][key]
    assert "10.20.30.40" not in redacted
    assert "node-a" not in redacted


@given(
    st.ip_addresses().filter(lambda address: is_address(str(address))),
    st.sampled_from(
        ["dial tcp [{}]:6443: refused", "http://[{}]:80/x", "at {}: no route", "{}/64", "({})", "{}.", "{}"]
    ),
)
def test_addresses_of_either_family_are_taken_out_wherever_they_stand(
    address: IPv4Address | IPv6Address, place: str
) -> None:
    shown = Redactor([], Redaction()).text(place.format(address))
    assert shown.replace("2001:db8::1", "192.0.2.1") == place.format("192.0.2.1")


@given(st.text(alphabet="nodea-1. :/10.2fd@x", max_size=60))
def test_redacting_twice_changes_nothing(text: str) -> None:
    redactor = Redactor(["node-a", "node-a1"], Redaction())
    once = redactor.text(text)
    assert redactor.text(once) == once
