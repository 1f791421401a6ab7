"""Findings as SARIF 2.1.0, which code hosts show at the lines of a pull request."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from aiconform import __version__
from aiconform.certify.findings import Rule, RuleFinding
from aiconform.certify.rules import CATALOGUE, of_programme
from aiconform.certify.validate import Validated

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(results: Sequence[Validated]) -> dict[str, Any]:
    """One SARIF log with one run. There are no columns: findings know lines only."""
    findings = [f for result in results for f in (*result.errors, *result.warnings, *result.findings)]
    used = sorted({finding.rule for finding in findings})
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "aiconform certify validate",
                        "semanticVersion": __version__,
                        "rules": [_rule(CATALOGUE[name]) for name in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, used) for finding in findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"source": "programme" if of_programme(rule.id) else "aiconform", "fixable": rule.fixable},
    }


def _result(finding: RuleFinding, used: list[str]) -> dict[str, Any]:
    about = f"{finding.requirement}: " if finding.requirement else ""
    # The line may move in the next commit; the problem stays the same.
    print_ = hashlib.sha256(f"{finding.rule}\0{finding.file}\0{about}\0{finding.message}".encode("utf-8", "replace"))
    return {
        "ruleId": finding.rule,
        "ruleIndex": used.index(finding.rule),
        "level": finding.severity,
        "message": {"text": f"{about}{finding.message}. {finding.help}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.file)},
                    "region": {"startLine": max(1, finding.line)},
                }
            }
        ],
        "partialFingerprints": {"aiconform/v1": print_.hexdigest()[:32]},
    }


def _uri(file: str) -> str:
    quoted = quote(os.fsencode(file))
    return f"file://{quoted}" if file.startswith("/") else quoted
