"""A registry is built: submissions are recorded where they are new, and its files brought to the new state."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from aiconform import __version__
from aiconform.certify.registry import life, others
from aiconform.certify.registry.output import MARK, Output
from aiconform.certify.registry.platforms import Record, counts, platforms, row
from aiconform.certify.registry.record import FORMAT, LeftOut, record
from aiconform.certify.registry.site import Site
from aiconform.certify.registry.sources import Source, found, key
from aiconform.certify.validate import ValidationSettings

SHARD = 240_000  # bytes of one file of the index: about 400 submissions
WORTH_PROCESSES = 100  # submissions; starting processes takes as long as recording about so many


@dataclass(frozen=True)
class RegistrySettings:
    """validation: as for `certify validate`. today: for age and expiry. dates: of acceptance, by `vX.Y/<product>`.

    reports: a folder of conformance reports of others.
    """

    validation: ValidationSettings
    today: date
    dates: dict[str, date] = field(default_factory=dict)
    reports: Path | None = None


@dataclass(frozen=True)
class Built:
    """What a build did. recorded: submissions that were read anew; the others were known. files: written, removed."""

    submissions: int
    platforms: int
    recorded: int
    left_out: tuple[LeftOut, ...]
    written: int
    removed: int


def build(corpus: Sequence[Path], folder: Path, settings: RegistrySettings) -> Built:
    """Raises NothingToValidate, BadChecklists, CannotWrite."""
    out = Output(folder)
    sources = found(corpus)
    accepted = {name: day for root in corpus for name, day in life.merged(root, sources).items()} | settings.dates
    records, left_out, recorded = _records(sources, out.records(), settings.validation)
    known = platforms(life.dated(each, accepted, settings.today) for each in records)
    every = [each for platform in known for each in platform["versions"]]
    for each in every:
        out.write_json(f"submissions/{each['version']}/{each['slug']}.json", each)
    rows: list[Record] = []
    for platform in known:
        rows += [row(each, newest=number == 0) for number, each in enumerate(platform["versions"])]
    shards = list(_shards(rows))
    for number, shard in enumerate(shards, 1):
        out.write(f"index/{number}.json", f"{shard}\n")
        out.write(f"index/{number}.js", f"aiconformIndex({shard});\n")  # for pages from a folder, which load no JSON
    summary = _summary(every, known, left_out, len(shards), settings.today)
    out.write_json(MARK, summary)
    reports, unread = others.reports_in(settings.reports) if settings.reports else ([], {})
    out.write_json("reports.json", reports)
    site = Site(out, summary, reports)
    for platform in known:
        page = site.platform(platform, out.read(f"platforms/{platform['slug']}.json").get("page"))
        out.write_json(f"platforms/{platform['slug']}.json", {**_platform(platform), "page": page})
    site.rest(rows)
    removed = out.finish()
    left_out += [LeftOut(name, f"it cannot be read: {why}") for name, why in unread.items()]
    return Built(len(every), len(known), recorded, tuple(left_out), out.written, removed)


def _records(
    sources: Sequence[Source], known: dict[str, Record], settings: ValidationSettings
) -> tuple[list[Record], list[LeftOut], int]:
    """(records, what was left out, how many records are new). Of a product's version the first source counts."""
    results: dict[Path, Record | LeftOut] = {}
    fresh: list[tuple[Source, str]] = []
    for source in sources:
        try:
            digest = key(source, settings)
        except OSError as error:
            results[source.path] = LeftOut(source.name, f"it cannot be read: {error.strerror}")
            continue
        if digest in known and known[digest].get("format") == FORMAT:
            results[source.path] = {**known[digest], "source": source.name}
        else:
            fresh.append((source, digest))
    for source, made in zip((source for source, _ in fresh), _made(fresh, settings), strict=True):
        results[source.path] = made
    records: dict[tuple[str, str], Record] = {}
    left_out = []
    for source in sources:
        result = results[source.path]
        if isinstance(result, LeftOut):
            left_out.append(result)
            continue
        first = records.setdefault((result["version"], result["slug"]), result)
        if first is not result:
            left_out.append(LeftOut(source.name, f"{first['source']} is the same product of the same version"))
    return list(records.values()), left_out, len(fresh)


def _made(fresh: Sequence[tuple[Source, str]], settings: ValidationSettings) -> Iterator[Record | LeftOut]:
    sources, digests = [source for source, _ in fresh], [digest for _, digest in fresh]
    workers = min(os.cpu_count() or 1, 8)
    if len(fresh) < WORTH_PROCESSES or workers == 1:
        yield from map(record, sources, [settings] * len(fresh), digests)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(record, sources, [settings] * len(fresh), digests, chunksize=25)


def _shards(rows: Sequence[Record]) -> Iterator[str]:
    """The rows as JSON lists of at most SHARD bytes."""
    held: list[str] = []
    room = SHARD
    for each in rows:
        text = json.dumps(each, ensure_ascii=False, separators=(",", ":"))
        room -= len(text.encode("utf-8", "replace")) + 1
        if held and room < 0:
            yield f"[{','.join(held)}]"
            held, room = [], SHARD - len(text.encode("utf-8", "replace")) - 1
        held.append(text)
    if held:
        yield f"[{','.join(held)}]"


def _platform(platform: dict[str, Any]) -> dict[str, Any]:
    return {
        "slug": platform["slug"],
        "versions": [
            {name: each[name] for name in ("version", "state", "accepted", "expires", "renewed_by", "platform")}
            | {"record": f"../submissions/{each['version']}/{each['slug']}.json"}
            for each in platform["versions"]
        ],
        "changes": platform["changes"],
    }


def _summary(
    records: Sequence[Record], known: Sequence[Any], left_out: Sequence[LeftOut], shards: int, today: date
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "tool": f"aiconform {__version__}",
        "date": today.isoformat(),
        "submissions": len(records),
        "platforms": len(known),
        "index": [f"index/{number}.json" for number in range(1, shards + 1)],
        "counts": counts(records),
        "left_out": [each.as_data() for each in left_out],
    }
