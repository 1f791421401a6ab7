"""What the sandboxed Pod has to show of its network beside the control Pod."""

from __future__ import annotations

from aiconform.check import Finding, assertion, holds, undecided
from aiconform.checks.workload_sandboxing.observations import SERVICES, Isolation, Sight
from aiconform.checks.workload_sandboxing.subjects import nobody, pair_of, where


@assertion("network_is_isolated", "The Pod has its own network and no path to the host's loopback interface")
def network_is_isolated(seen: Isolation) -> Finding:
    pair = pair_of(seen)
    if pair is None:
        return nobody(seen)
    sandbox, _ = pair
    addresses = [address for _, address in sandbox.interfaces]
    reached = [
        f"{what} on its loopback interface"
        for what, fetch in (
            ("a server of the host", sandbox.fetched("host-loopback")),
            ("the control Pod's server", sandbox.fetched("victim-loopback")),
        )
        if fetch and fetch.word
    ]
    health = sandbox.fetched("kubelet-health")
    if health and answered(health.said):
        reached.append("the kubelet's health on its loopback interface")
    if hosts := sorted({*addresses} & {*seen.addresses}):
        reached.append(f"the node's address {', '.join(hosts)} as its own")
    if reached:
        return holds(False, f"{where(seen)}: the sandbox has {'; '.join(reached)}", subjects=len(reached))
    own = sorted({*addresses} & {*seen.pod_addresses})
    told = [f"its interfaces have the Pod's address {', '.join(own)} and not the node's"] if own else []
    if seen.listener and sandbox.fetched("host-loopback"):
        told.append("a server on the host's loopback interface is not reached")
    elif not own:
        return undecided(
            f"{where(seen)}: its interfaces are not told, and there was no server on the host's loopback "
            f"({seen.no_listener or 'it was not asked'}): let the run make a Namespace with the privileged level of "
            "Pod Security"
        )
    else:
        told.append(
            f"no Pod listened on the host's loopback interface ({seen.no_listener}); the kubelet is not reached"
        )
    return holds(True, f"{where(seen)}: {'; '.join(told)}{_metadata(seen)}", subjects=len(told))


def _metadata(seen: Isolation) -> str:
    """What the metadata address of clouds answered: whom it answers is a matter of the network, not of a sandbox."""
    fetch = seen.sandbox.fetched("metadata") if seen.sandbox else None
    if fetch is None:
        return ""
    answers = answered(fetch.said)
    other = seen.control.fetched("metadata") if seen.control else None
    as_well = " also" if other and answered(other.said) else ""
    return f"; the metadata address 169.254.169.254 {f'answers{as_well}' if answers else 'does not answer'}"


def answered(said: str) -> bool:
    """Whether a server answered a request by HTTP."""
    return said.startswith("HTTP/")


@assertion("services_are_reachable", "The Pod reaches Services as other Pods do")
def services_are_reachable(seen: Isolation) -> Finding:
    pair = pair_of(seen)
    if pair is None:
        return nobody(seen)
    sandbox, control = pair
    named = {"service-name": "a Service by its name", "service-address": "a Service by its address"}
    usual = [what for what in SERVICES if control.served(what)]
    lost = [what for what in usual if not sandbox.served(what)]
    if api := control.fetched("api"):
        named["api"] = "the API server's Service"
        if api.said == "connected":
            usual.append("api")
            mine = sandbox.fetched("api")
            lost += [] if mine and mine.said == "connected" else ["api"]
    if lost:
        told = "; ".join(f"{named[what]}: {_said(sandbox, what)}" for what in lost)
        if seen.denied:
            return undecided(f"{where(seen)}: only the control Pod reaches {told}; {seen.denied}")
        direct = sandbox.fetched("victim")
        if "api" not in lost and direct and not direct.word:
            # To itself a Pod may send what policies of the network forbid others to send.
            return undecided(
                f"{where(seen)}: only the control Pod reaches {told}; nor does the sandbox reach the control Pod's own "
                f"address ({direct.said or 'no answer'}): let the run's Pods reach each other"
            )
        return holds(False, f"{where(seen)}: only the control Pod reaches {told}", subjects=len(usual))
    served = [what for what in SERVICES if sandbox.served(what)]
    # Not each network brings what a Pod sends to its own Service back to it.
    if not any(what in usual for what in SERVICES) and len(served) < len(SERVICES):
        why = f"; {seen.denied}" if seen.denied else ""
        said = "; ".join(f"{named[what]}: {_said(control, what)}" for what in SERVICES)
        return undecided(f"{where(seen)}: the control Pod does not reach its own Service either: {said}{why}")
    reached = [what for what in named if what in {*usual, *served}]
    told = ", ".join(
        named[what] + ("" if what in usual else " (the control Pod's, which does not reach itself)") for what in reached
    )
    return holds(True, f"{where(seen)}: it reaches {told}", subjects=len(reached))


def _said(sight: Sight, what: str) -> str:
    fetch = sight.fetched(what)
    return (fetch.said if fetch else "") or "no answer"
