"""`aiconform options` from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from aiconform.check.registry import check_ids, load_check
from aiconform.cli import main
from aiconform.spec import load_standard


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["options", *arguments])


def test_each_option_of_each_check_is_listed_with_its_default() -> None:
    listed = {(entry["check"], entry["name"]) for entry in json.loads(call("-o", "json").stdout)}
    assert listed == {
        (id_, name) for id_ in check_ids() if (kind := load_check(id_).options) for name in kind.model_fields
    }


def test_an_option_names_the_limits_that_it_sets() -> None:
    entry = next(entry for entry in json.loads(call("accelerator_metrics", "-o", "json").stdout) if entry["limits"])
    (limit,) = entry["limits"]
    known = {each.id: each for each in load_standard().requirement("accelerator_metrics").procedure.limits}
    assert (limit["of"], limit["seconds"]) == (known[limit["id"]].of, known[limit["id"]].seconds)
    assert f"Sets the limit {limit['id']} ({limit['seconds']} s)" in call("accelerator_metrics").stdout


def test_choices_come_from_what_there_is() -> None:
    for entry in json.loads(call("-o", "json").stdout):
        kind = load_check(entry["check"]).options
        assert kind is not None
        known = kind.info(entry["name"]).choices
        assert entry["choices"] == (list(known()) if known else [])
        if entry["choices"]:
            assert f"One of: {', '.join(entry['choices'])}" in call(entry["check"]).stdout


@pytest.mark.parametrize("ids", [("gang_schedulin",), ("acme.absent",)])
def test_an_unknown_requirement_is_named(ids: tuple[str, ...]) -> None:
    done = call(*ids)
    assert done.exit_code == 2
    assert ids[0] in done.stderr


def test_a_requirement_without_a_check_is_named() -> None:
    done = call("workload_identity")
    assert done.exit_code == 2
    assert "no check for workload_identity" in done.stderr
