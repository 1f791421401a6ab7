"""Checks of other distributions: extensions that work, and plugins that do not and take nothing else along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.plugins import CHECK, forget, install, requirement

from aiconform.check import registry
from aiconform.check.registry import NoSuchCheck, broken_checks, check_ids, extended_standard, load_check
from aiconform.cli import main
from aiconform.engine.options import parse
from aiconform.engine.plan import make_plan
from aiconform.spec import load_standard


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the import path, empty yet."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    registry.forget()
    yield folder
    monkeypatch.undo()
    forget()


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_an_extension_is_a_check_with_a_requirement_of_its_own(path: Path) -> None:
    install(path)
    assert load_check("acme.fabric").assertions[0].id == "links_are_up"
    assert "acme.fabric" in check_ids()
    standard = extended_standard()
    assert standard.requirement("acme.fabric").title == "Fabric"
    assert standard.digest == load_standard().digest
    assert "acme.fabric" not in {entry.id for entry in standard.at("v1.37")}
    assert broken_checks() == ()


def test_its_origin_names_its_code(path: Path) -> None:
    package = install(path)
    origin = registry.load_extension_check("acme.fabric").origin
    assert (origin.distribution, origin.version) == ("acme-fabric", "1.0")
    (package / "acme.fabric.yaml").write_text(requirement() + "\n")
    registry.forget()
    assert registry.load_extension_check("acme.fabric").origin.digest != origin.digest


def test_an_editable_install_is_named_by_its_sources(path: Path) -> None:
    package = install(path)
    (path / "acme_fabric-1.0.dist-info" / "RECORD").write_text(
        "acme_fabric.pth,,\nacme_fabric-1.0.dist-info/RECORD,,\n"
    )
    origin = registry.load_extension_check("acme.fabric").origin
    (package / "__init__.py").write_text(CHECK + "\n")
    registry.forget()
    assert registry.load_extension_check("acme.fabric").origin.digest != origin.digest


def test_it_is_shown_as_any_other(path: Path) -> None:
    install(path)
    assert "acme.fabric.pool" in call("options", "acme.fabric").stdout
    assert "acme.fabric.pool" in call("options").stdout
    assert "Fabric" in call("spec", "show", "acme.fabric").stdout
    assert "acme.fabric" in call("spec", "list").stdout
    assert call("rbac", "acme.fabric").exit_code == 0
    assert call("rbac", "--extensions").exit_code == 0


NAMED = ', requirement=Path(__file__).with_name("acme.fabric.yaml")'
BROKEN = {
    "import error": ({"code": "import absent_module"}, "ModuleNotFoundError: No module named 'absent_module'"),
    "exit at import": ({"code": "raise SystemExit('bye')"}, "SystemExit: bye"),
    "no check": ({"code": "CHECK = 5"}, "acme_fabric:CHECK is not a Check of that id"),
    "another id": (
        {"code": CHECK.replace('"acme.fabric", __name__', '"acme.other", __name__')},
        "not a Check of that id",
    ),
    "another contract": ({"code": CHECK.replace('yaml"))', 'yaml"), api=99)')}, "made for version 99"),
    "no requirement": (
        {"code": CHECK.replace(', requirement=Path(__file__).with_name("acme.fabric.yaml")', "")},
        "brings no requirement",
    ),
    "missing file": ({"code": CHECK.replace("acme.fabric.yaml", "absent.yaml")}, "absent.yaml"),
    "malformed file": ({"file": "id: acme.fabric\n"}, "acme.fabric.yaml"),
    "another requirement": ({"file": requirement("acme.other")}, "has the id acme.other"),
    "an id of the standard": ({"id_": "gang_scheduling"}, "has no dot"),
    "an undotted id": ({"id_": "fabric"}, "has no dot"),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_a_broken_plugin_is_named_and_nothing_else_is_lost(case: str, path: Path) -> None:
    how, problem = BROKEN[case]
    install(path, "acme-fabric", **how)
    install(
        path,
        "acme-good",
        id_="acme.good",
        module="acme_good",
        code=CHECK.replace('"acme.fabric", __name__', '"acme.good", __name__'),
        file=requirement("acme.good"),
    )
    (broken,) = broken_checks()
    assert broken.distribution == "acme-fabric"
    assert problem in str(broken)
    assert broken.way_out
    assert load_check("acme.good").id == "acme.good"
    assert load_check("gang_scheduling").requirement is None
    for command in (["options"], ["spec", "list"], ["rbac"]):
        done = call(*command)
        assert done.exit_code == 0
        assert "acme-fabric" in done.stderr
        assert problem in done.stderr
        assert "Traceback" not in done.output
    assert "acme.good" in call("spec", "list").stdout


def test_an_id_that_two_distributions_bring_is_used_from_neither(path: Path) -> None:
    install(path)
    install(path, "acme-other", module="acme_other")
    (broken,) = broken_checks()
    assert "acme-fabric and acme-other" in str(broken)
    with pytest.raises(NoSuchCheck, match="more than one distribution"):
        load_check("acme.fabric")


def test_a_plan_with_a_broken_or_missing_extension_says_why(path: Path) -> None:
    install(path, code="import absent_module")
    with pytest.raises(NoSuchCheck, match="absent_module"):
        make_plan(extended_standard(), "v1.37", ["acme.fabric"])
    with pytest.raises(NoSuchCheck, match=r"no extension acme\.absent is installed"):
        make_plan(extended_standard(), "v1.37", ["acme.absent"])


def test_options_of_an_extension_are_set_by_its_id(path: Path) -> None:
    install(path)
    (options,) = parse(["acme.fabric.pool=fast"])
    assert options.model_dump() == {"pool": "fast"}


def test_json_of_options_names_the_extension(path: Path) -> None:
    install(path)
    (entry,) = json.loads(call("options", "acme.fabric", "-o", "json").stdout)
    assert (entry["check"], entry["name"]) == ("acme.fabric", "pool")
