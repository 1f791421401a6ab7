"""The matrix of personas and checks: what the tests of personas show, as docs/personas.md has it.

`tests/lab/test_personas.py` records its cells; `PYTHONPATH=tests ./dev python -m support.matrix [.test-run]` prints the
page from them, or says which are missing or wrong. Nothing in it is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators import Identity, identities
from aiconform.lab.faults.fault import Scope
from aiconform.lab.faults.registry import possible
from aiconform.platform.accelerators.drivers import family_of
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.monitoring.conventions import load_conventions
from support.record import write

PAGE = Path(__file__).parents[2] / "docs" / "personas.md"
CHECKS = ("dra_support", "secure_accelerator_access", "accelerator_metrics", "driver_runtime_management")
# Names of the lab's own, no persona of hardware.
NOT_PERSONAS = ("simulated", "machine")
# What such a defect leaves out, an exporter may leave out of a device that is idle: then it decides nothing.
_LEFT_OUT = {
    "metrics-omit-a-device": {"utilization", "memory_used"},
    "metrics-omit-utilization": {"utilization"},
    "metrics-without-memory": {"memory_used"},
}
# These show only where a Pod can have less than all devices of its node.
_OF_SOME = ("driver-prepares-all", "metrics-of-another-device", "metrics-of-the-whole-node")
# The other defects of a driver show beside a healthy node of the same kind (tests/lab/checks/test_faults_of_nodes.py).
_OF_ONE_NODE = ("driver-prepares-all", "driver-prepares-nothing", "driver-differs-from-advertised")
# Its exporter names partitions by a number that the driver does not publish, and those of one GPU are equal.
_UNTOLD = {("nvidia-mig-single", "metrics-of-another-device")}
_HEADER = ("persona", "check", "healthy", "caught")
_RIGHT, _APART = "right", ", "
_TITLE = """# Personas and checks

What the suite finds on the lab's personas (`aiconform lab identities`), which act out the shapes of real hardware:
whether each check passes when all is well, and the defects that it catches. What nobody could tell is left out: which
idle device is missing of an exporter that reports only devices in use, whose metrics a Pod's device has if it has all
devices of the node or one of several equal partitions. Made by the tests (`./dev test
tests/lab/test_personas.py --personas all`, then `python -m support.matrix`); a test holds it complete.
"""


def personas() -> tuple[str, ...]:
    """The names of the personas."""
    return tuple(name for name in identities() if name not in NOT_PERSONAS)


def checks(persona: str) -> tuple[str, ...]:
    """The checks that a persona is for.

    dra_support only where devices are offered by DRA; driver_runtime_management only where it is known how such
    platforms advertise the driver: elsewhere it cannot decide until the user names a label.
    """
    identity = identities()[persona]
    by_plugin = identity.allocation == "device-plugin"
    apart = {"dra_support"} if by_plugin else set()
    family = family_of(_profile(identity))
    if not (family.labels or family.in_kernel or (family.published and not by_plugin)):
        apart.add("driver_runtime_management")
    return tuple(check for check in CHECKS if check not in apart)


def defects(persona: str, check: str) -> tuple[str, ...]:
    """The faults of nodes that such hardware can have, and that break assertions of the check.

    Not no-driver: beside others, a node that publishes nothing is a node without accelerators. Nor an allocator that
    gives more than there is where several claims can hold a device: any number can be had there. Nor metrics that lack
    what the vendor's exporter reports only of devices in use. Nor what gives or shows other devices where a Pod has
    all devices of its node, or other metrics where nothing tells which of a device's equal partitions a Pod has.
    Nor a driver of another version than is advertised where it is part of the kernel.
    """
    identity = identities()[persona]
    return tuple(
        str(name)
        for name, fault in possible(persona).items()
        if fault.scope is Scope.NODE
        and name != "no-driver"
        and not (name == "allocator-overcommits" and identity.share_of_memory)
        and not _LEFT_OUT.get(str(name), {""}) <= _only_in_use(identity)
        and not (name in _OF_SOME and identity.whole_host)
        and (persona, name) not in _UNTOLD
        and (check != "driver_runtime_management" or name in _OF_ONE_NODE)
        and not (name == "driver-differs-from-advertised" and family_of(_profile(identity)).in_kernel)
        and check in fault.checks
        and (identity.requested_by or name != "runtime-honours-environment")
    )


def _profile(identity: Identity) -> str:
    found = load_profiles().by_resource(identity.extended_resource)
    return found.name if found else ""


def _only_in_use(identity: Identity) -> set[str]:
    """What the exporter of an identity's vendor reports of no idle device."""
    profile = _profile(identity)
    return {name for each in load_conventions() if profile in each.accelerators for name in each.only_in_use}


@dataclass(frozen=True)
class Cell:
    """What was seen of a persona and a check: the defect that was on (empty if none was), and whether it was right."""

    persona: str
    check: str
    defect: str
    right: bool

    def record(self) -> None:
        """Write it to the record of this test run, if there is one."""
        write("matrix", persona=self.persona, check=self.check, defect=self.defect, right=self.right)


def recorded(folder: Path) -> Iterator[Cell]:
    """The cells that test runs wrote, the latest last."""
    found: list[Mapping[str, Any]] = []
    for file in folder.glob("matrix-*.jsonl"):
        found += map(json.loads, file.read_text().splitlines())
    for line in sorted(found, key=lambda line: float(line["at"])):
        yield Cell(line["persona"], line["check"], line["defect"], line["right"])


def page(cells: Iterable[Cell]) -> str:
    """The page. Only what was right is in it."""
    latest = {(cell.persona, cell.check, cell.defect): cell.right for cell in cells}
    rows = [_HEADER, ("-",) * len(_HEADER)]
    for persona in personas():
        for check in checks(persona):
            healthy = _RIGHT if latest.get((persona, check, "")) else ""
            caught = [defect for defect in defects(persona, check) if latest.get((persona, check, defect))]
            rows.append((persona, check, healthy, _APART.join(caught)))
    return _TITLE + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def problems(text: str) -> list[str]:
    """What the page lacks, and what it has that is none of the personas or their defects."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows: dict[tuple[str, str], Sequence[str]] = {}
    for persona, check, *cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]):
        rows[persona, check] = cells
    found = [
        f"{persona}, {check}: no row of the matrix" for persona, check in _expected() if (persona, check) not in rows
    ]
    for (persona, check), (healthy, caught) in rows.items():
        if (persona, check) not in _expected():
            found.append(f"{persona}, {check}: no such persona, or no check for it")
            continue
        if healthy != _RIGHT:
            found.append(f"{persona}, {check}: not right when healthy")
        missing = set(defects(persona, check)) ^ set(filter(None, caught.split(_APART)))
        found += [f"{persona}, {check}: {defect} is not caught, or no defect of it" for defect in sorted(missing)]
    return found


def _expected() -> list[tuple[str, str]]:
    return [(persona, check) for persona in personas() for check in checks(persona)]


def main() -> None:
    text = page(recorded(Path(sys.argv[1] if len(sys.argv) > 1 else ".test-run")))
    if missing := problems(text):
        sys.exit("\n".join(missing))
    print(text, end="")


if __name__ == "__main__":
    main()
