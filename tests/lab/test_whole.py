"""Every MUST of the lab's Kubernetes version at once, on a lab with all that checks need. The last file: it stays."""

from __future__ import annotations

from support.lab import Lab, succeed

from aiconform.lab.addons.registry import needed
from aiconform.lab.config import DEFAULT_KUBERNETES
from aiconform.spec import load_standard
from aiconform.spec.words import Level


def test_the_healthy_lab_is_conformant(lab: Lab) -> None:
    lab.install(*needed(load_standard().at(f"v{DEFAULT_KUBERNETES}")))
    before = lab.kubectl("get", "namespaces,nodes,jobs,deviceclasses", "-A", "-o", "name")
    done = lab.run()
    assert done.code == 0, done.stderr
    assert done.report["verdict"] == "conformant"
    assert done.report["scope"] == "version"
    assert done.report["simulated"] is True
    assert not done.report["leaks"]
    verdicts = {entry["id"]: entry["verdict"] for entry in done.report["checks"]}
    asked = load_standard().at(f"v{DEFAULT_KUBERNETES}")
    musts = {entry.id for entry in asked if entry.levels[f"v{DEFAULT_KUBERNETES}"] is not Level.SHOULD}
    assert len(musts) >= 9
    assert {verdicts[name] for name in musts} == {"pass"}
    for name in musts:
        assert all(entry["holds"] and entry["subjects"] for entry in done.check(name)["assertions"])
    succeed("judge", done.folder)
    assert lab.kubectl("get", "namespaces,nodes,jobs,deviceclasses", "-A", "-o", "name") == before
