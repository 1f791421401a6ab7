"""Each add-on of the lab: it works once it is installed, and nothing of it is left once it is removed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from support.lab import LAB, Lab, aiconform, succeed

from aiconform.lab.addons.install import LABEL
from aiconform.lab.addons.registry import ADD_ONS, chosen
from aiconform.lab.config import DEFAULT_KUBERNETES

# What an add-on brings in such kinds is recorded by name and removed; what controllers make of it goes with it.
KINDS = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,priorityclasses,deviceclasses,apiservices,"
    "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,nodes,deployments,statefulsets,daemonsets,services,configmaps,roles,rolebindings"
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One of its own: other tests leave add-ons in theirs."""
    name = f"{LAB}-add-ons"
    succeed("lab", "down", "--name", name)
    succeed("lab", "up", "--name", name)
    yield Lab(name, tmp_path_factory.mktemp("runs"))
    succeed("lab", "down", "--name", name)


def objects(lab: Lab) -> set[str]:
    """kind/namespace/name of all that an add-on could leave."""
    found = json.loads(lab.kubectl("get", KINDS, "--all-namespaces", "-o", "json"))["items"]
    return {
        "/".join((obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
        for obj in found
        # Those of aggregated roles come and go with the kinds that they speak of.
        if not obj["metadata"]["name"].startswith("system:") and obj["metadata"]["name"] != "kube-root-ca.crt"
    }


@pytest.mark.parametrize("name", ADD_ONS)
def test_an_add_on_comes_and_goes(lab: Lab, name: str) -> None:
    before = objects(lab)
    brought = chosen([name], DEFAULT_KUBERNETES)
    lab.install(name)
    state = json.loads(succeed("lab", "status", "--name", lab.name, "-o", "json"))
    assert set(brought) <= set(state["add_ons"])
    succeed("inspect", kubeconfig=lab.kubeconfig)
    # Again changes nothing and succeeds.
    lab.install(name)
    for each in reversed(brought):
        succeed("lab", "up", "--name", lab.name, "--without", each)
    assert objects(lab) == before
    labelled = json.loads(lab.kubectl("get", KINDS, "--all-namespaces", "-l", LABEL, "-o", "json"))["items"]
    assert not labelled
    assert json.loads(succeed("lab", "status", "--name", lab.name, "-o", "json"))["add_ons"] == []


def test_an_interrupted_installation_is_taken_out_or_goes_on(lab: Lab) -> None:
    before = objects(lab)
    command = [sys.executable, "-m", "aiconform", "lab", "up", "--name", lab.name, "--with", "kueue"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while "Namespace//kueue-system" not in objects(lab):
            assert time.monotonic() < deadline, "the installation did not begin"
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    lab.install("kueue")
    assert "1/1" in lab.kubectl("get", "deployments", "-n", "kueue-system", "--no-headers")
    succeed("lab", "up", "--name", lab.name, "--without", "kueue")
    assert objects(lab) == before


def test_a_name_that_no_add_on_has_is_refused_with_a_guess(lab: Lab) -> None:
    done = aiconform("lab", "up", "--name", lab.name, "--with", "kueu")
    assert done.returncode == 2
    assert "did you mean kueue" in done.stderr
