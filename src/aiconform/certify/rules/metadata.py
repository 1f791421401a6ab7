"""Rules about metadata: versions that do not match, a logo that the landscape cannot use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aiconform.certify.context import Context
from aiconform.certify.findings import Problem, Rule
from aiconform.certify.submission import BASE_CONFORMANCE
from aiconform.certify.yamlvalues import shown

RULES = (
    Rule(
        "F-version-form",
        "warning",
        "kubernetesVersion is the checklist's version",
        "write the minor version, as in the folder's name: the certification covers all its patch releases",
        True,
    ),
    Rule(
        "F-version-differs",
        "error",
        "kubernetesVersion and the folder agree",
        "move the submission to the folder of its version, or correct kubernetesVersion",
    ),
    Rule(
        "F-base-version",
        "warning",
        "The base certification is for the same version",
        "certify Kubernetes conformance for this version first, and link that certification",
    ),
    Rule("F-example", "warning", "No example value is left", "replace it with the platform's own value"),
    Rule("F-logo", "note", "The logo is a vector file", "link an .svg file; the landscape shows no other format"),
)
_EXAMPLE = re.compile(r"turbo-encabulator|yoyo\.?dyne|\bexample\.(?:com|org|net)(?:/|$)", re.IGNORECASE)
_MINOR = re.compile(r"v?([0-9]+\.[0-9]+)(?:[.+-].*)?")


def check(context: Context) -> Iterator[Problem]:
    fields = context.examined.submission.metadata or {}
    version = context.examined.checklist.version
    given = fields.get("kubernetesVersion")
    if given and given.text and given.text.strip() != version:
        match = _MINOR.fullmatch(given.text.strip())
        if match and f"v{match.group(1)}" == version:
            yield Problem("F-version-form", given.line, f"{given.key} is {shown(given.text)}, the folder {version}")
        elif not given.text.startswith("["):
            yield Problem("F-version-differs", given.line, f"{given.key} is {shown(given.text)}, the folder {version}")
    base = fields.get("k8sConformanceUrl")
    if base and base.text and BASE_CONFORMANCE.fullmatch(base.text):
        certified = base.text.split("/")[7]
        if certified != version:
            yield Problem("F-base-version", base.line, f"the linked certification is for {certified}, not {version}")
    for name, field in fields.items():
        # Contact addresses are often anonymized.
        if name != "contactEmailAddress" and field.text and _EXAMPLE.search(field.text):
            yield Problem("F-example", field.line, f"{field.key} is an example: {shown(field.text)}")
    logo = fields.get("productLogoUrl")
    if logo and logo.text and logo.text.startswith("http"):
        path = logo.text.partition("?")[0].partition("#")[0].strip().lower()
        if not path.endswith((".svg", ".eps", ".ai")):
            yield Problem("F-logo", logo.line, f"{logo.key} is {shown(logo.text)}")
