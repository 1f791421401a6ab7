"""Run directories without a cluster: real files by the engine's own code, over observations that the tests made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiconform.check import Observation
from aiconform.check.registry import load_check
from aiconform.engine.evidence import (
    FORMAT,
    Accelerator,
    Echo,
    Evidence,
    Identity,
    NodeIdentity,
    Record,
    Report,
    RunInfo,
    Tool,
    digest,
)
from aiconform.engine.journal import Journal, read
from aiconform.engine.plan import make_plan, suite_digest
from aiconform.engine.rundir import RunDirectory
from aiconform.engine.verdicts import judge_check, judge_run
from aiconform.reports.formats import write_reports
from aiconform.spec import load_standard

CHECK = "secure_accelerator_access"
NODE = "gpu-worker-7.corp.test"


def isolation(*, leaks: bool = False, started: bool = True, simulated: bool = False) -> Observation:
    """What the check's probe would have seen; its shape is the check's own."""
    (probe,) = load_check(CHECK).probes
    about: dict[str, Any] = {"node": NODE, "way": "dra", "served_by": "dra", "name": "gpu.test", "product": "T1"}
    about |= {"simulated": simulated}
    if not started:
        return probe.observes.model_validate({**about, "problem": "the Pod stayed Pending"})
    one, two = ({"path": f"/dev/gpu{n}", "number": f"c:240:{n}"} for n in (0, 1))
    environment = {"HOST_IP": "10.20.30.40", "REGISTRY_TOKEN": "s3cr3t-value", "NODE": NODE}

    def view(*nodes: dict[str, str]) -> dict[str, Any]:
        return {"nodes": list(nodes), "environment": environment, "mounts": ["/"]}

    refused = "Operation not permitted"
    seen = {
        "holder": view(one),
        "second": view(two),
        "sibling": view(),
        "stranger": view(one, two) if leaks else view(),
        "own": [{"device": "/dev/gpu0", "made": True, "outcome": "opened"}],
        "forged": [{"device": node["number"], "made": True, "outcome": refused} for node in (one, two)],
    }
    return probe.observes.model_validate({**about, **seen})


def cluster_identity(cluster: str, challenge: str = "") -> Identity:
    """Of a cluster with one node. challenge: what its container printed."""
    node = NodeIdentity(
        name=NODE,
        uid=f"node-of-{cluster}",
        created="2026-01-01T00:00:00Z",
        machine_id="0123456789abcdef0123456789abcdef",
        system_uuid="ec2f0000-0000-0000-0000-000000000000",
        boot_id="99999999-8888-7777-6666-555555555555",
        provider_id="aws:///eu-central-9a/i-0123456789abcdef0",
    )
    echo = Echo(namespace_uid="namespace-1", pod_uid="pod-1", node=NODE, said=(challenge, node.boot_id))
    return Identity(authority=f"sha256:of-{cluster}", nodes=(node,), echo=echo if challenge else None)


def make_run(
    folder: Path,
    *,
    run: str = "0a1b2c3d",
    leaks: bool = False,
    started: bool = True,
    at: str = "2026-11-24T02:00:00.000Z",
    cluster: str = "11111111-2222-3333-4444-555555555555",
    version: str = "v1.37",
    simulated: bool = False,
    challenge: str = "",
    echoed: bool = True,
) -> Path:
    """A finished run of one check, chosen by name: pass, fail (leaks) or error (started: False).

    Every entry of its journal is of the time `at`. echoed: whether a container printed the challenge.
    """
    standard = load_standard()
    requirement = standard.requirement(CHECK)
    directory = RunDirectory(folder)
    directory.create()
    accelerator = Accelerator(node=NODE, way="dra", name="gpu.test", product="T1", total=2, free=2, simulated=simulated)
    info = RunInfo.model_validate(
        {
            "run": run,
            "tool": Tool(name="aiconform", version="0.1.0"),
            "suite": suite_digest(),
            "standard": version,
            "standard_digest": standard.digest,
            "kubernetes": f"{version}.2",
            "cluster": {"server": "https://api.corp.test:6443", "context": "corp", "uid": cluster},
            "accelerators": (accelerator,),
            "passed_over": (),
            "chosen": (CHECK,),
            "options": {},
            "started": at,
            "format": FORMAT,
            "challenge": challenge,
        }
    )
    directory.write_info(info)
    directory.journal.append("started", info.model_dump(mode="json"), at)
    identity = cluster_identity(cluster, challenge if echoed else "")
    directory.journal.append("identified", {"digest": directory.write_identity(identity)}, at)
    seen = isolation(leaks=leaks, started=started, simulated=simulated).model_dump(mode="json")
    outcome = "seen" if started else "error"
    record = Record(
        probe="isolation",
        target=f"{NODE}/dra",
        outcome=outcome,
        message="" if started else f"isolation: no room on {NODE}",
        observes=load_check(CHECK).probes[0].observes.__name__,
        observation=seen if started else None,
        seconds=8.2,
        requests=93,
    )
    recorded = {"check": CHECK, "probe": record.probe, "digest": directory.append_record(CHECK, record)}
    directory.journal.append("recorded", recorded, at)
    directory.drop_records(CHECK)
    evidence = Evidence(check=CHECK, suite=info.suite, seconds=8.2, requests=93, records=(record,))
    directory.journal.append("observed", {"check": CHECK, "digest": directory.write_evidence(evidence)}, at)
    result = judge_check(requirement, version, load_check(CHECK), evidence)
    directory.journal.append("judged", {"check": CHECK, "verdict": result.verdict, "strict": result.strict}, at)
    directory.write_objects(
        CHECK, f"isolation-{NODE}", {"pods": [{"spec": {"nodeName": NODE}, "podIP": "10.20.30.41"}]}
    )
    verdict = judge_run([result], standard, chosen=True)
    strict = judge_run([result], standard, chosen=True, strict=True)
    report = Report(
        **{
            name: getattr(info, name)
            for name in sorted(Report.model_fields.keys() & RunInfo.model_fields.keys() - {"ended"})
        },
        verdict=verdict,
        strict=strict,
        scope="chosen",
        uncovered=make_plan(standard, version, (CHECK,)).uncovered,
        simulated=simulated,
        checks=(result,),
        leaks=(),
        ended=at,
        seconds=8.2,
        requests=93,
    )
    directory.write_report(report)
    write_reports(directory)
    ending = {"verdict": verdict, "strict": strict, "leaks": [], "files": directory.digests()}
    directory.journal.append("ended", ending, at)
    directory.write_info(info.model_copy(update={"ended": at, "journal": directory.journal.head}))
    return folder


def sealed(run: Path) -> Path:
    """Seal a run again after an edit, as somebody would who knows how runs are made: every digest fits again."""
    directory = RunDirectory(run)
    lines = list(read(directory.journal.path))
    directory.journal.path.unlink()
    info = directory.read_info()
    for line in lines:
        data = line.data
        if line.event == "started":
            data = info.model_copy(update={"ended": "", "journal": ""}).model_dump(mode="json")
        elif line.event == "observed":
            data = {**data, "digest": digest((run / f"observations/{data['check']}.json").read_bytes())}
        elif line.event == "identified":
            data = {"digest": directory.digests()["identity.json"]}
        elif "files" in data:
            data = {**data, "files": directory.digests()}
        directory.journal.append(line.event, data, line.time)
    change_json(run / "run.json", "journal", value=directory.journal.head)
    return run


def change_json(path: Path, *keys: str | int, value: object) -> None:
    """Set one value deep in a JSON file, the way somebody would who hopes that nobody looks."""
    data = json.loads(path.read_text())
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def as_made_before_ids(run: Path) -> Path:
    """Write the run again as it was written before assertions had ids and reports had two verdicts."""
    report = json.loads((run / "report.json").read_text())
    for judged in (report, *report["checks"]):
        judged["verdict"] = judged.pop("strict")
    for check in report["checks"]:
        for assertion in check["assertions"]:
            del assertion["id"], assertion["asked_by"]
    (run / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    lines = [json.loads(line) for line in (run / "journal.ndjson").read_text().splitlines()]
    (run / "journal.ndjson").unlink()
    chain = Journal(run / "journal.ndjson")
    for line in lines:
        data = line["data"]
        for newer in ("files", "format", "challenge"):
            data.pop(newer, None)
        if line["event"] == "identified":
            continue
        if "strict" in data:
            data["verdict"] = data.pop("strict")
        chain.append(line["event"], data, line["time"])
    info = json.loads((run / "run.json").read_text())
    del info["format"], info["challenge"]
    (run / "identity.json").unlink()
    (run / "run.json").write_text(json.dumps({**info, "journal": chain.head}, indent=1, ensure_ascii=False) + "\n")
    return run
