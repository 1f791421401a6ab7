"""Checks from outside: both examples, installed into a clean environment, on the lab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import watching
from support.lab import Lab

CHECKOUT = Path(__file__).parents[2]
EXAMPLES = CHECKOUT / "examples"
NAMES = EXAMPLES / "acme-names" / "acme.names.yaml"


@dataclass(frozen=True)
class Installed:
    """A clean environment with the wheels of this project and of the example in Python, and no checkout in sight."""

    command: Path
    folder: Path

    def __call__(self, *words: str | Path, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AICONFORM_"))
        }
        environment["KUBECONFIG"] = str(kubeconfig or "/nonexistent")
        done = subprocess.run(
            [self.command, *map(str, words)],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "uv is not at hand: run the tests by ./dev, which installs it"
    python = folder / "env" / "bin" / "python"
    for words in (
        ["venv", "--python", sys.executable, folder / "env"],
        ["pip", "sync", "--python", python, "--require-hashes", CHECKOUT / "requirements.lock"],
        ["pip", "install", "--python", python, "--no-deps", CHECKOUT, EXAMPLES / "acme-fabric"],
    ):
        subprocess.run([uv, *map(str, words), "--quiet"], check=True, cwd=folder)
    return Installed(python.with_name("aiconform"), folder)


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def decisions(found: dict[str, Any], check: str) -> dict[str, bool | None]:
    (entry,) = [entry for entry in found["checks"] if entry["id"] == check]
    return {each["id"]: each["holds"] for each in entry["assertions"]}


def test_a_package_brings_a_requirement_and_its_check(lab: Lab, installed: Installed, tmp_path: Path) -> None:
    done = installed("run", "acme.fabric", "-o", "json", "--out", tmp_path / "run", kubeconfig=lab.kubeconfig)
    assert done.returncode == 0, done.stderr
    assert decisions(report(done), "acme.fabric") == {"interface_present": True, "mtu_is_enough": True}
    (brought,) = json.loads((tmp_path / "run" / "run.json").read_text())["extensions"]
    assert (brought["id"], brought["distribution"], brought["version"]) == ("acme.fabric", "acme-fabric", "1.0.0")
    assert brought["digest"].startswith("sha256:")
    judged = installed("judge", tmp_path / "run")
    assert judged.returncode == 0, judged.stdout + judged.stderr


def test_its_assertions_can_fail_on_the_cluster(lab: Lab, installed: Installed, tmp_path: Path) -> None:
    words = ("run", "acme.fabric", "--set", "acme.fabric.mtu=9000", "-o", "json", "--out", tmp_path / "run")
    done = installed(*words, kubeconfig=lab.kubeconfig)
    assert done.returncode == 1, done.stderr
    assert decisions(report(done), "acme.fabric") == {"interface_present": True, "mtu_is_enough": False}


def test_a_container_observes_and_rules_judge(lab: Lab, installed: Installed, tmp_path: Path) -> None:
    before = lab.kubectl("get", "namespaces,roles,rolebindings", "-A", "-o", "name")
    words = ("--checks", NAMES, "run", "acme.names", "-o", "json", "--out", tmp_path / "run")
    done = installed(*words, kubeconfig=lab.kubeconfig)
    assert done.returncode == 0, done.stderr
    assert decisions(report(done), "acme.names") == {"name_resolves": True, "token_present": True}
    assert lab.kubectl("get", "namespaces,roles,rolebindings", "-A", "-o", "name") == before
    judged = installed("--checks", NAMES, "judge", tmp_path / "run")
    assert judged.returncode == 0, judged.stdout + judged.stderr
    # Without the file nobody can tell what the observation means, and nothing is called right.
    assert installed("judge", tmp_path / "run").returncode != 0


def test_a_container_whose_rules_do_not_hold(lab: Lab, installed: Installed, tmp_path: Path) -> None:
    other = tmp_path / "acme.names.yaml"
    other.write_text(
        NAMES.read_text().replace('"kubernetes.default.$domain"', '"nowhere.$domain"').replace("-lt 30", "-lt 2")
    )
    words = ("--checks", other, "run", "acme.names", "-o", "json", "--out", tmp_path / "run")
    done = installed(*words, kubeconfig=lab.kubeconfig)
    assert done.returncode == 1, done.stderr
    assert decisions(report(done), "acme.names") == {"name_resolves": False, "token_present": True}


def test_the_container_may_do_what_its_file_asks_for_in_the_scratch_namespace_alone(
    lab: Lab, installed: Installed, tmp_path: Path
) -> None:
    file = tmp_path / "acme.names.yaml"
    # Long enough for three questions to the API server; deleting the Pod's Namespace ends it anyhow.
    waits = f"  args: [{json.dumps('sleep 20; echo {}')}]\n  access: [{{resource: configmaps, verbs: [list]}}]\n"
    text = NAMES.read_text()
    file.write_text(text[: text.index("  args:")] + waits + text[text.index("  seconds: 60") :])
    words = ("--checks", file, "run", "acme.names", "-o", "json", "--out", tmp_path / "run")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(installed, *words, kubeconfig=lab.kubeconfig)
        watching.until(lab.kubeconfig, "v1", "Pod", bool, labels="aiconform.dev/run")
        items = json.loads(lab.kubectl("get", "pods", "-A", "-l", "aiconform.dev/run", "-o", "json"))["items"]
        (scratch,) = (each["value"] for each in items[0]["spec"]["containers"][0]["env"] if "NAMESPACE" in each["name"])
        account = f"system:serviceaccount:{items[0]['metadata']['namespace']}:{items[0]['spec']['serviceAccountName']}"

        def may(verb: str, namespace: str) -> str:
            done = lab.kubectl("auth", "can-i", verb, "configmaps", "-n", namespace, "--as", account, check=False)
            return done.strip()

        answers = may("list", scratch), may("delete", scratch), may("list", "kube-system")
        running.result()
    assert answers == ("yes", "no", "no")


BROKEN = {
    "acme.text": ("echo no json", "not JSON"),
    "acme.array": ("echo '[1]'", "not an object"),
    "acme.silent": ("true", "not JSON"),
    "acme.failing": ("echo '{}'; exit 3", "failed"),
    "acme.nothing": ("""echo '{"nothingToLookAt": "no StorageClass"}'""", "nothing to look at: no StorageClass"),
}
"""Check -> (what its container does, what is told of it)."""


@pytest.fixture(scope="module")
def broken(lab: Lab, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of one run of all checks that do not observe, given as a folder of files."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "checks").mkdir()
    text = NAMES.read_text()
    begin, end = text.index("  args:"), text.index("  seconds: 60")
    for name, (script, _) in BROKEN.items():
        changed = f"{text[:begin]}  args: [{json.dumps(script)}]\n{text[end:]}".replace("id: acme.names", f"id: {name}")
        (folder / "checks" / f"{name}.yaml").write_text(changed)
    words = ("--checks", folder / "checks", "run", *BROKEN, "-o", "json", "--out", folder / "run")
    done = installed(*words, kubeconfig=lab.kubeconfig)
    assert done.returncode == 3, done.stderr
    return report(done)


@pytest.mark.parametrize("check", BROKEN)
def test_a_container_that_does_not_observe_is_an_error(broken: dict[str, Any], check: str) -> None:
    (entry,) = [entry for entry in broken["checks"] if entry["id"] == check]
    assert entry["verdict"] == "error"
    assert BROKEN[check][1] in entry["reason"]


def test_every_command_knows_an_extension(installed: Installed) -> None:
    assert "acme.fabric" in installed("spec", "list").stdout
    assert "Large packets" in installed("spec", "show", "acme.fabric").stdout
    assert "acme.fabric.mtu" in installed("options", "acme.fabric").stdout
    assert "pods/log" in installed("rbac", "acme.fabric").stdout
    with_file = ("--checks", NAMES)
    assert "acme.names" in installed(*with_file, "spec", "list").stdout
    assert "serviceaccounts" in installed(*with_file, "rbac", "acme.names").stdout
