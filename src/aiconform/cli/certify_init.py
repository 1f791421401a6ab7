"""`aiconform certify init`: a version's checklist to fill in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform.cli.certify_next import delta_from
from aiconform.cli.certify_options import FILE, FOLDER, checklists_option
from aiconform.cli.common import fail, note

if TYPE_CHECKING:
    from aiconform.certify.checklistfile import Carried
    from aiconform.certify.delta import Delta


def _metadata_options(function: Any) -> Any:
    """A flag for each metadata field: --platform-name and so on."""
    # The names are those of aiconform.certify.submission.METADATA; spelled out so that --help imports nothing.
    for name in reversed(METADATA_FLAGS):
        function = click.option(f"--{name}", name.replace("-", "_"), metavar="TEXT")(function)
    return function


METADATA_FLAGS = (
    "platform-name",
    "platform-version",
    "vendor-name",
    "website-url",
    "repo-url",
    "documentation-url",
    "product-logo-url",
    "description",
    "contact-email-address",
    "k8s-conformance-url",
)


@click.command(short_help="Write a version's checklist to fill in.")
@click.option("--kubernetes", metavar="vX.Y", help="Version of the checklist; the newest released one by default.")
@click.option("--metadata", type=FILE, help="Take metadata from this YAML or JSON file, for example a PRODUCT.yaml.")
@click.option(
    "--from",
    "earlier",
    type=click.Path(path_type=Path, exists=True),
    help="An earlier submission, of which metadata and answers are taken that may be carried over (`certify delta`).",
)
@click.option("--out", type=FOLDER, help="Folder to write to; vX.Y/<platform name> by default.")
@click.option("--no-input", is_flag=True, help="Do not prompt; missing metadata stays a placeholder.")
@checklists_option
@_metadata_options
def init(
    kubernetes: str | None,
    metadata: Path | None,
    earlier: Path | None,
    out: Path | None,
    no_input: bool,
    checklists: Path | None,
    **flags: str | None,
) -> None:
    """Write the checklist of a version as a PRODUCT.yaml, with the platform's metadata.

    Metadata comes from flags, then from --metadata; on a terminal, the command prompts for the rest.
    """
    from aiconform.certify.checklist import checklist_of
    from aiconform.certify.checklistfile import BadMetadata, folder_name, read_metadata, render
    from aiconform.certify.submission import FILE as PRODUCT
    from aiconform.certify.submission import METADATA, snake_case
    from aiconform.spec import load_standard

    standard = load_standard()
    version = standard.version(kubernetes) if kubernetes else standard.newest
    checklist = checklist_of(version, checklists)
    if checklist is None:
        fail(f"there is no checklist of {version} yet")
    before = delta_from(earlier, version, checklists) if earlier else None
    try:
        fields = read_metadata(metadata) if metadata else {}
    except BadMetadata as error:
        fail(str(error))
    fields = {**(before.carried if before else {}), **fields, "kubernetesVersion": version}
    for name, required in METADATA.items():
        given = flags.get(snake_case(name))
        if given:
            fields[name] = given
        elif name not in fields and not no_input and sys.stdin.isatty():
            fields[name] = click.prompt(name, default="" if not required else None, show_default=False, err=True)
    place = (out or Path(version) / folder_name(fields.get("platformName", ""))) / PRODUCT
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8", newline="\n") as file:
            file.write(render(checklist, fields, _carried(before)))
    except FileExistsError:
        fail(f"{place} exists: use another folder with --out")
    except OSError as error:
        fail(f"{place} cannot be written: {error.strerror}")
    missing = [name for name, required in METADATA.items() if required and not fields.get(name)]
    if missing:
        note(f"to fill in: {', '.join(missing)}")
    if before:
        from aiconform.certify.delta import lines

        for line in lines(before):
            note(line)
    click.echo(place)
    note(
        "next: fill it in, or write it again with --metadata FILE"
        if missing
        else f"next: aiconform certify build RUN --out {place.parent}"
    )


def _carried(before: Delta | None) -> dict[str, Carried]:
    from aiconform.certify.checklistfile import Carried

    steps = before.steps if before else ()
    return {step.requirement: Carried(step.status, step.evidence, step.notes) for step in steps}
