"""What must hold of robust_controller's observations."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.robust_controller.observations import Life, Refusal

NOT_CREATED = "no valid object could be created"


@assertion("operator_is_ready", "The CRDs are established and the controller's Pods are ready")
def operator_is_ready(seen: Life) -> Finding:
    if not seen.controllers:
        return holds(False, f"{seen.operator}: no Deployment of its controller was found", subjects=len(seen.crds))
    told = "; ".join(map(str, seen.controllers))
    subjects = len(seen.crds) + sum(len(each.pods) for each in seen.controllers)
    problems = list(seen.unestablished)
    problems += [str(each) for each in seen.controllers if not each.complete]
    said = f"{seen.operator} {seen.version} ({seen.why}): "
    if problems:
        return holds(False, said + "; ".join(problems), subjects=subjects)
    return holds(True, f"{said}{', '.join(seen.crds)} established; {told}", subjects=subjects)


def _refused(seen: Life, refusal: Refusal) -> tuple[bool | None, str]:
    """Whether the operator's webhook refused, and the reason; None if something else refused first."""
    policy = f"failurePolicy {seen.failure_policy} in {seen.configuration}" if seen.configuration else "not configured"
    if refusal.accepted:
        return False, f"an invalid object was accepted: {seen.webhook} ({policy}) did not refuse it"
    if refusal.unreached:
        return False, f"the API server cannot reach {refusal.unreached}: {refusal.said}"
    if refusal.behind:
        said = f"{refusal.behind} answers, but stays behind with its caches: {refusal.said}"
        return (False if refusal.behind == seen.webhook else None), said
    if refusal.by == seen.webhook:
        also = f" ({', '.join(seen.namesakes)} has a webhook of this name, too)" if seen.namesakes else ""
        return True, f"{refusal.said}{also}"
    by = f"the webhook {refusal.by}" if refusal.by else "something other than a webhook"
    return None, f"{by} refused the object before {seen.webhook} was called: {refusal.said}"


@assertion("webhook_refuses", "The operator's webhook refuses an invalid object")
def webhook_refuses(seen: Life) -> Finding:
    refused, said = _refused(seen, seen.refusal)
    return undecided(said) if refused is None else holds(refused, said, subjects=1)


@assertion(
    "resource_becomes_ready",
    "A valid object reaches its ready state",
    formerly=("A valid object comes to its ready state",),
)
def resource_becomes_ready(seen: Life) -> Finding:
    arrival = seen.made.arrival
    if arrival is None:
        return holds(False, f"{NOT_CREATED}: {seen.made.problem}", subjects=1)
    made = ", ".join(f"{each.kind} {each.name}" for each in seen.children) or "nothing"
    if not arrival.reached:
        within = f"not within {seen.seconds['ready']:.0f} s"
        return holds(False, f"{arrival.wanted}: {within}, last seen: {arrival.last}; children: {made}", subjects=1)
    if not seen.children:
        return holds(False, f"{arrival.wanted}, but the object has no children", subjects=1)
    return holds(True, f"{arrival.wanted}; children: {made}", subjects=1 + len(seen.children))


@assertion("child_is_recreated", "A deleted child is recreated", formerly=("A child that was deleted comes back",))
def child_is_recreated(seen: Life) -> Finding:
    if seen.loss is None:
        return undecided("no object reached its ready state with a child that could be deleted")
    lost, new = seen.loss.lost, seen.loss.new
    if new is None:
        within = f"within {seen.seconds['child']:.0f} s"
        return holds(False, f"{lost.kind} {lost.name} was deleted, and not recreated {within}", subjects=1)
    return holds(new.uid != lost.uid, f"{lost.kind} {lost.uid} was deleted, {new.uid} replaced it", subjects=1)


@assertion("controller_restarts", "The controller's Pods come back after their deletion")
def controller_restarts(seen: Life) -> Finding:
    if seen.restart is None:
        return undecided(f"the controller was not restarted: {seen.spared}")
    old = {pod.uid for each in seen.controllers for pod in each.pods}
    new = [pod for each in seen.restart.controllers for pod in each.pods if pod.ready and pod.uid not in old]
    told = "; ".join(map(str, seen.restart.controllers))
    if not seen.restart.back or not new:
        return holds(False, f"not within {seen.seconds['restart']:.0f} s: {told}", subjects=len(old) or 1)
    return holds(True, f"{', '.join(pod.name for pod in new)} are new; {told}", subjects=len(new))


@assertion("works_after_restart", "After the restart the webhook refuses again and a change is reconciled")
def works_after_restart(seen: Life) -> Finding:
    if seen.restart is None:
        return undecided(f"the controller was not restarted: {seen.spared}")
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
        return holds(
            True, f"{changed.arrival.wanted}; the webhook did not refuse before the restart, either", subjects=1
        )
    return holds(True, f"{changed.arrival.wanted}; {said}", subjects=2) if refused else undecided(said)


@assertion(
    "children_are_deleted",
    "The children are deleted with their owner",
    formerly=("The children go with the object that they were made of",),
)
def children_are_deleted(seen: Life) -> Finding:
    if seen.left is None:
        return undecided(NOT_CREATED)
    if seen.left:
        return holds(
            False, f"not deleted within {seen.seconds['child']:.0f} s: {', '.join(seen.left)}", subjects=len(seen.left)
        )
    if not seen.children:
        return undecided("the object had no children")
    names = ", ".join(f"{each.kind} {each.name}" for each in seen.children)
    return holds(True, f"deleted with their owner: {names}", subjects=len(seen.children))
