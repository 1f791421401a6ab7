"""The listeners of a Gateway: which routes they take, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiconform.cluster import Object, conditions
from aiconform.cluster.conditions import Condition
from aiconform.platform.gateways import GROUP
from aiconform.platform.selectors import in_words, selects


def refuses(listener: Object, where: str, namespace: str, labels: Mapping[str, str] | None) -> str:
    """What a listener takes instead of an HTTPRoute from this Namespace, in words; empty if it takes it.

    where: the Namespace of its Gateway. namespace: empty, and labels, those of the route's Namespace: None, if nobody
    knows them, which is not held against the listener. https://gateway-api.sigs.k8s.io/reference/spec/#allowedroutes
    """
    allowed = listener.get("allowedRoutes") or {}
    kinds = [each["kind"] for each in allowed.get("kinds") or [] if each.get("group", GROUP) == GROUP]
    if allowed.get("kinds") and "HTTPRoute" not in kinds:
        return f"only {', '.join(each['kind'] for each in allowed['kinds'])}"
    namespaces = allowed.get("namespaces") or {}
    # The API server fills in what a listener does not say.
    said = namespaces.get("from", "All")
    if said == "Same":
        return "" if namespace in ("", where) else f"only routes of its own Namespace {where} (--namespace {where})"
    if said == "Selector":
        wanted = namespaces.get("selector") or {}
        if labels is None or selects(wanted, dict(labels)):
            return ""
        return f"only routes of Namespaces with other labels (--namespace-labels): {in_words(wanted)}"
    return "" if said == "All" else f"routes from {said}"


def problems(seen: Object) -> Iterable[Condition]:
    """Conditions that say what is wrong with listeners of a Gateway, such as a port that is not served."""
    return [entry for _, entry in _problems(seen)]


def said(seen: Object) -> list[str]:
    """The same in words."""
    return [f"listener {name}: {entry.type} is {entry.status}: {entry.words}" for name, entry in _problems(seen)]


def _problems(seen: Object) -> list[tuple[str, Condition]]:
    return [
        (listener["name"], entry)
        for listener in (seen.get("status") or {}).get("listeners") or []
        for entry in conditions.read(listener)
        # Of the condition Conflicted, True is the problem.
        if (entry.is_false and entry.type in ("Accepted", "Programmed"))
        or (entry.is_true and entry.type == "Conflicted")
    ]
