"""What is attested besides the digests: signer, platform, standard, tool, suite, cluster, runs, time."""

from __future__ import annotations

from typing import Any

from aiconform import __version__
from aiconform.certify.runs import JudgedRun
from aiconform.certify.submission import Submission
from aiconform.spec import load_standard

PLATFORM = ("platformName", "platformVersion", "vendorName", "kubernetesVersion", "k8sConformanceUrl")


def platform(submission: Submission) -> dict[str, str]:
    return {name: submission.value(name) for name in PLATFORM}


def run_claims(runs: list[JudgedRun]) -> list[dict[str, Any]]:
    """Each run with everything that identifies it, so that it cannot be replaced unnoticed."""
    return [
        {
            "run": run.run,
            "journal": run.journal,
            "standard": {"version": run.standard, "digest": run.standard_digest},
            "tool": run.tool,
            "suite": run.suite,
            "kubernetes": run.kubernetes,
            "cluster": run.cluster.get("uid", ""),
            "simulated": run.simulated,
            "redacted": bool(run.redacted),
            "started": run.started,
            "ended": run.ended,
            "verdict": run.reported_verdict,
            "verdicts": run.reported,
        }
        for run in runs
    ]


def predicate(submission: Submission, runs: list[JudgedRun], *, by: str, when: str) -> dict[str, Any]:
    """`by`: the signer in words. `standard`, `suite` and `cluster` are those of the runs, null without runs."""
    standard = load_standard()
    return {
        "by": by,
        "signed": when,
        "submission": submission.product,
        "platform": platform(submission),
        "standard": {"version": submission.version, "digest": runs[0].standard_digest if runs else standard.digest},
        "tool": {"name": "aiconform", "version": __version__},
        "suite": runs[0].suite if runs else None,
        "cluster": runs[0].cluster.get("uid") if runs else None,
        "runs": run_claims(runs),
    }
