"""What a cluster asks of every Pod and Namespace is in each of them, however a Pod comes to be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiconform.cluster.amounts import with_amounts
from aiconform.cluster.guest import BadTemplate, Guest, pairs, pod_template

TEMPLATE = {
    "metadata": {"labels": {"team": "ai", "app": "theirs"}},
    "spec": {
        "imagePullSecrets": [{"name": "pull"}],
        "tolerations": [{"key": "spare"}],
        "priorityClassName": "low",
        "nodeSelector": {"pool": "ai"},
    },
}
POD = {
    "metadata": {"name": "one", "labels": {"app": "ours"}},
    "spec": {"containers": [{"name": "c"}], "tolerations": [{"key": "gpu"}], "priorityClassName": "own"},
}


def test_a_pod_has_the_template_and_keeps_what_its_check_sets() -> None:
    fitted = Guest(TEMPLATE).fitted(POD)
    assert fitted["metadata"] == {"name": "one", "labels": {"team": "ai", "app": "ours"}}
    assert fitted["spec"] == {
        "containers": [{"name": "c", "resources": with_amounts({})}],
        "tolerations": [{"key": "gpu"}, {"key": "spare"}],
        "imagePullSecrets": [{"name": "pull"}],
        "priorityClassName": "own",
        "nodeSelector": {"pool": "ai", "kubernetes.io/os": "linux"},
    }
    assert Guest(TEMPLATE).fitted(fitted) == fitted


@pytest.mark.parametrize(
    "nested",
    [
        {"kind": "Deployment", "spec": {"template": POD}},
        {"kind": "JobSet", "spec": {"replicatedJobs": [{"template": {"spec": {"template": POD}}}]}},
        {"kind": "RayCluster", "spec": {"headGroupSpec": {"template": POD}, "workerGroupSpecs": [{"template": POD}]}},
    ],
)
def test_pods_of_controllers_have_the_template(nested: dict[str, Any]) -> None:
    def templates(value: Any) -> list[Any]:
        if isinstance(value, dict):
            inner = [each for entry in value.values() for each in templates(entry)]
            return [*([value] if "containers" in value.get("spec", {}) else []), *inner]
        return [each for entry in value for each in templates(entry)] if isinstance(value, list) else []

    found = templates(Guest(TEMPLATE).fitted(nested))
    assert len(found) == len(templates(nested))
    assert all(each == Guest(TEMPLATE).fitted(POD) for each in found)


def test_without_a_template_a_pod_has_amounts_and_an_os_selector() -> None:
    fitted = Guest().fitted(POD)
    assert fitted == {
        "metadata": POD["metadata"],
        "spec": {
            **POD["spec"],
            "containers": [{"name": "c", "resources": with_amounts({})}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
        },
    }
    other = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"containers": "[]"}}
    assert Guest(TEMPLATE).fitted(other) == other


def test_fields_of_a_pod_that_stand_in_another_object_are_fitted_too() -> None:
    """Such as KServe's predictor."""
    made = {"kind": "InferenceService", "spec": {"predictor": {"containers": [{"name": "c"}], "minReplicas": 1}}}
    predictor = Guest(TEMPLATE).fitted(made)["spec"]["predictor"]
    assert predictor["imagePullSecrets"] == [{"name": "pull"}]
    assert predictor["nodeSelector"] == {"pool": "ai", "kubernetes.io/os": "linux"}
    assert predictor["containers"] == [{"name": "c", "resources": with_amounts({})}]
    assert predictor["minReplicas"] == 1
    assert "metadata" not in predictor


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (None, "the template has to be a map"),
        ({"spec": {"containers": []}}, "spec.containers cannot be set"),
        ({"spec": {"tolerations": {}}}, "spec.tolerations has to be a list"),
        ({"spec": {"tolerations": ["gpu"]}}, "list of maps"),
        ({"metadata": {"labels": {"cost": 7}}}, "put it in quotes"),
        ({"metadata": None}, "metadata has to be a map"),
        ({"spec": {"tolerations": [{"key": b"x"}]}}, "a value that the API has not"),
        ({"spec": {"securityContext": {"runAsUser": float("nan")}}}, "a value that the API has not"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(document: Any, why: str) -> None:
    with pytest.raises(BadTemplate, match=why):
        pod_template(document)


def test_a_run_is_continued_with_what_was_recorded() -> None:
    guest = Guest(TEMPLATE, {"team": "ai"}, {"note": "a"}, ("team/pull",))
    assert Guest.of(json.loads(json.dumps(guest.recorded()))) == guest
    assert Guest.of({"every_node": True}) == Guest()


def test_a_namespace_has_the_labels_and_keeps_its_own() -> None:
    made = {"kind": "Namespace", "metadata": {"name": "n", "labels": {"own": "1"}}}
    assert Guest().fitted(made) == made
    fitted = Guest({}, {"own": "2", "team": "ai"}, {"note": "a"}).fitted(made)
    assert fitted["metadata"] == {"name": "n", "labels": {"own": "1", "team": "ai"}, "annotations": {"note": "a"}}


def test_pairs() -> None:
    assert pairs(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    with pytest.raises(ValueError, match="'a' is not KEY=VALUE"):
        pairs(["a"])
