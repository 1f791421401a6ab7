"""`aiconform spec`: read, compare, render and check the standard."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.common import Failure, ToldGroup, installed_standard, note, output_option, print_json
from aiconform.cli.completion import complete_requirements
from aiconform.cli.ending import end
from aiconform.cli.spec_new import CHECKOUT
from aiconform.cli.spec_new import command as new

if TYPE_CHECKING:
    from aiconform.check import Check
    from aiconform.spec import Requirement, Standard
    from aiconform.spec.suite import Citations


class SpecGroup(ToldGroup):
    def told(self) -> tuple[type[Exception], ...]:
        from aiconform.spec import SpecError

        return (SpecError,)


@click.group("spec", cls=SpecGroup)
def command() -> None:
    """Read, compare, render and check the standard."""


command.add_command(new)


def _standard(folder: Path | None = None) -> Standard:
    from aiconform.spec import load_standard

    return load_standard(folder) if folder else installed_standard()


def _row(requirement: Requirement, version: str) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "title": requirement.title,
        "area": str(requirement.area),
        "category": str(requirement.category) if requirement.category else None,
        "stage": str(requirement.stage),
        "level": requirement.level_at(version),
        "kar": requirement.kar,
        "owners": list(requirement.owners),
        "levels": {v: str(level) for v, level in requirement.levels.items()},
    }


@command.command("list")
@click.option(
    "--kubernetes",
    metavar="vX.Y",
    help="Show only the list of this version. Default: all, with the level at the newest version.",
)
@click.option("--level", type=click.Choice(["MUST", "SHOULD", "folded"], case_sensitive=False))
@click.option("--area", metavar="AREA", help='One of the eleven areas, for example "Node".')
@click.option("--stage", type=click.Choice(["proposed", "SHOULD", "MUST", "folded"], case_sensitive=False))
@output_option
def list_(kubernetes: str | None, level: str | None, area: str | None, stage: str | None, output: str) -> None:
    """List requirements."""
    from aiconform.spec import Area

    standard = _standard()
    version = standard.version(kubernetes) if kubernetes else standard.newest
    chosen = standard.at(version) if kubernetes else (*standard.requirements, *standard.extensions)
    if area:
        areas = {str(known).lower(): known for known in Area}
        if area.lower() not in areas:
            raise click.BadParameter(f"there is no area {area!r}; the areas are {', '.join(Area)}", param_hint="--area")
        chosen = tuple(r for r in chosen if r.area == areas[area.lower()])
    rows = [_row(r, version) for r in chosen]
    rows = [r for r in rows if (not level or r["level"] == level) and (not stage or r["stage"] == stage)]
    if output == "json":
        print_json(rows)
        return
    if not rows:
        note("no requirement matches")
        return
    shown = [[r["level"] or "-", r["id"], r["title"], r["area"], r["stage"], str(r["kar"] or "-")] for r in rows]
    _table([f"AT {version}", "ID", "TITLE", "AREA", "STAGE", "KAR"], shown)


def _table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(row: list[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()

    click.secho(line(head), bold=True)
    for row in rows:
        click.echo(line(row))


@command.command()
@click.argument("id_", metavar="ID", shell_complete=complete_requirements)
@output_option
def show(id_: str, output: str) -> None:
    """Show one requirement in full."""
    standard = _standard()
    requirement = standard.requirement(id_)
    if output == "json":
        print_json(requirement.model_dump(mode="json"))
        return
    from aiconform.cli.requirement_text import print_requirement

    print_requirement(requirement, min(shutil.get_terminal_size().columns, 100))


@command.command()
@click.argument("older", metavar="A")
@click.argument("newer", metavar="B")
@output_option
def diff(older: str, newer: str, output: str) -> None:
    """Show what changed from version A to version B: added, promoted, folded, reworded."""
    from aiconform.spec.changes import changes

    standard = _standard()
    found = changes(standard, older, newer)
    if output == "json":
        print_json(found.as_data())
        return
    if not standard.release(found.newer).released:
        note(f"{found.newer} is announced, and its list is not frozen yet")
    for name, what in (("added", found.added), ("promoted", found.promoted), ("folded", found.folded)):
        for change in what:
            levels = f"{change.before} -> {change.after}" if change.before else str(change.after)
            click.echo(f"{name:9} {change.id}  {levels}  {change.title}")
    for change in found.reworded:
        click.echo(f"{'reworded':9} {change.id}  {change.title}")
        click.echo(textwrap.indent(f"- {change.before}\n+ {change.after}", "          "))
    if not found:
        click.echo(f"no change from {found.older} to {found.newer}")


@command.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
def render(folder: Path) -> None:
    """Render the standard as a static site into DIR."""
    from aiconform.spec.site import render_site

    pages = render_site(_standard(), folder, checks=_check_ids())
    note(f"{pages} pages")
    click.echo(folder / "index.html")


@command.command()
def schema() -> None:
    """Print the JSON Schema of a requirement file."""
    from aiconform.spec.schema import schema_text

    click.echo(schema_text(), nl=False)


@command.command()
@click.argument("version", metavar="vX.Y")
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True)
)
def freeze(version: str, folder: Path | None) -> None:
    """Record what a version asks for, before it is released.

    Writes the level of each requirement and the lines that the programme asks for to frozen.yaml next to DIR, the
    folder of requirement files. In a checkout, DIR defaults to its folder. `aiconform spec check` compares released
    versions with the record.
    """
    from aiconform.spec.frozen import NAME
    from aiconform.spec.frozen import freeze as write

    folder = folder or CHECKOUT
    if not folder.is_dir():
        raise Failure("this is no checkout; give the folder of requirement files")
    path = folder.parent / NAME
    write(_standard(folder), version, path)
    click.echo(path)


@command.command()
@click.argument(
    "folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True)
)
@click.option(
    "--checklists",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Compare the levels with the programme's checklists (AIConformance-1.NN.yaml) in this folder.",
)
@output_option
def check(folder: Path | None, checklists: Path | None, output: str) -> None:
    """Validate a working copy of the requirements, and count missing checks and faults.

    DIR is the folder of requirement files: by default that of the checkout, or else the installed standard. The exit
    code is 1 if a rule of the life cycle is broken or a level differs from a checklist, and 2 if a file is malformed.
    """
    from aiconform.spec.review import review

    folder = folder or (CHECKOUT if CHECKOUT.is_dir() else None)
    checks, extensions, unusable = _suite()
    found = review(
        folder or _standard().folder,
        checks=checks,
        broken=_broken(),
        extensions=extensions,
        unusable=unusable,
        checklists=checklists,
    )
    if output == "json":
        print_json(found.as_data())
    else:
        for malformed in found.malformed:
            click.echo(malformed, err=True)
        for problem in found.problems:
            click.echo(problem)
        for gap in found.gaps:
            lacks = "no check" if gap.kind == "check" else "no fault that breaks an assertion"
            click.echo(f"missing: {gap.requirement} ({gap.level}, due since {gap.due}) has {lacks}")
        click.echo(found.summary)
    end(found.exit_code)


def _check_ids() -> frozenset[str]:
    """Ids of the checks of the standard's requirements."""
    from aiconform.check.registry import check_ids

    return frozenset(id_ for id_ in check_ids() if "." not in id_)


def _suite() -> tuple[dict[str, Citations], list[tuple[Requirement, Citations]], list[str]]:
    """(what each check of the standard cites, extensions and what theirs cite, what is wrong with other checks)."""
    from aiconform.check.registry import (
        BrokenCheck,
        broken_checks,
        check_ids,
        extension_ids,
        load_check,
        load_extension_check,
    )

    checks, unusable = {}, [str(error) for error in broken_checks()]
    for id_ in check_ids():
        if "." in id_:
            continue
        try:
            checks[id_] = _citations(load_check(id_))
        except BrokenCheck as error:
            unusable.append(str(error))
    loaded = [load_extension_check(id_) for id_ in extension_ids()]
    return checks, [(each.requirement, _citations(each.check)) for each in loaded], unusable


def _citations(check: Check) -> Citations:
    from aiconform.spec.suite import Citations

    options = check.options
    return Citations(
        {assertion.id: assertion.serves for assertion in check.assertions},
        {name: options.info(name).serves for name in options.model_fields} if options else {},
    )


def _broken() -> frozenset[str]:
    """Ids of the checks that have an assertion which a fault of the lab breaks."""
    try:
        from aiconform.lab.faults.registry import FAULTS
    except ImportError:  # the lab's package loads on Linux only
        note("the lab's faults are not counted on this system")
        return frozenset()
    return frozenset().union(*(fault.checks for fault in FAULTS.values()))
