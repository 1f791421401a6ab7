"""A requirement as text for a terminal."""

from __future__ import annotations

import textwrap

import click

from aiconform.spec import Requirement


def print_requirement(requirement: Requirement, width: int) -> None:
    """All of it, wrapped to `width`."""

    def say(text: str, lead: str = "") -> None:
        for number, paragraph in enumerate(text.split("\n\n")):
            if number:
                click.echo()
            wrapped = textwrap.fill(
                " ".join(paragraph.split()), width, initial_indent=lead, subsequent_indent=" " * len(lead)
            )
            click.echo(wrapped)

    def head(text: str) -> None:
        click.echo()
        click.secho(text, bold=True)

    click.secho(f"{requirement.title} ({requirement.id})", bold=True)
    kar = f"KAR-{requirement.kar}" if requirement.kar else "no KAR"
    category = f" · {requirement.category}" if requirement.category else ""
    click.echo(f"{kar} · {requirement.area}{category} · {', '.join(requirement.owners)} · {requirement.stage}")
    if requirement.levels:
        click.echo("  ".join(f"{version} {level}" for version, level in requirement.levels.items()))
    click.echo()
    say(requirement.statement)
    head("Rationale")
    say(requirement.rationale)
    head("When it applies")
    say(requirement.applicability.when)
    if requirement.applicability.may_not_apply:
        say("If it does not apply, a platform can be conformant without it. Examine first:")
    else:
        say("Examine:")
    for item in requirement.applicability.look_at:
        say(item, "  - ")
    head("Procedure")
    for item in requirement.procedure.needs:
        say(item, "  needs  ")
    for number, step in enumerate(requirement.procedure.steps, 1):
        click.echo()
        say(step.do, f"  {number}. ")
        say(step.observe, "     observe  ")
        for line in step.holds:
            say(f"{line.text} ({line.id}, {line.asked_by})", "     holds    ")
            if line.not_judged:
                say(f"not judged: {line.not_judged}", "              ")
    head("Time limits")
    for limit in requirement.procedure.limits:
        set_by = f", set by {limit.set_by}" if limit.set_by else ""
        say(f"{limit.seconds} s {limit.of} ({limit.id}{set_by}): {limit.why}", "  - ")
    if requirement.disturbs:
        head("What it disturbs")
        say(requirement.disturbs)
    head("Defects that must make it fail")
    for item in requirement.procedure.broken_by:
        say(item, "  - ")
    head("Counts as evidence")
    for item in requirement.evidence.counts:
        say(item, "  + ")
    head("Does not count")
    for item in requirement.evidence.does_not_count:
        say(item, "  - ")
    if requirement.remediation:
        head("If it is not met")
        say(requirement.remediation)
    for what, value in (
        ("Programme's test", requirement.programme.test),
        ("Lab add-ons", ", ".join(requirement.lab.add_ons)),
    ):
        if value:
            click.echo()
            say(f"{what}: {value}")
    if requirement.related:
        head("Related")
        for related in requirement.related:
            say(f"{related.id}: {related.why}", "  - ")
    head("History")
    for event in requirement.history:
        when = " ".join(str(part) for part in (event.date, event.version) if part)
        say(f"{when} {event.event}: {event.what}", "  - ")
        for source in event.sources:
            click.echo(f"    {source}")
