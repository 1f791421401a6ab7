"""The README of a bundle: what it contains and how a reviewer checks it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiconform import __version__
from aiconform.certify.checklist import Checklist
from aiconform.certify.rules.runs import latest
from aiconform.certify.runs import FOLDER, JudgedRun
from aiconform.certify.submission import Submission
from aiconform.reports.plain import shortened
from aiconform.reports.summary import SIMULATED

NOT_COVERED = "no run covers it"
_MAKER = re.compile(r"^The pages of this folder were made by .*, `(sha256:[0-9a-f]{64})`\.$", re.MULTILINE)
_ROW = re.compile(r"^\| `([\w.]+)` \| (MUST|SHOULD) \| (.*?) \| (.*?) \| (.*?) \| .*\|$", re.MULTILINE)


def readme(submission: Submission, checklist: Checklist, runs: Sequence[JudgedRun], maker: str) -> str:
    """Markdown. Text from the submission and the cluster is escaped. maker: digest of the code that makes the pages."""
    name = f"{submission.value('platformName')} {submission.value('platformVersion')}".strip() or submission.product
    lines = [
        f"# {_md(name)}: evidence for Kubernetes AI Conformance {checklist.version}",
        "",
        "Anyone can check this folder, without the cluster that it came from:",
        "",
        "```sh",
        "aiconform certify validate --offline .             # the programme's rules, and more",
        "aiconform certify verify --key VENDOR.pub .        # signature, digests, journal, recomputed verdicts",
        *(f"aiconform judge {FOLDER}/{run.run:<37} # the verdicts of one run from its observations" for run in runs),
        "```",
        "",
        "`VENDOR.pub` is the vendor's public key. Take it from the vendor's own site or repository, or from your own",
        "trust policy (`--policy`), never from this folder: whoever makes a folder can also put a key into it.",
        "",
        "## Contents",
        "",
        "- `PRODUCT.yaml`: the claims. In evidence, the `#` is followed by the name of a test in that file.",
        "- `junit.xml`, `results.json`, `e2e.log`: results in the programme's formats, written by this tool.",
        f"- `{FOLDER}/<run>/observations/`: what the probes observed; all verdicts are computed from these files.",
        f"- `{FOLDER}/<run>/journal.ndjson`: what happened; each line contains the hash of the line before.",
        "- `attestation.dsse.json`, if the bundle is signed: the digest of every file, and the signer.",
        "",
        "## Results of the runs",
        "",
        "| requirement | level | claim | verdict | run | reason |",
        "|-|-|-|-|-|-|",
    ]
    # The order of PRODUCT.yaml, since that of a list depends on which one somebody has at hand.
    order = {claim.id: number for number, claim in enumerate(submission.every_claim())}
    for item in sorted(checklist.items, key=lambda item: (order.get(item.id, len(order)), item.id)):
        claim = submission.claim(item.category, item.id)
        status = claim.status.text if claim else ""
        run = latest(item.id, runs)
        verdict, number, reason = (
            (run.verdicts[item.id], run.run, run.reasons[item.id]) if run else ("not run", "", NOT_COVERED)
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
            lines.append(f"  {SIMULATED}")
        if run.redacted:
            lines.append(
                f"  Redacted before it was published ({_md(run.redacted)}); the verdicts were then computed again."
            )
    lines += ["", f"The pages of this folder were made by aiconform {__version__}, `{maker}`."]
    return "\n".join(lines) + "\n"


def made_by(text: str) -> str:
    """The digest of the code that made the pages beside a README, by its own word; "" if it names none."""
    found = _MAKER.search(text)
    return found[1] if found else ""


def results_of(text: str) -> dict[str, tuple[str, ...]]:
    """Requirement -> (level, claim, verdict, run) as a README's table has them, in Markdown."""
    return {row[1]: row.groups()[1:] for row in _ROW.finditer(text)}


def _md(text: str, most: int = 300) -> str:
    line = shortened(text, most)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#!&" else char for char in line)
