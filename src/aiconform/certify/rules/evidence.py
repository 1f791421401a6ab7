"""Rules about evidence: reused, moving or outdated links, empty files, tests of another requirement."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from aiconform.certify.checklist import ChecklistItem
from aiconform.certify.context import Context
from aiconform.certify.examined import Answer, Reference
from aiconform.certify.findings import Problem, Rule, listed
from aiconform.certify.yamlvalues import shown
from aiconform.reports.facts import suite_tests

RULES = (
    Rule(
        "F-reused",
        "warning",
        "Each requirement has its own evidence",
        "link the part about this requirement (a section, a test after the #), or another document",
    ),
    Rule("F-twice", "note", "Evidence is named once", "remove the repetition", True),
    Rule(
        "F-unpinned",
        "warning",
        "Links into repositories are pinned",
        "link a commit (…/blob/<commit>/…), so that reviewers see what you submitted",
    ),
    Rule(
        "F-moving",
        "note",
        "Documents are versioned",
        "link the document for the platform's version instead of the latest",
    ),
    Rule(
        "F-other-version",
        "warning",
        "Evidence is for this version",
        "run the procedure on this version and link that result; evidence for an older version does not show this one",
    ),
    Rule("F-empty-file", "warning", "Evidence files have content", "put the output of the procedure into the file"),
    Rule("F-folder", "warning", "Evidence names files", "name the file in the folder that shows the requirement"),
    Rule(
        "F-fragment",
        "error",
        "The test after the # is about the requirement",
        "name the test for this requirement",
    ),
    Rule(
        "F-no-fragment",
        "warning",
        "An artifact is named together with a test",
        "add #TestName; without it no test is checked, not even by the programme",
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
_MOVING = re.compile(r"/(?:latest|main|master|head|next|current|nightly|edge)(?:/|$)", re.IGNORECASE)


def check(context: Context) -> Iterator[Problem]:
    found = context.examined
    answers = [answer for answer in found.answers.values() if answer.counts]
    yield from _reused(answers)
    for answer in answers:
        seen: set[str] = set()
        for reference in answer.given:
            if reference.text.strip() in seen:
                yield Problem(
                    "F-twice", reference.line, f"{shown(reference.text)} is named twice", requirement=answer.item.id
                )
            seen.add(reference.text.strip())
            if reference.kind == "link":
                yield from _link(answer, reference, found.checklist.version)
            elif reference.kind == "file":
                yield from _file(answer, reference)


def _reused(answers: list[Answer]) -> Iterator[Problem]:
    users: dict[str, list[tuple[Answer, Reference]]] = defaultdict(list)
    for answer in answers:
        # The results of one run of the suite are evidence of every requirement that it tests:
        # https://github.com/kubernetes-sigs/ai-conformance/blob/main/test/README.md
        own = [each for each in answer.given if not (each.artifact and each.artifact.read_by_programme)]
        for text, reference in {reference.text.strip(): reference for reference in reversed(own)}.items():
            users[text].append((answer, reference))
    for text, used in users.items():
        if len(used) >= MANY:
            others = [answer.item.id for answer, _ in used]
            for answer, reference in used:
                rest = listed((name for name in others if name != answer.item.id), 4, str)
                yield Problem(
                    "F-reused",
                    reference.line,
                    f"{shown(text)} is also the evidence of {rest}",
                    requirement=answer.item.id,
                )


def _link(answer: Answer, reference: Reference, version: str) -> Iterator[Problem]:
    url, requirement = reference.bare, answer.item.id
    repository = _REPOSITORY.match(url)
    if repository:
        rest = next(part for part in repository.groups() if part)
        if not _COMMIT.match(rest) and not _TAG.match(rest):
            branch = rest.partition("/")[0] if not rest.startswith("refs/heads/") else rest.split("/")[2]
            yield Problem(
                "F-unpinned",
                reference.line,
                f"the link follows the branch {shown(branch)}: {shown(url)}",
                requirement=requirement,
            )
    elif _MOVING.search(url):
        yield Problem("F-moving", reference.line, f"the page is not versioned: {shown(url)}", requirement=requirement)
    named = kubernetes_versions(url)
    if named and version.removeprefix("v") not in named:
        text = f"the link is about {listed(sorted(named), 3, str)}: {shown(url)}"
        yield Problem("F-other-version", reference.line, text, requirement=requirement)


def kubernetes_versions(url: str) -> set[str]:
    """Kubernetes versions in a link: a path's part `v1.35`, or `1.35` in or after one that names what it is about.

    Other numbers are taken for the product's own.
    """
    named = set()
    about = False  # whether the previous part names Kubernetes or conformance
    for part in re.split(r"[/?#=&]", url.partition("://")[2].lower())[1:]:
        exact = re.fullmatch(r"v(1\.[2-9][0-9])" if not about else r"v?(1\.[2-9][0-9])", part)
        inside = re.search(r"(?:^|[^0-9.])v?(1\.[2-9][0-9])(?![0-9])", part)
        if exact:
            named.add(exact.group(1))
        elif inside and _ABOUT_KUBERNETES.search(part):
            named.add(inside.group(1))
        about = bool(_ABOUT_KUBERNETES.search(part))
    return named


def _file(answer: Answer, reference: Reference) -> Iterator[Problem]:
    path, requirement = reference.path, answer.item.id
    if path is None:
        return
    if path.is_dir():
        yield Problem("F-folder", reference.line, f"{shown(reference.bare)} is a folder", requirement=requirement)
    elif path.is_file() and path.stat().st_size == 0:
        yield Problem("F-empty-file", reference.line, f"{shown(reference.bare)} is empty", requirement=requirement)
    if reference.artifact:
        yield from _fragment(answer, reference)


def _fragment(answer: Answer, reference: Reference) -> Iterator[Problem]:
    requirement, test = answer.item.id, reference.fragment
    mapped = answer.item.test
    name = f"{shown(test)} in {reference.bare}"
    if not test:
        if not mapped:
            yield Problem(
                "F-no-fragment",
                reference.line,
                f"{shown(reference.bare)} without a test",
                requirement=requirement,
            )
        return
    top = test.partition("/")[0]
    about = suite_tests().get(top)
    other = about if about != requirement else None
    if other:
        yield Problem("F-fragment", reference.line, f"{name} is the test of {other}", requirement=requirement)
    elif mapped and top != mapped:
        yield Problem("F-fragment", reference.line, f"{name} is not {mapped}", requirement=requirement)
    elif not mapped and not about and not _about(test, answer.item):
        yield Problem(
            "F-fragment",
            reference.line,
            f"{name} does not seem to test {requirement}",
            requirement=requirement,
            severity="warning",
        )


def _about(test: str, item: ChecklistItem) -> bool:
    """Whether the test's name contains one of the requirement's keywords."""
    name = re.sub(r"[^a-z0-9]", "", test.lower())
    words = [*item.keywords, *item.id.split("_")]
    return any(re.sub(r"[^a-z0-9]", "", word.lower()) in name for word in words)
