"""robust_controller on real operators, and where it cannot decide; its faults are in test_faults.py."""

from __future__ import annotations

import json
from pathlib import Path

from support.accounts import drop_limited, limited
from support.lab import Lab, Outcome, options, succeed

CHECK = "robust_controller"

# As the check calls the operators, with the webhook that refuses.
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


def test_healthy_operators_pass(healthy: Outcome) -> None:
    assert healthy.passes(CHECK)
    reasons = " ".join(entry["reason"] for entry in healthy.check(CHECK)["assertions"])
    for webhook in WEBHOOKS.values():
        assert f'admission webhook "{webhook}" denied the request' in reasons


def test_controllers_are_restarted_after_all_other_checks_are_done(healthy: Outcome) -> None:
    lines = [json.loads(line) for line in (healthy.folder / "journal.ndjson").read_text().splitlines()]
    observed = [line["data"]["check"] for line in lines if line["event"] == "observed"]
    assert observed[-1] == CHECK


def test_inspect_says_whose_pods_would_be_deleted(lab: Lab) -> None:
    shown = succeed("inspect", kubeconfig=lab.kubeconfig)
    assert "takes JobSet (deletes the Pods of jobset-system/jobset-controller-manager once)" in shown


def test_a_controller_that_may_not_be_restarted_is_an_error_with_the_way_out(lab: Lab, tmp_path: Path) -> None:
    before = lab.kubectl("get", "pods", "-n", "jobset-system", "-o", "name")
    try:
        done = lab.run(CHECK, kubeconfig=limited(lab, tmp_path, ("pods", "delete")))
    finally:
        drop_limited(lab)
    assert done.code == 3, done.report
    reason = done.check(CHECK)["reason"]
    assert "no permission to delete pods" in reason
    assert "--set robust_controller.restart=false leaves it out" in reason
    assert lab.kubectl("get", "pods", "-n", "jobset-system", "-o", "name") == before
    assert not done.report["leaks"]


def test_an_operator_that_is_not_here_is_an_error(undecided: Outcome) -> None:
    assert undecided.check(CHECK)["verdict"] == "error"
    assert "KubeRay is not installed (no CRD rayclusters.ray.io)" in undecided.check(CHECK)["reason"]


def test_an_operator_of_an_unknown_version_is_an_error(lab: Lab, tmp_path: Path) -> None:
    manifest = tmp_path / "crd.yaml"
    manifest.write_text(UNKNOWN)
    lab.kubectl("create", "-f", str(manifest))
    try:
        lab.kubectl("wait", "--for=condition=Established", "crd/rayclusters.ray.io", "--timeout=60s")
        inspected = succeed("inspect", kubeconfig=lab.kubeconfig)
        done = lab.run(CHECK, *options({f"{CHECK}.operator": "kuberay"}))
    finally:
        lab.kubectl("delete", "-f", str(manifest))
    assert "problem: KubeRay: serves v9, the suite has objects for v1; its webhook vraycluster.kb.io" in inspected
    assert done.code == 3
    assert "KubeRay: serves v9, the suite has objects for v1" in done.check(CHECK)["reason"]
