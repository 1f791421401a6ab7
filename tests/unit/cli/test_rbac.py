"""`aiconform rbac` allows every request that `inspect` and a dry run make on each recorded platform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner
from support.authorization import Asked, allows, asked
from support.replayed import replayed

from aiconform.check.registry import has_check
from aiconform.cli import main
from aiconform.recorded import RecordedPlatform, server
from aiconform.spec import yamlfile

Object = dict[str, Any]
PLATFORMS = Path(__file__).parents[2] / "platforms"
NAMES = sorted(path.parent.name for path in PLATFORMS.glob("*/expected.yaml"))
# Together they are asked for everything that the platforms serve.
EACH_KIND = [
    "cks-node-pools",
    "dra-taint-rules",
    "gke-compute-classes",
    "gke-gpu-node-pools",
    "gke-own-exporter",
    "oke-karpenter",
    "onprem-other-operators",
    "onprem-victoria-metrics",
    "openshift-gpu",
    "openshift-scale-from-zero",
]


@cache
def roles(*arguments: str) -> tuple[Object, ...]:
    """What the command prints."""
    done = CliRunner().invoke(main, ["rbac", *arguments])
    assert done.exit_code == 0, done.output
    return tuple(yamlfile.documents(done.stdout))


def refused(seen: set[Asked], granted: tuple[Object, ...]) -> list[str]:
    return [str(each) for each in sorted(seen) if not any(allows(role, each) for role in granted)]


class Called:
    """Calls commands on a recorded platform, with the options of its expected.yaml."""

    def __init__(self, name: str, kubeconfig: Path) -> None:
        self._options = yamlfile.read(PLATFORMS / name / "expected.yaml").data.get("options") or ()
        self._kubeconfig = kubeconfig
        self.seen: set[Asked] = set()

    def said(self, *words: str) -> str:
        arguments = [*words, *self._options, "--kubeconfig", str(self._kubeconfig), "-o", "json"]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    def __call__(self, *words: str) -> set[Asked]:
        """What the API server is asked meanwhile."""
        self.seen.clear()
        self.said(*words)
        return {*self.seen}

    def examined(self, *words: str) -> set[Asked]:
        """The same of `doctor`: a recorded platform takes no dry run, so it ends with 3."""
        self.seen.clear()
        arguments = ["doctor", *words, *self._options, "--kubeconfig", str(self._kubeconfig)]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 3, done.output
        return {*self.seen}


@pytest.fixture(params=NAMES)
def called(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Called]:
    called = Called(request.param, tmp_path / "kubeconfig")
    answer = server._Replay.answer

    async def record(self: server._Replay, request: web.Request) -> web.StreamResponse:
        if about := asked(request.method, request.path, request.query):
            called.seen.add(about)
        return await answer(self, request)

    monkeypatch.setattr(server._Replay, "answer", record)
    with replayed(RecordedPlatform.read(PLATFORMS / request.param), tmp_path / "kubeconfig"):
        yield called


def test_the_cluster_role_allows_what_is_asked(called: Called) -> None:
    for command in (["inspect"], ["run", "--dry-run"]):
        seen = called(*command)
        assert Asked("list", "", "nodes", "", "", "") in seen
        assert refused(seen, roles()) == []


@pytest.mark.parametrize("called", EACH_KIND, indirect=True)
def test_a_recording_asks_no_more(called: Called, tmp_path: Path) -> None:
    assert refused(called("inspect", "--record", str(tmp_path / "recording")), roles()) == []


@pytest.mark.parametrize("called", EACH_KIND, indirect=True)
def test_the_role_of_a_check_allows_what_it_asks_alone(called: Called) -> None:
    planned = json.loads(called.said("run", "--dry-run"))
    for check in [each["id"] for each in planned if has_check(each["id"])]:
        assert refused(called("run", "--dry-run", check), roles(check)) == [], check


def test_the_roles_of_a_given_namespace_allow_what_is_asked(called: Called) -> None:
    assert refused(called("run", "--dry-run", "--namespace", "default"), roles("--namespace", "default")) == []


@pytest.mark.parametrize("called", EACH_KIND, indirect=True)
def test_the_cluster_role_allows_what_doctor_asks(called: Called) -> None:
    seen = called.examined()
    assert Asked("create", "", "namespaces", "", "", "") in seen
    assert refused(seen, roles()) == []


# What only a run asks: no recorded platform shows it.


def elsewhere(check: str, verb: str, group: str, resource: str) -> bool:
    """Whether the roles of a run in a Namespace of its own let it do this in another one."""
    about = Asked(verb, group, resource, "", "others", "")
    return any(allows(role, about) for role in roles(check, "--namespace", "mine"))


@pytest.mark.parametrize(
    ("check", "group", "resource"),
    [
        # The Pods of the controller, until new ones are ready.
        ("robust_controller", "", "pods"),
        # Who else uses the accelerators of a node.
        ("accelerator_metrics", "", "pods"),
        ("accelerator_metrics", "resource.k8s.io", "resourceclaims"),
    ],
)
def test_the_roles_of_a_given_namespace_allow_to_follow_what_others_do(check: str, group: str, resource: str) -> None:
    for verb in ("list", "watch"):
        assert elsewhere(check, verb, group, resource)
    assert not elsewhere(check, "create", group, resource)


# The comparison itself


@pytest.mark.parametrize(
    ("path", "query", "about"),
    [
        ("/api/v1/nodes", {}, Asked("list", "", "nodes", "", "", "")),
        ("/api/v1/nodes", {"watch": "1"}, Asked("watch", "", "nodes", "", "", "")),
        ("/api/v1/namespaces/a", {}, Asked("get", "", "namespaces", "", "a", "a")),
        ("/api/v1/namespaces/a/pods/p:80/proxy/metrics", {}, Asked("get", "", "pods", "proxy", "a", "p:80")),
        ("/apis/g.io/v1/things/t", {}, Asked("get", "g.io", "things", "", "", "t")),
        ("/apis/g.io/v1/things", {"fieldSelector": "metadata.name=t"}, Asked("list", "g.io", "things", "", "", "t")),
        ("/apis/g.io/v1", {}, None),
        ("/version", {}, None),
    ],
)
def test_what_a_request_asks(path: str, query: dict[str, str], about: Asked | None) -> None:
    assert asked("GET", path, query) == about


def test_what_a_role_does_not_allow_is_named() -> None:
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"], "verbs": ["list"]},
    ]
    role = {"kind": "Role", "metadata": {"namespace": "mine"}, "rules": rules}
    fine = {Asked("list", "", "pods", "", "mine", ""), Asked("list", "", "configmaps", "", "mine", "a")}
    wrong = {
        Asked("list", "", "pods", "", "", ""): "list pods",
        Asked("list", "", "pods", "", "others", ""): "list pods in namespace others",
        Asked("get", "", "pods", "proxy", "mine", "p:80"): "get pods/proxy p:80 in namespace mine",
        Asked("list", "", "configmaps", "", "mine", ""): "list configmaps in namespace mine",
        Asked("list", "g.io", "pods", "", "mine", ""): "list pods.g.io in namespace mine",
    }
    assert refused(fine | wrong.keys(), (role,)) == sorted(wrong.values(), key=list(map(str, sorted(wrong))).index)
