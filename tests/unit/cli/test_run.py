"""`aiconform run` from the command line, on a cluster that has nothing, with an extension that needs nothing."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.empty_cluster import EmptyCluster
from support.plugins import CHECK, forget, install, rewrite

from aiconform.cli import main
from aiconform.cluster import Rejected
from aiconform.engine.evidence import RunInfo
from aiconform.engine.run import RunOptions
from aiconform.platform.images import Images


@asynccontextmanager
async def connected(*_: object) -> AsyncIterator[EmptyCluster]:
    yield EmptyCluster()


@pytest.fixture
def fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr("aiconform.cluster.connect", connected)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    # Where the trace of a defect goes.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    forget()
    yield install(site)
    monkeypatch.undo()
    forget()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def test_a_run_of_an_extension_is_reported_and_ends_with_its_verdict(fabric: Path) -> None:
    done = call("run", "acme.fabric", "--out", "run")
    assert done.exit_code == 0, done.output
    assert "acme.fabric" in done.stdout
    rewrite(fabric, CHECK.replace("up=4", "up=3"))
    assert call("run", "acme.fabric", "--out", "broken").exit_code == 1


def test_what_a_cluster_asks_of_its_guests_is_recorded(fabric: Path) -> None:
    Path("pod.yaml").write_text("metadata: {labels: {team: ai}}\nspec: {nodeSelector: {kubernetes.io/os: linux}}\n")
    asked = ("--pod-template", "pod.yaml", "--namespace-labels", "cost=7,team=ai", "--namespace-annotation", "a=b,c")
    assert call("run", "acme.fabric", "--out", "run", *asked).exit_code == 0
    recorded = json.loads(Path("run/run.json").read_text())["options"]
    assert recorded["pod_template"]["spec"] == {"nodeSelector": {"kubernetes.io/os": "linux"}}
    assert recorded["namespace_labels"] == {"cost": "7", "team": "ai"}
    assert recorded["namespace_annotations"] == {"a": "b,c"}


class WithSecrets(EmptyCluster):
    """A Secret of each type, an API server that quotes what it refuses, and all that was created."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.created: list[Any] = []
        self.deleted: list[str] = []

    async def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        if kind == "Secret" and name in ("pull", "opaque"):
            type_ = "kubernetes.io/dockerconfigjson" if name == "pull" else "Opaque"
            return {"type": type_, "data": {".dockerconfigjson": "czNjcjN0"}, "metadata": {"name": name, "uid": "1"}}
        if (kind, name) == ("Namespace", "team"):
            return {"metadata": {"name": name}}
        return await super().get(api_version, kind, name, namespace)

    async def list(self, _: str, kind: str, *__: object, labels: str = "", **___: object) -> AsyncIterator[Any]:
        if kind == "Lease" and "aiconform" in labels:
            about = {"name": "aiconform-r1", "namespace": "team", "uid": "3", "labels": {"aiconform.dev/run": "r1"}}
            yield {"apiVersion": "coordination.k8s.io/v1", "kind": kind, "metadata": about}

    async def create(self, obj: Any) -> Any:
        if self.refuses and obj["kind"] == "Secret":
            raise Rejected(f"create secrets: denied: {obj}", status=403, reason="Forbidden")
        self.created.append(obj)
        return {**obj, "metadata": {**obj["metadata"], "uid": "2"}}

    async def resource(self, api_version: str, kind: str) -> Any:
        return SimpleNamespace(namespaced=True)

    async def delete(self, obj: Any, *, grace: int | None = None) -> None:
        self.deleted.append(f"{obj['kind']} {obj['metadata']['name']}")

    async def snapshot(self, *_: object, **__: object) -> tuple[tuple[Any, ...], str]:
        return (), "1"


def with_secrets(monkeypatch: pytest.MonkeyPatch, *, refuses: bool = False) -> WithSecrets:
    cluster = WithSecrets(refuses=refuses)

    @asynccontextmanager
    async def connected(*_: object) -> AsyncIterator[WithSecrets]:
        yield cluster

    monkeypatch.setattr("aiconform.cluster.connect", connected)
    return cluster


MAKES_A_POD = """    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
    await scratch.create({**pod, "spec": {"containers": [{"name": "c"}]}})
    return Links(up=4)"""


def told(done: Result) -> str:
    """All that the command said and wrote."""
    return done.output + "".join(path.read_text() for path in Path("run").rglob("*") if path.is_file())


def test_every_pod_pulls_with_a_copy_of_the_secret_and_nothing_tells_what_it_holds(
    fabric: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = with_secrets(monkeypatch)
    rewrite(fabric, CHECK.replace("    return Links(up=4)", MAKES_A_POD))
    done = call("run", "acme.fabric", "--out", "run", "--pull-secret", "team/pull")
    namespace, secret, pod = cluster.created
    assert (namespace["kind"], secret["kind"], pod["kind"]) == ("Namespace", "Secret", "Pod"), done.output
    assert secret["data"] == {".dockerconfigjson": "czNjcjN0"}
    assert secret["metadata"]["namespace"] == pod["metadata"]["namespace"] == namespace["metadata"]["name"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}]
    assert json.loads(Path("run/run.json").read_text())["options"]["pull_secrets"] == ["team/pull"]
    assert "czNjcjN0" not in told(done)


def test_in_a_given_namespace_no_namespace_is_made_and_its_own_secret_is_named(
    fabric: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = with_secrets(monkeypatch)
    rewrite(fabric, CHECK.replace("    return Links(up=4)", MAKES_A_POD))
    how = ("--namespace", "team", "--pull-secret", "team/pull", "--pull-secret", "other/pull")
    how += ("--image-registry", "mirror.example/a", "--image-digests")
    done = call("run", "acme.fabric", "--out", "run", *how)
    lease, secret, pod = cluster.created
    assert (lease["kind"], secret["kind"], pod["kind"]) == ("Lease", "Secret", "Pod"), done.output
    assert {each["metadata"]["namespace"] for each in cluster.created} == {"team"}
    assert secret["metadata"]["ownerReferences"] == pod["metadata"]["ownerReferences"]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}, {"name": secret["metadata"]["name"]}]
    assert done.exit_code == 0, done.output
    info = RunInfo.model_validate_json(Path("run/run.json").read_bytes())
    kept = RunOptions(Path("run")).continued(info)
    assert (kept.guest.namespace, kept.images) == ("team", Images("mirror.example/a", digests=True))
    given = RunOptions(Path("run"), images=Images("other.example")).continued(info)
    assert given.images == Images("other.example", digests=True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--namespace", "absent"), "--namespace absent: there is no such Namespace"),
        (("--namespace", "team", "--namespace-labels", "a=b"), "leave out --namespace-labels"),
    ],
)
def test_a_namespace_that_cannot_be_used_is_told(
    fabric: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    with_secrets(monkeypatch)
    done = call("run", "acme.fabric", "--out", "run", *arguments)
    assert done.exit_code == 2
    assert why in " ".join(done.stderr.split())


def test_what_a_killed_run_left_in_a_namespace_is_deleted_and_the_namespace_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = with_secrets(monkeypatch)
    done = call("cleanup", "--namespace", "team")
    assert done.exit_code == 0, done.output
    assert "deleted Lease aiconform-r1" in done.stdout
    assert cluster.deleted == ["Lease aiconform-r1"]


def test_a_copy_that_is_refused_is_told_without_what_it_holds(fabric: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_secrets(monkeypatch, refuses=True)
    rewrite(fabric, CHECK.replace("    return Links(up=4)", MAKES_A_POD))
    done = call("run", "acme.fabric", "--out", "run", "--pull-secret", "team/pull", "-o", "json")
    (check,) = json.loads(done.stdout)["checks"]
    assert check["verdict"] == "error"
    assert "the copy of pull secret team/pull in Namespace aiconform-" in check["reason"]
    assert "czNjcjN0" not in told(done)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("pull", "'pull' is not NAMESPACE/NAME of a Secret"),
        ("team/absent", "--pull-secret team/absent: there is no such Secret"),
        ("team/opaque", "--pull-secret team/opaque: its type is Opaque"),
    ],
)
def test_a_pull_secret_that_cannot_be_used_is_told_before_anything_is_made(
    fabric: Path, monkeypatch: pytest.MonkeyPatch, reference: str, why: str
) -> None:
    cluster = with_secrets(monkeypatch)
    done = call("run", "acme.fabric", "--out", "run", "--pull-secret", reference)
    assert done.exit_code == 2
    assert why in done.stderr
    assert not cluster.created
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("template", "labels", "why"),
    [
        ("spec: {hostNetwork: true}", "a=b", "spec.hostNetwork cannot be set for every Pod"),
        ("spec: [", "a=b", "--pod-template pod.yaml"),
        ("spec: {}", "team", "'team' is not KEY=VALUE"),
    ],
)
def test_what_cannot_be_given_to_every_pod_or_namespace_is_told(
    fabric: Path, template: str, labels: str, why: str
) -> None:
    Path("pod.yaml").write_text(template)
    done = call("run", "acme.fabric", "--pod-template", "pod.yaml", "--namespace-labels", labels)
    assert done.exit_code == 2
    assert why in done.stderr


def test_what_goes_beyond_the_programme_is_counted_only_with_strict(
    fabric: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = """

@assertion("links_are_fast", "All links are fast", serves=("speed",))
def links_are_fast(seen: Links):
    return holds(False, "one link is slow", subjects=1)


CHECK ="""
    rewrite(fabric, CHECK.replace("\n\nCHECK =", second))
    monkeypatch.setattr("aiconform.spec.Requirement.programme_lines", lambda *_: frozenset({"links_are_up"}))
    done = call("run", "acme.fabric", "--out", "run", "-o", "json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["verdict"], report["strict"]) == ("conformant", "not-conformant")
    assert call("run", "acme.fabric", "--out", "strict", "--strict").exit_code == 1
    shown = call("run", "acme.fabric", "--out", "shown").output
    assert "one link is slow" in shown


def test_extensions_are_run_with_the_version_only_where_asked(fabric: Path) -> None:
    plain = json.loads(call("run", "--dry-run", "-o", "json").stdout)
    assert "acme.fabric" not in {entry["id"] for entry in plain}
    with_them = json.loads(call("run", "--extensions", "--dry-run", "-o", "json").stdout)
    assert {entry["id"] for entry in with_them} - {entry["id"] for entry in plain} == {"acme.fabric"}


def test_an_interrupted_run_with_extensions_is_resumed_as_it_was_begun(fabric: Path) -> None:
    call("run", "--extensions", "--out", "run")
    lines = Path("run/journal.ndjson").read_bytes().splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if json.loads(line)["event"] == "observed")
    Path("run/journal.ndjson").write_bytes(b"".join(lines[: first + 1]))
    done = call("run", "--resume", "run", "-o", "json")
    assert done.exit_code in (0, 1, 3), done.output
    report = json.loads(done.stdout)
    assert "acme.fabric" in {check["id"] for check in report["checks"]}
    assert report["scope"] == "version"
    assert call("judge", "run").exit_code == 0


def test_a_defect_of_an_extension_hides_no_other_check(fabric: Path) -> None:
    where = "async def where(*_):\n    raise KeyError('links')\n\n\n@probe(limit=5.0, targets=where)"
    rewrite(fabric, CHECK.replace("@probe(limit=5.0)", where))
    done = call("run", "--extensions", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "acme.fabric (extension): cannot run: a defect of the check: KeyError: 'links'" in done.stdout
    assert "dra_support" in done.stdout


@pytest.mark.parametrize(
    "raised", ["SystemExit(1)", "SystemExit('done')", "KeyError('links')", "ExceptionGroup('a', [OSError()])"]
)
@pytest.mark.parametrize("place", ["    return Links(up=4)", "    return holds(seen.up == 4"])
def test_a_defect_of_an_extension_is_no_verdict(fabric: Path, place: str, raised: str) -> None:
    """Exit code 1 means "not conformant" and nothing else."""
    rewrite(fabric, CHECK.replace(place, f"    raise {raised}\n{place}"))
    done = call("run", "acme.fabric", "--out", "run")
    assert done.exit_code in (2, 3), done.output
    assert "defect" in done.output


def test_a_broken_extension_is_named_and_the_rest_is_run(fabric: Path) -> None:
    rewrite(fabric, "import absent_module")
    done = call("run", "--dry-run")
    assert done.exit_code == 0
    assert "acme-fabric" in done.stderr
    assert "absent_module" in done.stderr
    assert "dra_support" in done.stdout
    named = call("run", "acme.fabric", "--out", "run")
    assert named.exit_code == 2
    assert "absent_module" in named.stderr


def test_an_earlier_name_of_an_option_is_taken_with_a_note(fabric: Path) -> None:
    rewrite(fabric, CHECK.replace('"The pool to look at."', '"The pool to look at.", formerly=("way",)'))
    done = call("run", "acme.fabric", "--set", "acme.fabric.way=fast", "--out", "run")
    assert done.exit_code == 0, done.output
    assert "the option is called acme.fabric.pool now" in done.stderr
    assert json.loads(Path("run/run.json").read_text())["options"]["acme.fabric"] == {"pool": "fast"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--resume", "run", "--extensions"), "leave out ID, --out, --kubernetes, --nodes, --extensions,"),
        (("--resume", "run", "--nodes", "pool=a"), "leave out ID, --out, --kubernetes, --nodes, --extensions,"),
        (("--resume", "run", "--namespace-labels", "a=b"), "--pull-secret, --namespace, --namespace-labels, --n"),
        (("--resume", "run", "--set", "acme.fabric.pool=x"), "--patience, --at-once and --set"),
        (("--resume", "run", "--patience", "120"), "--patience, --at-once and --set"),
        (("--resume", "run", "--at-once", "2"), "--patience, --at-once and --set"),
        (("--dry-run", "--out", "run"), "leave out --out and --resume"),
        (("--lab", "--context", "here"), "leave out --kubeconfig and --context"),
        (("acme.absent", "--out", "run"), "no extension acme.absent is installed"),
        (("--set", "acme.fabric.pol=x"), "did you mean pool?"),
    ],
)
def test_wrong_use_is_told_with_the_way_out(fabric: Path, arguments: tuple[str, ...], told: str) -> None:
    done = call("run", *arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.replace("│", " ").split())


class Strict(EmptyCluster):
    """Reads label selectors as the API server does, and remembers those of Nodes."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    async def list(self, _: str, kind: str, *__: object, labels: str = "", **___: object) -> AsyncIterator[Any]:
        if kind == "Node" and labels:
            self.asked.add(labels)
            if "=" not in labels:
                raise Rejected(f"list nodes: unable to parse requirement: found {labels!r}", status=400)
        for item in ():
            yield item


@pytest.fixture
def strict(fabric: Path, monkeypatch: pytest.MonkeyPatch) -> Strict:
    cluster = Strict()

    @asynccontextmanager
    async def strictly(*_: object) -> AsyncIterator[Strict]:
        yield cluster

    monkeypatch.setattr("aiconform.cluster.connect", strictly)
    return cluster


@pytest.mark.parametrize("arguments", [("--out", "run"), ("--dry-run",)])
def test_a_malformed_selector_of_nodes_is_told_before_anything_is_made(
    strict: Strict, arguments: tuple[str, ...]
) -> None:
    done = call("run", "acme.fabric", "--nodes", "pool in", *arguments)
    assert done.exit_code == 2
    assert "'pool in' is not a label selector such as pool=spare" in done.stderr
    assert not Path("run").exists()


def test_a_selector_that_no_node_matches_leaves_nothing_to_look_at(strict: Strict) -> None:
    done = call("run", "secure_accelerator_access", "--nodes", "pool=none", "--out", "run", "-o", "json")
    assert done.exit_code == 3, done.output
    (check,) = json.loads(done.stdout)["checks"]
    assert check["verdict"] == "error"
    assert "no node has the labels pool=none" in check["reason"]


def test_a_run_is_continued_on_the_nodes_that_it_was_started_for(strict: Strict) -> None:
    call("run", "acme.fabric", "--nodes", "pool=a", "--every-node", "--out", "run")
    assert json.loads(Path("run/run.json").read_text())["options"]["nodes"] == "pool=a"
    lines = Path("run/journal.ndjson").read_bytes().splitlines(keepends=True)
    Path("run/journal.ndjson").write_bytes(lines[0])
    strict.asked.clear()
    assert call("run", "--resume", "run").exit_code == 0
    info = RunInfo.model_validate_json(Path("run/run.json").read_bytes())
    continued = RunOptions(Path("run")).continued(info).settings
    assert (continued.nodes, continued.every_node) == ("pool=a", True)


def test_a_run_is_continued_with_the_settings_that_it_was_started_with(fabric: Path) -> None:
    how = ("--set", "acme.fabric.pool=fast", "--patience", "7", "--at-once", "3")
    assert call("run", "acme.fabric", *how, "--out", "run").exit_code == 0
    info = RunInfo.model_validate_json(Path("run/run.json").read_bytes())
    continued = RunOptions(Path("run")).continued(info).settings
    assert (continued.patience, continued.at_once) == (7.0, 3)
    assert [each.model_dump() for each in continued.options] == [{"pool": "fast"}]


SAID = (
    ("--accelerator", "npu.example.com"),
    ("--not-accelerator", "example.com/*"),
    ("--accelerator-profile", "mine.yaml"),
    ("--toleration", "dedicated=ml:NoSchedule"),
)


def test_a_run_is_continued_with_what_was_said_of_accelerators(strict: Strict) -> None:
    Path("mine.yaml").write_text("accelerators: [{name: Mine, resources: [mine.example/npu]}]")
    done = call("run", "acme.fabric", *(part for option in SAID for part in option), "--out", "run")
    assert done.exit_code == 0, done.output
    recorded = json.loads(Path("run/run.json").read_text())["options"]
    assert recorded["accelerators"] == ["npu.example.com"]
    assert recorded["accelerator_profiles"] == [{"name": "Mine", "resources": ["mine.example/npu"]}]
    info = RunInfo.model_validate_json(Path("run/run.json").read_bytes())
    said = RunOptions(Path("run")).continued(info).settings.said
    assert said.recorded() == {name: recorded[name] for name in said.recorded()}
    assert call("judge", "run").exit_code == 0


@pytest.mark.parametrize("option", SAID, ids=[name for name, _ in SAID])
def test_what_is_said_of_accelerators_is_not_changed_by_resume(strict: Strict, option: tuple[str, str]) -> None:
    done = call("run", "--resume", "run", *option)
    assert done.exit_code == 2
    assert option[0] in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--toleration", "a b"), "--toleration: 'a b' is not a taint: write KEY[=VALUE][:EFFECT]"),
        (("--accelerator-profile", "none.yaml"), "--accelerator-profile: none.yaml"),
    ],
)
@pytest.mark.parametrize("command", ["run", "inspect", "doctor"])
def test_what_cannot_be_read_of_accelerators_is_told(command: str, option: tuple[str, str], told: str) -> None:
    done = call(command, *option)
    assert done.exit_code == 2
    assert told in done.stderr
