"""robust_controller on real operators, and with each fault that has to break it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.accounts import drop_limited, limited
from support.lab import Lab, Outcome, assert_broken, succeed

from aiconform.lab.faults.registry import breaking

CHECK = "robust_controller"


FAULTS = breaking(CHECK)
# Shorter limits for what never happens with the fault on; no restart where the fault shows without one.
LIMITS = {
    "operator-update-stuck": {"restart": "false"},
    "operator-makes-nothing": {"ready_seconds": "10"},
    "operator-replaces-nothing": {"child_seconds": "20"},
    "operator-does-not-come-back": {"restart_seconds": "15"},
    "operator-lease-stuck": {"restart_seconds": "45"},
    "children-stay": {"child_seconds": "20", "restart": "false"},
}


OPERATORS = ("jobset", "lws", "trainer", "kueue")
# As the check calls them, with the webhook that refuses.
WEBHOOKS = {
    "jobset": "vjobset.kb.io",
    "leaderworkerset": "vleaderworkerset.kb.io",
    "trainer": "validator.trainjob.trainer.kubeflow.org",
    "kueue": "vresourceflavor.kb.io",
}

UNKNOWN = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: rayclusters.ray.io}
spec:
  group: ray.io
  names: {kind: RayCluster, plural: rayclusters}
  scope: Namespaced
  versions:
    - {name: v9, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


def run(lab: Lab, *, kubeconfig: Path | None = None, **options: str) -> Outcome:
    sets = [word for name, value in options.items() for word in ("--set", f"{CHECK}.{name}={value}")]
    return lab.run(CHECK, "--patience", "15", *sets, kubeconfig=kubeconfig)


@pytest.fixture(scope="module")
def operators(lab: Lab) -> Iterator[Lab]:
    lab.install(*OPERATORS)
    yield lab
    # Other tests look at a lab without operators.
    for name in reversed(OPERATORS):
        succeed("lab", "up", "--name", lab.name, "--without", name)


def test_healthy_operators_pass_with_the_role_that_rbac_prints(operators: Lab, tmp_path: Path) -> None:
    inspected = succeed("inspect", kubeconfig=operators.kubeconfig)
    assert "takes JobSet (deletes the Pods of jobset-system/jobset-controller-manager once)" in inspected
    try:
        account = limited(operators, tmp_path, ("nothing", ""))
        done = run(operators, operator=",".join(WEBHOOKS), kubeconfig=account)
    finally:
        drop_limited(operators)
    assert done.code == 0, done.stderr
    assert all(entry["holds"] and entry["subjects"] for entry in done.check(CHECK)["assertions"])
    reasons = " ".join(entry["reason"] for entry in done.check(CHECK)["assertions"])
    for webhook in WEBHOOKS.values():
        assert f'admission webhook "{webhook}" denied the request' in reasons
    succeed("judge", done.folder)
    kinds = "namespaces,jobsets,leaderworkersets,trainjobs,trainingruntimes,clusterqueues,resourceflavors,jobs"
    left = operators.kubectl("get", kinds, "--all-namespaces", "-o", "name")
    assert "aiconform" not in left
    assert not [line for line in left.splitlines() if not line.startswith("namespace/")]


def test_a_controller_that_may_not_be_restarted_is_an_error_with_the_way_out(operators: Lab, tmp_path: Path) -> None:
    before = operators.kubectl("get", "pods", "-n", "jobset-system", "-o", "name")
    try:
        done = run(operators, kubeconfig=limited(operators, tmp_path, ("pods", "delete")))
    finally:
        drop_limited(operators)
    assert done.code == 3, done.report
    reason = done.check(CHECK)["reason"]
    assert "no permission to delete pods" in reason
    assert "--set robust_controller.restart=false leaves it out" in reason
    assert operators.kubectl("get", "pods", "-n", "jobset-system", "-o", "name") == before
    assert not done.report["leaks"]


def test_an_operator_that_is_not_here_or_of_an_unknown_version_is_an_error(operators: Lab, tmp_path: Path) -> None:
    done = run(operators, operator="kuberay")
    assert done.code == 3
    assert "KubeRay is not installed (no CRD rayclusters.ray.io)" in done.check(CHECK)["reason"]
    manifest = tmp_path / "crd.yaml"
    manifest.write_text(UNKNOWN)
    operators.kubectl("create", "-f", str(manifest))
    try:
        operators.kubectl("wait", "--for=condition=Established", "crd/rayclusters.ray.io", "--timeout=30s")
        inspected = succeed("inspect", kubeconfig=operators.kubeconfig)
        done = run(operators, operator="kuberay")
    finally:
        operators.kubectl("delete", "-f", str(manifest))
    assert "missing: KubeRay: serves v9, the suite has objects for v1; its webhook vraycluster.kb.io" in inspected
    assert done.code == 3
    assert "KubeRay: serves v9, the suite has objects for v1" in done.check(CHECK)["reason"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_breaks_its_assertions_and_no_others(operators: Lab, fault: str) -> None:
    with operators.fault(fault):
        done = run(operators, **LIMITS.get(fault, {}))
    assert_broken(done, fault, CHECK)
    assert not done.report["leaks"]
