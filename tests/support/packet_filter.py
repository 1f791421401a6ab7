"""Whether this machine can enforce NetworkPolicies, as `lab up` asks before it builds an enforcer."""

from __future__ import annotations

from aiconform.lab.config import Unsupported


def cannot_enforce(ip_family: str) -> str:
    """Why not; empty if it can. Installs the packages that it takes."""
    from aiconform.lab.addons import packet_filter
    from aiconform.lab.machines import host

    host.install_packages(host.quiet, packet_filter.PACKAGES)
    try:
        packet_filter.backend(ip_family)
    except Unsupported as error:
        return str(error)
    return ""
