"""The tests of the programme's suite: newer names, skipped ones beside a claim, and unit tests in their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.certify_material import MUST, product, rules, validated, write
from support.certify_runs import CHECK, make_run

from aiconform.certify.rules.artifacts import conformance_tests
from aiconform.reports.facts import programme_tests, suite_tests
from aiconform.spec import load_standard


def log(**tests: str) -> str:
    return "".join(
        f"--- {outcome}: {name} ({time}s)\n" for name, said in tests.items() for outcome, time in [said.split()]
    )


def test_every_newer_test_has_a_source_and_no_other_requirement() -> None:
    newer = [(each.id, test) for each in load_standard().requirements for test in each.programme.suite]
    assert {test.name for _, test in newer} & set(programme_tests().values()) == set()
    assert len({test.name for _, test in newer}) == len(newer) >= 5
    assert all(suite_tests()[test.name] == requirement for requirement, test in newer)
    assert set(suite_tests()) <= conformance_tests()


def test_a_newer_test_is_about_its_requirement(tmp_path: Path) -> None:
    results = log(TestRobustCRDControllerOperation="PASS 3.10")
    path = write(
        tmp_path,
        product(robust_controller={"evidence": ["e2e.log#TestRobustCRDControllerOperation"]}),
        e2e__log=results,
    )
    found = validated(path)
    assert found["grades"]["robust_controller"] == "artifact"
    assert not {"F-fragment", "F-unit-tests", "F-unit-fragment"} & rules(found["findings"])
    wrong = validated(
        write(
            tmp_path / "b",
            product(accelerator_metrics={"evidence": ["e2e.log#TestRobustCRDControllerOperation"]}),
            e2e__log=results,
        )
    )
    assert "F-fragment" in rules(wrong["findings"], "accelerator_metrics")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e2e__log", log(TestLookupGangScheduler="PASS 0.00", TestOther="PASS 3.00")),
        ("results__json", '{"Action": "pass", "Test": "TestLookupGangScheduler", "Elapsed": 0}\n'),
        ("junit__xml", '<testsuite><testcase name="TestLookupGangScheduler" time="0.000"/></testsuite>'),
    ],
)
def test_a_unit_test_earns_no_grade(tmp_path: Path, name: str, content: str) -> None:
    evidence = [f"{name.replace('__', '.')}#TestLookupGangScheduler"]
    found = validated(write(tmp_path, product(gang_scheduling={"evidence": evidence}), **{name: content}))
    assert found["grades"]["gang_scheduling"] == "bare-claim"
    assert "F-unit-fragment" in rules(found["findings"], "gang_scheduling")


def test_a_test_that_takes_time_keeps_its_grade(tmp_path: Path) -> None:
    found = validated(
        write(
            tmp_path,
            product(pod_autoscaling={"evidence": ["e2e.log#TestPodAutoscalingByUs"]}),
            e2e__log=log(TestPodAutoscalingByUs="PASS 63.20"),
        )
    )
    assert found["grades"]["pod_autoscaling"] == "artifact"
    assert "F-unit-fragment" not in rules(found["findings"])


def test_a_skipped_test_beside_a_claim_is_found(tmp_path: Path) -> None:
    results = log(TestAcceleratorClusterAutoscaling="SKIP 0.00", TestGangScheduling="PASS 20.00")
    found = validated(write(tmp_path, product(), e2e__log=results))
    assert "F-skipped-beside" in rules(found["findings"], "cluster_autoscaling")
    assert "F-skipped-beside" not in rules(found["findings"], "gang_scheduling")
    honest = product(cluster_autoscaling={"status": "N/A", "notes": "The platform has no autoscaler of such nodes."})
    assert "F-skipped-beside" not in rules(validated(write(tmp_path / "b", honest, e2e__log=results))["findings"])


def test_one_artifact_is_evidence_of_many_requirements(tmp_path: Path) -> None:
    results = log(TestGangScheduling="PASS 20.00")
    many = {each: {"evidence": ["e2e.log"]} for each in MUST}
    assert "F-reused" not in rules(validated(write(tmp_path, product(**many), e2e__log=results))["findings"])
    many = {each: {"evidence": ["https://platform.test/docs/2.1/all"]} for each in MUST}
    assert "F-reused" in rules(validated(write(tmp_path / "b", product(**many)))["findings"])


@pytest.mark.parametrize(
    ("notes", "is_found"),
    [
        ("A Deployment was scaled by the HPA at 50 % CPU utilization.", True),
        ("Pods with GPUs were scaled; CPU was idle.", False),
        ("The HPA follows a custom metric of the model server, not CPU.", False),
        ("The HPA scales model servers.", False),
    ],
)
def test_pod_autoscaling_by_cpu_alone_is_found(tmp_path: Path, notes: str, is_found: bool) -> None:
    found = validated(write(tmp_path, product(pod_autoscaling={"notes": notes})))
    assert ("F-cpu-only" in rules(found["findings"], "pod_autoscaling")) is is_found


def test_our_artifacts_say_whose_test_they_are(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name in ("junit.xml", "results.json", "e2e.log"):
        text = (run / "cncf" / name).read_text()
        assert f"not the test {programme_tests()[CHECK]} of" in text, name
