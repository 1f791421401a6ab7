"""Findings about the metadata: versions that do not fit together, a logo that the landscape cannot use."""

from __future__ import annotations

import re

from aiconform.certify.evidence import Examined
from aiconform.certify.findings import Report, Rule
from aiconform.certify.nodes import shown
from aiconform.certify.rules.programme import BASE_CONFORMANCE

RULES = (
    Rule(
        "F-version-form",
        "warning",
        "kubernetesVersion is the version of the list",
        "write the minor version, as the folder does: the certification is for all its patch releases",
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
        "certify Kubernetes conformance for this version first, and link that",
    ),
    Rule("F-example", "warning", "No example value is left", "replace it by the platform's own"),
    Rule("F-logo", "note", "The logo is a vector file", "link an .svg file; the landscape shows nothing else"),
)
_EXAMPLE = re.compile(r"turbo-encabulator|yoyo\.?dyne|\bexample\.(?:com|org|net)(?:/|$)", re.IGNORECASE)
_MINOR = re.compile(r"v?([0-9]+\.[0-9]+)(?:[.+-].*)?")


def check(found: Examined, report: Report) -> None:
    fields = found.submission.metadata or {}
    version = found.checklist.version
    given = fields.get("kubernetesVersion")
    if given and given.text and given.text.strip() != version:
        match = _MINOR.fullmatch(given.text.strip())
        if match and f"v{match.group(1)}" == version:
            report.add("F-version-form", given.line, f"{given.key} is {shown(given.text)}, the folder {version}")
        elif not given.text.startswith("["):
            report.add("F-version-differs", given.line, f"{given.key} is {shown(given.text)}, the folder {version}")
    base = fields.get("k8sConformanceUrl")
    if base and base.text and BASE_CONFORMANCE.fullmatch(base.text):
        certified = base.text.split("/")[7]
        if certified != version:
            report.add("F-base-version", base.line, f"the certification linked is for {certified}, not for {version}")
    for name, field in fields.items():
        # Contact addresses are often replaced before data is passed on.
        if name != "contactEmailAddress" and field.text and _EXAMPLE.search(field.text):
            report.add("F-example", field.line, f"{field.key} is an example: {shown(field.text)}")
    logo = fields.get("productLogoUrl")
    if logo and logo.text and logo.text.startswith("http"):
        path = logo.text.partition("?")[0].partition("#")[0].strip().lower()
        if not path.endswith((".svg", ".eps", ".ai")):
            report.add("F-logo", logo.line, f"{logo.key} is {shown(logo.text)}")
