"""A product that is layered on another platform: what it adds, and what its base is certified for.

The complete product is what is tested. The notes name for each requirement the layer that provides it
(`Layer: NAME.`, as `certify build --layer` writes it).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Provider = Literal["product", "base", "not-named"]
CERTIFIED = ("Implemented", "N/A")
COUNTING = ("current", "renewed")
_LAYER = re.compile(r"\bLayer: ?([^.]{1,200})\.", re.IGNORECASE)
_BASE = re.compile(r"\b(?:base|underlying)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Layer:
    """One requirement that the product claims. layer: as its notes name it. base_status, base_grade: None if the base
    does not have the requirement on its list. problems: why a reader should not rely on the layer."""

    requirement: str
    level: str
    grade: str
    provider: Provider
    layer: str
    base_status: str | None
    base_grade: str | None
    problems: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def layers(product: Mapping[str, Any], base: Mapping[str, Any]) -> list[Layer]:
    """product, base: records of two submissions, as `certify life` and the registry have them."""
    about = base["platform"]
    names = [each.casefold() for each in (about["platformName"], base["slug"]) if len(each) > 2]
    found = []
    for id_, facts in product["requirements"].items():
        if facts["status"] not in (*CERTIFIED, "Partially Implemented"):
            continue
        named = _LAYER.search(facts["notes"])
        layer = " ".join(named.group(1).split()) if named else ""
        provider: Provider = "product" if layer else "not-named"
        if layer and (_BASE.search(layer) or any(name in layer.casefold() for name in names)):
            provider = "base"
        theirs = base["requirements"].get(id_)
        status = theirs["status"] if theirs else None
        problems = _problems(provider, status, product, base)
        grade = theirs["grade"] if theirs else None
        found.append(Layer(id_, facts["level"], facts["grade"], provider, layer, status, grade, tuple(problems)))
    return found


def _problems(
    provider: Provider, status: str | None, product: Mapping[str, Any], base: Mapping[str, Any]
) -> Iterator[str]:
    if provider == "not-named":
        yield "the notes name no layer"
    if provider != "base":
        return
    if base["version"] != product["version"]:
        yield f"the base is certified for {base['version']}, not for {product['version']}"
    if base["state"] not in COUNTING:
        yield f"the base's certification is {base['state'].replace('-', ' ')}"
    if status not in CERTIFIED:
        yield f"the base is not certified for it ({status or 'not claimed'})"


def lines(found: Sequence[Layer]) -> Iterator[str]:
    words = {"product": "added by the product", "base": "provided by its base", "not-named": "no layer is named"}
    for provider, title in words.items():
        of_it = [each for each in found if each.provider == provider]
        if of_it:
            yield f"{title}:"
        for each in of_it:
            shown = f"{each.base_status or 'not claimed'} ({each.base_grade})" if each.base_grade else "not on its list"
            yield f"  {each.level:<6} {each.requirement}: {each.grade}{_named(each.layer)}; base: {shown}"
            yield from (f"         problem: {problem}" for problem in each.problems)


def _named(layer: str) -> str:
    return f", layer {layer!r}" if layer else ""
