"""Findings about runs inside a submission: claims above what a run has shown, runs that differ from themselves."""

from __future__ import annotations

from aiconform.certify.evidence import Answer, Examined
from aiconform.certify.findings import Report, Rule, listed
from aiconform.certify.runs import JudgedRun

RULES = (
    Rule(
        "F-run-broken",
        "error",
        "A run says what its observations say",
        "put the unchanged run directory there; `aiconform judge` shows each difference",
    ),
    Rule(
        "F-claim-above-run",
        "error",
        "No claim is above its evidence",
        "claim what the run has shown (`aiconform certify build` does), or run again after mending the platform",
    ),
    Rule("F-run-version", "error", "Runs are for this version", "run the suite on a cluster of this version"),
    Rule(
        "F-two-clusters",
        "warning",
        "Runs are of one cluster",
        "run the suite on one cluster; one platform is certified",
    ),
    Rule(
        "F-simulated",
        "warning",
        "Runs are on real accelerators",
        "run on the platform's own hardware: simulated devices show the suite, not the platform",
    ),
    Rule("F-redacted", "note", "A reviewer knows what was redacted", "ask the vendor for the original if it matters"),
)


def check(found: Examined, report: Report) -> None:
    judged, broken = found.runs.every()
    for name, why in broken.items():
        report.add("F-run-broken", 1, f"runs/{name} is no finished run: {why}")
    for run in judged:
        _run(found, run, report)
    clusters = {run.cluster.get("uid", "") for run in judged}
    if len(clusters) > 1:
        report.add("F-two-clusters", 1, f"the runs are of {len(clusters)} clusters")
    for answer in found.answers.values():
        _claim(answer, judged, report)


def _run(found: Examined, run: JudgedRun, report: Report) -> None:
    name = f"runs/{run.folder.name}"
    if run.problems:
        report.add("F-run-broken", 1, f"{name}: {listed(run.problems, 2, str)}")
    if run.standard != found.checklist.version:
        report.add("F-run-version", 1, f"{name} was held to {run.standard}")
    if run.simulated:
        report.add("F-simulated", 1, f"{name} looked at simulated accelerators")
    if run.redacted:
        report.add("F-redacted", 1, f"{name} was redacted: {run.redacted}")


def latest(requirement: str, runs: list[JudgedRun]) -> JudgedRun | None:
    """The newest run that says something about the requirement; an older, better one does not count."""
    saying = [run for run in runs if run.verdicts.get(requirement, "not-run") != "not-run"]
    return max(saying, key=lambda run: run.started) if saying else None


def _claim(answer: Answer, runs: list[JudgedRun], report: Report) -> None:
    run = latest(answer.item.id, runs)
    if run is None:
        return
    verdict, status = run.verdicts[answer.item.id], answer.claim.status
    if not allowed(status.text, verdict):
        text = f"the claim is {status.text!r}; run {run.run} came to {verdict}"
        report.add("F-claim-above-run", status.line, text, requirement=answer.item.id)


def allowed(status: str, verdict: str) -> bool:
    """Whether a status claims no more than a verdict shows."""
    if status == "Implemented":
        return verdict == "pass"
    if status == "N/A":
        return verdict in ("not-applicable", "pass")
    return True
