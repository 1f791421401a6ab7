"""robust_controller: an operator for AI workloads works, and goes on working after losses and a restart.

One custom resource is followed through its life: an invalid one is refused by the operator's own webhook; a valid one
comes to its ready state; a child of it is deleted and comes back; the controller's Pods are deleted, and what comes
back still refuses and still reconciles a change; the object is deleted, and its children go with it.

The operators are data (platform/operators.yaml). Only what this check made is changed or deleted, but for the
controller's Pods: surviving their loss is what the requirement is about.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import Field, ValidationInfo, field_validator

from aiconform.check import (
    Access,
    Finding,
    Inspection,
    NothingToLookAt,
    Observation,
    Options,
    PlatformComponent,
    Settings,
    assertion,
    holds,
    inspection,
    probe,
    undecided,
)
from aiconform.checks.robust_controller.controllers import Controller, controller, restart
from aiconform.checks.robust_controller.operator_steps import (
    Changed,
    Child,
    Loss,
    Made,
    Refusal,
    arrives,
    change,
    child,
    children,
    created,
    left_after,
    offer,
    replaced,
)
from aiconform.cluster.scratch import Scratch
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import Platform
from aiconform.platform.operators import BadDefinition, Operator, Present, known, present, read

ALL = "all"
HOW = (
    "--set robust_controller.operator=NAME chooses one, "
    "--set robust_controller.definitions=FILE names others (in the form of platform/operators.yaml)"
)


class Choice(Options):
    definitions: str = Field("", description="A file of further operators, in the form of platform/operators.yaml.")
    operator: str = Field(
        "",
        description="The operators to try: names with commas between, or all. By default the first that is whole.",
    )
    restart: bool = Field(
        True,
        description=(
            "Delete the controller's Pods once: the requirement is that an operator survives that. Without it the "
            "check cannot pass. Until the Pods are back nobody can create objects that its webhooks look at."
        ),
    )
    ready_seconds: float = Field(300.0, ge=1, description="How long an object may take to come to its ready state.")
    child_seconds: float = Field(60.0, ge=1, description="How long a deleted child may take to come back, or to go.")
    restart_seconds: float = Field(
        120.0, ge=1, description="How long the controller may take to come back, and then to reconcile a change."
    )

    @field_validator("definitions")
    @classmethod
    def _readable(cls, path: str) -> str:
        try:
            if path:
                read(path)
        except BadDefinition as error:
            raise ValueError(str(error)) from error
        return path

    @field_validator("operator")
    @classmethod
    def _known(cls, words: str, info: ValidationInfo) -> str:
        names = [entry.name for entry in _defined(info.data.get("definitions", ""))]
        for word in _words(words):
            if word not in (*names, ALL):
                raise ValueError(f"there is no operator {word!r}; the suite knows {', '.join(names)}, and {ALL}")
        return words


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _defined(path: str) -> tuple[Operator, ...]:
    """The operators that the user named, before those of the suite; a name that both have is the user's."""
    own = read(path) if path else ()
    return (*own, *(entry for entry in known() if entry.name not in {mine.name for mine in own}))


# What is tried


@dataclass(frozen=True)
class Installed(PlatformComponent):
    """An operator of the platform, why it was taken, and whether its controller is restarted."""

    present: Present
    why: str
    restarts: bool

    @property
    def disturbs(self) -> bool:
        return self.restarts and self.present.operator.everywhere

    def __str__(self) -> str:
        names = [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in self.present.deployments]
        when = ", after all other probes" if self.disturbs else ""
        note = f" (deletes the Pods of {', '.join(names)} once{when})" if self.restarts and names else ""
        return self.present.operator.title + note


async def installed(platform: Platform, settings: Settings) -> list[Installed]:
    """The operators to try: those that were asked for, or the first that is whole. Raises NothingToLookAt."""
    options = settings.of(Choice)
    defined = _defined(options.definitions)
    found = await present(platform.cluster, defined)
    words = _words(options.operator)
    if words and ALL not in words:
        asked = [each for each in found if each.operator.name in words]
        absent = [entry for entry in defined if entry.name in words and entry not in [each.operator for each in asked]]
        problems = [f"{entry.title} is not here (no CRD {entry.crds[0]})" for entry in absent]
        problems += [f"{each.operator.title}: {each.missing[0]}" for each in asked if not each.version]
        if problems:
            raise NothingToLookAt(f"nothing to look at: {'; '.join(problems)}")
        return [_part(each, "asked for", options) for each in asked]
    whole = [each for each in found if not each.missing]
    if not whole:
        looked = ", ".join(entry.crds[0] for entry in defined)
        seen = "; ".join(f"{each.operator.title}: {', '.join(each.missing)}" for each in found)
        raise NothingToLookAt(
            f"nothing to look at: no operator with custom resources and webhooks that the suite knows "
            f"({seen or f'none of the CRDs {looked}'}); {HOW}"
        )
    if words:
        return [_part(each, "all were asked for", options) for each in whole]
    titles = ", ".join(each.operator.title for each in whole)
    why = f"the first of {titles}" if len(whole) > 1 else "the only one found whole"
    return [_part(whole[0], why, options)]


def _part(found: Present, why: str, options: Choice) -> Installed:
    return Installed(found.operator.name, found, why, options.restart)


@inspection
async def what_is_here(platform: Platform, settings: Settings) -> Inspection:
    options = settings.of(Choice)
    found = await present(platform.cluster, _defined(options.definitions))
    lines, missing = [], []
    for each in found:
        problems = (*each.missing, *each.unestablished)
        if problems:
            missing.append(f"{each.operator.title}: {'; '.join(problems)}")
        if each.webhook and each.version:
            lines.append(str(each))
    try:
        for part in await installed(platform, settings):
            lines.append(f"takes {part}: {part.why}; {HOW}")
    except NothingToLookAt as reason:
        missing.append(str(reason))
    return Inspection(tuple(lines), tuple(missing))


# What is seen


class Restart(Observation):
    """The controllers after their Pods were deleted; the refusal and the change were tried where they came back."""

    controllers: list[Controller]
    back: bool
    refusal: Refusal | None
    changed: Changed | None


class Life(Observation):
    """An operator, and the life of one custom resource of it.

    `restart` is None where the controller was left alone, and `spared` says why. `left` are the objects that stayed
    after the deletion of the custom resource, None where it was never created. `seconds` are the limits of the waits.
    """

    operator: str
    version: str
    why: str
    crds: list[str]
    unestablished: list[str]
    webhook: str
    configuration: str
    failure_policy: str
    namesakes: list[str]
    controllers: list[Controller]
    refusal: Refusal
    made: Made
    children: list[Child]
    loss: Loss | None
    restart: Restart | None
    spared: str
    left: list[str] | None
    seconds: dict[str, float]


def _limit(settings: Settings) -> float:
    """All waits one after another, and a minute for the rest."""
    options = settings.of(Choice)
    return options.ready_seconds + 2 * options.child_seconds + 3 * options.restart_seconds + 60


def _access() -> list[Access]:
    """What is done to the objects of the operators that the suite knows."""
    found = [
        Access("apiextensions.k8s.io", "customresourcedefinitions", ("get",)),
        Access("admissionregistration.k8s.io", "validatingwebhookconfigurations", ("list",)),
        Access("", "services", ("get",)),
        Access("apps", "deployments", ("list",)),
        Access("apps", "replicasets", ("list",)),
        Access("", "events", ("list",)),
    ]
    for operator in known():
        for group, resources in operator.makes.items():
            verbs = ("create", "get", "list", "watch", "patch", "delete")
            found += [Access(group, resource, verbs) for resource in resources]
        found += [Access(kind.group, kind.resource, ("get", "list", "watch", "delete")) for kind in operator.children]
    return found


@probe(limit=_limit, targets=installed, access=(*POD_ACCESS, *_access()))
async def life(platform: Platform, scratch: Scratch, settings: Settings, target: Installed) -> Life:
    options, found, cluster = settings.of(Choice), target.present, platform.cluster
    operator, webhook = found.operator, found.webhook
    scratch.tell(f"{operator.title} {found.version}, {target.why}")
    controllers = [await controller(cluster, deployment, seconds=settings.patience) for deployment in found.deployments]
    # Short, since operators make longer names of it, and no other run's.
    unique = hashlib.sha256(scratch.cluster_name("").encode()).hexdigest()[:8]
    name = f"{operator.name}-{unique}"
    objects = operator.objects(name=name, image=platform.images["shell"], version=found.version)
    prepared = {obj["kind"]: await scratch.create(obj) for obj in objects.prepare}
    refusal = await offer(scratch, objects.invalid, seconds=settings.patience)

    obj, problem = await created(scratch, objects.valid)
    arrival, grown, loss, restarted, spared, left = None, [], None, None, "", None
    if obj is not None:
        scratch.tell(f"waiting for {obj['kind']} {name}: {operator.ready}")
        arrival = await arrives(cluster, obj, operator.ready, objects.children, seconds=options.ready_seconds)
        grown = await children(cluster, obj, objects.children)
        losable = [each for each in grown if each["kind"] == objects.children[0].kind]
        if arrival.reached and losable:
            scratch.tell(f"deleted {losable[0]['kind']} {losable[0]['metadata']['name']}, waiting for another one")
            new = await replaced(cluster, obj, losable[0], seconds=options.child_seconds)
            loss = Loss(lost=child(losable[0]), new=new)
    if not options.restart:
        spared = "it was not to be restarted (restart=false)"
    elif obj is None or loss is None or loss.new is None or not found.deployments:
        spared = "it was not restarted, since it did not work before"
    else:
        advice = "the role of `aiconform rbac` allows it; --set robust_controller.restart=false leaves it out"
        after = []
        for deployment, before in zip(found.deployments, controllers, strict=True):
            scratch.tell(f"deleted the Pods of {before.namespace}/{before.name}, waiting for others")
            after.append(await restart(cluster, deployment, before, seconds=options.restart_seconds, advice=advice))
        back = all(now.ready >= before.ready > 0 for now, before in zip(after, controllers, strict=True))
        again, changed = None, None
        if back:
            again = await offer(scratch, objects.invalid, seconds=options.restart_seconds)
            scratch.tell(f"changed {operator.change.of or obj['kind']}, waiting for {operator.change.ready}")
            subject = prepared[operator.change.of] if operator.change.of else obj
            changed = await change(
                cluster, obj, subject, operator.change, objects.children, seconds=options.restart_seconds
            )
        restarted = Restart(controllers=after, back=back, refusal=again, changed=changed)
    if obj is not None:
        grown = await children(cluster, obj, objects.children)
        scratch.tell(f"deleted {obj['kind']} {name}, waiting for its end and that of its children")
        left = await left_after(cluster, obj, grown, seconds=options.child_seconds)
    return Life(
        operator=operator.title,
        version=found.version,
        why=target.why,
        crds=list(operator.crds),
        unestablished=list(found.unestablished),
        webhook=operator.webhook,
        configuration=webhook.configuration if webhook else "",
        failure_policy=webhook.failure_policy if webhook else "",
        namesakes=list(found.namesakes),
        controllers=controllers,
        refusal=refusal,
        made=Made(created=obj is not None, problem=problem, arrival=arrival),
        children=[child(each) for each in grown],
        loss=loss,
        restart=restarted,
        spared=spared,
        left=left,
        seconds={
            "ready": options.ready_seconds,
            "child": options.child_seconds,
            "restart": options.restart_seconds,
        },
    )


# What must hold

NOT_CREATED = "no valid object could be created"


@assertion("operator_is_ready", "The CRDs are established and the controller's Pods are ready")
def operator_is_ready(seen: Life) -> Finding:
    if not seen.controllers:
        return holds(False, f"{seen.operator}: no Deployment of a controller was found", subjects=len(seen.crds))
    told = "; ".join(map(str, seen.controllers))
    subjects = len(seen.crds) + sum(len(each.pods) for each in seen.controllers)
    problems = list(seen.unestablished)
    problems += [str(each) for each in seen.controllers if not each.complete]
    said = f"{seen.operator} {seen.version} ({seen.why}): "
    if problems:
        return holds(False, said + "; ".join(problems), subjects=subjects)
    return holds(True, f"{said}{', '.join(seen.crds)} established; {told}", subjects=subjects)


def _refused(seen: Life, refusal: Refusal) -> tuple[bool | None, str]:
    """Whether the operator's webhook refused, and what was seen; None if something else was in its way."""
    policy = f"failurePolicy {seen.failure_policy} in {seen.configuration}" if seen.configuration else "not configured"
    if refusal.accepted:
        return False, f"an invalid object was let in: {seen.webhook} ({policy}) did not refuse it"
    if refusal.unreached:
        return False, f"the API server does not reach {refusal.unreached}: {refusal.said}"
    if refusal.by == seen.webhook:
        also = f" (a name that {', '.join(seen.namesakes)} has, too)" if seen.namesakes else ""
        return True, f"{refusal.said}{also}"
    by = f"the webhook {refusal.by}" if refusal.by else "something else than a webhook"
    return None, f"{by} refused the object before {seen.webhook} was heard: {refusal.said}"


@assertion("webhook_refuses", "The operator's webhook refuses an invalid object")
def webhook_refuses(seen: Life) -> Finding:
    refused, said = _refused(seen, seen.refusal)
    return undecided(said) if refused is None else holds(refused, said, subjects=1)


@assertion("resource_becomes_ready", "A valid object comes to its ready state")
def resource_becomes_ready(seen: Life) -> Finding:
    arrival = seen.made.arrival
    if arrival is None:
        return holds(False, f"{NOT_CREATED}: {seen.made.problem}", subjects=1)
    made = ", ".join(f"{each.kind} {each.name}" for each in seen.children) or "nothing"
    if not arrival.reached:
        within = f"not within {seen.seconds['ready']:.0f} s"
        return holds(False, f"{arrival.wanted}: {within}, last seen: {arrival.last}; made of it: {made}", subjects=1)
    if not seen.children:
        return holds(False, f"{arrival.wanted}, but nothing that is owned by the object was made", subjects=1)
    return holds(True, f"{arrival.wanted}; made of it: {made}", subjects=1 + len(seen.children))


@assertion("child_is_recreated", "A child that was deleted comes back")
def child_is_recreated(seen: Life) -> Finding:
    if seen.loss is None:
        return undecided("no object came to its ready state with a child that could be deleted")
    lost, new = seen.loss.lost, seen.loss.new
    if new is None:
        within = f"within {seen.seconds['child']:.0f} s"
        return holds(False, f"{lost.kind} {lost.name} was deleted, and none came {within}", subjects=1)
    return holds(new.uid != lost.uid, f"{lost.kind} {lost.uid} was deleted, {new.uid} came", subjects=1)


@assertion("controller_restarts", "The controller's Pods come back after their deletion")
def controller_restarts(seen: Life) -> Finding:
    if seen.restart is None:
        return undecided(f"of the controller: {seen.spared}")
    old = {pod.uid for each in seen.controllers for pod in each.pods}
    new = [pod for each in seen.restart.controllers for pod in each.pods if pod.ready and pod.uid not in old]
    told = "; ".join(map(str, seen.restart.controllers))
    if not seen.restart.back or not new:
        return holds(False, f"not within {seen.seconds['restart']:.0f} s: {told}", subjects=len(old) or 1)
    return holds(True, f"{', '.join(pod.name for pod in new)} came; {told}", subjects=len(new))


@assertion("works_after_restart", "After the restart the webhook refuses again and a change is reconciled")
def works_after_restart(seen: Life) -> Finding:
    if seen.restart is None:
        return undecided(f"of the controller: {seen.spared}")
    refusal, changed = seen.restart.refusal, seen.restart.changed
    if refusal is None or changed is None:
        return undecided("the controller's Pods did not come back")
    before, _ = _refused(seen, seen.refusal)
    refused, said = _refused(seen, refusal)
    if before and refused is False:
        return holds(False, said, subjects=1)
    if changed.arrival is None:
        return holds(False, f"the change could not be made: {changed.problem}", subjects=1)
    if not changed.arrival.reached:
        within = f"not within {seen.seconds['restart']:.0f} s"
        return holds(False, f"{changed.arrival.wanted}: {within}, last seen: {changed.arrival.last}", subjects=1)
    if not before:
        return holds(True, f"{changed.arrival.wanted}; the webhook did not refuse before, either", subjects=1)
    return holds(True, f"{changed.arrival.wanted}; {said}", subjects=2) if refused else undecided(said)


@assertion("children_are_deleted", "The children go with the object that they were made of")
def children_are_deleted(seen: Life) -> Finding:
    if seen.left is None:
        return undecided(NOT_CREATED)
    if seen.left:
        return holds(
            False, f"there {seen.seconds['child']:.0f} s later: {', '.join(seen.left)}", subjects=len(seen.left)
        )
    if not seen.children:
        return undecided("the object had no children")
    names = ", ".join(f"{each.kind} {each.name}" for each in seen.children)
    return holds(True, f"gone with it: {names}", subjects=len(seen.children))
