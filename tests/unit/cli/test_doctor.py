"""`aiconform doctor` from the command line: each point is fine, not decided, or in the way with the way out."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.api_server import write_kubeconfig
from support.certify_runs import change_json, make_run
from support.hosting_cluster import SHELL, HostingCluster, node, status

from aiconform.cli import main

CHECK = "secure_accelerator_access"
POLICY = "ValidatingAdmissionPolicy 'labels' with binding 'all' denied request: every object needs the label team"


def call(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(main, ["doctor", *map(str, arguments)])
    assert done.exit_code in (0, 2, 3), done.output
    assert "s3cr3t" not in done.output
    return done


@pytest.fixture
def cluster() -> HostingCluster:
    return HostingCluster()


class Asked:
    """Calls the command on a cluster, for one check unless told."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.code = 0
        self.data: dict[str, Any] = {}

    def __call__(self, *arguments: str | Path) -> dict[str, dict[str, Any]]:
        """The points by their ids."""
        done = call(*(arguments or (CHECK,)), "--kubeconfig", self.kubeconfig, "-o", "json")
        self.code, self.data = done.exit_code, json.loads(done.stdout)
        return {point["id"]: point for point in self.data["points"]}

    def text(self, *arguments: str) -> str:
        return call(*arguments, "--kubeconfig", self.kubeconfig).stdout


@pytest.fixture
def asked(cluster: HostingCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    monkeypatch.chdir(tmp_path)
    with cluster.running(tmp_path) as kubeconfig:
        yield Asked(kubeconfig)


def said(point: dict[str, Any]) -> str:
    return " ".join((*point["found"], point["help"]))


# A cluster that takes the run


def test_a_cluster_that_takes_the_run_is_fine_in_every_point(cluster: HostingCluster, asked: Asked) -> None:
    found = asked(CHECK, "--namespace", "team")
    assert (asked.code, {point["state"] for point in found.values()}) == (0, {"fine"})
    assert "ann, in ops" in said(found["user"])
    assert list(found) == [
        *("cluster", "user", "version", "nodes", "permissions", "namespace", "pods", "quotas", "images"),
        CHECK,
    ]
    assert "Nothing is seen to stand in the way of a run." in asked.text(CHECK, "--namespace", "team")


def test_without_a_trial_nothing_is_made_and_what_a_new_namespace_gets_is_not_decided(
    cluster: HostingCluster, asked: Asked
) -> None:
    found = asked()
    assert cluster.made == cluster.deleted == []
    assert {each["kind"] for each in cluster.tried} == {"Namespace", "Pod"}
    assert [point["id"] for point in found.values() if point["state"] != "fine"] == ["quotas"]
    assert (asked.code, "--try-images" in said(found["quotas"])) == (3, True)


def test_dry_runs_are_of_what_a_run_makes(cluster: HostingCluster, asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("metadata: {labels: {team: ai}}\n")
    asked(
        CHECK, "--pod-template", tmp_path / "pod.yaml", "--namespace-labels", "cost=7", "--image-registry", "m.test/a"
    )
    first, second, pod = cluster.tried
    levels = [each["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] for each in (first, second)]
    assert levels == ["restricted", "baseline"]
    assert {each["metadata"]["labels"]["cost"] for each in (first, second)} == {"7"}
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "m.test/a/e2e-test-images/busybox:1.36.1-1"
    assert {"team": "ai", "app.kubernetes.io/managed-by": "aiconform"}.items() <= pod["metadata"]["labels"].items()
    assert {"requests", "limits"} == set(container["resources"])
    assert pod["metadata"]["namespace"] == "default"


# No cluster


def test_a_server_that_does_not_answer_is_in_the_way_and_nothing_else_is_known(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
    asked = Asked(write_kubeconfig(tmp_path / "k", url, {"token": "s3cr3t"}))
    found = asked()
    assert (asked.code, found["cluster"]["state"]) == (2, "in-the-way")
    assert url in said(found["cluster"])
    assert {point["state"] for id_, point in found.items() if id_ != "cluster"} == {"undecided"}
    assert asked.text(CHECK).startswith("stands in the way  cluster")


def test_without_a_kubeconfig_both_ways_to_a_cluster_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = call()
    assert done.exit_code == 2
    assert "--kubeconfig" in done.stdout
    assert "--lab" in done.stdout


def test_a_credential_that_has_expired_is_in_the_way(cluster: HostingCluster, asked: Asked) -> None:
    cluster.broken["/version"] = status(401, "token has expired", "Unauthorized")
    found = asked()
    assert (asked.code, found["cluster"]["state"]) == (2, "in-the-way")
    assert "has expired" in said(found["cluster"])
    assert "log in again" in said(found["cluster"])


def test_a_credential_that_expires_meanwhile_decides_nothing(cluster: HostingCluster, asked: Asked) -> None:
    for path in ("/api/v1", "/api/v1/nodes", "/apis"):
        cluster.broken[path] = status(401, "Unauthorized", "Unauthorized")
    found = asked()
    assert asked.code == 3
    assert {found[id_]["state"] for id_ in ("nodes", "namespace", "pods", "images", CHECK)} == {"undecided"}


def test_whose_credentials_these_are_may_stay_unknown(cluster: HostingCluster, asked: Asked) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    cluster.broken[path] = status(403, 'User "ann" cannot create selfsubjectreviews', "Forbidden")
    found = asked(CHECK, "--namespace", "team")
    assert (asked.code, found["user"]["state"], found["user"]["counts"]) == (0, "undecided", False)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("dra_suport",), "dra_support"),
        (("--kubernetes", "v1.20"), "v1.37"),
        (("--kubernetes", "new"), "'new' is not a Kubernetes version"),
        (("--set", "gang_scheduling.nothing=1"), "gang_scheduling has no option nothing"),
        (("--toleration", "a b"), "is not a taint"),
        (("--namespace", "../x"), "is no name of a Namespace"),
        (("--earlier", "absent"), "absent"),
        (("--pull-secret", "pull"), "is not NAMESPACE/NAME"),
    ],
)
def test_wrong_use_is_told_with_the_way_out(asked: Asked, arguments: tuple[str, ...], why: str) -> None:
    done = call(*arguments, "--kubeconfig", asked.kubeconfig)
    assert (done.exit_code, done.stdout) == (2, "")
    assert why in " ".join(done.stderr.split())


def test_a_selector_that_is_none_is_wrong_use(cluster: HostingCluster, asked: Asked) -> None:
    cluster.broken["/api/v1/nodes"] = status(400, "unable to parse requirement: found 'in'", "BadRequest")
    done = call(CHECK, "--nodes", "pool in", "--kubeconfig", asked.kubeconfig)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "'pool in' is not a label selector such as pool=spare" in done.stderr


# Version and nodes


def test_a_version_outside_the_standard_is_in_the_way_of_any_run(cluster: HostingCluster, asked: Asked) -> None:
    cluster.version = "v1.20.3"
    found = asked()
    assert (asked.code, found["version"]["state"]) == (2, "in-the-way")
    assert "v1.37" in said(found["version"])
    assert asked(CHECK, "--kubernetes", "v1.37")["version"]["state"] == "fine"


@pytest.mark.parametrize(
    ("kubelet", "state"),
    [("v1.37.9", "fine"), ("v1.34.1", "fine"), ("v1.33.1", "undecided"), ("v1.38.0", "undecided")],
)
def test_a_kubelet_that_kubernetes_does_not_support_leaves_the_nodes_undecided(
    cluster: HostingCluster, asked: Asked, kubelet: str, state: str
) -> None:
    cluster.nodes.append(node("n2", kubelet=kubelet))
    found = asked()["nodes"]
    assert found["state"] == state
    assert kubelet in said(found)


def test_a_cluster_without_a_node_to_use_is_in_the_way(cluster: HostingCluster, asked: Asked) -> None:
    cluster.nodes[0]["spec"]["unschedulable"] = True
    found = asked()
    assert (asked.code, found["nodes"]["state"]) == (3, "in-the-way")
    assert "node n1 is cordoned" in said(found["nodes"])


# Permissions


def test_a_permission_that_is_missing_is_named_with_who_needs_it(cluster: HostingCluster, asked: Asked) -> None:
    cluster.forbidden = {("list", "nodes"), ("create", "customresourcedefinitions"), ("get", "pods/log")}
    found = asked(CHECK, "dra_support")
    lines = found["permissions"]["found"]
    assert "list nodes: every run needs it" in lines
    assert any(line.startswith("get pods/log: ") and CHECK in line for line in lines)
    assert (found["permissions"]["state"], asked.code) == ("in-the-way", 3)
    assert f"`aiconform rbac {CHECK} dra_support`" in found["permissions"]["help"]


def test_a_permission_to_read_pull_secrets_is_asked_for(cluster: HostingCluster, asked: Asked) -> None:
    cluster.forbidden = {("get", "secrets")}
    found = asked(CHECK, "--pull-secret", "team/pull")
    assert "get secrets pull: every run needs it" in found["permissions"]["found"]


def test_what_only_a_should_needs_keeps_no_verdict_open(cluster: HostingCluster, asked: Asked) -> None:
    found = asked("--kubernetes", "v1.37")
    shoulds = [point for point in found.values() if "no check for this requirement" in said(point)]
    assert {(point["state"], point["counts"]) for point in shoulds} == {("in-the-way", False)}


# Namespaces and Pods


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (status(422, POLICY, "Invalid"), "in-the-way"),
        (status(403, 'namespaces is forbidden: User "ann" cannot create resource', "Forbidden"), "in-the-way"),
        (status(400, 'admission webhook "w.test" does not support dry run', "BadRequest"), "undecided"),
        (status(500, 'failed calling webhook "w.test": connection refused'), "undecided"),
        (status(503, "the server is currently unable to handle the request"), "undecided"),
    ],
)
def test_what_is_said_of_a_namespace_is_in_the_way_only_where_it_is_refused(
    cluster: HostingCluster, asked: Asked, answer: tuple[int, Any], state: str
) -> None:
    cluster.refuses["Namespace", ""] = answer
    found = asked()["namespace"]
    assert (found["state"], asked.code) == (state, 3)
    assert answer[1]["message"] in said(found)


def test_a_pod_that_another_namespace_refuses_is_not_decided(cluster: HostingCluster, asked: Asked) -> None:
    cluster.refuses["Pod", "default"] = status(422, POLICY, "Invalid")
    found = asked()["pods"]
    assert found["state"] == "undecided"
    assert POLICY in said(found)
    assert "--try-images" in said(found)


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (status(422, POLICY, "Invalid"), "in-the-way"),
        (
            status(403, 'pods "d" is forbidden: exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4'),
            "undecided",
        ),
    ],
)
def test_a_pod_that_the_given_namespace_refuses_is_in_the_way(
    cluster: HostingCluster, asked: Asked, answer: tuple[int, Any], state: str
) -> None:
    cluster.refuses["Pod", "team"] = answer
    found = asked(CHECK, "--namespace", "team")["pods"]
    assert (found["state"], asked.code) == (state, 3)
    assert "What helps: " in said(found)


def test_a_given_namespace_that_is_not_there_lets_no_run_begin(cluster: HostingCluster, asked: Asked) -> None:
    found = asked(CHECK, "--namespace", "absent")
    assert (asked.code, found["namespace"]["state"], found["pods"]["state"]) == (2, "in-the-way", "undecided")
    assert "--namespace absent: there is no such Namespace" in said(found["namespace"])


def test_a_given_namespace_for_stricter_pods_is_in_the_way_of_who_needs_others(
    cluster: HostingCluster, asked: Asked
) -> None:
    cluster.namespaces["team"]["labels"] = {"pod-security.kubernetes.io/enforce": "restricted"}
    found = asked(CHECK, "--namespace", "team")["namespace"]
    assert found["state"] == "in-the-way"
    assert f"team enforces restricted, and {CHECK} has Pods that are baseline" in said(found)
    cluster.namespaces["team"]["labels"] = {"pod-security.kubernetes.io/enforce": "privileged"}
    assert asked(CHECK, "--namespace", "team")["namespace"]["state"] == "fine"


def test_a_pull_secret_that_is_not_there_lets_no_run_begin(asked: Asked) -> None:
    found = asked(CHECK, "--pull-secret", "team/pull")
    assert (asked.code, found["images"]["state"]) == (2, "in-the-way")
    assert "--pull-secret team/pull: there is no such Secret" in said(found["images"])


@pytest.mark.parametrize(
    ("hard", "used", "state"),
    [
        ({"requests.nvidia.com/gpu": "4"}, {"requests.nvidia.com/gpu": "2"}, "fine"),
        ({"requests.nvidia.com/gpu": "4"}, {"requests.nvidia.com/gpu": "3"}, "in-the-way"),
        ({"pods": "7"}, {"pods": "7"}, "in-the-way"),
        ({"pods": "7", "persistentvolumeclaims": "0"}, {"pods": "6"}, "fine"),
    ],
)
def test_a_quota_with_too_little_left_is_in_the_way(
    cluster: HostingCluster, asked: Asked, hard: dict[str, str], used: dict[str, str], state: str
) -> None:
    cluster.quotas = [{"metadata": {"name": "small"}, "status": {"hard": hard, "used": used}}]
    found = asked(CHECK, "--namespace", "team")["quotas"]
    assert found["state"] == state
    assert "small" in said(found)


# Images


def test_an_image_that_a_node_lacks_is_named_with_its_registry(cluster: HostingCluster, asked: Asked) -> None:
    cluster.nodes.append(node("n2", images=tuple(f"other.test/{number}:1" for number in range(50))))
    found = asked(CHECK, "--namespace", "team")["images"]
    assert found["state"] == "undecided"
    assert f"{SHELL} from registry.k8s.io: 1 of 2 usable node(s) have it" in found["found"]
    assert "name their 50 largest images only" in said(found)
    assert "--try-images" in found["help"]


def test_images_of_options_are_pulled_too(asked: Asked) -> None:
    found = asked("accelerator_metrics", "--set", "accelerator_metrics.load_image=acme/burn:2")["images"]
    assert "acme/burn:2 from docker.io: 0 of 1 usable node(s) have it" in found["found"]


def test_a_trial_makes_what_a_run_makes_and_deletes_it(cluster: HostingCluster, asked: Asked) -> None:
    found = asked(CHECK, "--try-images")
    (namespace, pod) = cluster.made
    assert (namespace.split()[0], pod.split()[0]) == ("Namespace", "Pod")
    assert cluster.deleted == [namespace.split()[1]]
    assert (asked.code, {point["state"] for point in found.values()}) == (0, {"fine"})
    assert f"one was made in {namespace}" in said(found["pods"])
    assert "has no ResourceQuota" in said(found["quotas"])
    assert f"node n1 had, or pulled, {SHELL}" in said(found["images"])
    assert asked.data["leaks"] == []


def test_an_image_that_cannot_be_pulled_is_in_the_way_with_the_reason(cluster: HostingCluster, asked: Asked) -> None:
    cluster.nodes[0]["status"]["images"] = []
    cluster.waiting = {"reason": "ErrImagePull", "message": "registry.k8s.io: 401 Unauthorized"}
    found = asked(CHECK, "--try-images")["images"]
    assert (found["state"], asked.code) == ("in-the-way", 3)
    assert f"node n1: {SHELL}: ErrImagePull: registry.k8s.io: 401 Unauthorized" in said(found)
    assert "--image-registry" in found["help"]
    assert len(cluster.deleted) == 1


def test_a_registry_that_does_not_answer_in_time_is_in_the_way(cluster: HostingCluster, asked: Asked) -> None:
    cluster.waiting = {"reason": "ImagePullBackOff", "message": "dial tcp: i/o timeout"}
    found = asked(CHECK, "--try-images", "--patience", "1")["images"]
    assert found["state"] == "in-the-way"
    assert "i/o timeout" in said(found)


def test_a_pod_that_does_not_start_for_another_reason_decides_nothing(cluster: HostingCluster, asked: Asked) -> None:
    cluster.waiting = {"reason": "ContainerCreating"}
    found = asked(CHECK, "--try-images", "--patience", "1")["images"]
    assert found["state"] == "undecided"
    assert "not within 1 s" in said(found)
    assert len(cluster.deleted) == 1


def test_a_pod_that_is_refused_in_a_namespace_as_the_run_makes_it_is_in_the_way(
    cluster: HostingCluster, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = cluster.written

    def refuse(method: str, path: str, body: Any) -> tuple[int, Any]:
        own = method == "POST" and body["kind"] == "Pod" and "/aiconform-" in path
        return status(422, POLICY, "Invalid") if own else written(method, path, body)

    monkeypatch.setattr(cluster, "written", refuse)
    with cluster.running(asked.kubeconfig.parent):
        found = asked(CHECK, "--try-images")
    assert (found["pods"]["state"], asked.code) == ("in-the-way", 3)
    assert POLICY in said(found["pods"])
    assert [each.split()[0] for each in cluster.made] == ["Namespace"]
    assert len(cluster.deleted) == 1


def test_a_namespace_that_is_refused_is_not_tried(cluster: HostingCluster, asked: Asked) -> None:
    cluster.refuses["Namespace", ""] = status(422, POLICY, "Invalid")
    asked(CHECK, "--try-images")
    assert cluster.made == []


def test_what_a_trial_cannot_delete_is_told_with_what_deletes_it(
    cluster: HostingCluster, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiconform.cluster.removal.CLEANUP_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "namespaces", Stubborn(cluster.namespaces))
    done = call(CHECK, "--try-images", "--kubeconfig", asked.kubeconfig)
    (run,) = [name.removeprefix("aiconform-") for name in cluster.deleted]
    assert f"left behind: Namespaces that are not deleted: aiconform-{run}" in done.stderr
    assert f"aiconform cleanup --run {run}" in done.stderr


class Stubborn(dict[str, Any]):
    """Namespaces that nobody can delete."""

    def pop(self, *_: Any) -> None:
        return None


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be interrupted by a signal there")
def test_an_interrupted_trial_leaves_nothing(cluster: HostingCluster, asked: Asked, tmp_path: Path) -> None:
    cluster.waiting = {"reason": "ContainerCreating"}
    words = ["doctor", CHECK, "--try-images", "--kubeconfig", str(asked.kubeconfig)]
    with subprocess.Popen([sys.executable, "-m", "aiconform", *words], cwd=tmp_path, stderr=subprocess.PIPE) as process:
        while len(cluster.made) < 2 and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    assert [f"Namespace {name}" for name in cluster.deleted] == cluster.made[:1]


# What would be held


def test_accelerators_are_counted_with_how_long_they_are_held(cluster: HostingCluster, asked: Asked) -> None:
    asked(CHECK, "--patience", "20")
    holds = asked.data["holds"]
    (gpu,) = holds["accelerators"]
    assert (gpu["accelerator"], gpu["free"], gpu["total"], gpu["largest"], gpu["at_once"]) == (
        "nvidia.com/gpu",
        2,
        2,
        2,
        2,
    )
    assert gpu["device_seconds"] == 2 * holds["all_limits"] == 2 * holds["longest_limit"]
    assert (gpu["recorded"], holds["earlier"], holds["nodes"]) == (None, None, ["n1"])
    (disturbs,) = holds["disturbs"]
    assert (disturbs["check"], disturbs["seconds"]) == (CHECK, holds["all_limits"])
    assert disturbs["what"].startswith("Holds up to two accelerators of a node.")
    planned = CliRunner().invoke(
        main, ["run", CHECK, "--dry-run", "-o", "json", "--patience", "20", "--kubeconfig", str(asked.kubeconfig)]
    )
    (attempt,) = json.loads(planned.stdout)[0]["attempts"]
    assert attempt["limit"] == holds["longest_limit"]
    assert "no earlier run on this cluster is there (--earlier DIR)" in asked.text(CHECK)


def test_what_others_hold_is_not_free(cluster: HostingCluster, asked: Asked) -> None:
    cluster.nodes[0]["status"]["allocatable"]["nvidia.com/gpu"] = "0"
    found = asked()
    assert found[CHECK]["state"] == "in-the-way"
    assert asked.data["holds"]["probes"] == 0
    assert "A run would hold nothing: no check can run." in asked.text(CHECK)


@pytest.mark.parametrize("where", [Path(), Path("run"), Path("run-of-before")])
def test_recorded_times_are_those_of_the_newest_run_on_this_cluster(asked: Asked, tmp_path: Path, where: Path) -> None:
    make_run(tmp_path / "run-of-before", cluster="0000-1111", at="2026-11-01T00:00:00.000Z")
    make_run(tmp_path / "run", cluster="0000-1111", at="2026-11-24T02:00:00.000Z")
    make_run(tmp_path / "run-elsewhere", at="2026-11-28T00:00:00.000Z")
    asked(CHECK, "--earlier", where)
    earlier, (gpu,) = asked.data["holds"]["earlier"], asked.data["holds"]["accelerators"]
    named = "run-of-before" if where.name == "run-of-before" else "run"
    assert (Path(earlier["directory"]).name, earlier["seconds"], earlier["checks"]) == (named, 8.2, [CHECK])
    assert gpu["recorded"] == pytest.approx(2 * 8.2)
    assert "Time, as recorded: 8 s for 1 check of these, in the run of 2026-11-24" in asked.text(CHECK)


def test_a_run_that_differs_from_itself_is_passed_over_by_name(asked: Asked, tmp_path: Path) -> None:
    make_run(tmp_path / "run-of-before", cluster="0000-1111", at="2026-11-01T00:00:00.000Z")
    make_run(tmp_path / "run", cluster="0000-1111", at="2026-11-24T02:00:00.000Z")
    change_json(tmp_path / "run" / "report.json", "seconds", value=1.0)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "run.json").write_text("{}")
    asked(CHECK)
    holds = asked.data["holds"]
    assert Path(holds["earlier"]["directory"]).name == "run-of-before"
    assert [name for name in ("notes", "run differs") if any(name in each for each in holds["passed_over"])]
    assert len(holds["passed_over"]) == 2


# Requests


def test_an_administrator_is_asked_about_once(cluster: HostingCluster, asked: Asked) -> None:
    asked(CHECK)
    few = asked.data["requests"]
    cluster.forbidden = {("create", "nothing")}
    asked(CHECK)
    assert few < asked.data["requests"]


def test_text_of_a_cluster_does_not_act_on_the_terminal(cluster: HostingCluster, asked: Asked) -> None:
    cluster.refuses["Namespace", ""] = status(422, f"\x1b[2J{POLICY}\nfine   everything", "Invalid")
    shown = asked.text(CHECK)
    assert "\x1b" not in shown
    assert not any(line.startswith("fine   everything") for line in shown.splitlines())
