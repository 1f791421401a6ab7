"""Build a bundle from runs: their results go into PRODUCT.yaml, their evidence beside it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiconform.certify.answered import Built, CannotBuild, answered
from aiconform.certify.bundle import BadBundle, copy_plain
from aiconform.certify.checklist import Checklist, checklist_of
from aiconform.certify.findings import listed
from aiconform.certify.pages import pages
from aiconform.certify.place import ATTRIBUTES, KEEP_BYTES, named_files, put
from aiconform.certify.redaction import CannotRedact, Redaction, redact, same_but_for_the_time
from aiconform.certify.runs import FOLDER, JudgedRun, NoRun, judge_run
from aiconform.certify.submission import (
    FILE,
    METADATA,
    Submission,
    Unreadable,
    is_placeholder,
    read_submission,
    version_of,
)

__all__ = ["Built", "CannotBuild", "build", "read_layers"]


def build(
    runs: Sequence[Path],
    product: Path | None,
    out: Path,
    *,
    layers: Mapping[str, str],
    redaction: Redaction | None = None,
    checklists: Path | None = None,
) -> Built:
    """product: what to start from; the PRODUCT.yaml in `out` if None. The same arguments give the same bundle again.

    Raises CannotBuild, BadChecklists, CannotRedact.
    """
    judged = _judged(runs)
    version = judged[0].standard
    checklist = checklist_of(version, checklists)
    if checklist is None:
        raise CannotBuild(f"there is no checklist of {version}")
    if version_of(out / FILE) != version:
        raise CannotBuild(f"the runs are for {version}: use --out {version}/<product>")
    text, submission = _product(product or out / FILE)
    built = Built(out, version)
    built.notes += _lacks(submission)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            draft = Path(scratch).resolve() / version / out.name
            kept = [_kept(run, draft / FOLDER / run.run, out / FOLDER / run.run, redaction) for run in judged]
            _write(draft, text, checklist, kept, layers, built)
            built.notes += put(draft, out, named_files(read_submission(draft / FILE)))
    except (OSError, shutil.Error, BadBundle, NoRun, Unreadable) as error:
        raise CannotBuild(f"{out}: {error}") from error
    return built


def _kept(run: JudgedRun, target: Path, before: Path, redaction: Redaction | None) -> JudgedRun:
    """The run as the bundle has it. A copy that was redacted before in the same way stays. Raises CannotRedact, NoRun,
    BadBundle."""
    if redaction:
        redact(run.folder, target, redaction)
        if same_but_for_the_time(before, target):
            shutil.rmtree(target)
            copy_plain(before, target)
    else:
        copy_plain(run.folder, target)
    kept = judge_run(target)
    if kept.problems:
        raise CannotRedact(f"{run.folder} does not agree with itself after the copy: {kept.problems[0]}")
    return kept


def _write(
    draft: Path, text: str, checklist: Checklist, kept: list[JudgedRun], layers: Mapping[str, str], built: Built
) -> None:
    (draft / FILE).write_text(answered(text, checklist, kept, layers, built), encoding="utf-8", newline="\n")
    for name, page in pages(read_submission(draft / FILE), checklist, kept).items():
        (draft / name).write_bytes(page)
    (draft / ATTRIBUTES).write_text(KEEP_BYTES, encoding="utf-8", newline="\n")


def _judged(runs: Sequence[Path]) -> list[JudgedRun]:
    judged = []
    for path in runs:
        try:
            judged.append(judge_run(path))
        except NoRun as error:
            raise CannotBuild(f"{path} is not a finished run: {error}") from error
        wrong = judged[-1].problems or judged[-1].unread
        if wrong:
            raise CannotBuild(f"{path} does not agree with its observations ({wrong[0]}): `aiconform judge {path}`")
    judged.sort(key=lambda run: run.started)
    for name in ("standard", "run"):
        values = [getattr(run, name) for run in judged]
        if name == "standard" and len(set(values)) > 1:
            raise CannotBuild(f"the runs are for {' and '.join(sorted(set(values)))}: a bundle is for one version")
        if name == "run" and len(set(values)) < len(values):
            raise CannotBuild("the same run was given twice")
    uids = {run.cluster.get("uid") for run in judged}
    if len(uids) > 1:
        raise CannotBuild("the runs are of different clusters: a certification is for one platform on one cluster")
    return judged


def _product(product: Path) -> tuple[str, Submission]:
    """(its text with Unix line ends, what it says). Raises CannotBuild, also for a file that nobody has filled in."""
    try:
        submission = read_submission(product)
        data = product.read_bytes()
    except Unreadable as error:
        raise CannotBuild(f"{product}, line {error.line}: {error.problem}; {error.help}") from error
    left = [field for field in (submission.metadata or {}).values() if is_placeholder(field.text)]
    if left:
        raise CannotBuild(
            f"{product}, line {left[0].line}: fill in {listed((field.key for field in left), 99, str)}: "
            "what stands there in brackets is a placeholder"
        )
    return data.decode("utf-16" if "utf-16" in submission.oddities else "utf-8-sig").replace("\r\n", "\n"), submission


def _lacks(submission: Submission) -> list[str]:
    """What the programme requires of the metadata, and nobody has given."""
    lacking = [name for name, required in METADATA.items() if required and not submission.value(name)]
    return [f"the metadata lack {listed(lacking, 99, str)}: without them the bundle is not valid"] if lacking else []


def read_layers(path: Path) -> dict[str, str]:
    """Requirement -> layer from a YAML mapping. Raises CannotBuild."""
    from aiconform.certify.yamlvalues import Malformed, YamlMapping, YamlScalar, read

    try:
        root = read(path).root
    except OSError as error:
        raise CannotBuild(f"{path} cannot be read: {error.strerror}") from error
    except Malformed as error:
        raise CannotBuild(f"{path}, line {error.line}: {error}") from error
    if not isinstance(root, YamlMapping):
        raise CannotBuild(f"{path} should map requirement ids to layers")
    found: dict[str, Any] = {key: node.text for key, node in root.entries.items() if isinstance(node, YamlScalar)}
    return found
