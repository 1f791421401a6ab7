"""robust_controller: its rules over made-up observations, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import Finding, Settings
from aiconform.check.registry import load_check
from aiconform.checks.robust_controller import operator_steps
from aiconform.checks.robust_controller.controllers import _controller_pods
from aiconform.checks.robust_controller.observations import (
    Arrival,
    Child,
    ControllerPod,
    ControllerState,
    Life,
    Refusal,
)
from aiconform.checks.robust_controller.options import RobustControllerOptions, defined_operators
from aiconform.cluster import WebhookUnreached, wait
from aiconform.cluster.amounts import REQUESTS
from aiconform.cluster.transport import refusal
from aiconform.engine.options import parse
from aiconform.engine.plan import BadChoice
from aiconform.platform import operators

WEBHOOK = "vjobset.kb.io"
REFUSED = Refusal(accepted=False, by=WEBHOOK, unreached="", said=f'admission webhook "{WEBHOOK}" denied the request: x')
LET_IN = Refusal(accepted=True, by="", unreached="", said="created")
BY_ANOTHER = Refusal(accepted=False, by="policy.example", unreached="", said="no")
BY_SCHEMA = Refusal(accepted=False, by="", unreached="", said="spec.x: Required value")
BEHIND = Refusal(accepted=False, by="", unreached="", behind=WEBHOOK, said='Namespace "new" not found')
ANOTHER_BEHIND = Refusal(accepted=False, by="", unreached="", behind="policy.example", said="no")
UNREACHED = Refusal(accepted=False, by="", unreached=WEBHOOK, said="connection refused")
JOB = Child(kind="Job", name="j", uid="1")
ARRIVED = Arrival(reached=True, wanted="ready = 1", last="1")
LATE = Arrival(reached=False, wanted="ready = 1", last="0")


def controller(*ready: bool, wanted: int = 1, first: int = 0) -> ControllerState:
    pods = [ControllerPod(name=f"c-{first + n}", uid=f"u-{first + n}", ready=each) for n, each in enumerate(ready)]
    return ControllerState(namespace="ns", name="c", images=["i"], wanted=wanted, pods=pods)


def restart(**changes: Any) -> dict[str, Any]:
    return {
        "controllers": [controller(True, first=10)],
        "back": True,
        "refusal": REFUSED,
        "changed": {"problem": "", "arrival": ARRIVED},
        **changes,
    }


def life(**changes: Any) -> Life:
    return Life.model_validate(
        {
            "operator": "JobSet",
            "version": "v1alpha2",
            "why": "the only one fully installed",
            "crds": ["jobsets.jobset.x-k8s.io"],
            "unestablished": [],
            "webhook": WEBHOOK,
            "configuration": "jobset-webhooks",
            "failure_policy": "Fail",
            "namesakes": [],
            "controllers": [controller(True)],
            "refusal": REFUSED,
            "made": {"created": True, "problem": "", "arrival": ARRIVED},
            "children": [JOB],
            "loss": {"lost": JOB, "new": JOB.model_copy(update={"uid": "2"})},
            "restart": restart(),
            "spared": "",
            "left": [],
            "seconds": {"ready": 300, "child": 60, "restart": 120},
            **changes,
        }
    )


RULES = [declared.function for declared in load_check("robust_controller").assertions]


def outcomes(seen: Life) -> dict[str, bool | None]:
    return {rule.__name__: rule(seen).holds for rule in RULES}


def test_a_whole_life_holds_everywhere() -> None:
    assert set(outcomes(life()).values()) == {True}
    assert all(rule(life()).subjects > 0 for rule in RULES)


NOT_MADE = {
    "made": {"created": False, "problem": "failed calling webhook", "arrival": None},
    "children": [],
    "loss": None,
    "restart": None,
    "left": None,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"controllers": []}, {"operator_is_ready": False}),
        ({"controllers": [controller(False)]}, {"operator_is_ready": False}),
        ({"controllers": [controller(True, wanted=2)]}, {"operator_is_ready": False}),
        ({"controllers": [controller(wanted=0)]}, {"operator_is_ready": False}),
        # An update that does not go on leaves one Pod too many.
        ({"controllers": [controller(True, False)]}, {"operator_is_ready": False}),
        ({"controllers": [controller(True, True, wanted=2)]}, {}),
        ({"unestablished": ["jobsets.jobset.x-k8s.io is not established"]}, {"operator_is_ready": False}),
        ({"refusal": LET_IN}, {"webhook_refuses": False}),
        ({"refusal": UNREACHED}, {"webhook_refuses": False}),
        ({"refusal": BEHIND}, {"webhook_refuses": False}),
        ({"refusal": ANOTHER_BEHIND}, {"webhook_refuses": None}),
        ({"refusal": BY_ANOTHER}, {"webhook_refuses": None}),
        ({"refusal": BY_SCHEMA}, {"webhook_refuses": None}),
        ({"refusal": LET_IN, "restart": restart(refusal=LET_IN)}, {"webhook_refuses": False}),
        (
            NOT_MADE,
            {
                "resource_becomes_ready": False,
                "child_is_recreated": None,
                "controller_restarts": None,
                "works_after_restart": None,
                "children_are_deleted": None,
            },
        ),
        (
            {"made": {"created": True, "problem": "", "arrival": LATE}, "loss": None, "restart": None},
            {
                "resource_becomes_ready": False,
                "child_is_recreated": None,
                "controller_restarts": None,
                "works_after_restart": None,
            },
        ),
        (
            {"children": [], "loss": None},
            {"resource_becomes_ready": False, "child_is_recreated": None, "children_are_deleted": None},
        ),
        ({"loss": {"lost": JOB, "new": None}}, {"child_is_recreated": False}),
        ({"loss": {"lost": JOB, "new": JOB}}, {"child_is_recreated": False}),
        ({"restart": None, "spared": "restart=false"}, {"controller_restarts": None, "works_after_restart": None}),
        (
            {"restart": restart(back=False, controllers=[controller()], refusal=None, changed=None)},
            {"controller_restarts": False, "works_after_restart": None},
        ),
        # The same Pods as before are no restart.
        ({"restart": restart(controllers=[controller(True)])}, {"controller_restarts": False}),
        ({"restart": restart(refusal=LET_IN)}, {"works_after_restart": False}),
        ({"restart": restart(refusal=UNREACHED)}, {"works_after_restart": False}),
        ({"restart": restart(refusal=BY_ANOTHER)}, {"works_after_restart": None}),
        ({"restart": restart(changed={"problem": "", "arrival": LATE})}, {"works_after_restart": False}),
        ({"restart": restart(changed={"problem": "not reached", "arrival": None})}, {"works_after_restart": False}),
        ({"left": ["Job j"]}, {"children_are_deleted": False}),
    ],
)
def test_each_rule_sees_its_defect_and_no_other(changes: dict[str, Any], expected: dict[str, bool | None]) -> None:
    seen = life(**changes)
    assert outcomes(seen) == {**dict.fromkeys(outcomes(life()), True), **expected}
    assert all(rule(seen).reason for rule in RULES)


refusals = st.builds(
    Refusal,
    accepted=st.booleans(),
    by=st.sampled_from(["", WEBHOOK, "other"]),
    unreached=st.sampled_from(["", WEBHOOK]),
    behind=st.sampled_from(["", WEBHOOK, "other"]),
)
controllers = st.lists(st.lists(st.booleans(), max_size=3).map(lambda ready: controller(*ready)), max_size=2)


@given(refusals.map(lambda each: each.model_copy(update={"said": "said"})), controllers, st.booleans())
def test_only_the_named_webhook_counts_and_nothing_holds_over_no_subject(
    refusal: Refusal, some: list[ControllerState], made: bool
) -> None:
    seen = life(refusal=refusal, controllers=some, **({} if made else NOT_MADE))
    findings: list[Finding] = [rule(seen) for rule in RULES]
    assert all(finding.subjects > 0 for finding in findings if finding.holds is not None)
    refused = next(rule(seen) for rule in RULES if rule.__name__ == "webhook_refuses")
    if refused.holds:
        assert not refusal.accepted
        assert not refusal.unreached
        assert not refusal.behind
        assert refusal.by == WEBHOOK
    up = next(rule(seen) for rule in RULES if rule.__name__ == "operator_is_ready")
    assert bool(up.holds) == (bool(some) and all(each.pods and each.ready == len(each.pods) for each in some))


@pytest.mark.parametrize(
    ("said", "by", "unreached"),
    [
        ('create jobsets: admission webhook "vjobset.kb.io" denied the request: no', "vjobset.kb.io", ""),
        ('Internal error occurred: failed calling webhook "v.kb.io": no endpoints available', "", "v.kb.io"),
        ("JobSet.jobset.x-k8s.io is invalid: spec.x: Required value", "", ""),
    ],
)
def test_who_refused_is_in_the_api_server_s_words(said: str, by: str, unreached: str) -> None:
    denied, failed = operator_steps.DENIED.search(said), refusal(500, {"message": said}, "create", "jobsets")
    asked = failed.webhook if isinstance(failed, WebhookUnreached) else ""
    assert (denied[1] if denied else "", asked) == (by, unreached)


# Options


def test_a_user_chooses_operators_by_name_and_may_bring_others(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    source = Path(operators.__file__).with_name("operators.yaml")
    mine = {**yaml.safe_load(source.read_text())["operators"][0], "name": "mine", "title": "Mine"}
    file.write_text(yaml.safe_dump({"operators": [mine]}))
    (chosen,) = parse([f"robust_controller.definitions={file}", "robust_controller.operator=mine, jobset"])
    assert Settings(options=(chosen,)).of(RobustControllerOptions).operator == "mine, jobset"
    assert [entry.name for entry in defined_operators(str(file))][:2] == ["mine", "jobset"]


def test_the_queue_of_a_sample_covers_all_that_its_pods_request() -> None:
    groups = [
        group
        for entry in defined_operators("")
        for obj in entry.prepare
        if obj["kind"] == "ClusterQueue"
        for group in obj["spec"]["resourceGroups"]
    ]
    assert groups
    for group in groups:
        assert set(group["coveredResources"]) >= REQUESTS.keys()


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("operator=jobsets", "there is no operator 'jobsets'; the suite knows jobset, leaderworkerset"),
        ("definitions=/absent.yaml", "/absent.yaml cannot be read"),
        ("ready_seconds=0", "greater than or equal to 1"),
        ("restart=perhaps", "robust_controller.restart=perhaps"),
    ],
)
def test_what_cannot_be_set_is_said(word: str, told: str) -> None:
    with pytest.raises(BadChoice, match=told):
        parse([f"robust_controller.{word}"])


def test_the_limit_covers_all_waits() -> None:
    (probe,) = load_check("robust_controller").probes
    options = RobustControllerOptions(ready_seconds=1, child_seconds=1, restart_seconds=1)
    assert probe.seconds(Settings(patience=1, options=(options,))) > 6
    assert probe.seconds(Settings()) > 300 + 2 * 60 + 3 * 120


def test_pods_that_a_replica_set_has_replaced_do_not_count() -> None:
    def pod(name: str, phase: str) -> Any:
        metadata = {"name": name, "uid": name, "ownerReferences": [{"uid": "set"}]}
        return {"metadata": metadata, "status": {"phase": phase, "conditions": [{"type": "Ready", "status": "True"}]}}

    pods = [pod("evicted", "Failed"), pod("ended", "Succeeded"), pod("a", "Running")]
    assert [each.name for each in _controller_pods(pods, {"set"})] == ["a"]


DENIED = 'Error creating: admission webhook "mpod.kb.io" denied the request: '


@pytest.mark.parametrize(
    ("said", "platforms"),
    [
        ('Error creating: pods "a-" is forbidden: unable to validate against any security context constraint', True),
        ('Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: no', True),
        (f'{DENIED}LocalQueue "team" not found', True),
        (f'{DENIED}Job.batch "set-1-main-0" not found', False),
        (f'{DENIED}Namespace "scratch" not found', False),
        ('jobs.batch "a" is forbidden: ValidatingAdmissionPolicy denied request', False),
        ("Error creating: etcdserver: leader changed", False),
    ],
)
def test_what_the_platform_refuses_of_pods_is_told_from_what_the_operator_fails_at(said: str, platforms: bool) -> None:
    obj = {"kind": "JobSet", "metadata": {"name": "set-1", "namespace": "scratch"}}
    job = "set-1-main-0"
    assert operator_steps.refuses_pods(said, of=job, obj=obj, pods=["set-1-main-1-x"]) is platforms
    assert not operator_steps.refuses_pods(said, of=job, obj=obj, pods=[f"{job}-x"]), "the refusal is over"
    assert not operator_steps.refuses_pods(said, of="another", obj=obj, pods=[])


class Restarting:
    """A cluster whose webhook is away for the first requests."""

    def __init__(self, away: int) -> None:
        self.away, self.asked = away, 0

    async def create(self, obj: Any) -> Any:
        self.asked += 1
        if self.asked <= self.away:
            said = 'failed calling webhook "v.example.com": connection refused'
            raise refusal(500, {"message": said}, "create", "jobs")
        return obj


async def test_a_webhook_that_is_away_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "_WEBHOOK_RETRY_SECONDS", 0.01)
    cluster = Restarting(2)
    assert await wait.reaching_webhooks(lambda: cluster.create({"kind": "Job"}), seconds=5.0) == {"kind": "Job"}
    assert cluster.asked == 3
    cluster.asked = 0
    with pytest.raises(WebhookUnreached) as unreached:
        await wait.reaching_webhooks(lambda: cluster.create({"kind": "Job"}), seconds=0.0)
    assert unreached.value.webhook == "v.example.com"
