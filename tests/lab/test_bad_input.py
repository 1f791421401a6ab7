"""A cluster that refuses, a registry that has nothing, and a tool that is interrupted: nothing lost, nothing left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from support import watching
from support.accounts import drop_limited, limited
from support.lab import Lab, Outcome, aiconform, succeed

DRA = "dra_support"
ACCESS = "secure_accelerator_access"
RUN_LABEL = "aiconform.dev/run"
RESOURCE_API = "resource.k8s.io/v1"


def is_of_run(name: str) -> bool:
    return name.startswith("aiconform-")


def inventory(lab: Lab) -> set[str]:
    """Every object of every kind but those that the cluster itself makes and drops all the time."""
    kinds = lab.kubectl("api-resources", "--verbs=list,delete", "-o", "name").split()
    listed = [kind for kind in kinds if not kind.startswith(("events", "leases", "endpointslices", "podmetrics"))]
    template = "{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{'\\n'}{end}"
    found = lab.kubectl("get", ",".join(listed), "-A", "-o", f"jsonpath={template}")
    return set(found.split())


def test_the_role_that_rbac_prints_is_enough(conforming: Outcome) -> None:
    assert conforming.code == 0, conforming.report or conforming.stderr
    assert "no permission" not in conforming.stderr


@pytest.mark.parametrize(
    ("resource", "verb", "verdicts"),
    [
        ("pods/log", "get", {DRA: "pass", ACCESS: "error"}),
        ("resourceclaims", "create", {DRA: "error", ACCESS: "error"}),
        ("nodes", "list", {DRA: "error", ACCESS: "error"}),
    ],
)
def test_a_refusal_is_an_error_of_the_checks_that_meet_it(
    lab: Lab, tmp_path: Path, resource: str, verb: str, verdicts: dict[str, str]
) -> None:
    try:
        account = limited(lab, tmp_path, (resource, verb))
        foreseen = json.loads(succeed("inspect", "-o", "json", kubeconfig=account))
        done = lab.run(DRA, ACCESS, kubeconfig=account)
    finally:
        drop_limited(lab)
    states = {entry["id"]: entry["state"] for entry in foreseen["checks"]}
    assert done.code == 3
    assert {name: done.check(name)["verdict"] for name in verdicts} == verdicts
    for name, verdict in verdicts.items():
        if verdict == "error":
            assert f"no permission to {verb} {resource}" in done.check(name)["reason"]
            assert f"no permission to {verb} {resource}" in states[name]


def test_credentials_that_are_not_accepted(lab: Lab, tmp_path: Path) -> None:
    config = yaml.safe_load(lab.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": "expired"}
    path = tmp_path / "expired"
    path.write_text(yaml.safe_dump(config))
    done = aiconform("run", "--out", tmp_path / "out", kubeconfig=path)
    assert done.returncode == 2
    assert "credentials are not accepted" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_image_that_cannot_be_pulled_is_named(lab: Lab) -> None:
    """A registry may come back: it is waited for, but no longer than the user's patience."""
    begun = time.monotonic()
    done = lab.run(DRA, ACCESS, "--image-registry", "127.0.0.1:1/mirror", "--patience", "20")
    assert time.monotonic() - begun < 150, "it waited longer than its patience"
    assert done.code == 3
    for name in (DRA, ACCESS):
        assert done.check(name)["verdict"] == "error"
        assert "127.0.0.1:1/mirror/" in done.check(name)["reason"]


def test_a_folder_with_something_in_it_is_not_overwritten(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")
    done = aiconform("run", DRA, "--out", tmp_path, kubeconfig=lab.kubeconfig)
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert (tmp_path / "kept").read_text() == "mine"


def start(lab: Lab, folder: Path, *words: str, checks: Sequence[str] = (DRA, ACCESS)) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "aiconform", "run", *checks, *words, "--out", str(folder)]
    environment = {**os.environ, "KUBECONFIG": str(lab.kubeconfig)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until_namespace(lab: Lab) -> None:
    """Wait until a run has made its Namespace."""
    watching.until(lab.kubeconfig, "v1", "Namespace", bool, labels=RUN_LABEL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_cleans_up(lab: Lab, tmp_path: Path, number: signal.Signals) -> None:
    before = inventory(lab)
    process = start(lab, tmp_path / "run")
    until_namespace(lab)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=90)
    assert process.returncode == 130, stderr
    assert "cleaning up" in stderr
    assert "Traceback" not in stderr
    assert inventory(lab) == before
    assert "interrupted" in (tmp_path / "run" / "journal.ndjson").read_text()


def test_a_killed_run_goes_on_where_it_was(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = start(lab, folder)
    until_namespace(lab)
    process.kill()
    process.communicate()
    done = aiconform("run", "--resume", folder, "-o", "json", kubeconfig=lab.kubeconfig)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "conformant"
    assert "resumed" in (folder / "journal.ndjson").read_text()
    succeed("judge", folder)
    succeed("cleanup", kubeconfig=lab.kubeconfig)


def test_ten_killed_runs_leave_nothing_after_cleanup(lab: Lab, tmp_path: Path) -> None:
    moments = random.Random(37)
    before = inventory(lab)
    for attempt in range(10):
        folder = tmp_path / f"run-{attempt}"
        process = start(lab, folder)
        # From a moment that every run comes to, however slow the machine is.
        while not (folder / "run.json").exists():
            assert process.poll() is None
            time.sleep(0.05)
        if attempt % 2:
            made = f"aiconform-{json.loads((folder / 'run.json').read_text())['run']}"
            watching.until(lab.kubeconfig, "v1", "Namespace", lambda names, made=made: made in names)
        time.sleep(moments.uniform(0, 4))
        process.kill()
        process.communicate()
    assert inventory(lab) != before
    found = json.loads(succeed("cleanup", "-o", "json", kubeconfig=lab.kubeconfig))
    assert found["namespaces"]
    assert not found["problem"]
    assert inventory(lab) == before
    assert "Nothing is left" in succeed("cleanup", kubeconfig=lab.kubeconfig)


def test_deleting_the_namespace_of_a_killed_run_collects_cluster_scoped_objects(lab: Lab, tmp_path: Path) -> None:
    # Without a DeviceClass of the platform a run makes one of its own.
    platform_class = "simulated-accelerator.aiconform.dev"
    manifest = json.loads(lab.kubectl("get", "deviceclass", platform_class, "-o", "json"))
    lab.kubectl("delete", "deviceclass", platform_class)
    try:
        process = start(lab, tmp_path / "run")
        watching.until(lab.kubeconfig, RESOURCE_API, "DeviceClass", lambda names: any(map(is_of_run, names)))
        process.kill()
        process.communicate()
        assert "/aiconform-" in lab.kubectl("get", "deviceclasses", "-o", "name")
        run = json.loads((tmp_path / "run" / "run.json").read_text())["run"]
        lab.kubectl("delete", "namespace", f"aiconform-{run}")
        for api_version, kind in (("v1", "Namespace"), (RESOURCE_API, "DeviceClass")):
            watching.until(lab.kubeconfig, api_version, kind, lambda names: not any(map(is_of_run, names)))
    finally:
        manifest["metadata"] = {"name": platform_class, "labels": manifest["metadata"].get("labels", {})}
        path = tmp_path / "class.json"
        path.write_text(json.dumps(manifest))
        lab.kubectl("apply", "-f", str(path))


def test_a_changed_byte_in_an_observation_is_found(conforming: Outcome) -> None:
    path = conforming.folder / "observations" / f"{ACCESS}.json"
    original = path.read_bytes()
    moments = random.Random(1)
    for _ in range(5):
        raw = bytearray(original)
        place = moments.randrange(len(raw))
        raw[place] ^= 1
        path.write_bytes(raw)
        found = aiconform("judge", conforming.folder)
        assert found.returncode == 3, f"byte {place}: {found.stdout}"
        assert "differs" in found.stdout
        assert "Traceback" not in found.stderr
    path.write_bytes(original)
    succeed("judge", conforming.folder)


def test_a_node_that_goes_not_ready_is_an_error_and_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    before = inventory(lab)
    status = json.loads(succeed("lab", "status", "--name", lab.name, "-o", "json"))
    kubelet = status["machines"]["node-2"]["processes"]["kubelet"]["pid"]
    process = start(lab, tmp_path / "run", "--patience", "60", checks=(ACCESS,))
    try:
        watching.until(lab.kubeconfig, "v1", "Pod", bool, labels=RUN_LABEL, fields="spec.nodeName=node-2")
        os.kill(kubelet, signal.SIGSTOP)
        process.communicate(timeout=600)
        assert process.returncode == 3
        report = json.loads((tmp_path / "run" / "report.json").read_text())
        (check,) = [entry for entry in report["checks"] if entry["id"] == ACCESS]
        assert "node node-2 is not Ready" in check["reason"]
        # Nobody waits for what cannot end.
        assert not report["leaks"]
    finally:
        process.kill()
        os.kill(kubelet, signal.SIGCONT)
    lab.kubectl("wait", "--for=condition=Ready", "node/node-2", "--timeout=60s")
    assert inventory(lab) == before
