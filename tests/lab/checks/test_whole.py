"""Every MUST of the lab's Kubernetes version at once, on a lab with all that checks need."""

from __future__ import annotations

from support.lab import Outcome

from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.spec import load_standard
from aiconform.spec.words import Level


def test_the_healthy_lab_is_conformant(healthy: Outcome) -> None:
    assert healthy.code == 0, healthy.stderr
    assert "no permission" not in healthy.stderr
    assert healthy.report["verdict"] == "conformant"
    assert healthy.report["scope"] == "version"
    assert healthy.report["simulated"] is True
    asked = load_standard().at(f"v{DEFAULT_KUBERNETES}")
    musts = {entry.id for entry in asked if entry.levels[f"v{DEFAULT_KUBERNETES}"] is not Level.SHOULD}
    assert len(musts) >= 9
    assert all(healthy.passes(name) for name in musts)
