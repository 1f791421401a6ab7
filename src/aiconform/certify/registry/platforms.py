"""Records put together: one platform over its versions, what changed between them, and counts over all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from aiconform.certify.certificate import STATES
from aiconform.certify.corpus import minor
from aiconform.certify.grades import GRADES, NOT_CLAIMED
from aiconform.certify.registry.life import renewed

Record = dict[str, Any]


def platforms(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One entry a platform, by its name: its records with the newest version first, and the changes between them."""
    by_slug: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_slug[record["slug"]].append(record)
    found = []
    for slug, versions in by_slug.items():
        versions.sort(key=lambda record: minor(record["version"]), reverse=True)
        versions[:] = renewed(versions)
        changes = [
            {"from": old["version"], "to": new["version"], "changes": list(differences(old, new))}
            for new, old in pairwise(versions)
        ]
        found.append({"slug": slug, "versions": versions, "changes": changes})
    return sorted(found, key=lambda platform: (name_of(platform).lower(), platform["slug"]))


def name_of(platform: dict[str, Any]) -> str:
    name: str = platform["versions"][0]["platform"]["platformName"]
    return name


def differences(old: Record, new: Record) -> Iterator[dict[str, Any]]:
    """What changed from one version of a platform to the next: metadata, then each requirement."""
    for name, before in old["platform"].items():
        after = new["platform"][name]
        if before != after and name not in ("platformVersion", "k8sConformanceUrl"):  # they differ in every version
            yield _change(None, name, before, after)
    for requirement in dict.fromkeys([*new["requirements"], *old["requirements"]]):
        before, after = old["requirements"].get(requirement), new["requirements"].get(requirement)
        if before is None or after is None:
            yield _change(requirement, "on the list", _yes(before), _yes(after))
            continue
        for what in ("level", "status", "grade", "verdict"):
            if before[what] != after[what]:
                yield _change(requirement, what, before[what], after[what])
        if before["notes_digest"] != after["notes_digest"]:
            yield _change(requirement, "notes", "", "changed")
        if before["evidence_digest"] != after["evidence_digest"]:
            yield _change(requirement, "evidence", _pieces(before), f"{_pieces(after)}, not the same")
        elif after["evidence_count"]:
            yield _change(requirement, "evidence", _pieces(before), "the same")


def _change(requirement: str | None, what: str, before: str | None, after: str | None) -> dict[str, Any]:
    return {"requirement": requirement, "what": what, "before": before or "", "after": after or ""}


def _yes(facts: dict[str, Any] | None) -> str:
    return "no" if facts is None else "yes"


def _pieces(facts: dict[str, Any]) -> str:
    count = facts["evidence_count"]
    return f"{count} piece{'' if count == 1 else 's'}"


def row(record: Record, *, newest: bool) -> dict[str, Any]:
    """A submission as lists show it, and as they search, filter and sort it."""
    return {
        "slug": record["slug"],
        "version": record["version"],
        "name": record["platform"]["platformName"],
        "vendor": record["platform"]["vendorName"],
        "product_version": record["platform"]["platformVersion"],
        "state": record["state"],
        "accepted": record["accepted"],
        "expires": record["expires"],
        "must": record["must_grades"],
        "grades": {
            id_: facts["grade"] for id_, facts in record["requirements"].items() if facts["grade"] != NOT_CLAIMED
        },
        "accelerators": record["accelerators"],
        "solutions": record["solutions"],
        "newest": newest,
    }


def counts(records: Sequence[Record]) -> dict[str, Any]:
    """states and submissions by version, grades by requirement and version, and how often things are named."""
    by_version: dict[str, Counter[str]] = defaultdict(Counter)
    requirements: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    accelerators: Counter[str] = Counter()
    solutions: Counter[str] = Counter()
    for record in records:
        by_version[record["version"]][record["state"]] += 1
        for requirement, facts in record["requirements"].items():
            requirements[requirement][record["version"]][facts["grade"]] += 1
        accelerators.update(record["accelerators"])
        solutions.update(record["solutions"])
    grades = (*GRADES, NOT_CLAIMED)
    return {
        "versions": {v: _sorted(by_version[v], list(STATES)) for v in sorted(by_version, key=minor)},
        "requirements": {
            id_: {v: _sorted(found[v], grades) for v in sorted(found, key=minor)}
            for id_, found in sorted(requirements.items())
        },
        "accelerators": dict(accelerators.most_common()),
        "solutions": dict(solutions.most_common()),
    }


def _sorted(counter: Counter[str], order: Sequence[str]) -> dict[str, int]:
    return {name: counter[name] for name in order if counter[name]}
