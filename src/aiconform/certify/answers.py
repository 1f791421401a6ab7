"""What a verification answers: three separate questions, and whether what the verifier requires holds.

consistent: do the files agree with each other? vouched for: who says that the runs happened, and does the verifier
accept that? shown: how much of what the version asks did runs show, and how much is in documents alone?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiconform.certify.findings import listed
from aiconform.certify.vouching import Voucher
from aiconform.reports.plain import plain
from aiconform.reports.summary import counted

Consistent = Literal["yes", "no", "nothing-to-recompute", "another-release"]
Requirement = Literal["consistent", "vouched", "shown", "valid", "challenged"]
# Who vouches is another question than what the files say.
_OF_SIGNERS = ("signature", "policy")
# Nor is whether a run answers the verifier's challenge.
_APART = (*_OF_SIGNERS, "challenge")


@dataclass(frozen=True)
class Shown:
    """The MUST requirements of the version by what shows them: a run, a run with simulated accelerators, documents
    (links, logs, words) alone, or nothing, because they are not claimed."""

    runs: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    nothing: tuple[str, ...] = ()

    @property
    def must(self) -> int:
        return sum(map(len, (self.runs, self.simulated, self.documents, self.nothing)))

    @property
    def words(self) -> str:
        parts = [f"{len(self.runs)} of {self.must} MUST by runs"]
        parts += [f"{len(self.simulated)} by runs with simulated accelerators"] if self.simulated else []
        parts += (
            [f"{len(self.documents)} by documents alone ({listed(self.documents, 9, str)})"] if self.documents else []
        )
        parts += [f"{len(self.nothing)} not claimed ({listed(self.nothing, 9, str)})"] if self.nothing else []
        return ", ".join(parts)


@dataclass
class Verification:
    """`steps`: each check, in order, and whether it held; None where there was nothing to check.

    runs: how many runs there are. unread: what only another release can recompute. verdicts: requirement -> verdict of
    the newest run. unshown: claims that no run supports. errors: of the programme's rules, None if the submission
    cannot be read; an honest bundle may show that a platform is not conformant. challenged: whether every run carries
    the verifier's challenge; None if there is none.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    steps: dict[str, bool | None] = field(default_factory=dict)
    signed: dict[str, Any] | None = None
    vouchers: tuple[Voucher, ...] = ()
    runs: int = 0
    unread: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    unshown: list[str] = field(default_factory=list)
    shown: Shown = field(default_factory=Shown)
    grades: dict[str, str] = field(default_factory=dict)
    errors: int | None = None
    challenged: bool | None = None

    def step(self, name: str, problems: Sequence[str]) -> None:
        self.steps[name] = not problems
        self.problems += [f"{name}: {problem}" for problem in problems]

    @property
    def consistent(self) -> Consistent:
        if any(held is False for name, held in self.steps.items() if name not in _APART):
            return "no"
        if self.unread:
            return "another-release"
        return "yes" if self.runs else "nothing-to-recompute"

    @property
    def vouched(self) -> bool:
        """Whether the policy holds; never without one."""
        return bool(self.vouchers) and all(self.steps.get(name) for name in (*_OF_SIGNERS, "digests", "attested"))

    def holds(self, requirement: Requirement) -> bool:
        return {
            "consistent": self.consistent == "yes",
            "vouched": self.vouched,
            "shown": self.consistent == "yes" and bool(self.shown.must) and len(self.shown.runs) == self.shown.must,
            "valid": self.errors == 0,
            "challenged": self.challenged is True and self.consistent == "yes",
        }[requirement]

    def undecided(self, required: Sequence[Requirement]) -> bool:
        """Whether another release may find that everything required holds."""
        open_ = {"consistent", "shown", "challenged"} if self.consistent == "another-release" else set()
        return any(not self.holds(each) for each in required) and all(
            self.holds(each) or each in open_ for each in required
        )

    def as_data(self, required: Sequence[Requirement]) -> dict[str, Any]:
        return {
            "holds": all(map(self.holds, required)),
            "required": {each: self.holds(each) for each in required},
            "consistent": self.consistent,
            "vouched_for": {"holds": self.vouched, "by": [each.as_data() for each in self.vouchers]},
            "shown": {
                "must": self.shown.must,
                "by_runs": list(self.shown.runs),
                "by_simulated_runs": list(self.shown.simulated),
                "by_documents": list(self.shown.documents),
                "not_claimed": list(self.shown.nothing),
            },
            "challenged": self.challenged,
            "valid": self.errors == 0 if self.errors is not None else None,
            "steps": self.steps,
            "problems": self.problems,
            "cannot_be_recomputed": self.unread,
            "notes": self.notes,
            "signed": self.signed,
            "verdicts": self.verdicts,
            "claims_without_a_run": self.unshown,
            "grades": self.grades,
        }


def lines(found: Verification, required: Sequence[Requirement]) -> Iterator[str]:
    """The answers as text; what a bundle says is untrusted."""
    words = {True: "holds", False: "DOES NOT HOLD", None: "nothing to check"}
    for name, held in found.steps.items():
        yield f"{name:<12} {words[held]}"
    for text in found.problems:
        yield plain(f"problem: {text}")
    for text in found.unread:
        yield plain(f"cannot be recomputed here: {text}")
    for text in found.notes:
        yield plain(f"note: {text}")
    if found.unshown:
        yield f"claims that no run supports: {', '.join(found.unshown)}"
    yield ""
    yield f"consistent   {_consistent(found)}"
    yield plain(f"vouched for  {_vouched(found)}")
    yield f"shown        {found.shown.words}"
    yield f"rules        {_rules(found.errors)}"
    if found.challenged is not None:
        yield f"challenge    {'carried by every run' if found.challenged else 'NOT carried by every run'}"
    missing = [each for each in required if not found.holds(each)]
    if not missing:
        yield f"what is required holds: {', '.join(required)}"
    else:
        verb = "could not be decided" if found.undecided(required) else "does NOT hold"
        yield f"required, and {verb}: {', '.join(missing)}"


def _rules(errors: int | None) -> str:
    """How the submission stands with the programme's rules."""
    if errors is None:
        return "unknown: the submission cannot be read"
    return counted(errors, "error") if errors else "met"


def _consistent(found: Verification) -> str:
    return {
        "yes": f"yes: the verdicts of {counted(found.runs, 'run')} follow from the observations",
        "no": "NO",
        "nothing-to-recompute": "nothing to recompute: the bundle contains no run",
        "another-release": "cannot be decided by this release",
    }[found.consistent]


def _vouched(found: Verification) -> str:
    if not found.vouchers:
        return "by nobody whom you trust"
    return ("" if found.vouched else "NOT by whom the policy asks for: ") + "; ".join(map(_by, found.vouchers))


def _by(voucher: Voucher) -> str:
    when = (
        f"proven to exist at {voucher.proven}" if voucher.proven else f"{voucher.claimed or 'no time'} by its own word"
    )
    but = f"; does not count: {voucher.why_not}" if voucher.why_not else ""
    who = f"{voucher.key}, confirmed by {voucher.issuer}" if voucher.issuer else voucher.key[:23]
    return f"{voucher.name} ({voucher.role}, {who}, {when}{but})"
