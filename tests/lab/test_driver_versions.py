"""Several versions of a driver in one pool: nodes of one kind that say so, and one that does not.

It is a lab of its own: a node's driver is what it starts with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.lab import LAB, Lab, Outcome, assert_breaks, lab_of_its_own, succeed

from aiconform.lab.faults.registry import FAULTS

NAME = f"{LAB}-drivers"
CHECK = "driver_runtime_management"
LATER = json.dumps({"driver_version": "1.5.0"})
# By DRA and by a device plugin in turn: one of each has the later driver.
WITH_LATER = ("node-3", "node-4")


@pytest.fixture(scope="module")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    later = [word for node in WITH_LATER for word in ("--identity", f"{node}={LATER}")]
    with lab_of_its_own(NAME, tmp_path_factory.mktemp("runs"), "--nodes", "4", *later) as made:
        yield made


def versions(done: Outcome) -> dict[str, set[str]]:
    """Node -> the versions that its container with a device found."""
    records = json.loads((done.folder / f"observations/{CHECK}.json").read_text())["records"]
    seen = [record["observation"] for record in records if record["probe"] == "installed"]
    return {each["advertised"]["node"]: {found["version"] for found in each["found"]} for each in seen}


def test_a_node_of_each_version_is_looked_at_and_told_apart(lab: Lab) -> None:
    done = lab.run(CHECK)
    assert done.code == 0, done.stderr
    assert done.passes(CHECK)
    assert versions(done) == {
        "node-1": {"1.4.2"},
        "node-2": {"1.4.2"},
        "node-3": {"1.5.0"},
        "node-4": {"1.5.0"},
    }
    (entry,) = [each for each in done.check(CHECK)["assertions"] if each["id"] == "differences_in_pool_are_advertised"]
    assert entry["reason"] == "4 node(s) differ from others of their kind and say so"
    succeed("judge", done.folder)


@pytest.mark.parametrize("node", WITH_LATER)
def test_a_node_that_says_too_little_hides_that_it_differs(lab: Lab, node: str) -> None:
    name = "driver-version-imprecise"
    with lab.fault(f"{name}@{node}"):
        done = lab.run(CHECK)
    assert_breaks(done, FAULTS[name], CHECK)
    assert node in done.check(CHECK)["reason"]
