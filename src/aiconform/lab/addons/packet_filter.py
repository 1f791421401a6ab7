"""What of iptables and ipset this machine has: an enforcer of NetworkPolicies writes rules with both on every node."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from aiconform.lab.build.images import linked
from aiconform.lab.config import Unsupported
from aiconform.lab.machines import host

IPSET = "ipset"
PACKAGES = {IPSET: "ipset"}
"""Command -> the Debian package that contains it, of what no lab needs without an enforcer."""
BACKENDS = {"legacy": "xtables-legacy-multi", "nft": "xtables-nft-multi"}
"""How rules get into the kernel -> the program that does it. kube-proxy and an enforcer that write the same tables at
once can take each other's rules away, so the enforcer prefers the tables that kube-proxy does not use."""
COMMANDS = tuple(f"{family}{rest}" for family in ("iptables", "ip6tables") for rest in ("", "-save", "-restore"))
"""What each of these programs is, by the name that it is called with."""
_EXTENSIONS = ("/usr/lib/*/xtables", "/usr/lib/xtables", "/usr/lib64/xtables")
# What the rules of an enforcer consist of, in a namespace of their own that ends with the command.
_TRY = """ipset create tried hash:ip family {family} timeout 0
{program} {restore} <<end
*filter
:TRIED - [0:0]
-A FORWARD -j TRIED
-A TRIED -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A TRIED -m addrtype --src-type LOCAL -j ACCEPT
-A TRIED -p tcp -m set --match-set tried src -m comment --comment tried -j MARK --set-xmark 0x10000/0x10000
-A TRIED -p tcp -m multiport --dports 30000:32767 -j RETURN
-A TRIED -m mark ! --mark 0x10000/0x10000 -m limit --limit 10/minute -j NFLOG --nflog-group 100
-A TRIED -m mark ! --mark 0x10000/0x10000 -j REJECT
-A TRIED -m physdev --physdev-is-bridged -j RETURN
COMMIT
end
"""


def backend(ip_family: str) -> str:
    """One of BACKENDS whose rules the kernel takes for addresses of this family. Raises Unsupported with its words."""
    why = []
    restore, family = ("ip6tables-restore", "inet6") if ip_family == "ipv6" else ("iptables-restore", "inet")
    for name in _in_order():
        program = BACKENDS[name]
        if not _path(IPSET) or not _path(program):
            continue
        script = _TRY.format(family=family, program=program, restore=restore)
        done = subprocess.run(
            ["unshare", "--net", "sh", "-ec", script],
            env=host.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return name
        why.append(f"{name}: {' '.join(done.stderr.split())}")
    words = "; ".join(why) or f"{IPSET} or iptables is not installed"
    raise Unsupported(
        f"this machine cannot enforce NetworkPolicies: its kernel takes no rules of iptables with ipset ({words}). "
        "What helps: a kernel with IP_SET, NETFILTER_XT_SET and NF_TABLES or IP_NF_IPTABLES_LEGACY. The trait "
        "default-deny makes the same NetworkPolicies without an enforcer"
    )


def _in_order() -> list[str]:
    """BACKENDS; that of this machine's `iptables`, which kube-proxy calls, comes last."""
    used = Path(_path("iptables") or "").resolve().name
    return sorted(BACKENDS, key=lambda name: BACKENDS[name] == used)


def files() -> tuple[tuple[str, Path], ...]:
    """The programs with all that they load, as (path in an image, file on this machine). Raises LabError."""
    return tuple(dict.fromkeys(_files()))


def links(folder: str) -> tuple[tuple[str, str], ...]:
    """COMMANDS of each backend in a folder of its name, as (path in an image, what it points to)."""
    return tuple(
        (f"{folder}/{name}/{command}", _in_image(program))
        for name, program in BACKENDS.items()
        if _path(program)
        for command in COMMANDS
    )


def _files() -> Iterator[tuple[str, Path]]:
    for program in (IPSET, *BACKENDS.values()):
        if found := _path(program):
            yield _in_image(program).lstrip("/"), Path(found)
            yield from linked(Path(found))
    for pattern in _EXTENSIONS:
        for file in sorted(Path("/").glob(f"{pattern.lstrip('/')}/*.so")):
            yield str(file).lstrip("/"), file


def _in_image(program: str) -> str:
    return f"/usr/sbin/{program}"


def _path(program: str) -> str | None:
    return shutil.which(program, path=host.environment()["PATH"])
