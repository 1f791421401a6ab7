"""What is known of operators, and how those of a platform are found: shapes are those of their releases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiconform.cluster import NotFound
from aiconform.platform.operators import (
    BadDefinition,
    ExpectedState,
    InstalledOperator,
    Operator,
    installed_operators,
    known,
    other_operators,
    read,
)

IMAGE = "mirror.example/busybox:1"
BY_NAME = {operator.name: operator for operator in known()}


def pod_specs(value: Any) -> Iterator[dict[str, Any]]:
    """Everything in an object that has containers."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for entry in value.values():
            yield from pod_specs(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from pod_specs(entry)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for entry in value.values():
            yield from texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from texts(entry)
    elif isinstance(value, str):
        yield value


# The data


def test_the_operators_that_were_asked_for_are_known() -> None:
    assert set(BY_NAME) >= {"jobset", "leaderworkerset", "trainer", "kuberay", "kserve", "kueue"}


@pytest.mark.parametrize("operator", known(), ids=lambda operator: operator.name)
def test_its_objects_are_whole_and_run_the_test_image_alone(operator: Operator) -> None:
    for version in operator.versions:
        made = operator.objects(name="x-1", image=IMAGE, version=version)
        everything = [*made.prepare, made.valid, made.invalid]
        assert not [text for text in texts(everything) if text.startswith("$") or "$name" in text or "$image" in text]
        assert not [kind for kind in made.children if "$" in kind.api_version]
        assert made.invalid["metadata"]["name"] == "x-1-invalid"
        assert {**made.invalid, "metadata": None} != {**made.valid, "metadata": None} or made.invalid["metadata"].get(
            "annotations"
        ) != made.valid["metadata"].get("annotations")
        specs = list(pod_specs(everything))
        assert specs
        for spec in specs:
            assert spec["automountServiceAccountToken"] is False
            for container in spec["containers"]:
                assert container["image"] == IMAGE
                security = container["securityContext"]
                assert security["runAsNonRoot"] is True
                assert security["allowPrivilegeEscalation"] is False
                assert security["capabilities"] == {"drop": ["ALL"]}
                assert security["seccompProfile"] == {"type": "RuntimeDefault"}


@pytest.mark.parametrize("operator", known(), ids=lambda operator: operator.name)
def test_its_states_and_changes_speak_of_what_is_there(operator: Operator) -> None:
    kinds = {kind.kind for kind in operator.children}
    assert operator.ready.of in ("", *kinds)
    assert operator.change.ready.of in ("", *kinds)
    assert operator.change.of in ("", *(obj["kind"] for obj in operator.prepare))
    plurals = {crd.partition(".")[0] for crd in operator.crds}
    for crd in operator.crds:
        group = crd.partition(".")[2]
        assert group in operator.makes or group in {kind.group for kind in operator.children}
    for group, resources in operator.makes.items():
        if any(crd.endswith(f".{group}") for crd in operator.crds):
            assert set(resources) <= plurals


# States


@pytest.mark.parametrize(
    ("state", "status", "holds", "seen"),
    [
        (ExpectedState(condition="Available"), {}, False, None),
        (
            ExpectedState(condition="Available"),
            {"conditions": [{"type": "Available", "status": "False", "reason": "No", "message": "not yet"}]},
            False,
            "False No not yet",
        ),
        (ExpectedState(condition="Available"), {"conditions": [{"type": "Available", "status": "True"}]}, True, "True"),
        (ExpectedState(path=("status", "jobs", 0, "ready"), equals=1), {"jobs": []}, False, None),
        (ExpectedState(path=("status", "jobs", 0, "ready"), equals=1), {"jobs": [{"ready": 0}]}, False, "0"),
        (ExpectedState(path=("status", "jobs", 0, "ready"), equals=1), {"jobs": [{"ready": 1}]}, True, "1"),
        (ExpectedState(path=("status", "jobs", 0, "ready"), equals=1), {"jobs": None}, False, None),
        (ExpectedState(path=("status", "state"), equals="ready"), {"state": "ready"}, True, "ready"),
    ],
)
def test_a_state_is_read_from_an_object(
    state: ExpectedState, status: dict[str, Any], holds: bool, seen: str | None
) -> None:
    assert state.holds({"status": status}) is holds
    assert state.seen({"status": status}) == seen
    assert state.holds({}) is False


def test_a_state_is_a_condition_or_a_path() -> None:
    for fields in ({}, {"condition": "Ready", "path": ("status",)}):
        with pytest.raises(ValueError, match="give a condition, or a path"):
            ExpectedState.model_validate(fields)


# A user's file


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("operators: [", "is not YAML"),
        ("[]", "has no list `operators`"),
        ("operators: []", "has no list `operators`"),
        ("operators: [{}]\n---\noperators: [{}]", "has no list `operators`"),
        ("", "has no list `operators`"),
        ("operators: [1]", "an entry"),
        ("operators: [{name: mine}]", "mine: title: Field required"),
        ("operators: [{name: Mine}]", "Mine: name: String should match"),
    ],
)
def test_a_file_of_operators_that_cannot_be_used_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadDefinition, match=told):
        read(str(file))
    with pytest.raises(BadDefinition, match="cannot be read"):
        read(str(tmp_path / "absent.yaml"))


# What is here


class FakeCluster:
    """Serves objects by kind; knows get and list."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = objects

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        for obj in self.objects:
            metadata = obj["metadata"]
            if (obj["kind"], metadata["name"], metadata.get("namespace")) == (kind, name, namespace):
                return obj
        raise NotFound(f"no {kind} {name}", status=404, reason="NotFound")

    async def list(
        self, api_version: str, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        for obj in self.objects:
            named = not fields or fields == f"metadata.name={obj['metadata']['name']}"
            if obj["kind"] == kind and named and namespace in (None, obj["metadata"].get("namespace")):
                yield obj


def crd(name: str, *versions: str, established: str = "True", message: str = "") -> dict[str, Any]:
    condition = {"type": "Established", "status": established, "message": message}
    served = [{"name": version, "served": True} for version in versions]
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {"versions": [*served, {"name": "v0", "served": False}]},
        "status": {"conditions": [condition]},
    }


def webhooks(configuration: str, namespace: str, *names: str) -> dict[str, Any]:
    service = {"namespace": namespace, "name": "webhook-service"}
    return {
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": configuration},
        "webhooks": [{"name": name, "clientConfig": {"service": service}} for name in names],
    }


def service(namespace: str) -> dict[str, Any]:
    metadata = {"name": "webhook-service", "namespace": namespace}
    return {"kind": "Service", "metadata": metadata, "spec": {"selector": {"app": namespace}}}


def deployment(namespace: str, name: str) -> dict[str, Any]:
    template: dict[str, Any] = {"metadata": {"labels": {"app": namespace, "more": "yes"}}, "spec": {}}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": template},
    }


LWS = "leaderworkersets.leaderworkerset.x-k8s.io"
WEBHOOK = "vleaderworkerset.kb.io"


async def found(*objects: dict[str, Any]) -> list[InstalledOperator]:
    return await installed_operators(FakeCluster(*objects), known())  # type: ignore[arg-type]


async def test_without_any_crd_nothing_is_here() -> None:
    assert await found() == []


async def test_the_controller_is_what_the_webhook_s_service_leads_to() -> None:
    (here,) = await found(
        crd(LWS, "v1"),
        webhooks("any", "lws", WEBHOOK),
        service("lws"),
        deployment("lws", "called-otherwise"),
        deployment("other", "lws-controller-manager"),
    )
    assert [each["metadata"]["name"] for each in here.deployments] == ["called-otherwise"]
    assert (here.version, here.missing, here.unestablished) == ("v1", (), ())
    assert here.webhook
    assert here.webhook.failure_policy == "Fail"


async def test_a_webhook_of_the_same_name_that_leads_to_another_operator_is_not_ours() -> None:
    ours = (webhooks("lws-webhooks", "lws", WEBHOOK), service("lws"), deployment("lws", "lws-controller-manager"))
    kueue = (
        webhooks("kueue-webhooks", "kueue", WEBHOOK, "vresourceflavor.kb.io"),
        service("kueue"),
        deployment("kueue", "kueue-controller-manager"),
    )
    (here,) = await found(crd(LWS, "v1"), *kueue, *ours)
    assert here.webhook
    assert here.webhook.configuration == "lws-webhooks"
    assert here.namesakes == ("kueue-webhooks",)
    (here,) = await found(crd(LWS, "v1"), *kueue)
    assert here.webhook is None
    assert here.deployments == ()
    # Its own Service is gone: it is still the one that is meant, and its controller goes by its name.
    (here,) = await found(crd(LWS, "v1"), *kueue, ours[0], ours[2])
    assert here.webhook
    assert here.webhook.configuration == "lws-webhooks"
    assert [each["metadata"]["name"] for each in here.deployments] == ["lws-controller-manager"]


async def test_an_operator_that_is_only_for_namespaces_with_labels_is_told() -> None:
    def here(*rules: tuple[str, str, dict[str, Any]]) -> tuple[dict[str, Any], ...]:
        made = webhooks("any", "lws", WEBHOOK, *(f"v{resource}.kb.io" for _, resource, _ in rules[1:]))
        for entry, (group, resource, selector) in zip(made["webhooks"], rules, strict=True):
            entry["rules"] = [{"apiGroups": [group], "resources": [resource]}]
            entry["namespaceSelector"] = selector
        return crd(LWS, "v1"), made, service("lws"), deployment("lws", "lws-controller-manager")

    group, name = "leaderworkerset.x-k8s.io", "leaderworkersets"
    opted = {"matchLabels": {"team": "ai"}}
    others = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["lws"]}]}
    (limited,) = await found(*here((group, name, opted)))
    assert "only for Namespaces with team=ai: give a run's the labels (--namespace-labels)" in limited.limited
    assert limited.webhook
    assert limited.webhook.passes_by({"team": "ai"}) == ""
    (free,) = await found(*here((group, name, others), ("apps", "deployments", opted)))
    assert free.limited == ""


@pytest.mark.parametrize(
    ("container", "watched"),
    [
        ({"args": ["--watch-namespace=a,b", "--x"]}, ("a", "b")),
        ({"args": ["--watch-namespace", "a"]}, ("a",)),
        ({"args": ["--watch-namespace=", "--x"]}, ()),
        ({"env": [{"name": "WATCH_NAMESPACE", "value": "c"}]}, ("c",)),
        ({"env": [{"name": "WATCH_NAMESPACE", "value": ""}]}, ()),
        ({"command": ["/manager"]}, ()),
        # No shell takes quotes away, and some operators do it themselves.
        ({"args": ['--watch-namespace=""']}, ()),
        ({"args": ["--watch-namespace='a','b'"]}, ("a", "b")),
        ({"args": ["--watch-namespace=$(POD_NAMESPACE)"]}, ()),
        ({"env": [{"name": "WATCH_NAMESPACE", "value": "a,$(POD_NAMESPACE)"}]}, ()),
    ],
)
async def test_an_operator_that_watches_some_namespaces_only_is_told(
    container: dict[str, Any], watched: tuple[str, ...]
) -> None:
    controller = deployment("lws", "lws-controller-manager")
    controller["spec"]["template"]["spec"] = {"containers": [container]}
    (here,) = await found(crd(LWS, "v1"), webhooks("any", "lws", WEBHOOK), service("lws"), controller)
    assert here.watched == watched
    assert ("(--namespace)" in here.limited) == bool(watched)


async def test_what_is_missing_of_an_operator_is_told() -> None:
    (here,) = await found(crd(LWS, "v9", established="False", message="the name is taken"))
    assert here.unestablished == (f"{LWS} is not established: the name is taken",)
    assert here.missing == (
        "serves v9, the suite has objects for v1",
        f"its webhook {WEBHOOK} is in no ValidatingWebhookConfiguration",
        "no Deployment lws-controller-manager",
    )


async def test_an_operator_that_is_installed_without_its_webhook_is_told_how_it_is_turned_on() -> None:
    kuberay = BY_NAME["kuberay"]
    (here,) = await found(crd(kuberay.crds[0], "v1"), deployment("kuberay", "kuberay-operator"))
    (missing,) = here.missing
    assert "vraycluster.kb.io is in no ValidatingWebhookConfiguration: " in missing
    assert "webhooks.enabled=true" in missing
    assert "ENABLE_WEBHOOKS=true" in missing


async def test_of_several_versions_the_best_that_is_served_is_taken() -> None:
    kueue = BY_NAME["kueue"].crds
    (here,) = await found(*(crd(name, "v1beta1") for name in kueue))
    assert here.version == "v1beta1"
    (here,) = await found(*(crd(name, "v1beta1", "v1beta2") for name in kueue[:-1]))
    assert here.version == "v1beta2"
    assert here.unestablished == (f"{kueue[-1]} is not installed",)


# Others


def own_webhooks(namespace: str, *rules: tuple[str, str]) -> dict[str, Any]:
    """A configuration with a webhook for each of these (API group, resource)."""
    made = webhooks(f"{namespace}-config", namespace, *(f"v{resource}.example.com" for _, resource in rules))
    for entry, (group, resource) in zip(made["webhooks"], rules, strict=True):
        entry["rules"] = [{"apiGroups": [group], "resources": [resource, f"{resource}/status"]}]
    return made


def operator_in(namespace: str, *rules: tuple[str, str], controller: str = "") -> list[dict[str, Any]]:
    """A whole operator with CRDs, webhooks and a controller."""
    return [
        *(crd(f"{resource}.{group}", "v1") for group, resource in rules),
        own_webhooks(namespace, *rules),
        service(namespace),
        deployment(namespace, controller or f"{namespace}-manager"),
    ]


async def others(*objects: dict[str, Any]) -> list[str]:
    return [str(each) for each in await other_operators(FakeCluster(*objects), known())]  # type: ignore[arg-type]


async def test_an_operator_that_the_suite_does_not_know_is_named_with_what_its_definition_needs() -> None:
    found = await others(*operator_in("ml", ("models.example.com", "trainings"), ("models.example.com", "tunings")))
    assert found == [
        "ml/ml-manager: CRD trainings.models.example.com (v1), webhook vtrainings.example.com of ml-config"
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [("cert-manager.io", "certificates")],
        [("gateway.networking.k8s.io", "httproutes")],
        [("", "pods"), ("apps", "deployments")],
        [("models.example.com", "*"), ("*", "*")],
        # A known operator, which is told elsewhere, also by its other kinds.
        [("leaderworkerset.x-k8s.io", "others"), ("leaderworkerset.x-k8s.io", "leaderworkersets")],
    ],
)
async def test_what_runs_the_cluster_and_what_is_known_is_not_offered(rules: list[tuple[str, str]]) -> None:
    assert await others(*operator_in("some", *rules)) == []


async def test_an_operator_is_more_than_its_webhook() -> None:
    whole = operator_in("ml", ("models.example.com", "trainings"))
    for kind in ("CustomResourceDefinition", "Service", "Deployment"):
        assert await others(*(obj for obj in whole if obj["kind"] != kind)) == []
    assert (
        await others(*operator_in("x", ("models.example.com", "trainings"), controller="lws-controller-manager")) == []
    )
