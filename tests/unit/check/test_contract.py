"""The public contract of checks: its names, its types, and what helps to test a check."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from importlib.resources import files
from types import ModuleType

import pytest
from support.certify_runs import CHECK, isolation

import aiconform.check
from aiconform.check import Check, Finding, Observation, assertion, collect, holds
from aiconform.check.figures import Lines, figure
from aiconform.check.registry import load_check
from aiconform.check.testing import findings

# A name that is added here stays: checks of others import it. Removing one, or changing what it means, needs another
# API_VERSION.
PUBLIC = [
    "API_VERSION",
    "Access",
    "Assertion",
    "Check",
    "ClusterError",
    "Finding",
    "Inspection",
    "NotApplicable",
    "NothingToLookAt",
    "Observation",
    "Options",
    "Platform",
    "PlatformComponent",
    "Probe",
    "Scratch",
    "Settings",
    "Target",
    "accelerators",
    "assertion",
    "collect",
    "holds",
    "inspection",
    "left_out",
    "option",
    "probe",
    "undecided",
    "wait",
]


def test_the_public_surface_changes_only_on_purpose() -> None:
    assert aiconform.check.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_there_and_explains_itself(name: str) -> None:
    value = getattr(aiconform.check, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


def test_the_package_carries_its_types() -> None:
    assert files("aiconform").joinpath("py.typed").is_file()


def test_one_observation_is_judged_by_assertion_ids() -> None:
    found = findings(load_check(CHECK), isolation(leaks=True))
    assert found["forged_is_refused"] == Finding(True, found["forged_is_refused"].reason, 2)
    assert False in {finding.holds for finding in found.values()}


def test_the_type_of_its_parameter_says_whether_an_assertion_judges_observations_together() -> None:
    @assertion("alike", "They are alike")
    def alike(seen: Sequence[Observation]) -> Finding:
        return holds(True, f"{len(seen)} of them", subjects=len(seen))

    declared = alike.__assertion__  # type: ignore[attr-defined]
    assert (declared.over, declared.together) == (Observation, True)
    check = Check("some", (), (declared,))
    assert findings(check, Observation(), Observation())["alike"].subjects == 2


def test_an_observation_of_another_check_is_refused() -> None:
    class Other(Observation):
        """Of no check."""

    with pytest.raises(ValueError, match="secure_accelerator_access has no assertion over Other"):
        findings(load_check(CHECK), Other())


class Seen(Observation):
    count: int


def test_figures_are_collected_from_the_modules_of_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    @figure
    def count_of(seen: Seen) -> Lines | str:
        return "nothing was counted"

    module = ModuleType("made_up_figures")
    count_of.__module__ = module.__name__
    module.count_of = count_of  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(TypeError, match="no probe observes the Seen of count_of"):
        collect("acme.fabric", module.__name__)
