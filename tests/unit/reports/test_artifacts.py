"""The programme's artifacts, read back by the programme's rules: they say what the report says, and never more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from defusedxml import ElementTree
from hypothesis import HealthCheck, given, settings
from support.report_examples import IDS, Example, example, examples, result

from aiconform.engine.evidence import CheckResult, Evidence, Report
from aiconform.reports.facts import programme_tests
from aiconform.reports.formats import write_artifacts
from aiconform.reports.names import go_name, slug
from aiconform.reports.plain import plain

EXPECTED = {"pass": "pass", "fail": "fail", "error": "fail", "not-applicable": "skip", "not-run": "skip"}
some = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=30)


# The programme's rules, written here once more and independently of the code under test.


def by_rule(found: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A fail stays; else the last record counts."""
    status: dict[str, str] = {}
    for name, said in found:
        if status.get(name) != "fail":
            status[name] = said
    return status


def junit(data: bytes) -> dict[str, str]:
    def of(case: Any) -> str:
        kinds = {child.tag for child in case}
        return "fail" if kinds & {"failure", "error"} else "skip" if "skipped" in kinds else "pass"

    return by_rule((case.get("name"), of(case)) for case in ElementTree.fromstring(data).iter("testcase"))


def results(data: bytes) -> dict[str, str]:
    events = [json.loads(line) for line in data.decode().split("\n") if line]
    return by_rule(
        (event["Test"], event["Action"])
        for event in events
        if event.get("Test") and event["Action"] in ("pass", "fail", "skip")
    )


def log(data: bytes) -> dict[str, str]:
    lines = re.split(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", data.decode())
    found = [re.match(r"^\s*--- (PASS|FAIL|SKIP): (\S+)", line) for line in lines]
    return by_rule((match[2], match[1].lower()) for match in found if match)


def written(report: Report, evidence: dict[str, Evidence]) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        write_artifacts(report, evidence, Path(folder) / "cncf")
        return {path.name: path.read_bytes() for path in (Path(folder) / "cncf").iterdir()}


def read(files: dict[str, bytes]) -> list[dict[str, str]]:
    return [junit(files["junit.xml"]), results(files["results.json"]), log(files["e2e.log"])]


def top_level(status: dict[str, str]) -> list[str]:
    return [said for name, said in status.items() if "/" not in name]


# Properties


@some
@given(examples())
def test_each_artifact_says_of_each_requirement_what_the_report_says(made: Example) -> None:
    files = written(made.report, made.evidence)
    expected = [EXPECTED[check.verdict] for check in made.report.checks]
    for status in read(files):
        assert top_level(status) == expected
    for check in made.report.checks:
        if check.id in programme_tests():
            assert [status[programme_tests()[check.id]] for status in read(files)] == [EXPECTED[check.verdict]] * 3


@some
@given(examples())
def test_the_artifacts_agree_in_every_sub_test(made: Example) -> None:
    one, other, third = read(written(made.report, made.evidence))
    assert list(one) == list(third)
    assert one == other == third
    subs = sum(len(check.assertions) for check in made.report.checks)
    assert len(one) == len(made.report.checks) + subs


@some
@given(examples(contradict=True))
def test_what_is_no_pass_never_becomes_one(made: Example) -> None:
    for status in read(written(made.report, made.evidence)):
        for check, said in zip(made.report.checks, top_level(status), strict=True):
            asked = [each for each in check.assertions if each.asked_by == "programme"]
            borne_out = bool(asked) and all(each.holds for each in asked)
            assert (said == "pass") == (check.verdict == "pass" and borne_out)
            if any(each.holds is False for each in asked):
                assert said == "fail"


@some
@given(examples())
def test_results_are_a_go_test_stream(made: Example) -> None:
    files = written(made.report, made.evidence)
    events = [json.loads(line, parse_constant=pytest.fail) for line in files["results.json"].decode().splitlines()]
    assert events[0]["Action"] == "start"
    assert "Test" not in events[-1]
    assert {event["Package"] for event in events} == {"aiconform"}
    running: list[str] = []
    for event in events:
        if event["Action"] == "run":
            running.append(event["Test"])
        elif event["Action"] != "output" and "Test" in event:
            running.remove(event["Test"])
            assert not any(name.startswith(f"{event['Test']}/") for name in running)
        elif "Test" in event:
            assert event["Test"] in running
    assert running == []
    ended = {event["Action"] for event in events if "Test" in event and event["Action"] in ("pass", "fail", "skip")}
    assert events[-1]["Action"] == next(word for word in ("fail", "pass", "skip") if word in ended)
    said = "".join(event["Output"] for event in events if event["Action"] == "output")
    assert said.encode() == files["e2e.log"]


@some
@given(examples())
def test_junit_counts_what_it_holds(made: Example) -> None:
    root = ElementTree.fromstring(written(made.report, made.evidence)["junit.xml"])
    for element in (root, root.find("testsuite")):
        assert int(element.get("tests")) == len(list(root.iter("testcase")))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.get(attribute)) == len(list(root.iter(tag)))


@some
@given(examples())
def test_each_artifact_names_its_source_and_says_if_accelerators_were_simulated(made: Example) -> None:
    files = written(made.report, made.evidence)
    root = ElementTree.fromstring(files["junit.xml"])
    about = {each.get("name"): each.get("value") for each in root.iter("property")}
    assert (about["tool"], about["tool.version"]) == ("aiconform", "0.1.0")
    assert about["accelerators.simulated"] == str(made.report.simulated).lower()
    for data in files.values():
        assert b"made by aiconform 0.1.0" in data
        assert (b"Accelerators were simulated" in data) == made.report.simulated


@some
@given(examples())
def test_what_goes_beyond_the_programme_fails_nothing(made: Example) -> None:
    beyond = {
        f"{go_name(check.id)}/{each.id}": each.holds
        for check in made.report.checks
        for each in check.assertions
        if each.asked_by == "project" and each.id and check.id in IDS
    }
    for status in read(written(made.report, made.evidence)):
        for name, held in beyond.items():
            assert status[name] in (("pass", "skip") if held else ("skip",))


# Examples


def test_sub_tests_are_named_by_assertion_ids_and_the_sentence_is_in_the_text() -> None:
    whole = result("secure_accelerator_access")
    one = whole.assertions[0].model_copy(update={"id": "forged_is_refused", "title": "A forged node is refused"})
    files = written(example(whole.model_copy(update={"assertions": (one,)})), {})
    assert all("TestSecureAcceleratorAccess/forged_is_refused" in status for status in read(files))
    assert "A forged node is refused: 4 of 4 ran (4 subjects)" in files["e2e.log"].decode()


def test_a_broken_assertion_beyond_the_programme_is_a_skip_in_a_class_of_its_own() -> None:
    whole = result("robust_controller")
    asked = whole.assertions[0].model_copy(update={"id": "reconciles"})
    ours = asked.model_copy(update={"id": "restart", "asked_by": "project", "holds": False, "reason": "it did not"})
    check = whole.model_copy(update={"assertions": (asked, ours), "strict": "fail"})
    files = written(example(check, verdict="conformant", strict="not-conformant"), {})
    for status in read(files):
        assert status == {
            "TestRobustController": "pass",
            "TestRobustController/reconciles": "pass",
            "TestRobustController/restart": "skip",
        }
    root = ElementTree.fromstring(files["junit.xml"])
    classes = {case.get("name"): case.get("classname") for case in root.iter("testcase")}
    assert classes["TestRobustController/restart"] == "aiconform.beyond"
    assert classes["TestRobustController/reconciles"] == "aiconform"
    log = files["e2e.log"].decode()
    assert "beyond the programme's words, broken: Every Pod of the gang runs: it did not" in log
    assert "broken: robust_controller/restart. Strict verdict: not conformant." in log


def test_an_extension_fails_no_artifact() -> None:
    files = written(example(result(), result("acme.fabric", "fail", level="extension"), verdict="conformant"), {})
    for status in read(files):
        assert status["TestAcmeFabric"] == "skip"
        assert "fail" not in status.values()
    assert "an extension, which the programme does not ask for: fail: because fail" in files["e2e.log"].decode()


def test_a_failure_and_an_undecided_requirement_say_why() -> None:
    files = written(example(result(), result("pod_autoscaling", "fail"), result("ai_inference", "error")), {})
    text = files["e2e.log"].decode()
    assert "--- PASS: TestGangScheduling (1.23s)\n    aiconform: because pass\n" in text
    assert "--- FAIL: TestPodAutoscaling (1.23s)\n    aiconform: because fail\n" in text
    assert "--- FAIL: TestAiInference (1.23s)\n    aiconform: could not decide: because error\n" in text
    assert "    --- PASS: TestGangScheduling/every_pod_of_the_gang_runs (0.00s)\n" in text
    cases = {case.get("name"): case for case in ElementTree.fromstring(files["junit.xml"]).iter("testcase")}
    assert cases["TestPodAutoscaling"].find("failure").text == "because fail"
    assert cases["TestAiInference"].find("error").text == "could not decide: because error"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [("not-applicable", "not applicable: because not-applicable"), ("not-run", "not run: because not-run")],
)
def test_a_skip_says_why(verdict: str, said: str) -> None:
    files = written(example(result(verdict=verdict)), {})
    (case,) = ElementTree.fromstring(files["junit.xml"]).iter("testcase")
    assert case.find("skipped").get("message") == said
    assert f"--- SKIP: TestGangScheduling (1.23s)\n    aiconform: {said}\n" in files["e2e.log"].decode()


@pytest.mark.parametrize(
    ("check", "word"),
    [
        (result(assertions=()), "pass"),
        (result().model_copy(update={"assertions": result(verdict="fail").assertions}), "pass"),
        (result(verdict="not-run", assertions=result(verdict="fail").assertions), "not-run"),
    ],
)
def test_a_verdict_that_its_assertions_do_not_bear_out_is_a_failure(check: CheckResult, word: str) -> None:
    files = written(example(check), {})
    assert {status["TestGangScheduling"] for status in map(dict, read(files))} == {"fail"}
    assert f"could not decide: the report says {word}, its assertions do not" in files["e2e.log"].decode()


def test_a_text_cannot_pass_for_a_result() -> None:
    forged = "x\n--- PASS: TestGangScheduling (0.00s)\n"
    files = written(example(result("gpu_sharing", "fail", reason=forged, title=forged)), {})
    for status in read(files):
        assert "TestGangScheduling" not in status


def test_a_number_that_is_none_is_not_passed_on() -> None:
    files = written(example(result(seconds=float("nan")), seconds=float("inf")), {})
    assert b"NaN" not in files["results.json"]
    assert b"Infinity" not in files["results.json"]
    assert b'time="nan"' not in files["junit.xml"]


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("secure_accelerator_access", "TestSecureAcceleratorAccess"),
        ("gang_scheduling", "TestGangScheduling"),
        ("cluster_autoscaling", "TestAcceleratorClusterAutoscaling"),
        ("dra_support", "TestDraSupport"),
        ("ai_inference", "TestAiInference"),
        ("accelerator_cluster_autoscaling", "TestAcceleratorClusterAutoscaling_2"),
        ("--- PASS: x", "TestPASSX"),
        ("\x1b[0m", "Test0m"),
        ("", "Test_2"),
    ],
)
def test_names(requirement: str, name: str) -> None:
    assert go_name(requirement) == name


def test_names_and_slugs_are_unlike_each_other() -> None:
    twice = result().assertions * 3
    status = log(written(example(result("a_b", assertions=twice), result("a__b")), {})["e2e.log"])
    assert list(status) == [
        "TestAB",
        "TestAB/every_pod_of_the_gang_runs",
        "TestAB/every_pod_of_the_gang_runs_2",
        "TestAB/every_pod_of_the_gang_runs_3",
        "TestAB_2",
        "TestAB_2/every_pod_of_the_gang_runs",
    ]


def test_a_slug_is_never_empty_nor_endless() -> None:
    assert slug("\ud800 日本") == "assertion"
    assert len(slug("long " * 1000)) <= 120


def test_reasons_are_kept_whole_up_to_a_limit() -> None:
    reason = "r" * 50_000
    text = written(example(result(verdict="fail", reason=reason)), {})["e2e.log"].decode()
    assert max(map(len, text.splitlines())) < 21_000
    assert "(30000 more characters)" in plain(text)
