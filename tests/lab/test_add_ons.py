"""The add-ons of the lab: they work once they are installed, and nothing of them is left once they are removed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest
from support import watching
from support.add_on_references import Brought, every, missing
from support.lab import LAB, Lab, aiconform, lab_of_its_own, succeed

from aiconform.lab import load
from aiconform.lab.addons.install import LABEL
from aiconform.lab.addons.registry import ADD_ONS, ALL, chosen, packages_of
from aiconform.lab.config import DEFAULT_KUBERNETES, IP_FAMILIES
from aiconform.lab.machines import host

# What an add-on brings in such kinds is recorded by name and removed; what controllers make of it goes with it.
KINDS = (
    "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings,priorityclasses,deviceclasses,apiservices,"
    "validatingwebhookconfigurations,mutatingwebhookconfigurations,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,runtimeclasses,nodes,deployments,statefulsets,daemonsets,services,configmaps,roles,rolebindings"
)


@pytest.fixture(scope="module")
def lab(can_have_labs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One of its own: the add-ons of others stay."""
    name = f"{LAB}-add-ons"
    with lab_of_its_own(name, tmp_path_factory.mktemp("runs"), "--nodes", "1") as made:
        yield made


def objects(lab: Lab) -> dict[str, int]:
    """kind/namespace/name of all that an add-on could leave -> generation."""
    found = json.loads(lab.kubectl("get", KINDS, "--all-namespaces", "-o", "json"))["items"]
    return {
        "/".join((obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])): obj["metadata"].get(
            "generation", 0
        )
        for obj in found
        # Those of aggregated roles come and go with the kinds that they speak of.
        if not obj["metadata"]["name"].startswith("system:") and obj["metadata"]["name"] != "kube-root-ca.crt"
    }


@pytest.fixture(scope="module")
def before(lab: Lab) -> set[str]:
    return set(objects(lab))


@pytest.fixture(scope="module")
def groups(lab: Lab, before: set[str]) -> set[str]:
    """The API groups of Kubernetes itself."""
    return {line.rpartition("/")[0] for line in lab.kubectl("api-versions").split()}


def add_ons(lab: Lab) -> list[str]:
    found: list[str] = json.loads(succeed("lab", "status", "--name", lab.name, "-o", "json"))["add_ons"]
    return found


def possible() -> tuple[str, ...]:
    """The add-ons that this machine can have."""
    host.install_packages(host.quiet, packages_of(ADD_ONS))
    return chosen([ALL], DEFAULT_KUBERNETES, IP_FAMILIES[0])


def nobody_needs(names: Iterable[str]) -> list[str]:
    """Those of the add-ons that no other of them needs."""
    names = list(names)
    return [name for name in names if not any(name in ADD_ONS[other].needs for other in names)]


@pytest.fixture(scope="module")
def brought(lab: Lab) -> dict[str, Brought]:
    real = load(lab.name)
    assert real
    return every(real)


@pytest.mark.parametrize("name", ADD_ONS)
def test_an_add_on_works_with_only_what_it_needs(brought: dict[str, Brought], groups: set[str], name: str) -> None:
    """Whatever its objects refer to comes from itself, from add-ons that it needs, or from Kubernetes."""
    if name not in brought:
        pytest.skip(f"this machine cannot have {name}")
    assert not missing(name, brought, groups)


def test_an_interrupted_installation_goes_on(lab: Lab, groups: set[str]) -> None:
    # In another order than other labs: an add-on that needs one of the others without saying so does not become ready.
    names = tuple(reversed(possible()))
    command = [sys.executable, "-m", "aiconform", "lab", "up", "--name", lab.name, "--with", ",".join(names)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        watching.until(lab.kubeconfig, "v1", "Namespace", lambda names: "kueue-system" in names)
        process.kill()
    lab.install(*names)
    assert set(add_ons(lab)) == set(names)
    assert "1/1" in lab.kubectl("get", "deployments", "-n", "kueue-system", "--no-headers")
    succeed("inspect", kubeconfig=lab.kubeconfig)


def test_installing_again_changes_nothing(lab: Lab) -> None:
    first = objects(lab)
    lab.install("all")
    assert objects(lab) == first


def test_nothing_is_left_of_what_is_removed(lab: Lab, before: set[str]) -> None:
    left = list(possible())
    while left:
        removed = nobody_needs(left)
        succeed("lab", "up", "--name", lab.name, "--without", ",".join(removed))
        left = [name for name in left if name not in removed]
        assert set(add_ons(lab)) == set(left)
        labelled = json.loads(lab.kubectl("get", KINDS, "--all-namespaces", "-l", LABEL, "-o", "json"))["items"]
        assert {obj["metadata"]["labels"][LABEL] for obj in labelled} <= set(left)
    assert set(objects(lab)) == before


def test_a_name_that_no_add_on_has_is_refused_with_a_guess(lab: Lab) -> None:
    done = aiconform("lab", "up", "--name", lab.name, "--with", "kueu")
    assert done.returncode == 2
    assert "did you mean kueue" in done.stderr
