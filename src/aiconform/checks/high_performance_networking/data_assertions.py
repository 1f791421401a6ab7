"""What data that two Pods send each other has to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aiconform.check import Finding, assertion, holds, left_out, undecided
from aiconform.checks.high_performance_networking.assertions import no_interface
from aiconform.checks.high_performance_networking.claimed import interface_of, usual, without_interface
from aiconform.checks.high_performance_networking.observations import Counted, Data, Networking, NetworkPod, Transfer

_OPTION = "--set high_performance_networking.selector=CEL"
# Of what was sent: headers only add to it, and what else runs meanwhile is little.
_ACCOUNTS, _LITTLE = 0.95, 0.5


@dataclass(frozen=True)
class _Sent:
    """What was to be sent to the peer over the claimed interfaces."""

    peer: NetworkPod
    data: Data
    transfer: Transfer


def _sent(seen: Networking) -> _Sent | Finding:
    """What was sent, or why nothing was to be."""
    if not_there := no_interface(seen):
        return not_there
    if why := without_interface(seen.first.devices):
        return undecided(f"no interface to send data over: {why}")
    for pod in (seen.first, seen.peer):
        each = interface_of(pod, seen)
        if pod and each and not each.works:
            return left_out(f"interface {each.name} of Pod {pod.pod} is not up: {each.words}")
    if seen.peer is None:
        return undecided(f"there was no Pod to send data to: {seen.no_peer or seen.no_data or 'none was made'}")
    if not seen.peer.ran or interface_of(seen.peer, seen) is None:
        why_not = seen.peer.why_not or "it has no claimed interface"
        return undecided(f"Pod {seen.peer.pod} on {seen.peer.node or 'no node'} could not take part: {why_not}")
    if seen.data is None or seen.data.over_interface is None:
        return undecided(f"no data was sent: {seen.no_data or 'the Pod says nothing of it'}")
    return _Sent(seen.peer, seen.data, seen.data.over_interface)


def _whole(transfer: Transfer, seen: Networking, data: Data) -> bool:
    return transfer.bytes == data.size and bool(seen.first.digest) and transfer.digest == seen.first.digest


@assertion(
    "data_arrives",
    "Data between two Pods' claimed interfaces arrives whole",
    serves=("data_uses_claimed_interfaces",),
)
def data_arrives(seen: Networking) -> Finding:
    sent = _sent(seen)
    if isinstance(sent, Finding):
        return sent
    data, transfer = sent.data, sent.transfer
    about = f"Pod {sent.peer.pod} asked {data.address} of Pod {seen.first.pod}"
    if _whole(transfer, seen, data):
        said = f"{about}: {data.size} bytes with the same digest, about {_rate(transfer)} over the interface"
        return holds(True, f"{said}; {_beside(data, seen)}", subjects=1)
    got = f"{about}: {transfer.bytes} of {data.size} bytes arrived in {transfer.seconds:.1f} s"
    got += f" ({transfer.said})" if transfer.said else ""
    got += " with another digest" if transfer.bytes == data.size else ""
    if not data.way:
        return undecided(
            f"{got}; the two interfaces are not of one network, and the kernel's way there is "
            f"{data.route or 'unknown'}: select devices of one network, {_OPTION}"
        )
    if data.way == "link-local":
        return undecided(f"{got}; the interfaces have link-local addresses only, which a fabric need not carry")
    denied = f"; {seen.denied}" if seen.denied else ""
    if denied and data.over_pods is not None and data.over_pods.code != 0:
        return undecided(f"{got}; nor does data over the Pod network{denied}")
    return holds(False, f"{got}; the kernel's way there: {data.route or 'unknown'}", subjects=1)


def _rate(transfer: Transfer) -> str:
    return f"{transfer.bytes * 8 / 1e6 / max(transfer.seconds, 0.01):.0f} Mbit/s"


def _beside(data: Data, seen: Networking) -> str:
    pods = data.over_pods
    if pods is None or not _whole(pods, seen, data):
        return "over the Pod network nothing arrived whole"
    return f"about {_rate(pods)} over the Pod network"


@assertion("data_uses_claimed_interfaces", "The claimed interfaces' counters account for the data")
def data_uses_claimed_interfaces(seen: Networking) -> Finding:
    sent = _sent(seen)
    if isinstance(sent, Finding):
        return sent
    data, transfer = sent.data, sent.transfer
    if not _whole(transfer, seen, data):
        return left_out("the data did not arrive whole")
    if not data.way:
        return undecided(
            f"the two interfaces are not of one network, and the kernel's way to {data.address} is "
            f"{data.route or 'unknown'}: select devices of one network, {_OPTION}"
        )
    others = [each.name for each in usual(seen)]
    told = []
    for pod, before, after, received in (
        (sent.peer, data.before.own, data.between.own, True),
        (seen.first, data.before.peer, data.between.peer, False),
    ):
        mine = interface_of(pod, seen)
        grown = _grown(before, after, received=received)
        if mine is None or mine.name not in grown:
            return undecided(f"the counters of Pod {pod.pod} are not known before and after the transfer")
        usual_most = max((grown.get(name, 0) for name in others if name != mine.name), default=0)
        what = "received" if received else "sent"
        also = ", ".join(f"{name} {grown[name]}" for name in others if name in grown and name != mine.name)
        told.append(
            (grown[mine.name], usual_most, f"Pod {pod.pod} {what} by {mine.name} {grown[mine.name]}, {also or '-'}")
        )
    used = all(own >= _ACCOUNTS * data.size and most < _LITTLE * data.size for own, most, _ in told)
    said = f"of {data.size} bytes: {'; '.join(words for *_, words in told)}"
    return holds(
        used, said if used else f"{said}; the kernel's way there: {data.route or 'unknown'}", subjects=len(told)
    )


def _grown(before: Sequence[Counted], after: Sequence[Counted], *, received: bool) -> dict[str, int]:
    """Interface -> bytes that it received, or sent, between two readings."""
    then = {each.interface: each for each in before}
    return {
        each.interface: (each.received - then[each.interface].received)
        if received
        else (each.sent - then[each.interface].sent)
        for each in after
        if each.interface in then
    }
