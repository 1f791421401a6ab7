"""Options that fit a run in on a cluster that asks something of every Pod or Namespace."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aiconform import untrusted
from aiconform.cli.common import fail

if TYPE_CHECKING:
    from aiconform.cluster.guest import Guest


_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""What a Namespace can be called: an RFC 1123 label."""


def namespace_name(_: click.Context, option: click.Parameter, value: str) -> str:
    """A callback of options: the name goes into request paths. Raises BadParameter."""
    if value and not _LABEL.fullmatch(value):
        raise click.BadParameter(
            f"{value!r} is no name of a Namespace: at most 63 lower case letters, digits and hyphens, with no hyphen "
            "at an end",
            param=option,
        )
    return value


def guest_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --pod-template, --pull-secret, --namespace, --namespace-labels and --namespace-annotation."""
    options = (
        click.option(
            "--pod-template",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Part of a PodTemplateSpec (YAML) for every Pod: labels, annotations, imagePullSecrets, tolerations, "
            "nodeSelector, securityContext, priorityClassName, runtimeClassName. Maps are merged, lists appended to; "
            "what a check itself sets is kept. It is recorded in the run directory.",
        ),
        click.option(
            "--pull-secret",
            "pull_secrets",
            multiple=True,
            metavar="NAMESPACE/NAME",
            help="A Secret with which every Pod pulls its images. It is copied into the Namespaces of the run, deleted "
            "with them, and what it holds is not recorded; can be repeated.",
        ),
        click.option(
            "--namespace",
            default="",
            callback=namespace_name,
            metavar="NAME",
            help="Work in this Namespace, which is there already and stays, and make nothing beyond it (see `aiconform "
            "rbac --namespace`).",
        ),
        click.option(
            "--namespace-labels",
            default="",
            metavar="KEY=VALUE,...",
            help="Labels of the Namespaces that the run makes.",
        ),
        click.option(
            "--namespace-annotation",
            "namespace_annotations",
            multiple=True,
            metavar="KEY=VALUE",
            help="An annotation of the Namespaces that the run makes; can be repeated.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def guest_of(
    template: Path | None,
    labels: str,
    annotations: tuple[str, ...],
    pull_secrets: tuple[str, ...] = (),
    namespace: str = "",
) -> Guest:
    """What the options say. Ends the command with a sentence if they cannot be used."""
    from aiconform.cluster.guest import BadTemplate, Guest, pairs, pod_template
    from aiconform.spec import yamlfile

    require_secret_names(pull_secrets)
    if namespace and (labels or annotations):
        fail("--namespace: the Namespace is not the run's own: leave out --namespace-labels and --namespace-annotation")
    document: dict[str, Any] = {}
    if template:
        try:
            documents = yamlfile.documents(untrusted.read_any(template, yamlfile.LARGEST_FILE))
            document = pod_template(documents[0] if len(documents) == 1 else None)
        except (BadTemplate, OSError, yamlfile.NotYaml) as error:
            fail(f"--pod-template {template}: {error}")
    try:
        return Guest(document, pairs(labels.split(",") if labels else ()), pairs(annotations), pull_secrets, namespace)
    except ValueError as error:
        fail(f"--namespace-labels, --namespace-annotation: {error}")


def require_secret_names(references: tuple[str, ...]) -> None:
    """Ends the command with a sentence if one is not NAMESPACE/NAME."""
    from aiconform.cluster.pull_secrets import REFERENCE

    for reference in references:
        if not REFERENCE.fullmatch(reference):
            fail(f"--pull-secret: {reference!r} is not NAMESPACE/NAME of a Secret")
