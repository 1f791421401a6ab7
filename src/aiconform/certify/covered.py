"""Whether the pages of a bundle, and those in its runs, are what the runs and PRODUCT.yaml give.

Results decide, whoever made a page: an outcome, a verdict, a claim. Words decide only where this release made it; those
of another release are no finding, and a note says that nobody checked them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiconform.certify.answered import statement_of, statements_in
from aiconform.certify.artifacts import BadArtifact, kind_of, read_results
from aiconform.certify.differing import BYTES
from aiconform.certify.examined import Examined
from aiconform.certify.findings import listed
from aiconform.certify.pages import maker, of_this_release, pages, run_pages
from aiconform.certify.place import README
from aiconform.certify.readme import made_by, results_of
from aiconform.certify.rules.runs import latest
from aiconform.certify.runs import JudgedRun
from aiconform.certify.submission import FILE
from aiconform.engine.rundir import BadRunDirectory
from aiconform.reports.plain import shortened
from aiconform.untrusted import Refused, read

NOT_CHECKED = "the results agree with the runs; the words were not checked, because this release did not make them"
OTHER_WORDS = f"the runs and {FILE} give other words"
ITS_OWN = "nothing in it is of the runs: it is the vendor's own, and was not checked"


def covered(folder: Path, examined: Examined, judged: Sequence[JudgedRun]) -> tuple[list[str], list[str]]:
    """(pages that are not what the runs give, what could not be compared). judged: runs that agree with themselves."""
    try:
        ours = made_by(_text(_content(folder / README))) == maker()
        made = pages(examined.submission, examined.checklist, judged)
        every = [_Page(name, data, ours=ours) for name, data in sorted(made.items())]
        for run in judged:
            place = run.folder.relative_to(folder).as_posix()
            own = ours and of_this_release(run)
            every += [_Page(f"{place}/{name}", data, ours=own, may_differ=False) for name, data in run_pages(run)]
    except (BadRunDirectory, OSError) as error:
        return [], [f"the pages of the runs cannot be made again to compare them: {error}"]
    problems, words = _statements(examined, judged)
    notes = []
    if ours:
        problems += [f"{each}: {OTHER_WORDS}" for each in words]
    else:
        notes += [f"{each}: {NOT_CHECKED}" for each in words]
    with tempfile.TemporaryDirectory(prefix="aiconform-pages-") as scratch:
        for page in every:
            problem, note = page.compared(folder, Path(scratch))
            problems += filter(None, [problem])
            notes += filter(None, [note])
    return problems, notes


@dataclass(frozen=True)
class _Page:
    """A page as the runs give it. name: its path in the bundle. ours: whether this release made the one that is there.
    may_differ: whether there may be one of the vendor's own instead."""

    name: str
    data: bytes
    ours: bool
    may_differ: bool = True

    def compared(self, folder: Path, scratch: Path) -> tuple[str, str]:
        """(what is wrong with the page that is there, what was not checked about it); both may be empty."""
        again, there = scratch / Path(self.name).name, folder / self.name
        again.write_bytes(self.data)
        found = _content(there)
        if found in (None, self.data):
            return "", ""
        if found.replace(b"\r\n", b"\n") == self.data:
            return f"{self.name}: its lines end in CRLF, as this tool never writes them: {BYTES}", ""
        said, expected = _results(there), _results(again)
        if self.may_differ and not said.keys() & expected.keys():
            return "", f"{self.name}: {ITS_OWN}"
        if different := list(_unlike(said, expected, ours=self.ours)):
            return f"{self.name} is not what the runs and {FILE} give: {listed(different, 5, str)}", ""
        where = f"{self.name}, {_first_line(found, self.data)}"
        return (f"{where}: {OTHER_WORDS}", "") if self.ours else ("", f"{where}: {NOT_CHECKED}")


def _statements(examined: Examined, judged: Sequence[JudgedRun]) -> tuple[list[str], list[str]]:
    """Of what notes say of runs in the words of a build: (what no run says, where only the words differ)."""
    problems, words = [], []
    for requirement, answer in examined.answers.items():
        run = latest(requirement, judged)
        for said in statements_in(answer.claim.notes.text):
            place = f"{FILE}, line {answer.claim.notes.line}, {requirement}"
            expected = statement_of(requirement, run) if run else None
            if expected is None or not expected.agrees(said):
                problems.append(f"{place}: the notes say {shortened(said, 200)!r}, which is not what the runs say")
            elif said != " ".join(str(expected).split()):
                words.append(place)
    return problems, words


def _results(path: Path) -> Mapping[str, object]:
    """What a page says of each test or requirement; nothing if it cannot be read, which other steps find."""
    kind = kind_of(path.name)
    if kind is None:
        return results_of(_text(_content(path)))
    try:
        return read_results(path, kind).tests
    except BadArtifact:
        return {}


def _unlike(said: Mapping[str, object], expected: Mapping[str, object], *, ours: bool) -> Iterator[str]:
    """The tests and requirements of which a page says something else. Another release may have other sub-tests."""
    for name in sorted(said.keys() | expected.keys()):
        if name not in said or name not in expected:
            if ours or "/" not in name:
                yield f"{name} is {'missing' if name in expected else 'not in the runs'}"
        elif said[name] != expected[name]:
            yield f"{name} is {_shown(said[name])} instead of {_shown(expected[name])}"


def _shown(result: object) -> str:
    return " ".join(filter(None, result)) if isinstance(result, tuple) else str(result)


def _first_line(found: bytes, made: bytes) -> str:
    """Where two texts begin to differ."""
    one, other = found.splitlines(), made.splitlines()
    number = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return f"line {number + 1}"


def _content(path: Path) -> bytes | None:
    try:
        return read(path, inside=path.parent)
    except (Refused, OSError):
        return None


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
