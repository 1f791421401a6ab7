"""The check of inference routing: its arithmetic, what clients say, the choice of a class, and its assertions."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiconform.check import Finding, NothingToLookAt, Settings
from aiconform.check.registry import load_check
from aiconform.checks.ai_inference import assertions, binomial, entrance, model_servers, probes, routes, traffic
from aiconform.checks.ai_inference.model_servers import ServerAnswer, parse
from aiconform.checks.ai_inference.observations import GatewayClassStatus, RequestCounts, Routing, WeightChange
from aiconform.checks.ai_inference.options import AiInferenceOptions
from aiconform.cluster import NotFound, TimedOut, WatchEvent
from aiconform.engine.options import parse as parse_options
from aiconform.platform import gateways
from aiconform.platform.gateways import ClassFacts, GatewayClass, NoGatewayClass, choose

# The binomial test


@given(st.integers(1, 7), st.integers(1, 6), st.integers(1, 6), st.data())
def test_a_p_value_is_what_counting_all_cases_gives(requests: int, weight: int, rest: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, requests))
    total = weight + rest
    share = Fraction(weight, total)
    chances = [Fraction(0)] * (requests + 1)
    for case in product((True, False), repeat=requests):
        chance = Fraction(1)
        for ours in case:
            chance *= share if ours else 1 - share
        chances[sum(case)] += chance
    low, high = sum(chances[: count + 1]), sum(chances[count:])
    assert binomial.p_value(count, requests, weight, total) == min(Fraction(1), 2 * min(low, high))


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 6))
def test_counts_agree_exactly_between_the_bounds(requests: int, weight: int, rest: int, digits: int) -> None:
    error = Fraction(1, 10**digits)
    low, high = binomial.agreeing(requests, weight, weight + rest, error)
    for count in range(requests + 1):
        assert (binomial.p_value(count, requests, weight, weight + rest) >= error) == (low <= count <= high)


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 9), st.integers(1, 6))
def test_a_right_split_is_refused_no_oftener_than_stated(requests: int, weight: int, rest: int, digits: int) -> None:
    error = Fraction(1, 10**digits)
    low, high = binomial.agreeing(requests, weight, weight + rest, error)
    share = Fraction(weight, weight + rest)
    ways = binomial._ways(requests, weight, weight + rest)
    assert sum(ways) == (weight + rest) ** requests
    agreeing = Fraction(sum(ways[low : high + 1]), (weight + rest) ** requests)
    assert 1 - agreeing <= error
    assert low <= requests * share <= high


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 9), st.integers(1, 9))
def test_the_test_is_the_same_seen_from_either_backend(count: int, more: int, weight: int, rest: int) -> None:
    requests = count + more
    total = weight + rest
    assert binomial.p_value(count, requests, weight, total) == binomial.p_value(more, requests, rest, total)


def test_the_default_number_of_requests_tells_ignored_weights_apart() -> None:
    low, high = binomial.agreeing(200, 80, 100)
    assert low <= 160 <= high
    assert not low <= 100 <= high
    # A data plane that deals out in turn is exactly at its weights.
    assert binomial.p_value(160, 200, 80, 100) == 1


# What clients say


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("weights - backend alpha", ServerAnswer("weights", "", "alpha", "")),
        ("header beta backend alpha", ServerAnswer("header", "beta", "alpha", "")),
        ("long - backend beta end", ServerAnswer("long", "", "beta", "")),
        ("long - backend beta", ServerAnswer("long", "", "", "incomplete answer: backend beta")),
        ("quick -", ServerAnswer("quick", "", "", "incomplete answer: ")),
        (
            "none - failed 1 wget: server returned error: HTTP/1.1 404 Not Found",
            ServerAnswer("none", "", "", "wget: server returned error: HTTP/1.1 404 Not Found"),
        ),
        ("quick - failed 143", ServerAnswer("quick", "", "", "no answer (exit code 143)")),
        ("quick - failed 1 backend alpha", ServerAnswer("quick", "", "", "backend alpha")),
        ("quick - <html> somebody else", ServerAnswer("quick", "", "", "incomplete answer: <html> somebody else")),
        ("settled", None),
        ("try - backend alpha", None),
        ("", None),
    ],
)
def test_a_client_s_line(line: str, answer: ServerAnswer | None) -> None:
    assert parse(line) == answer


@given(st.text())
def test_no_line_breaks_the_reading(line: str) -> None:
    answer = parse(line)
    assert answer is None or bool(answer.backend) != bool(answer.failure)


def test_an_address_that_nothing_listens_on_is_not_reached_from_here() -> None:
    answers, problem = model_servers.ask_from_here("127.0.0.1", "models.example", requests=3, port=9)
    assert answers == []
    assert "127.0.0.1 is not reached from here" in problem


# Which class


def gateway_class(name: str, accepted: bool | None = True, **fields: Any) -> GatewayClass:
    return GatewayClass(name, fields.pop("controller", "example.com/c"), accepted, "said", **fields)


@pytest.mark.parametrize(
    ("found", "wanted", "taken", "why"),
    [
        ([gateway_class("a")], "", "a", "the only one"),
        ([gateway_class("a", False)], "", "a", "the only one"),
        ([gateway_class("a", False), gateway_class("b")], "", "b", "the only accepted one of a, b"),
        ([gateway_class("a"), gateway_class("b")], "", "a", "the first by name of a, b; --set x=NAME chooses another"),
        ([gateway_class("a"), gateway_class("b", gateways=2)], "", "b", "most Gateways here use it (2)"),
        ([gateway_class("a", False), gateway_class("b", None)], "", "b", "the first by name"),
        ([gateway_class("a"), gateway_class("b", False)], "b", "b", "named by --set x"),
        (
            [gateway_class("a", facts=ClassFacts(left_out="layer 4 only")), gateway_class("b")],
            "",
            "b",
            "the only one (a is for layer 4 only)",
        ),
        ([gateway_class("a"), gateway_class("b", default=True)], "", "b", "of a, b the platform's default"),
        (
            [gateway_class("a", gateways=3, facts=ClassFacts(last="a fleet")), gateway_class("b")],
            "",
            "b",
            "of a, b the one that needs nothing more",
        ),
        ([gateway_class("a", facts=ClassFacts(left_out="layer 4 only"))], "a", "a", "named by --set x"),
    ],
)
def test_the_class_that_is_taken_and_why(found: list[GatewayClass], wanted: str, taken: str, why: str) -> None:
    chosen, said = choose(found, wanted, "--set x")
    assert chosen.name == taken
    assert why in said


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ([], "", "there is none at all"),
        ([gateway_class("w", facts=ClassFacts(left_out="waypoints of a mesh"))], "", "w is for waypoints of a mesh"),
        ([gateway_class("a")], "b", r"no GatewayClass b \(--set x\); there is a"),
        ([], "b", "there is none"),
    ],
)
def test_no_class_to_take(found: list[GatewayClass], wanted: str, said: str) -> None:
    with pytest.raises(NoGatewayClass, match=said):
        choose(found, wanted, "--set x")


def test_a_condition_of_an_older_generation_decides_nothing() -> None:
    entry = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1}
    obj = {"metadata": {"generation": 2}, "status": {"conditions": [entry]}}
    assert gateways.condition(obj, "Accepted") == (None, "Accepted is True: Accepted")
    obj["metadata"]["generation"] = 1
    assert gateways.condition(obj, "Accepted")[0] is True
    assert gateways.condition(obj, "Programmed") == (None, "")
    parent = {"metadata": {"generation": 1}, "status": {"parents": [{"conditions": []}, {"conditions": [entry]}]}}
    assert gateways.parent_condition(parent, "Accepted")[0] is True
    assert gateways.parent_condition({"metadata": {}}, "Accepted") == (None, "")


@pytest.mark.parametrize(
    ("addresses", "address"),
    [
        ([], ""),
        ([{"type": "IPAddress", "value": "192.0.2.1"}], "192.0.2.1"),
        ([{"value": "2001:db8::1"}], "[2001:db8::1]"),
        ([{"type": "Hostname", "value": "a.example"}, {"type": "IPAddress", "value": "192.0.2.1"}], "192.0.2.1"),
        ([{"type": "Hostname", "value": "a.example"}], "a.example"),
    ],
)
def test_the_address_that_is_asked(addresses: list[dict[str, str]], address: str) -> None:
    assert entrance.address_of({"status": {"addresses": addresses}}) == address


# A controller that says nothing good


class Silent:
    """A cluster in which one object stays as it is."""

    def __init__(self, *, groups: dict[str, tuple[str, ...]] | None = None, status: dict[str, Any] | None = None):
        self._groups = groups or {}
        self._status = status or {}

    @property
    def cluster(self) -> Any:
        return self

    async def groups(self) -> dict[str, tuple[str, ...]]:
        return self._groups

    async def get(self, api_version: str, kind: str, *words: str) -> Any:
        if kind in ("Gateway", "HTTPRoute"):
            return self._seen(api_version, kind)
        raise NotFound("not there")

    def _seen(self, api_version: str, kind: str) -> Any:
        metadata = {"name": "x", "generation": 1}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "status": self._status}

    async def namespace(self) -> str:
        return "ns"

    async def list(self, *words: str) -> AsyncIterator[Any]:
        for entry in ():
            yield entry

    async def watch(self, api_version: str, kind: str, *rest: Any, **fields: Any) -> AsyncIterator[WatchEvent]:
        yield WatchEvent("ADDED", self._seen(api_version, kind))
        await asyncio.Event().wait()


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": "So it is.", "observedGeneration": 1}


GATEWAY = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "x", "generation": 1}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "no condition at all"),
        (
            {
                "conditions": [
                    condition("Accepted", "True", "Accepted"),
                    condition("Programmed", "False", "NoResources"),
                ]
            },
            "Accepted is True: Accepted: So it is.; Programmed is False: NoResources: So it is.",
        ),
        (
            {"conditions": [condition("Programmed", "True", "Programmed")]},
            "Programmed is True: Programmed: So it is.; it has no address",
        ),
    ],
)
async def test_a_gateway_that_does_not_come_says_its_conditions(status: dict[str, Any], said: str) -> None:
    platform: Any = Silent(status=status)
    came = await entrance.programmed(platform, GATEWAY, 0.5)
    assert (came.programmed, came.says, came.address, came.refused) == (False, said, "", False)


async def test_a_route_that_is_not_accepted_says_its_conditions() -> None:
    refused = [condition("Accepted", "False", "NoMatchingParent"), condition("ResolvedRefs", "True", "ResolvedRefs")]
    platform: Any = Silent(status={"parents": [{"conditions": refused}]})
    accepted, said = await routes.accepted(platform, {**GATEWAY, "kind": "HTTPRoute"}, 0.5)
    assert not accepted
    assert "NoMatchingParent: So it is." in said
    empty: Any = Silent()
    assert (await routes.accepted(empty, GATEWAY, 0.5))[1] == "no condition of any parent"


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({}, "(gateway.networking.k8s.io) is not served"),
        ({"gateway.networking.k8s.io": ("v1alpha2",)}, "is served as v1alpha2 only; this suite knows v1, v1beta1"),
        ({"gateway.networking.k8s.io": ("v1", "v1beta1")}, "there is none at all"),
    ],
)
async def test_a_platform_without_a_gateway_is_nothing_to_look_at(
    groups: dict[str, tuple[str, ...]], said: str
) -> None:
    platform: Any = Silent(groups=groups)
    with pytest.raises(NothingToLookAt, match=re.escape(said)):
        await probes.routing(platform, platform, Settings(), None)
    looked = await probes.look(platform, Settings())
    assert any(said in word for word in looked.missing)


# Options


def test_options_are_still_taken_by_their_earlier_names() -> None:
    (options,) = parse_options([f"ai_inference.{name}_within=7" for name in ("programmed", "route", "change")])
    assert options == AiInferenceOptions(programmed_seconds=7, route_seconds=7, change_seconds=7)


# The change under load


async def flow_of(
    weights: dict[str, int], until: Any, *, spoil: float = 0.0, long_whole: bool = True
) -> AsyncIterator[str]:
    chance = random.Random(1)
    count = 0
    while True:
        await asyncio.sleep(0)
        count += 1
        now = until() or weights
        backend = chance.choices(list(now), list(now.values()))[0]
        if until() and chance.random() < spoil:
            yield "quick - failed 1 wget: server returned error: HTTP/1.1 500 Internal Server Error"
        elif count % 10 == 0:
            yield f"long - backend {backend}" + (" end" if long_whole else "")
        else:
            yield f"quick - backend {backend}"


async def changed(*, follows: bool = True, within: float = 60, **fields: Any) -> WeightChange:
    state: list[dict[str, int]] = []

    async def change() -> None:
        state.append(routes.CHANGED if follows else routes.WEIGHTS)

    lines = flow_of(routes.WEIGHTS, lambda: state[0] if state else None, **fields)
    return await traffic.watch_change(lines, change, 200, within)


async def test_a_change_that_takes_effect() -> None:
    seen = await changed()
    assert seen.in_force_after is not None
    assert sum(seen.sample.values()) == 200
    assert seen.lost == {}
    assert seen.long_requests >= 4
    assert assertions.changed_weights_take_effect(routing(change=seen)).holds is True
    assert assertions.no_request_lost(routing(change=seen)).subjects == seen.requests


async def test_a_change_that_does_not() -> None:
    seen = await changed(follows=False, within=0.2)
    assert seen.in_force_after is None
    assert sum(seen.sample.values()) <= 200
    assert "not in force within" in judged(assertions.changed_weights_take_effect, False, change=seen)


async def test_a_change_that_loses_some() -> None:
    seen = await changed(spoil=0.2)
    assert assertions.changed_weights_take_effect(routing(change=seen)).holds is True
    assert "500 Internal" in judged(assertions.no_request_lost, False, change=seen)


async def test_a_long_answer_that_is_cut_is_lost() -> None:
    assert "incomplete answer" in judged(assertions.no_request_lost, False, change=await changed(long_whole=False))


async def test_a_client_that_stops_is_no_verdict() -> None:
    async def few() -> AsyncIterator[str]:
        for _ in range(30):
            yield "quick - backend alpha"

    async def change() -> None:
        return

    with pytest.raises(TimedOut, match="made 30 requests"):
        await traffic.watch_change(few(), change, 200, 60)


# The assertions


def asked(rule: str, answers: dict[str, int], failures: dict[str, int] | None = None, **fields: Any) -> RequestCounts:
    base = {"rule": rule, "model": "", "origin": "inside", "answers": answers, "failures": failures or {}}
    return RequestCounts.model_validate(base | fields)


def routing(**change: Any) -> Routing:
    fields: dict[str, Any] = {
        "api_version": "gateway.networking.k8s.io/v1",
        "release": "v1.6.1 standard",
        "classes": (GatewayClassStatus(name="c", controller="example.com/c", accepted=True, says="Accepted is True"),),
        "taken": "c",
        "why": "the only one",
        "programmed": True,
        "gateway_says": "Programmed is True",
        "address": "192.0.2.1",
        "route_accepted": True,
        "route_says": "accepted",
        "weights": {"alpha": 80, "beta": 20},
        "asked": (
            asked("weights", {"alpha": 160, "beta": 40}),
            asked("header", {"alpha": 10}, model="alpha"),
            asked("header", {"beta": 10}, model="beta"),
            asked("header", {"alpha": 7, "beta": 3}, model=model_servers.UNKNOWN),
            asked("path", {"alpha": 10}, model="alpha"),
            asked("path", {"beta": 10}, model="beta"),
            asked("none", {}, {"wget: server returned error: HTTP/1.1 404 Not Found": 10}),
        ),
        "outside": "192.0.2.1 is not reached from here",
        "change": WeightChange(
            weights={"alpha": 20, "beta": 80},
            in_force_after=0.4,
            within=60,
            sample={"alpha": 40, "beta": 160},
            requests=300,
            long_requests=6,
            lost={},
        ),
    }
    return Routing.model_validate(fields | change)


def judged(assertion: Any, holds: bool | None, **change: Any) -> str:
    finding: Finding = assertion(routing(**change))
    assert finding.holds is holds, finding.reason
    assert finding.reason
    return finding.reason


def test_a_platform_that_does_all_of_it_passes() -> None:
    for entry in load_check("ai_inference").assertions:
        finding = entry.function(routing())
        assert finding.holds is True, finding.reason
        assert finding.subjects > 0


def test_what_was_not_come_to_is_undecided() -> None:
    bare = {"weights": {}, "asked": (), "outside": "", "change": None}
    refused = (
        GatewayClassStatus(name="c", controller="c", accepted=False, says="Accepted is False: InvalidParameters"),
    )
    nothing = routing(classes=refused, programmed=None, route_accepted=None, **bare)
    outcomes = [entry.function(nothing).holds for entry in load_check("ai_inference").assertions]
    assert outcomes == [False, *[None] * 8]
    outcomes = [
        entry.function(routing(route_accepted=None, programmed=False, **bare)).holds
        for entry in load_check("ai_inference").assertions
    ]
    assert outcomes == [True, False, *[None] * 7]


def test_the_split_says_its_test_and_its_error() -> None:
    said = judged(assertions.traffic_split_by_weight, True)
    assert "160 of 200" in said
    assert "once in 1000000" in said
    assert "not reached from here" in said
    assert judged(assertions.traffic_split_by_weight, False, asked=(asked("weights", {"alpha": 100, "beta": 100}),))
    assert judged(assertions.traffic_split_by_weight, False, asked=(asked("weights", {"beta": 200}),))
    assert "timed out" in judged(
        assertions.traffic_split_by_weight,
        False,
        asked=(asked("weights", {"alpha": 159, "beta": 40}, {"timed out": 1}),),
    )
    assert "503" in judged(
        assertions.traffic_split_by_weight, False, unreached="failed 1 HTTP/1.1 503", asked=(), change=None
    )


def test_requests_from_outside_count_as_well() -> None:
    both = (
        asked("weights", {"alpha": 160, "beta": 40}),
        asked("weights", {"alpha": 50, "beta": 50}, origin="outside"),
        asked("header", {"alpha": 10}, model="alpha"),
        asked("header", {"beta": 1, "alpha": 9}, model="alpha", origin="outside"),
    )
    assert "from outside: 50 of 100" in judged(assertions.traffic_split_by_weight, False, asked=both, outside="")
    assert "from outside: answered by beta (1)" in judged(assertions.routed_by_header, False, asked=both, outside="")


def test_a_rule_selects_its_backend_every_time() -> None:
    astray = asked("path", {"alpha": 9, "beta": 1}, model="alpha")
    assert "answered by beta (1)" in judged(assertions.routed_by_path, False, asked=(astray,))
    failed = asked("header", {"alpha": 9}, {"HTTP/1.1 500": 1}, model="alpha")
    assert "HTTP/1.1 500" in judged(assertions.routed_by_header, False, asked=(failed,))
    anybody = asked("header", {"alpha": 4, "beta": 6}, model=model_servers.UNKNOWN)
    assert judged(assertions.routed_by_header, True, asked=(anybody,))
    assert judged(assertions.routed_by_path, None, asked=(anybody,))


def test_only_404_is_right_where_no_rule_matches() -> None:
    assert judged(assertions.unmatched_gets_404, False, asked=(asked("none", {"alpha": 10}),))
    assert judged(
        assertions.unmatched_gets_404, False, asked=(asked("none", {}, {"HTTP/1.1 500 Internal Server Error": 10}),)
    )
    assert judged(assertions.unmatched_gets_404, False, asked=(asked("none", {}, {"no answer (exit code 404)": 10}),))
    assert judged(assertions.unmatched_gets_404, True, asked=(asked("none", {}, {"HTTP/1.1 404": 10}),))


def test_a_change_after_which_nobody_answers() -> None:
    change = routing().change
    assert change
    silent = change.model_copy(update={"sample": {}, "in_force_after": None, "lost": {"timed out": 9}})
    assert "timed out" in judged(assertions.changed_weights_take_effect, False, change=silent)
    # A sample that happens to agree is no proof that the change was ever seen to be in force.
    late = change.model_copy(update={"in_force_after": None})
    assert judged(assertions.changed_weights_take_effect, False, change=late)


def test_the_changed_route_differs_in_nothing_but_weights() -> None:
    services = {"alpha": "s-a", "beta": "s-b"}
    before, after = routes.rules(services, routes.WEIGHTS), routes.rules(services, routes.CHANGED)
    assert before[:-1] == after[:-1]
    assert [entry["weight"] for entry in after[-1]["backendRefs"]] == [20, 80]
    assert before[-1]["matches"] == after[-1]["matches"]
