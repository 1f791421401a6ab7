"""Which nodes a run may try: Ready, real, well, and with no taint that a run has no business to tolerate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiconform.cluster import Object, conditions
from aiconform.platform.accelerators.profiles import Profiles, load_profiles
from aiconform.spec import yamlfile

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
# Words this short count only as a whole: "not" is not the beginning of "notebook".
_WHOLE = 3


@dataclass(frozen=True)
class Toleration:
    """A taint that the user lets a run tolerate; an empty value or effect stands for any."""

    key: str
    value: str = ""
    effect: str = ""

    @classmethod
    def parse(cls, text: str) -> Toleration:
        """From KEY[=VALUE][:EFFECT], the form that `kubectl taint` has. Raises ValueError."""
        found = re.fullmatch(r"([^=:\s]+)(?:=([^:\s]*))?(?::(NoSchedule|PreferNoSchedule|NoExecute))?", text)
        if found is None:
            raise ValueError(f"{text!r} is not a taint: write KEY[=VALUE][:EFFECT], such as dedicated=ml:NoSchedule")
        return cls(*(part or "" for part in found.groups()))

    def covers(self, taint: Object) -> bool:
        return (
            self.key == taint["key"]
            and self.value in ("", taint.get("value") or "")
            and self.effect in ("", taint["effect"])
        )

    def __str__(self) -> str:
        return self.key + (f"={self.value}" if self.value else "") + (f":{self.effect}" if self.effect else "")


@cache
def _rules() -> dict[str, Any]:
    found: dict[str, Any] = yamlfile.parse(
        Path("taints.yaml"), files(__package__).joinpath("taints.yaml").read_bytes()
    ).data
    return found


def usable_node(node: Object, tolerated: Iterable[Toleration] = ()) -> str | None:
    """Why a run must not start a Pod on this node, whatever the Pod is for, or None."""
    name = node["metadata"]["name"]
    ready = conditions.find(node, "Ready")
    if ready is None or not ready.is_true:
        return f"node {name} is not Ready: {(ready and ready.explanation) or 'its kubelet never reported'}"
    if node["spec"].get("unschedulable"):
        return f"node {name} is cordoned"
    labels = node["metadata"].get("labels") or {}
    if labels.get("kubernetes.io/os", "linux") != "linux":
        return f"node {name} runs {labels['kubernetes.io/os']}; the test Pods need Linux"
    if labels.get("type") == "virtual-kubelet":
        return f"node {name} is a virtual kubelet: it is not a machine with devices"
    for taint, says in _told(node):
        if not any(each.covers(taint) for each in tolerated):
            return f"node {name} is tainted {describe(taint)}: {says}"
    return None


def closed_node(node: Object, profiles: Profiles, tolerated: Iterable[Toleration] = ()) -> str | None:
    """As `usable_node`, or which taint keeps Pods away that need an accelerator and tolerate only its own taints."""
    tolerated = tuple(tolerated)
    if problem := usable_node(node, tolerated):
        return problem
    for taint in node["spec"].get("taints") or []:
        if taint["effect"] not in _KEEPS_AWAY or any(each.covers(taint) for each in tolerated):
            continue
        if not _of_accelerator(taint, profiles):
            wanted = taint["key"] + (f"={taint['value']}" if taint.get("value") else "")
            return (
                f"node {node['metadata']['name']} is kept for others by its taint {describe(taint)}; "
                f"if a run may use it: --toleration {wanted}"
            )
    return None


def tolerations(node: Object) -> list[Object]:
    """Tolerations of the taints of a node that may be used: they are the accelerator's, or the user named them."""
    return [
        {"key": taint["key"], "operator": "Exists", "effect": taint["effect"]}
        for taint in node["spec"].get("taints") or []
        if taint["effect"] in _KEEPS_AWAY
    ]


def worries(node: Object) -> tuple[str, ...]:
    """What is not well with a node that may be used: conditions, soft taints and work on its accelerators, in words."""
    labels = node["metadata"].get("labels") or {}
    at_work = [
        f"label {label} is {labels[label]}"
        for label, done in _rules()["at_work"].items()
        if labels.get(label) and labels[label] not in done
    ]
    soft = [taint for taint in node["spec"].get("taints") or [] if taint["effect"] not in _KEEPS_AWAY]
    sick = [entry for entry in node["status"].get("conditions") or [] if is_trouble(entry)]
    told = [f"condition {entry['type']} is {entry['status']}" for entry in sick]
    return (*told, *map(describe, soft), *at_work)


def is_trouble(condition: Object) -> bool:
    """Whether a condition of a node says that something is wrong.

    By custom, conditions named after a problem are True when it exists; those named ...Ready are False then.
    """
    bad = "False" if condition["type"].endswith("Ready") else "True"
    return bool(condition["status"] == bad)


def describe(taint: Object) -> str:
    """A taint as `kubectl taint` writes it."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _told(node: Object) -> Iterator[tuple[Object, str]]:
    """The taints that say to leave the node alone, and what they say."""
    for taint in node["spec"].get("taints") or []:
        says = next((rule["says"] for rule in _rules()["leave_alone"] if fnmatchcase(taint["key"], rule["key"])), "")
        if not says and _of_accelerator(taint, load_profiles()) and _of_trouble(taint):
            says = "its accelerators are not well"
        if says:
            yield taint, says


def _words(taint: Object) -> list[str]:
    return re.findall(r"[a-z0-9]+", f"{taint['key']} {taint.get('value') or ''}".lower())


def _of_accelerator(taint: Object, profiles: Profiles) -> bool:
    if profiles.by_resource(taint["key"]) or profiles.by_driver(taint["key"]):
        return True
    named = tuple(_rules()["accelerators"])
    return any(word.startswith(named) or word.endswith(named) for word in _words(taint))


def _of_trouble(taint: Object) -> bool:
    words = _words(taint)
    return any(
        word == known or (len(known) > _WHOLE and word.startswith(known))
        for word in words
        for known in _rules()["trouble"]
    )
