"""The matrix of personas and checks: what the tests of personas show, as docs/personas.md has it.

`tests/lab/test_personas.py` records its cells; `PYTHONPATH=tests ./dev python -m support.matrix [.test-run]` prints the
page from them, and ends with exit code 1 if any are missing or wrong. What was not tried anew stays as it is on the
page. Nothing in it is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from aiconform.lab.accelerators import Identity, identities
from aiconform.lab.accelerators.sharing import Way, ways
from aiconform.lab.faults.fault import Scope
from aiconform.lab.faults.registry import possible
from aiconform.platform.accelerators.drivers import family_of
from aiconform.platform.accelerators.profiles import load_profiles
from aiconform.platform.monitoring.conventions import load_conventions
from support.record import write

PAGE = Path(__file__).parents[2] / "docs" / "personas.md"
CHECKS = (
    "dra_support",
    "secure_accelerator_access",
    "accelerator_metrics",
    "driver_runtime_management",
    "gpu_sharing",
)
# Names of the lab's own, no persona of hardware.
NOT_PERSONAS = ("simulated", "machine")
# What such a defect leaves out, an exporter may leave out of a device that is idle: then it decides nothing.
_LEFT_OUT = {
    "metrics-omit-a-device": {"utilization", "memory_used"},
    "metrics-omit-utilization": {"utilization"},
    "metrics-without-memory": {"memory_used"},
}
# These show only where a Pod can have less than all devices of its node.
_OF_SOME = ("metrics-of-another-device", "metrics-of-the-whole-node")
# The other defects of a driver show beside a healthy node of the same kind (tests/lab/checks/test_faults_of_nodes.py).
_OF_ONE_NODE = ("driver-prepares-all", "driver-prepares-nothing", "driver-differs-from-advertised")
# Its exporter names partitions by a number that the driver does not publish, and those of one GPU are equal.
_UNTOLD = {("nvidia-mig-single", "metrics-of-another-device")}
_HEADER = ("persona", "check", "healthy", "caught", "not caught", "cannot be told")
_RIGHT, _WRONG, _UNDECIDED, _NOT_TRIED, _APART = "right", "wrong", "undecided", "not tried", ", "
_TITLE = """# Personas and checks

What the suite finds on the lab's personas (`aiconform lab identities`), which act out the shapes of real hardware.

- healthy: whether each assertion of the check holds when all is well: right, wrong, undecided or not tried.
- caught: the defects (`aiconform lab fault --list`) that the check finds on the node that has them.
- not caught: those that it does not find there; (undecided) where it says so, (not tried) where no test has shown it.
- cannot be told: defects that look like health on such a platform: a device or value is missing of an exporter that
  reports it only of devices in use, or a device has another one's metrics and a Pod has all devices of the node, or one
  of several equal partitions; labels describe partitions that no device plugin offers, and DRA offers them.

Made by the tests (`./dev test tests/lab/test_personas.py --personas all`, then `python -m support.matrix`); a test
holds that all is right when healthy, and that nothing is in the column "not caught".
"""


def personas() -> tuple[str, ...]:
    """The names of the personas."""
    return tuple(name for name in identities() if name not in NOT_PERSONAS)


def checks(persona: str) -> tuple[str, ...]:
    """The checks that a persona is for.

    dra_support only where devices are offered by DRA; driver_runtime_management only where it is known how such
    platforms advertise the driver: elsewhere it cannot decide until the user names a label; gpu_sharing only where
    devices are offered in shares: of those that only a claim shares, a run looks at one.
    """
    identity = identities()[persona]
    by_plugin = identity.allocation == "device-plugin"
    apart = {"dra_support"} if by_plugin else set()
    if not ways(identity):
        apart.add("gpu_sharing")
    family = family_of(_profile(identity))
    if not (family.labels or family.in_kernel or (family.published and not by_plugin)):
        apart.add("driver_runtime_management")
    return tuple(check for check in CHECKS if check not in apart)


def defects(persona: str, check: str) -> tuple[str, ...]:
    """The faults of nodes that such hardware can have, that break assertions of the check, and that can be told."""
    untold = cannot_be_told(persona, check)
    return tuple(name for name in _possible(persona, check) if name not in untold)


def cannot_be_told(persona: str, check: str) -> tuple[str, ...]:
    """Those of such faults that nothing on the platform tells from health.

    Metrics that lack what the vendor's exporter reports only of devices in use; other metrics where a Pod has all
    devices of its node, or where nothing tells which of a device's equal partitions it has. Labels of partitions that
    no device plugin offers, where DRA offers these.
    """
    identity = identities()[persona]
    return tuple(
        name
        for name in _possible(persona, check)
        if _LEFT_OUT.get(name, {""}) <= _only_in_use(identity)
        or (name in _OF_SOME and identity.whole_host)
        or (persona, name) in _UNTOLD
        or (name == "shares-not-offered" and Way.DRA_PARTITIONS in ways(identity))
    )


def _possible(persona: str, check: str) -> tuple[str, ...]:
    """The faults of nodes that such hardware can have, and that break assertions of the check.

    Not no-driver: beside others, a node that publishes nothing is a node without accelerators. Nor an allocator that
    gives more than there is where several claims can hold a device: any number can be had there. Nor what gives all
    devices where a Pod has all of them anyway. Nor a driver of another version than is advertised where it is part of
    the kernel.
    """
    identity = identities()[persona]
    return tuple(
        str(name)
        for name, fault in possible(persona).items()
        if fault.scope is Scope.NODE
        and name != "no-driver"
        and not (name == "allocator-overcommits" and identity.share_of_memory)
        and not (name == "driver-prepares-all" and identity.whole_host)
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
    """What was seen of a persona and a check: the defect that was on (empty if none was), and whether it was right.

    undecided: if it was not, whether the check said that it could not decide.
    """

    persona: str
    check: str
    defect: str
    right: bool
    undecided: bool = False

    def record(self) -> None:
        """Write it to the record of this test run, if there is one."""
        write("matrix", **asdict(self))

    @property
    def word(self) -> str:
        return _RIGHT if self.right else _UNDECIDED if self.undecided else _WRONG


def recorded(folder: Path) -> Iterator[Cell]:
    """The cells that test runs wrote, the latest last."""
    found: list[Mapping[str, Any]] = []
    for file in folder.glob("matrix-*.jsonl"):
        found += map(json.loads, file.read_text().splitlines())
    for line in sorted(found, key=lambda line: float(line["at"])):
        yield Cell(**{each.name: line[each.name] for each in fields(Cell) if each.name in line})


def shown(text: str) -> Iterator[Cell]:
    """The cells that a page shows."""
    for (persona, check), cells in _rows(text).items():
        healthy, caught, rest = (*cells, "", "", "")[:3]
        if healthy != _NOT_TRIED:
            yield Cell(persona, check, "", healthy == _RIGHT, healthy == _UNDECIDED)
        for defect in filter(None, caught.split(_APART)):
            yield Cell(persona, check, defect, True)
        for defect, _, word in (each.partition(" ") for each in filter(None, rest.split(_APART))):
            if word != f"({_NOT_TRIED})":
                yield Cell(persona, check, defect, False, bool(word))


def page(cells: Iterable[Cell]) -> str:
    """The page, with what is wrong and what is missing; of cells for the same, the last counts."""
    latest = {(cell.persona, cell.check, cell.defect): cell.word for cell in cells}
    rows = [_HEADER, ("-",) * len(_HEADER)]
    for persona, check in _expected():
        seen = {each: latest.get((persona, check, each), _NOT_TRIED) for each in ("", *defects(persona, check))}
        healthy = seen.pop("")
        caught = [each for each, word in seen.items() if word == _RIGHT]
        rest = [each if word == _WRONG else f"{each} ({word})" for each, word in seen.items() if word != _RIGHT]
        lists = (caught, rest, cannot_be_told(persona, check))
        rows.append((persona, check, healthy, *map(_APART.join, lists)))
    return _TITLE + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def problems(text: str) -> list[str]:
    """What is wrong on the page, what it lacks, and what it has that is none of the personas or their defects."""
    rows = _rows(text)
    found = []
    for persona, check in dict.fromkeys((*_expected(), *rows)):
        if (persona, check) not in _expected():
            told = ["no such persona, or no check for it"]
        elif len(cells := rows.get((persona, check), [])) == len(_HEADER) - 2:
            told = _problems_of(cells, defects(persona, check), cannot_be_told(persona, check))
        else:
            told = ["no row of the matrix"]
        found += [f"{persona}, {check}: {each}" for each in told]
    return found


def _rows(text: str) -> dict[tuple[str, str], list[str]]:
    """Persona and check -> the cells of its row after these."""
    rows = {}
    for line in [line for line in text.splitlines() if line.startswith("| ")][2:]:
        persona, check, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[persona, check] = cells
    return rows


def _problems_of(cells: Sequence[str], expected: Collection[str], untold: Sequence[str]) -> list[str]:
    """The same of one row, of which these are the cells after the check."""
    healthy, *lists = cells
    caught, rest, cannot = (list(filter(None, cell.split(_APART))) for cell in lists)
    known = {*caught, *(each.partition(" ")[0] for each in rest)}
    return [
        *([] if healthy == _RIGHT else [f"healthy: {healthy or _NOT_TRIED}"]),
        *(f"not caught: {each}" for each in rest),
        *(f"not in the row: {each}" for each in expected if each not in known),
        *(f"no defect of it: {each}" for each in caught if each not in expected),
        *([] if cannot == [*untold] else [f"cannot be told: {_APART.join(untold) or 'none'}"]),
    ]


def _expected() -> list[tuple[str, str]]:
    return [(persona, check) for persona in personas() for check in checks(persona)]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".test-run")
    earlier = PAGE.read_text() if PAGE.exists() else ""
    text = page([*shown(earlier), *recorded(folder)])
    print(text, end="")
    if found := problems(text):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
