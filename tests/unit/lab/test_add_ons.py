"""What add-ons are made of, and how they are chosen."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from aiconform.lab.addons.registry import ADD_ONS, chosen, needed
from aiconform.lab.build import assets as assets_of
from aiconform.lab.config import DEFAULT_KUBERNETES, LabError
from aiconform.spec import load_standard

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

MODULES = Path(assets_of.__file__).parent / "go"


@pytest.mark.parametrize("name", ADD_ONS)
def test_every_add_on_is_pinned_and_names_no_registry(name: str) -> None:
    for component in ADD_ONS[name].components:
        if component.wheel:
            assert component.wheel.hashes
            continue
        module = (MODULES / component.module / "go.mod").read_text()
        if component.main and "require" not in module:
            continue  # a program of our own that needs no other module
        assert re.search(rf" v{re.escape(component.version)}( // indirect)?$", module, re.MULTILINE), component
        assert not re.search(r"=> [./]", module), "a replacement by a folder"
        assert "://" not in module


def test_what_an_add_on_needs_comes_before_it() -> None:
    order = chosen(["all"], DEFAULT_KUBERNETES)
    assert set(order) == set(ADD_ONS)
    for position, name in enumerate(order):
        assert set(ADD_ONS[name].needs) <= set(order[:position])


def test_all_leaves_out_what_an_old_kubernetes_cannot_have() -> None:
    assert "workload-api" not in chosen(["all"], "1.34")
    with pytest.raises(LabError, match=r"workload-api needs Kubernetes 1\.37"):
        chosen(["workload-api"], "1.34")


def test_an_unknown_add_on_is_refused_with_a_guess() -> None:
    with pytest.raises(LabError, match="did you mean kueue"):
        chosen(["kueu"], DEFAULT_KUBERNETES)


def test_what_run_installs_is_there_and_for_requirements_that_are() -> None:
    for requirement in load_standard().requirements:
        assert set(chosen(requirement.lab.add_ons, DEFAULT_KUBERNETES)) >= set(requirement.lab.add_ons)
    assert needed([load_standard().requirement("gang_scheduling")]) == ("kueue",)
    assert set(needed(load_standard().at(f"v{DEFAULT_KUBERNETES}"))) > {"kueue", "karpenter", "envoy-gateway"}
    assert needed([load_standard().requirement("dra_support")]) == ()
