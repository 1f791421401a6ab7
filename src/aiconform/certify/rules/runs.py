"""Rules about runs inside a submission: claims above what a run shows, runs that contradict their observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aiconform.certify.context import Context
from aiconform.certify.examined import Answer, Examined
from aiconform.certify.findings import Problem, Rule, listed
from aiconform.certify.runs import JudgedRun
from aiconform.engine.plan import is_of

RULES = (
    Rule(
        "F-run-broken",
        "error",
        "A run agrees with its observations",
        "add the unchanged run directory; `aiconform judge` shows each difference",
    ),
    Rule(
        "F-claim-above-run",
        "error",
        "No claim is above its evidence",
        "claim what the run shows (as `aiconform certify build` does), or fix the platform and run again",
    ),
    Rule("F-run-version", "error", "Runs are for this version", "run the suite on a cluster of this version"),
    Rule(
        "F-run-unread",
        "warning",
        "Runs can be recomputed by this release",
        "judge the run with the release that made it, or run the suite again",
    ),
    Rule(
        "F-run-kubernetes",
        "error",
        "A run's cluster has the version that the run is for",
        "run the suite on a cluster of this version, without --kubernetes",
    ),
    Rule(
        "F-run-elsewhere",
        "error",
        "A run is of one product",
        "ask both vendors whose cluster it was; run the suite on a cluster of each product",
    ),
    Rule(
        "F-two-clusters",
        "warning",
        "Runs are of one cluster",
        "run the suite on one cluster; a certification is for one platform",
    ),
    Rule(
        "F-simulated",
        "warning",
        "Runs are on real accelerators",
        "run on the platform's own hardware: simulated devices show that the suite works, not the platform",
    ),
    Rule("F-redacted", "note", "Reviewers know what was redacted", "ask the vendor for the original if it matters"),
)


def check(context: Context) -> Iterator[Problem]:
    found = context.examined
    judged, broken = found.runs.every()
    for name, why in broken.items():
        if name in found.runs.of_other_releases:
            yield Problem("F-run-unread", 1, f"runs/{name}: {why}")
        else:
            yield Problem("F-run-broken", 1, f"runs/{name} is not a finished run: {why}")
    for run in judged:
        yield from _run(found, run)
        yield from _elsewhere(context, run)
    clusters = {run.cluster.get("uid", "") for run in judged}
    if len(clusters) > 1:
        yield Problem("F-two-clusters", 1, f"the runs are of {len(clusters)} clusters")
    for answer in found.answers.values():
        yield from _claim(answer, judged)


def _run(found: Examined, run: JudgedRun) -> Iterator[Problem]:
    name = f"runs/{run.folder.name}"
    if run.problems:
        yield Problem("F-run-broken", 1, f"{name}: {listed(run.problems, 2, str)}")
    if run.unread:
        yield Problem("F-run-unread", 1, f"{name}: {listed(run.unread, 2, str)}")
    if not is_of(run.kubernetes, run.standard):
        yield Problem("F-run-kubernetes", 1, f"{name}, for {run.standard}, is of a cluster of {run.kubernetes}")
    if run.standard != found.checklist.version:
        yield Problem("F-run-version", 1, f"{name} is a run for {run.standard}")
    if run.simulated:
        yield Problem("F-simulated", 1, f"{name} used simulated accelerators")
    if run.redacted:
        yield Problem("F-redacted", 1, f"{name} was redacted: {run.redacted}")


def _elsewhere(context: Context, run: JudgedRun) -> Iterator[Problem]:
    """The same run, or a run of the same cluster, in the submission of another product."""
    mine = context.examined
    for other, theirs in context.corpus.sharing(run.marks):
        if other.submission.folder.name.lower() != mine.submission.folder.name.lower():
            what = "this very run" if theirs.journal == run.journal else f"run {theirs.run} of the same cluster"
            yield Problem("F-run-elsewhere", 1, f"{other.submission.product} contains {what}")


def latest(requirement: str, runs: Sequence[JudgedRun]) -> JudgedRun | None:
    """The newest run that covers the requirement; an older, better one does not count."""
    saying = [run for run in runs if run.verdicts.get(requirement, "not-run") != "not-run"]
    return max(saying, key=lambda run: run.started) if saying else None


def _claim(answer: Answer, runs: list[JudgedRun]) -> Iterator[Problem]:
    run = latest(answer.item.id, runs)
    if run is None:
        return
    verdict, status = run.verdicts[answer.item.id], answer.claim.status
    if not allowed(status.text, verdict):
        broken = [name for name, holds in run.assertions.get(answer.item.id, {}).items() if holds is False]
        why = f" (broken: {listed(broken, 3, str)})" if broken else ""
        text = f"the claim is {status.text!r}; the verdict of run {run.run} is {verdict}{why}"
        yield Problem("F-claim-above-run", status.line, text, requirement=answer.item.id)


def allowed(status: str, verdict: str) -> bool:
    """Whether a status claims no more than a verdict shows."""
    if status == "Implemented":
        return verdict == "pass"
    if status == "N/A":
        return verdict in ("not-applicable", "pass")
    return True
