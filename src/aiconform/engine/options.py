"""Options of checks as users write them: `ID.NAME=VALUE`."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable

from pydantic import ValidationError

from aiconform.check import Check, Options, Settings
from aiconform.check.registry import has_check, load_check
from aiconform.engine.plan import BadChoice


def parse(words: Iterable[str]) -> tuple[Options, ...]:
    """The options that `words` set, a model for each check that is named. Raises BadChoice saying what there is."""
    values: dict[str, dict[str, str]] = defaultdict(dict)
    for word in words:
        name, equals, value = word.partition("=")
        check, dot, option = name.rpartition(".")
        if not equals or not dot:
            raise BadChoice(f"--set {word}: give ID.NAME=VALUE, see `aiconform options`")
        values[check][option] = value
    return tuple(_model(check, chosen) for check, chosen in values.items())


def _model(check_id: str, chosen: dict[str, str]) -> Options:
    found = load_check(check_id).options if has_check(check_id) else None
    if found is None:
        raise BadChoice(
            f"--set {check_id}.{next(iter(chosen))}: {check_id} is no check with options, see `aiconform options`"
        )
    for name in chosen:
        if name not in found.model_fields:
            close = difflib.get_close_matches(name, found.model_fields, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise BadChoice(f"{check_id} has no option {name}{hint} It has {', '.join(found.model_fields)}")
    try:
        return found.model_validate(chosen)
    except ValidationError as error:
        problem = error.errors()[0]
        raise BadChoice(f"--set {check_id}.{problem['loc'][0]}={problem['input']}: {problem['msg']}") from error


def in_force(check: Check, settings: Settings) -> dict[str, object]:
    """What holds for a check in a run: its options by name, empty if it has none."""
    return settings.of(check.options).model_dump(mode="json") if check.options else {}
