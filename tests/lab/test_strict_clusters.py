"""Clusters that are less permissive than the lab: a run passes, or says what the cluster asks for; it never fails.

One lab gets one trait after another while it runs (`aiconform lab trait`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support.lab import LAB, Lab, Outcome, lab_of_its_own, succeed

from aiconform.lab.traits.admission import POD_LABELS
from aiconform.lab.traits.catalog import TRAITS
from aiconform.lab.traits.monitoring import LABEL as MONITORED
from aiconform.lab.traits.namespaces import TEAM
from aiconform.lab.traits.trait import LABEL

NAME = f"{LAB}-strict"
DRA = "dra_support"
ACCESS = "secure_accelerator_access"
METRICS = "ai_service_metrics"
LAST = "node-2"
LEFT_ALONE = ("cordoned-node", "ending-node", "virtual-node", "windows-node")
MADE = "nodes,resourcequotas,limitranges,networkpolicies,secrets,validatingadmissionpolicies,mutatingadmissionpolicies"


@pytest.fixture(scope="module")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    # One kind of devices for each way, and enough of them for both checks to look at the same time: where no Pod
    # starts, each would be waited for in turn.
    devices = ("--identity", json.dumps({"further": []}), "--accelerators", "6")
    shape = ("--nodes", "2", "--allocation", "both", *devices, "--with", "prometheus")
    with lab_of_its_own(NAME, tmp_path_factory.mktemp("runs"), *shape) as made:
        yield made


def passes(done: Outcome, *checks: str) -> None:
    assert done.code == 0, done.report.get("checks") or done.stderr
    for check in checks:
        assert done.check(check)["verdict"] == "pass"


def cannot_decide(done: Outcome, check: str, *words: str) -> None:
    """An error that has all these words (regular expressions)."""
    assert done.code == 3, done.report or done.stderr
    assert done.check(check)["verdict"] == "error"
    for each in words:
        assert re.search(each, done.check(check)["reason"]), done.check(check)["reason"]


def template(folder: Path, content: dict[str, object]) -> Path:
    file = folder / "template.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


# What asks nothing of a run


def test_what_namespaces_get_and_what_is_put_into_pods(lab: Lab) -> None:
    with lab.traits("limit-ranges", "default-deny", "sidecars-everywhere"):
        assert lab.kubectl("get", "networkpolicy", "default-deny", "-n", "default", "-o", "name")
        passes(lab.run(DRA, ACCESS), DRA, ACCESS)


def test_a_mesh_whose_sidecars_can_be_declined(lab: Lab) -> None:
    with lab.traits("sidecars"):
        passes(lab.run(DRA, ACCESS), DRA, ACCESS)


@pytest.mark.parametrize("trait", ["requests", "quotas"])
def test_requests_and_limits_are_in_every_pod(lab: Lab, trait: str) -> None:
    with lab.traits(trait):
        passes(lab.run(DRA, ACCESS), DRA, ACCESS)


def test_nodes_that_are_left_alone(lab: Lab) -> None:
    with lab.traits(*LEFT_ALONE):
        found = succeed("inspect", kubeconfig=lab.kubeconfig)
        for name in LEFT_ALONE:
            assert f"node {name}" in found
        done = lab.run(DRA, ACCESS, "--every-node")
        assert json.loads(succeed("lab", "status", "--name", NAME, "-o", "json"))["nodes"].keys() == {"node-1", LAST}
    passes(done, DRA, ACCESS)
    assert {entry["node"] for entry in done.report["accelerators"]} == {"node-1", LAST}


# What a run has to bring


@pytest.mark.parametrize(
    ("trait", "words"),
    [
        ("pod-labels", (f"every Pod needs the labels {' and '.join(POD_LABELS)}", "--pod-template")),
        ("namespace-labels", (f"every Namespace needs the label {TEAM}", "--namespace-labels")),
        ("digests", ("every image needs a digest",)),
    ],
)
def test_a_refusal_is_an_error_with_the_policy_s_words_and_the_way_out(
    lab: Lab, trait: str, words: tuple[str, ...]
) -> None:
    with lab.traits(trait):
        done = lab.run(DRA, ACCESS)
    for check in (DRA, ACCESS):
        cannot_decide(done, check, *words)


def test_a_quota_without_room_is_an_error_after_the_patience_of_the_run(lab: Lab) -> None:
    with lab.traits("tight-quotas"):
        cannot_decide(lab.run(ACCESS, "--patience", "20"), ACCESS, "exceeded quota: tight-quotas")


def test_a_run_brings_the_labels_that_it_is_given(lab: Lab, tmp_path: Path) -> None:
    file = template(tmp_path, {"metadata": {"labels": dict.fromkeys(POD_LABELS, "ml")}})
    with lab.traits("pod-labels", "namespace-labels"):
        passes(lab.run(DRA, ACCESS, "--pod-template", str(file), "--namespace-labels", f"{TEAM}=ml"), DRA, ACCESS)


def test_monitoring_that_selects_namespaces(lab: Lab) -> None:
    label = "=".join(*MONITORED.items())
    with lab.traits("monitored-namespaces"):
        cannot_decide(lab.run(METRICS, "--set", f"{METRICS}.discovery_seconds=20"), METRICS, label)
        passes(lab.run(METRICS, "--namespace-labels", label), METRICS)


# Less than a check needs


@pytest.mark.parametrize(
    ("trait", "refused"), [("uid-ranges", "restricted-v2"), ("pod-security-restricted", "violates PodSecurity")]
)
def test_a_check_that_needs_root_says_so(lab: Lab, trait: str, refused: str) -> None:
    with lab.traits(trait):
        done = lab.run(DRA, ACCESS)
    assert done.check(DRA)["verdict"] == "pass", done.check(DRA)["reason"]
    cannot_decide(done, ACCESS, refused, "MKNOD")


# Nodes and registries that lack something


def test_a_node_without_addresses_is_no_fault_of_its_devices(lab: Lab) -> None:
    with lab.traits("no-pod-addresses"):
        # `lab up` again, with an add-on that has a Pod on every node: the lab's own Pods are no new ones.
        succeed("lab", "up", "--name", NAME, "--with", "accelerator-exporter")
        done = lab.run(DRA, ACCESS, "--every-node", "--patience", "20")
        for check in (DRA, ACCESS):
            cannot_decide(done, check, "no IP addresses available", LAST)
    passes(lab.run(ACCESS, "--nodes", f"kubernetes.io/hostname={LAST}"), ACCESS)


def test_a_node_without_room_is_no_fault_of_its_devices(lab: Lab) -> None:
    with lab.traits("full-node"):
        full = lab.run(ACCESS, "--nodes", "kubernetes.io/hostname=full-node", "--patience", "10")
        cannot_decide(full, ACCESS, "Too many pods|full-node")
        assert lab.run(DRA, ACCESS, "--patience", "10").code != 1


def test_a_registry_that_fails_twice_is_waited_for(lab: Lab) -> None:
    with lab.traits("registry-flaky"):
        passes(lab.run(DRA, "--image-registry", f"{lab.registry}/flaky", "--patience", "120"), DRA)


def test_a_slow_registry_is_waited_for(lab: Lab) -> None:
    with lab.traits("registry-slow"):
        registry = lab.registry
        hasty = lab.run(DRA, "--image-registry", f"{registry}/hasty", "--patience", "5")
        cannot_decide(hasty, DRA, "busybox|still being pulled")
        passes(lab.run(DRA, "--image-registry", f"{registry}/slow", "--patience", "120"), DRA)


def test_a_registry_that_asks_for_credentials(lab: Lab, tmp_path: Path) -> None:
    file = template(tmp_path, {"spec": {"imagePullSecrets": [{"name": "registry-private"}]}})
    with lab.traits("registry-private"):
        registry = lab.registry
        cannot_decide(lab.run(DRA, "--image-registry", f"{registry}/closed"), DRA, "(?i)unauthorized|authorization")
        mine = ("--image-registry", f"{registry}/open", "--pod-template", str(file))
        passes(lab.run(DRA, *mine), DRA)


# And of traits nothing is left


def test_nothing_is_left_of_traits_that_are_off(lab: Lab) -> None:
    succeed("lab", "trait", "--off", *TRAITS, "--name", NAME)
    found = json.loads(lab.kubectl("get", MADE, "-A", "-o", "json"))["items"]
    left = [obj["metadata"]["name"] for obj in found if LABEL in (obj["metadata"].get("labels") or {})]
    assert left == []
    assert not {obj["metadata"]["name"] for obj in found} & TRAITS.keys()
    assert "openshift" not in lab.kubectl("api-versions")
    passes(lab.run(DRA, ACCESS), DRA, ACCESS)
