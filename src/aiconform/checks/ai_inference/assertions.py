"""What must hold of ai_inference's observations."""

from __future__ import annotations

from collections.abc import Mapping

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.ai_inference.binomial import agreement
from aiconform.checks.ai_inference.observations import RequestCounts, Routing
from aiconform.checks.ai_inference.routes import BACKENDS

NOT_SENT = "no requests were sent: there is no accepted route"


@assertion("class_accepted", "A GatewayClass is accepted by its controller")
def class_accepted(seen: Routing) -> Finding:
    taken = next(entry for entry in seen.classes if entry.name == seen.taken)
    said = f"{taken.name} of {taken.controller} ({seen.why}): {taken.says}"
    return holds(taken.accepted is True, said, subjects=1)


@assertion(
    "gateway_programmed",
    "A Gateway of this class is programmed and has an address",
    formerly=("A Gateway of it is programmed and has an address",),
)
def gateway_programmed(seen: Routing) -> Finding:
    if seen.programmed is None:
        return undecided("no Gateway was created: the class is not accepted")
    where = f"at {seen.address}: " if seen.address else ""
    return holds(seen.programmed, f"{where}{seen.gateway_says}", subjects=1)


@assertion(
    "route_accepted", "An HTTPRoute with weights, header and path rules is accepted and its references are resolved"
)
def route_accepted(seen: Routing) -> Finding:
    if seen.route_accepted is None:
        return undecided("no route was created: there is no programmed Gateway")
    return holds(seen.route_accepted, seen.route_says, subjects=1)


def _of(seen: Routing, rule: str) -> list[RequestCounts]:
    return [entry for entry in seen.asked if entry.rule == rule]


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{words} ({count})" for words, count in counts.items())


@assertion(
    "traffic_split_by_weight",
    "Requests are split between backends by their weights",
    serves=("traffic_split_by_weight", "every_request_is_answered"),
)
def traffic_split_by_weight(seen: Routing) -> Finding:
    if seen.unreached:
        return holds(False, f"no request was answered through {seen.address}: {seen.unreached}", subjects=1)
    asked = _of(seen, "weights")
    if not asked:
        return undecided(NOT_SENT)
    reasons, passed = [], True
    for entry in asked:
        agrees, words = agreement(entry.answers, seen.weights)
        if entry.failures:
            agrees, words = False, f"{_counted(entry.failures)}; {words}"
        passed = passed and agrees
        reasons.append(f"from {entry.origin}: {words}")
    if seen.outside:
        reasons.append(f"not from outside: {seen.outside}")
    subjects = sum(entry.total for entry in asked)
    return holds(passed, "; ".join(reasons), subjects=subjects)


@assertion(
    "routed_by_header",
    "A header that names a model selects that model's backend",
    serves=("routed_by_header", "unknown_header_follows_weights"),
)
def routed_by_header(seen: Routing) -> Finding:
    return _selected(seen, "header")


@assertion("routed_by_path", "A path that names a model selects that model's backend")
def routed_by_path(seen: Routing) -> Finding:
    return _selected(seen, "path")


def _selected(seen: Routing, rule: str) -> Finding:
    asked = _of(seen, rule)
    if not asked:
        return undecided(NOT_SENT)
    wrong, requests = [], 0
    for entry in asked:
        requests += entry.total
        # Either server may answer for a model that no rule names: the weights decide.
        astray = {name: n for name, n in entry.answers.items() if entry.model in BACKENDS and name != entry.model}
        if astray or entry.failures:
            answers = _counted({f"answered by {name}": count for name, count in astray.items()} | entry.failures)
            wrong.append(f"requests for {entry.model} from {entry.origin}: {answers}")
    said = (
        "; ".join(wrong)
        or f"{requests} requests for {', '.join(sorted({e.model for e in asked}))} were routed as declared"
    )
    return holds(not wrong, said, subjects=requests)


@assertion("unmatched_gets_404", "A request that no rule matches gets 404")
def unmatched_gets_404(seen: Routing) -> Finding:
    asked = _of(seen, "none")
    if not asked:
        return undecided(NOT_SENT)
    wrong = {words: count for entry in asked for words, count in entry.failures.items() if " 404 " not in f"{words} "}
    wrong |= {f"answered by {name}": count for entry in asked for name, count in entry.answers.items()}
    requests = sum(entry.total for entry in asked)
    return holds(not wrong, _counted(wrong) or f"each of {requests} got 404", subjects=requests)


@assertion("changed_weights_take_effect", "Changed weights take effect under load")
def changed_weights_take_effect(seen: Routing) -> Finding:
    if seen.change is None:
        return undecided(NOT_SENT)
    change = seen.change
    if not change.sample:
        return holds(False, f"no request was answered after the change: {_counted(change.lost)}", subjects=1)
    agrees, words = agreement(change.sample, change.weights)
    when = (
        f"in force after {change.in_force_after:.1f} s"
        if change.in_force_after is not None
        else f"not in force within {change.within:.0f} s"
    )
    passed = agrees and change.in_force_after is not None
    return holds(passed, f"{when}; {words}", subjects=sum(change.sample.values()))


@assertion("no_request_lost", "No request is lost while weights change")
def no_request_lost(seen: Routing) -> Finding:
    if seen.change is None:
        return undecided(NOT_SENT)
    change = seen.change
    lost = sum(change.lost.values())
    said = f"{change.requests} requests, {change.long_requests} of them for long answers, "
    said += f"{lost} lost: {_counted(change.lost)}" if lost else "all answered completely"
    return holds(not lost, said, subjects=change.requests)
