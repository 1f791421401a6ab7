"""Assertions are pure functions: they are tested with made-up observations, without a cluster."""

from acme_fabric import CHECK
from acme_fabric.check import Interface, Interfaces

from aiconform.check.testing import findings


def seen(*mtus: int) -> Interfaces:
    interfaces = [Interface(name="lo", mtu=65536), *(Interface(name=f"eth{i}", mtu=m) for i, m in enumerate(mtus))]
    return Interfaces(node="node-1", wanted_mtu=1400, interfaces=interfaces)


def decisions(observation: Interfaces) -> dict[str, bool | None]:
    return {id_: finding.holds for id_, finding in findings(CHECK, observation).items()}


def test_a_usual_pod() -> None:
    assert decisions(seen(1500)) == {"interface_present": True, "mtu_is_enough": True}


def test_small_packets_fail() -> None:
    assert decisions(seen(1500, 1300)) == {"interface_present": True, "mtu_is_enough": False}


def test_a_pod_without_a_network_decides_nothing_about_packets() -> None:
    assert decisions(seen()) == {"interface_present": False, "mtu_is_enough": None}
