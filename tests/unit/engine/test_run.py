"""A whole run without a cluster: what is written, how it is judged again, and how it is resumed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import served
from support.empty_cluster import EmptyCluster
from support.plugins import CHECK, forget, install, rewrite

from aiconform.check import Settings, registry
from aiconform.check.registry import extended_standard
from aiconform.cli import main
from aiconform.cluster import Object, Resource, ServerFailed
from aiconform.engine import events
from aiconform.engine.evidence import Report, RunInfo
from aiconform.engine.finished import read_finished
from aiconform.engine.gates import Gate, NeverReady
from aiconform.engine.judge import judge
from aiconform.engine.plan import make_plan
from aiconform.engine.preview import preview
from aiconform.engine.run import Run, RunOptions
from aiconform.engine.rundir import BadRunDirectory, RunDirectory
from aiconform.platform import Platform
from aiconform.platform.images import Images
from aiconform.spec import load_standard


@pytest.fixture
def fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed extension, whose probe needs nothing of the cluster."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    registry.forget()
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield install(site)
    monkeypatch.undo()
    forget()


def made(
    out: Path,
    *chosen: str,
    extensions: bool = False,
    told: list[events.Event] | None = None,
    gates: dict[str, Gate] | None = None,
) -> Run:
    standard = extended_standard()
    plan = make_plan(standard, "v1.37", chosen, extensions=extensions)
    listeners = [] if told is None else [told.append]
    return Run(EmptyCluster(), plan, standard, RunOptions(out), listeners, gates)  # type: ignore[arg-type]


def info(out: Path) -> RunInfo:
    return RunInfo.model_validate_json((out / "run.json").read_bytes())


async def test_an_extension_is_run_judged_and_named_with_its_distribution(fabric: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "run", list[events.Event]()
    report = await made(out, "acme.fabric", told=told).execute()
    (result,) = report.checks
    assert (report.verdict, result.id, result.level, result.verdict) == (
        "conformant",
        "acme.fabric",
        "extension",
        "pass",
    )
    (extension,) = info(out).extensions
    assert (extension.id, extension.distribution, extension.version) == ("acme.fabric", "acme-fabric", "1.0")
    assert extension.digest.startswith("sha256:")
    assert info(out).options["acme.fabric"] == {"pool": "default"}
    assert judge(out, extended_standard()).differences == ()
    assert [type(event).__name__ for event in told][-2:] == ["CheckFinished", "RunFinished"]


async def test_a_check_waits_for_what_it_needs_while_others_are_judged(fabric: Path, tmp_path: Path) -> None:
    told = list[events.Event]()
    others = ("dra_support", "secure_accelerator_access")

    async def after_the_others() -> None:
        while sum(isinstance(event, events.CheckFinished) for event in told) < len(others):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    gates: dict[str, Gate] = {"acme.fabric": after_the_others}
    report = await made(tmp_path / "run", "acme.fabric", *others, told=told, gates=gates).execute()
    finished = [event.result.id for event in told if isinstance(event, events.CheckFinished)]
    assert finished[-1] == "acme.fabric"
    (waited,) = (result for result in report.checks if result.id == "acme.fabric")
    assert waited.verdict == "pass"
    assert waited.waited > waited.seconds


async def test_what_never_gets_ready_is_an_error_with_its_words(fabric: Path, tmp_path: Path) -> None:
    async def never() -> None:
        raise NeverReady("add-on fabric of the lab is not there: no space left on device")

    report = await made(tmp_path / "run", "acme.fabric", gates={"acme.fabric": never}).execute()
    (result,) = report.checks
    assert (report.verdict, result.verdict) == ("undetermined", "error")
    assert "no space left on device" in result.reason
    assert judge(tmp_path / "run", extended_standard()).differences == ()


async def test_extensions_are_no_part_of_a_versions_verdict(fabric: Path, tmp_path: Path) -> None:
    without = await made(tmp_path / "without").execute()
    rewrite(fabric, CHECK.replace("up=4", "up=3"))
    with_it = await made(tmp_path / "with", extensions=True).execute()
    assert "acme.fabric" not in {result.id for result in without.checks}
    assert [result.verdict for result in with_it.checks if result.id == "acme.fabric"] == ["fail"]
    assert (with_it.verdict, with_it.strict, with_it.scope) == (without.verdict, without.strict, "version")
    assert judge(tmp_path / "with", extended_standard()).differences == ()


async def test_where_extensions_are_chosen_their_verdicts_count(fabric: Path, tmp_path: Path) -> None:
    rewrite(fabric, CHECK.replace("up=4", "up=3"))
    report = await made(tmp_path / "run", "acme.fabric").execute()
    assert report.verdict == "not-conformant"


async def test_another_version_of_the_extension_is_noted(fabric: Path, tmp_path: Path) -> None:
    await made(tmp_path / "run", "acme.fabric").execute()
    rewrite(fabric, CHECK.replace('links are up", subj', 'links work", subj'))
    found = judge(tmp_path / "run", extended_standard())
    assert found.differences == ()
    assert any("another version of acme-fabric" in note for note in found.notes)
    assert any("worded differently" in note for note in found.notes)


async def test_a_run_with_an_extension_that_is_not_installed_here_says_what_it_needs(
    fabric: Path, tmp_path: Path
) -> None:
    await made(tmp_path / "run", "acme.fabric").execute()
    judgement = judge(tmp_path / "run", load_standard())
    assert judgement.differences == ()
    assert judgement.unread == ("acme.fabric: it needs acme-fabric 1.0, which is not installed",)


async def test_an_interrupted_run_is_resumed_with_the_evidence_that_it_has(fabric: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = await made(out, "acme.fabric").execute()
    lines = (out / "journal.ndjson").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["event"] in ("started", "identified", "recorded", "observed")]
    (out / "journal.ndjson").write_bytes(b"".join(kept))
    told = list[events.Event]()
    report = await made(out, "acme.fabric", told=told).resume()
    assert report.checks == first.checks
    assert not [event for event in told if isinstance(event, events.ProbeStarted)]
    assert judge(out, extended_standard()).differences == ()


TWO_NODES = """
from aiconform.check import PlatformComponent


async def where(*_):
    return [PlatformComponent("one"), PlatformComponent("two"), PlatformComponent("bad"), PlatformComponent("last")]


"""


async def test_a_resumed_run_looks_only_at_what_was_not_decided(fabric: Path, tmp_path: Path) -> None:
    """Of four targets two are seen, one is an error, and the run is interrupted at the last one."""
    gate = tmp_path / "go-on"
    body = f"""
    from asyncio import sleep
    from pathlib import Path
    from aiconform.cluster import TimedOut
    go_on = Path({str(gate)!r}).exists()
    if str(target) == "bad" and not go_on:
        raise TimedOut("it was not well")
    while str(target) == "last" and not go_on:
        await sleep(3600)
    return Links(up=4)"""
    code = CHECK.replace("@probe(limit=5.0)", TWO_NODES + "@probe(limit=5000.0, targets=where)")
    rewrite(fabric, code.replace("    return Links(up=4)", body))
    out, told = tmp_path / "run", list[events.Event]()
    running = asyncio.ensure_future(made(out, "acme.fabric", told=told).execute())
    while sum(isinstance(event, events.ProbeFinished) for event in told) < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with (out / "unfinished" / "acme.fabric.ndjson").open("ab") as file:
        file.write(b'{"probe": "links", "target": "last", "outc')
    gate.touch()
    told.clear()
    report = await made(out, "acme.fabric", told=told).resume()
    assert sorted(event.target for event in told if isinstance(event, events.ProbeStarted)) == ["bad", "last"]
    (found,) = (event for event in told if isinstance(event, events.TargetsFound))
    assert found.done == {"one", "two"}
    (result,) = report.checks
    assert (report.verdict, result.assertions[0].subjects) == ("conformant", 16)
    assert not list((out / "unfinished").iterdir())
    assert judge(out, extended_standard()).differences == ()
    records = json.loads((out / "observations" / "acme.fabric.json").read_bytes())["records"]
    assert sorted(record["target"] for record in records) == ["bad", "last", "one", "two"]


async def test_a_run_that_is_resumed_after_all_was_seen_looks_at_nothing(fabric: Path, tmp_path: Path) -> None:
    out, told = tmp_path / "run", list[events.Event]()
    run = made(out, "acme.fabric")
    run.directory.drop_records = lambda check: None  # type: ignore[method-assign]
    await run.execute()
    lines = (out / "journal.ndjson").read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["event"] in ("started", "identified", "recorded")]
    (out / "journal.ndjson").write_bytes(b"".join(kept))
    report = await made(out, "acme.fabric", told=told).resume()
    assert not [event for event in told if isinstance(event, events.ProbeStarted)]
    assert report.verdict == "conformant"


async def test_a_run_whose_pages_cannot_be_written_is_finished(fabric: Path, tmp_path: Path) -> None:
    def render(directory: RunDirectory) -> None:
        (directory.path / "report.html").write_text("half")
        raise OSError("No space left on device")

    standard = extended_standard()
    plan = make_plan(standard, "v1.37", ("acme.fabric",))
    run = Run(EmptyCluster(), plan, standard, RunOptions(tmp_path / "run"), [], render=render)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space left"):
        await run.execute()
    finished = read_finished(tmp_path / "run", standard)
    assert (finished.report.verdict, finished.unread) == ("conformant", {})
    assert judge(tmp_path / "run", standard).differences == ()


async def test_a_run_is_resumed_only_with_the_same_code(fabric: Path, tmp_path: Path) -> None:
    await made(tmp_path / "run", "acme.fabric").execute()
    rewrite(fabric, CHECK + "\n")
    with pytest.raises(BadRunDirectory, match="other extensions"):
        await made(tmp_path / "run", "acme.fabric").resume()


@pytest.mark.parametrize(
    "code",
    [
        CHECK.replace("return Links(up=4)", "raise KeyError('links')"),
        CHECK.replace(
            "@probe(limit=5.0)", "async def where(*_):\n    raise KeyError('links')\n\n\n@probe(limit=5, targets=where)"
        ),
    ],
)
async def test_a_defect_of_a_check_ends_neither_the_run_nor_other_checks(
    code: str, fabric: Path, tmp_path: Path
) -> None:
    rewrite(fabric, code)
    report = await made(tmp_path / "run", "acme.fabric", "dra_support").execute()
    verdicts = {result.id: result.reason for result in report.checks}
    assert "a defect of the check, see the journal: KeyError: 'links'" in verdicts["acme.fabric"]
    assert "dra_support" in verdicts
    journal = (tmp_path / "run" / "journal.ndjson").read_text()
    assert "Traceback" in journal


async def test_every_report_shows_an_extension(fabric: Path, tmp_path: Path) -> None:
    report = await made(tmp_path / "run", extensions=True).execute()
    assert isinstance(report, Report)
    for form in ("text", "markdown", "html", "junit", "json"):
        done = CliRunner().invoke(main, ["report", str(tmp_path / "run"), "--format", form])
        assert done.exit_code == 0, done.output
        assert "acme.fabric" in done.stdout
    assert "warning" not in done.stderr


async def test_a_preview_says_what_would_be_done_and_disturbed(fabric: Path) -> None:
    plan = make_plan(extended_standard(), "v1.37", ["robust_controller", "acme.fabric"])
    entries = await preview(Platform(EmptyCluster(), Images()), plan, Settings())  # type: ignore[arg-type]
    found = {entry.id: entry for entry in entries}
    assert [attempt.probe for attempt in found["acme.fabric"].attempts] == ["links"]
    assert found["acme.fabric"].level == "extension"
    assert found["acme.fabric"].disturbs.startswith("Holds one device of a node")
    assert found["robust_controller"].disturbs


def tpus(way: str, held: int) -> list[Object]:
    """A host with four TPUs, of which some are in use."""
    if way == "device-plugin":
        return [served.node(**{"google.com/tpu": "4"}), served.pod(**{"google.com/tpu": str(held)})]
    chips = [served.device(f"accel{n}", index=n, tpuGen="v6e") for n in range(4)]
    taken = served.claim("holder", *(served.result("tpu.google.com", f"accel{n}") for n in range(held)))
    return [served.node(), served.resource_slice("tpu.google.com", *chips), taken]


@pytest.mark.parametrize("way", ["device-plugin", "dra"])
async def test_a_preview_counts_all_devices_of_a_host_where_only_these_can_be_had(way: str) -> None:
    plan = make_plan(load_standard(), "v1.37", ["secure_accelerator_access"])
    (free,) = await preview(served.platform(*tpus(way, 0)), plan, Settings())
    assert ([each.devices for each in free.attempts], free.missing) == ([4], ())
    (partly,) = await preview(served.platform(*tpus(way, 1)), plan, Settings())
    assert any(
        each.startswith("too few devices are free") and "3 are free of the 4 that a Pod must ask for" in each
        for each in partly.missing
    )
    (taken,) = await preview(served.platform(*tpus(way, 4)), plan, Settings())
    assert any(each.startswith("no device is free") for each in taken.missing)


class Forgetful(EmptyCluster):
    """Creates what it is asked to, and fails the first deletions."""

    def __init__(self, failing: int) -> None:
        self.failing = failing

    async def resource(self, api_version: str, kind: str) -> Resource:
        return Resource(api_version, kind, f"{kind.lower()}s", kind != "Namespace", frozenset())

    async def create(self, obj: Object) -> Object:
        return {**obj, "metadata": {**obj["metadata"], "uid": obj["metadata"]["name"]}}

    async def snapshot(self, *_: object, **__: object) -> tuple[tuple[Object, ...], str]:
        return (), "1"

    async def delete(self, obj: Object) -> None:
        if obj["kind"] == "ConfigMap":
            self.failing -= 1
            if self.failing >= 0:
                raise ServerFailed("the API server restarts", status=503)


@pytest.mark.parametrize(("failing", "leaks"), [(0, 0), (1, 0), (2, 1)])
async def test_only_what_is_still_there_when_the_run_ends_is_left_behind(
    failing: int, leaks: int, fabric: Path, tmp_path: Path
) -> None:
    made = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": scratch.name("map")}}'
    rewrite(
        fabric, CHECK.replace("    return Links(up=4)", f"    await scratch.create({made})\n    return Links(up=4)")
    )
    plan = make_plan(extended_standard(), "v1.37", ["acme.fabric"])
    told = list[events.Event]()
    cluster, standard = Forgetful(failing), extended_standard()
    run = Run(cluster, plan, standard, RunOptions(tmp_path / "run"), [told.append])  # type: ignore[arg-type]
    report = await run.execute()
    assert (report.verdict, len(report.leaks)) == ("conformant", leaks)
    notes = [event.message for event in told if isinstance(event, events.Noted)]
    assert any("looked at again" in note for note in notes) is (failing > 0)
    assert any(note.startswith("left behind") for note in notes) is (leaks > 0)
    (result,) = report.checks
    assert result.waited >= 0
    assert judge(tmp_path / "run", extended_standard()).differences == ()
