"""Data from a file as the model's objects, and what is wrong with it in a reader's words."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from aiconform.spec.errors import MalformedFile
from aiconform.spec.yamlfile import Tree


def validated(tree: Tree, shape: Any) -> Any:
    """The file's data as `shape`, which pydantic knows. Raises MalformedFile."""
    try:
        # Lax mode takes a list for a tuple; numbers for text and the like are still refused.
        return TypeAdapter(shape).validate_python(tree.data)
    except ValidationError as error:
        raise _malformed(tree, shape, error) from error


def _malformed(tree: Tree, shape: Any, error: ValidationError) -> MalformedFile:
    """The first problem in the file's own order, in a reader's words, with the others as its `more`."""
    errors = error.errors()
    # A list whose only entry is wrong is also reported as too short.
    wrong = {each["loc"][:depth] for each in errors for depth in range(len(each["loc"]))}
    problems = [each for each in errors if each["type"] != "too_short" or each["loc"] not in wrong]
    problems.sort(key=lambda e: (tree.line(tuple(e["loc"])), len(e["loc"])))
    first, *others = [_in_words(tree, shape, problem) for problem in problems]
    return MalformedFile(first.path, first.line, first.problem, first.expected, tuple(others))


def _in_words(tree: Tree, shape: Any, error: Any) -> MalformedFile:
    where = tuple(part for part in error["loc"] if part != "[key]")
    name = _spell(where) or "the file"
    given = error["input"]
    shown = repr(given) if isinstance(given, str | int | None) else "a list" if isinstance(given, list) else "a mapping"
    match error["type"]:
        case "extra_forbidden":
            problem, expected = f"unknown key {name!r}", f"one of {', '.join(_keys_at(shape, where))}"
        case "missing":
            problem, expected = f"the key {name!r} is missing", "every key that is not optional"
        case "value_error":
            problem, expected = f"{name}: {error['ctx']['error']}", "a value as the model describes it"
        case "enum":
            problem, expected = f"{name} is {shown}", error["ctx"]["expected"].replace("'", "")
        case "string_pattern_mismatch":
            problem, expected = f"{name} is {shown}", f"text like {error['ctx']['pattern']}"
        case "model_type" | "dict_type":
            problem, expected = f"{name} is {shown}", "a mapping of keys to values"
        case "tuple_type":
            problem, expected = f"{name} is {shown}", "a list"
        case _:
            problem, expected = f"{name} is {shown}", error["msg"].removeprefix("Input should be ")
    return MalformedFile(tree.path, tree.line(where), problem, expected)


def _spell(where: tuple[str | int, ...]) -> str:
    """("procedure", "steps", 0, "do") as people write it: procedure.steps[0].do."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")


def _keys_at(shape: Any, where: tuple[str | int, ...]) -> list[str]:
    """The keys that the mapping around `where` may have."""
    for part in where[:-1]:
        if fields := _fields(shape):
            shape = fields[str(part)].annotation
        else:  # of a mapping the values, of a list the entries
            shape = next((each for each in reversed(get_args(shape)) if each is not Ellipsis), None)
        while not _fields(shape) and get_origin(shape) in (Annotated, Union, UnionType):
            shape = next((each for each in get_args(shape) if each is not NoneType), None)
    return list(_fields(shape))


def _fields(shape: Any) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(shape, "model_fields", {})
    return fields
