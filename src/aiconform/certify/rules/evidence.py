"""Findings about evidence: the same everywhere, moving targets, other versions, empty files, the wrong test."""

from __future__ import annotations

import re
from collections import defaultdict

from aiconform.certify.checklist import TESTS
from aiconform.certify.evidence import Answer, Examined, Reference
from aiconform.certify.findings import Report, Rule, listed
from aiconform.certify.nodes import shown
from aiconform.certify.rules.claims import SUBJECTS

RULES = (
    Rule(
        "F-reused",
        "warning",
        "Each requirement has its own evidence",
        "point at the part that is about this requirement (a section, a test after the #), or at another document",
    ),
    Rule("F-twice", "note", "Evidence is named once", "remove the repetition", True),
    Rule(
        "F-unpinned",
        "warning",
        "Links into repositories are pinned",
        "link a commit (…/blob/<commit>/…), so that reviewers see what was submitted",
    ),
    Rule(
        "F-moving",
        "note",
        "Documents are for a version",
        "link the document of the platform's version instead of the latest",
    ),
    Rule(
        "F-other-version",
        "warning",
        "Evidence is for this version",
        "run the procedure on this version and link that result; evidence of an older version shows the older one",
    ),
    Rule("F-empty-file", "warning", "Evidence files have content", "put the output of the procedure into the file"),
    Rule("F-folder", "warning", "Evidence names files", "name the file in the folder that shows the requirement"),
    Rule(
        "F-fragment",
        "error",
        "The test after the # is about the requirement",
        "name the test that shows this requirement",
    ),
    Rule(
        "F-no-fragment",
        "warning",
        "An artifact is named with the test to look at",
        "add #TestName; without it nobody, the programme included, looks for any test",
    ),
)
MANY = 3  # requirements that share one piece of evidence before it counts as reused
_REPOSITORY = re.compile(
    r"https?://(?:www\.)?(?:github\.com/[^/]+/[^/]+/(?:blob|tree|raw)/(?P<github>[^?#]+)"
    r"|raw\.githubusercontent\.com/[^/]+/[^/]+/(?P<raw>[^?#]+)"
    r"|[^/]*gitlab[^/]*/[^?#]+?/-/(?:blob|tree|raw)/(?P<gitlab>[^?#]+)|gitee\.com/[^/]+/[^/]+/(?:blob|tree|raw)/(?P<gitee>[^?#]+))"
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:/|$)")
_TAG = re.compile(r"refs/tags/|v?[0-9]+\.[0-9]+\.[0-9]+[^/]*(?:/|$)")
_ABOUT_KUBERNETES = re.compile(r"k8s|kubernetes|conformance")
_MOVING = re.compile(r"/(?:latest|main|master|next|current|nightly)(?:/|$)", re.IGNORECASE)


def check(found: Examined, report: Report) -> None:
    answers = [answer for answer in found.answers.values() if answer.counts]
    _reused(answers, report)
    for answer in answers:
        seen: set[str] = set()
        for reference in answer.given:
            if reference.text.strip() in seen:
                report.add(
                    "F-twice", reference.line, f"{shown(reference.text)} is named twice", requirement=answer.item.id
                )
            seen.add(reference.text.strip())
            if reference.kind == "link":
                _link(answer, reference, found.checklist.version, report)
            elif reference.kind == "file":
                _file(answer, reference, report)


def _reused(answers: list[Answer], report: Report) -> None:
    users: dict[str, list[tuple[Answer, Reference]]] = defaultdict(list)
    for answer in answers:
        for text, reference in {reference.text.strip(): reference for reference in reversed(answer.given)}.items():
            users[text].append((answer, reference))
    for text, used in users.items():
        if len(used) >= MANY:
            others = [answer.item.id for answer, _ in used]
            for answer, reference in used:
                rest = listed((name for name in others if name != answer.item.id), 4, str)
                report.add(
                    "F-reused",
                    reference.line,
                    f"{shown(text)} is also the evidence of {rest}",
                    requirement=answer.item.id,
                )


def _link(answer: Answer, reference: Reference, version: str, report: Report) -> None:
    url, requirement = reference.bare, answer.item.id
    repository = _REPOSITORY.match(url)
    if repository:
        rest = next(part for part in repository.groups() if part)
        if not _COMMIT.match(rest) and not _TAG.match(rest):
            branch = rest.partition("/")[0] if not rest.startswith("refs/heads/") else rest.split("/")[2]
            report.add(
                "F-unpinned",
                reference.line,
                f"the link follows the branch {shown(branch)}: {shown(url)}",
                requirement=requirement,
            )
    elif _MOVING.search(url):
        report.add(
            "F-moving", reference.line, f"the page changes with the product: {shown(url)}", requirement=requirement
        )
    named = _kubernetes_versions(url)
    if named and version.removeprefix("v") not in named:
        text = f"the link is about {listed(sorted(named), 3, str)}: {shown(url)}"
        report.add("F-other-version", reference.line, text, requirement=requirement)


def _kubernetes_versions(url: str) -> set[str]:
    """Kubernetes versions in a link: a path's part `v1.35`, or `1.35` in or after one that names what it is about.

    Other numbers are taken for the product's own.
    """
    named = set()
    about = False  # whether the part before names Kubernetes or conformance
    for part in re.split(r"[/?#=&]", url.partition("://")[2].lower())[1:]:
        exact = re.fullmatch(r"v(1\.[2-9][0-9])" if not about else r"v?(1\.[2-9][0-9])", part)
        inside = re.search(r"(?:^|[^0-9.])v?(1\.[2-9][0-9])(?![0-9])", part)
        if exact:
            named.add(exact.group(1))
        elif inside and _ABOUT_KUBERNETES.search(part):
            named.add(inside.group(1))
        about = bool(_ABOUT_KUBERNETES.search(part))
    return named


def _file(answer: Answer, reference: Reference, report: Report) -> None:
    path, requirement = reference.path, answer.item.id
    if path is None:
        return
    if path.is_dir():
        report.add("F-folder", reference.line, f"{shown(reference.bare)} is a folder", requirement=requirement)
    elif path.is_file() and path.stat().st_size == 0:
        report.add("F-empty-file", reference.line, f"{shown(reference.bare)} is empty", requirement=requirement)
    if reference.artifact:
        _fragment(answer, reference, report)


def _fragment(answer: Answer, reference: Reference, report: Report) -> None:
    requirement, test = answer.item.id, reference.fragment
    mapped = TESTS.get(requirement)
    told = f"{shown(test)} in {reference.bare}"
    if not test:
        if not mapped:
            report.add(
                "F-no-fragment",
                reference.line,
                f"{shown(reference.bare)} without a test to look at",
                requirement=requirement,
            )
        return
    top = test.partition("/")[0]
    other = next((name for name, known in TESTS.items() if known == top and name != requirement), None)
    if other:
        report.add("F-fragment", reference.line, f"{told} is the test of {other}", requirement=requirement)
    elif mapped and top != mapped:
        report.add("F-fragment", reference.line, f"{told} is not {mapped}", requirement=requirement)
    elif not mapped and not _about(test, requirement):
        report.add(
            "F-fragment",
            reference.line,
            f"{told} does not sound like {requirement}",
            requirement=requirement,
            severity="warning",
        )


def _about(test: str, requirement: str) -> bool:
    """Whether the test's name has a word of the requirement's subject."""
    name = re.sub(r"[^a-z0-9]", "", test.lower())
    words = [*SUBJECTS.get(requirement, ()), *requirement.split("_")]
    return any(re.sub(r"[^a-z0-9]", "", word.lower()) in name for word in words)
