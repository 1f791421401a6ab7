"""What a run on every node says of how far it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiconform.engine.events import ProbeFinished, TargetsFound
from aiconform.reports.nodes import EVERY_SECONDS, NodesDone


def finished(target: str, outcome: str = "seen", probe: str = "isolation") -> ProbeFinished:
    return ProbeFinished("check", probe, target, outcome, "", 1.0)


def test_a_node_is_done_when_all_its_probes_are_and_the_time_left_follows_from_what_took_how_long() -> None:
    moment = 0.0
    nodes = NodesDone(lambda: moment)
    places = {f"node-{number}, gpu": (f"node-{number}",) for number in range(1000)}
    nodes.found(TargetsFound("check", "isolation", places, frozenset()))
    nodes.found(TargetsFound("check", "excess", {"node-0, gpu": ("node-0",)}, frozenset()))
    assert nodes.finished(finished("node-0, gpu")) == ""
    moment = EVERY_SECONDS + 5
    assert nodes.finished(finished("node-1, gpu", "error")) == (
        "nodes: 1 of 1000 done, 1 with errors; observations: 2 of 1001; about 166 min left"
    )
    moment += 1
    assert nodes.finished(finished("node-0, gpu", probe="excess")) == ""


def test_what_was_done_before_an_interruption_counts_as_done_and_takes_no_time() -> None:
    moment = 0.0
    nodes = NodesDone(lambda: moment)
    places = {name: (name,) for name in ("one", "two", "three", "four")}
    nodes.found(TargetsFound("check", "isolation", places, frozenset({"one", "two"})))
    moment = 20.0
    assert nodes.finished(finished("three")) == "nodes: 3 of 4 done; observations: 3 of 4; about 20 s left"


def test_what_is_on_no_node_is_not_counted() -> None:
    nodes = NodesDone(lambda: 0.0)
    nodes.found(TargetsFound("check", "api", {"cluster": ()}, frozenset()))
    assert nodes.finished(finished("cluster", probe="api")) == ""


@given(st.dictionaries(st.text("abc", min_size=1), st.booleans(), min_size=1), st.data())
def test_the_nodes_done_only_grow_and_end_with_all(names: dict[str, bool], data: st.DataObject) -> None:
    moment, said = 0.0, list[str]()
    nodes = NodesDone(lambda: moment)
    done = frozenset(name for name, before in names.items() if before)
    nodes.found(TargetsFound("check", "isolation", {name: (name,) for name in names}, done))
    for name in data.draw(st.permutations(sorted(names.keys() - done))):
        moment += EVERY_SECONDS
        said.append(nodes.finished(finished(name)))
    counts = [int(line.split()[1]) for line in said]
    assert counts == list(range(len(done) + 1, len(names) + 1))
