"""Everything that can be said against a working copy of the standard, for contributors and CI."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from aiconform.spec.errors import MalformedFile
from aiconform.spec.frozen import NAME, differences, frozen, unrecorded
from aiconform.spec.lifecycle import Breach, breaches, disagreements, unwritten
from aiconform.spec.model import Requirement
from aiconform.spec.schema import SCHEMA_FILE, schema_text
from aiconform.spec.standard import Standard, load_standard, requirement_files, requirement_from
from aiconform.spec.suite import Citations, Gap, gaps, mismatches, orphans
from aiconform.spec.yamlfile import read


@dataclass(frozen=True)
class Review:
    """malformed: files that do not load. problems: broken rules. gaps: what the suite still owes.

    summary: one line with the counts.
    """

    malformed: tuple[str, ...]
    problems: tuple[str, ...]
    gaps: tuple[Gap, ...]
    summary: str

    @cached_property
    def exit_code(self) -> int:
        return 2 if self.malformed else 1 if self.problems else 0

    def as_data(self) -> dict[str, Any]:
        return {**asdict(self), "valid": self.exit_code == 0}


def review(
    folder: Path,
    *,
    checks: Mapping[str, Citations],
    broken: Collection[str] = (),
    extensions: Iterable[tuple[Requirement, Citations]] = (),
    unusable: Iterable[str] = (),
    checklists: Path | None = None,
) -> Review:
    """Look at the requirement files in `folder`.

    checks: what each check of the suite cites. broken: ids of the checks that have an assertion which a fault of the
    lab breaks. extensions: what other packages bring, and what their checks cite. unusable: what is wrong with checks
    that cannot be loaded. checklists: a folder of the programme's checklists to compare with.
    """
    malformed = _malformed(folder)
    if malformed:
        return Review(tuple(malformed), (), (), f"{len(malformed)} problems keep the standard from loading")
    standard = load_standard(folder)
    record_file = folder.parent / NAME
    record = frozen(record_file)
    broken_rules = [*breaches(standard), *differences(standard, record)]
    for name, citations in checks.items():
        if name in standard.ids:
            broken_rules += mismatches(standard.requirement(name), citations)
    problems = [_told(standard, breach) for breach in broken_rules]
    for requirement, citations in extensions:
        found = [*unwritten(requirement), *mismatches(requirement, citations)]
        problems += [f"{each.requirement} {each.problem}; {each.help}" for each in found]
    problems += unusable
    problems += [f"no requirement has the id of the check {name}" for name in orphans(standard, checks)]
    if record_file.exists():
        problems += [_unrecorded(record_file, version) for version in unrecorded(standard, record)]
    if SCHEMA_FILE.read_text(encoding="utf-8") != schema_text():
        problems.append(f"{SCHEMA_FILE}: differs from the model; renew it with `aiconform spec schema > {SCHEMA_FILE}`")
    compared = "not compared with the public checklists (--checklists DIR)"
    if checklists:
        wrong, versions = _compare(standard, checklists)
        problems += wrong
        compared = f"compared with the checklists of {', '.join(versions) or 'no version'}"
    owed = gaps(standard, standard.newest, checks, broken)
    lists = [r for r in standard.at(standard.newest) if r.level_at(standard.newest) != "folded"]
    no_check = sum(gap.kind == "check" for gap in owed)
    summary = (
        f"{len(standard.requirements)} requirements, {len(lists)} on the list of {standard.newest}; "
        f"{len(problems)} problems; {no_check} without a check, "
        f"{len(owed) - no_check} more without a fault that breaks it; {compared}"
    )
    return Review((), tuple(problems), tuple(owed), summary)


def _malformed(folder: Path) -> list[str]:
    found = []
    try:
        files = requirement_files(folder)
    except MalformedFile as error:
        return [str(error)]
    for path in files:
        try:
            requirement_from(read(path))
        except MalformedFile as error:
            alone = MalformedFile(error.path, error.line, error.problem, error.expected)
            found += [str(each) for each in (alone, *error.more)]
    return found


def _told(standard: Standard, breach: Breach) -> str:
    path = standard.folder / f"{breach.requirement}.yaml"
    return f"{path}:{read(path).line(breach.where)}: {breach.requirement} {breach.problem}; {breach.help}"


def _unrecorded(path: Path, version: str) -> str:
    return (
        f"{path}: has no record of {version}, which is released; set `released: false`, "
        f"run `aiconform spec freeze {version}`, and release it then"
    )


def _compare(standard: Standard, folder: Path) -> tuple[list[str], list[str]]:
    """(differences, versions compared). Checklists of versions that the standard lacks are problems too."""
    wrong, versions = [], []
    for path in sorted(folder.glob("AIConformance-*.yaml")):
        version = f"v{path.stem.removeprefix('AIConformance-')}"
        data = read(path).data
        if not isinstance(data, dict) or not isinstance(data.get("spec"), dict):
            raise MalformedFile(path, 1, "has no `spec`", "a checklist of the programme")
        if version not in standard.versions:
            wrong.append(f"{path}: the standard knows nothing of {version}")
            continue
        levels = {
            category: {item["id"]: item["level"] for item in items if isinstance(item, dict)}
            for category, items in data["spec"].items()
        }
        wrong += disagreements(standard, version, levels)
        versions.append(version)
    return wrong, versions
