"""Options of checks as users write them: `ID.NAME=VALUE`."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from aiconform.check import Check, Options, Settings
from aiconform.check.registry import NoSuchCheck, has_check, load_check
from aiconform.engine.plan import BadChoice


def parse(words: Iterable[str], tell: Callable[[str], None] = lambda message: None) -> tuple[Options, ...]:
    """The options that `words` set, one model for each check that they name.

    An earlier name of an option still sets it; `tell` is given the name to use. Raises BadChoice, which names what can
    be set instead.
    """
    values: dict[str, dict[str, str]] = defaultdict(dict)
    for word in words:
        name, equals, value = word.partition("=")
        check, dot, option = name.rpartition(".")
        if not equals or not dot:
            raise BadChoice(f"--set {word}: give ID.NAME=VALUE, see `aiconform options`")
        values[check][option] = value
    return tuple(_model(check, chosen, tell) for check, chosen in values.items())


def recorded(options: Mapping[str, Any]) -> tuple[Options, ...]:
    """The options of checks as `run.json` records them (`in_force`), among others. Raises BadChoice."""
    return tuple(
        _model(name, values, lambda _: None)
        for name, values in options.items()
        if isinstance(values, dict) and _options_of(name)
    )


def _model(check_id: str, chosen: Mapping[str, Any], tell: Callable[[str], None]) -> Options:
    found = _options_of(check_id)
    if found is None:
        raise BadChoice(f"--set {check_id}.{next(iter(chosen))}: {check_id} has no options, see `aiconform options`")
    named: dict[str, Any] = {}
    for given, value in chosen.items():
        name = _name(check_id, found, given)
        if name in named:
            raise BadChoice(f"--set {check_id}.{given}: an earlier name of {name}, which is also set: give one of them")
        if name != given:
            tell(f"--set {check_id}.{given}: the option is called {check_id}.{name} now")
        named[name] = value
    try:
        return found.model_validate(named)
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        # A rule about several options has no place of its own; a URL may hold credentials.
        value = re.sub(r"//[^/]*@", "//...@", str(problem["input"]))
        place = f".{problem['loc'][0]}={value}" if problem["loc"] else ""
        raise BadChoice(f"--set {check_id}{place}: {message}") from error


def _options_of(check_id: str) -> type[Options] | None:
    try:
        return load_check(check_id).options if has_check(check_id) else None
    except NoSuchCheck as error:
        raise BadChoice(f"--set {check_id}: {error}") from error


def _name(check_id: str, options: type[Options], given: str) -> str:
    """The option's name today. Raises BadChoice."""
    if given in options.model_fields:
        return given
    for name in options.model_fields:
        if given in options.info(name).formerly:
            return name
    close = difflib.get_close_matches(given, options.model_fields, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise BadChoice(f"{check_id} has no option {given} (it has {', '.join(options.model_fields)}){hint}")


def in_force(check: Check, settings: Settings) -> dict[str, object]:
    """The values of a check's options in a run, by name; empty if it has none."""
    return settings.of(check.options).model_dump(mode="json") if check.options else {}
