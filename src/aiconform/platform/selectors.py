"""Label selectors: what they select, and how they read."""

from __future__ import annotations

from aiconform.cluster import Object


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector selects these labels; an empty one selects all."""
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    for term in selector.get("matchExpressions") or []:
        value = labels.get(term["key"])
        holds = {
            "In": value in (term.get("values") or []),
            "NotIn": value not in (term.get("values") or []),
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds.get(term["operator"], False):
            return False
    return True


def in_words(selector: Object) -> str:
    """A label selector, as kubectl writes it."""
    words = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or []:
        key, values = term["key"], ", ".join(term.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "DoesNotExist": f"!{key}"}
        words.append(forms.get(term["operator"], key))
    return ", ".join(words) or "any"
