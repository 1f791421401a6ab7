"""The README of a bundle: what a reviewer finds in it and how to check it without believing anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiconform.certify.checklist import Checklist
from aiconform.certify.runs import FOLDER, JudgedRun
from aiconform.certify.submission import Submission
from aiconform.reports.plain import shortened


def readme(submission: Submission, checklist: Checklist, runs: Sequence[JudgedRun], left: Mapping[str, str]) -> str:
    """Markdown. Text from the submission and the cluster is escaped."""
    name = f"{submission.value('platformName')} {submission.value('platformVersion')}".strip() or submission.product
    lines = [
        f"# {_md(name)}: evidence for Kubernetes AI Conformance {checklist.version}",
        "",
        "This folder can be checked by anyone, without the cluster it came from:",
        "",
        "```sh",
        "aiconform certify validate --offline .             # the programme's rules and more",
        "aiconform certify verify --key VENDOR.pub .        # signature, digests, journal, every verdict again",
        *(f"aiconform judge {FOLDER}/{run.run:<37} # one run's verdicts from its observations" for run in runs),
        "```",
        "",
        "## What is here",
        "",
        "- `PRODUCT.yaml`: the claims. Evidence after a `#` names the test in the file before it.",
        "- `junit.xml`, `results.json`, `e2e.log`: results in the programme's formats, made by this tool.",
        f"- `{FOLDER}/<run>/observations/`: what the probes saw; every verdict is computed from these files alone.",
        f"- `{FOLDER}/<run>/journal.ndjson`: what happened, each line chained to the one before by its hash.",
        "- `attestation.dsse.json`, if signed: the digest of every file, and who vouches for them.",
        "",
        "## What the runs have shown",
        "",
        "| requirement | level | claim | verdict | run | reason |",
        "|-|-|-|-|-|-|",
    ]
    for item in checklist.items:
        claim = submission.claim(item.category, item.id)
        status = claim.status.text if claim else ""
        run = next((r for r in reversed(list(runs)) if r.verdicts.get(item.id, "not-run") != "not-run"), None)
        verdict, number, reason = (
            (run.verdicts[item.id], run.run, run.reasons[item.id]) if run else ("not run", "", left.get(item.id, ""))
        )
        lines.append(f"| `{item.id}` | {item.level} | {_md(status)} | {verdict} | {number} | {_md(reason)} |")
    lines += ["", "## The runs", ""]
    for run in runs:
        lines.append(
            f"- `{run.run}`: {_md(run.tool)} on Kubernetes {_md(run.kubernetes)}, {run.started} to {run.ended}, "
            f"cluster {_md(run.cluster.get('uid', 'unknown'))}, {run.verdict}; suite `{run.suite}`, "
            f"standard `{run.standard_digest}`."
        )
        if run.simulated:
            lines.append("  Accelerators were simulated: this says nothing about real hardware.")
        if run.redacted:
            lines.append(
                f"  Redacted before publishing ({_md(run.redacted)}); the verdicts were recomputed afterwards."
            )
    return "\n".join(lines) + "\n"


def _md(text: str, most: int = 300) -> str:
    line = shortened(text, most)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#!&" else char for char in line)
