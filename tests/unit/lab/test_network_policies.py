"""The enforcer of NetworkPolicies: its agent as the lab installs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aiconform.lab.addons.kube_network_policies import ADD_ON, IMAGE, NAME
from aiconform.lab.addons.model import Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.traits.catalog import TRAITS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

# Of the component's install.yaml what matters here.
MANIFESTS = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: kube-network-policies, namespace: kube-system}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-network-policies, namespace: kube-system}
spec:
  selector: {matchLabels: {app: kube-network-policies}}
  template:
    metadata: {labels: {app: kube-network-policies}}
    spec:
      hostNetwork: true
      containers:
        - name: kube-network-policies
          image: registry.k8s.io/networking/kube-network-policies:v0.7.0
          args: [/bin/netpol, --hostname-override=$(MY_NODE_NAME), --nfqueue-id=98]
          volumeMounts: [{name: nri-plugin, mountPath: /var/run/nri}]
          securityContext: {privileged: true}
      volumes: [{name: nri-plugin, hostPath: {path: /var/run/nri}}]
"""


def test_the_agent_runs_in_the_lab_s_image_and_leaves_no_packets_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "manifests.yaml"
    file.write_text(MANIFESTS)
    monkeypatch.setattr(Assets, "of", lambda *_: file)
    objects = ADD_ON.objects(Site("simulated", {}, ("198.18.0.10",), Assets({}, {})))
    (agent,) = (obj for obj in objects if obj["kind"] == "DaemonSet")
    spec = agent["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (image,) = ADD_ON.images(Assets({}, {}))
    assert container["image"] == image.name == IMAGE
    assert image.entrypoint == ("/bin/netpol",)
    assert container["args"] == ["--hostname-override=$(MY_NODE_NAME)", "--nfqueue-id=98", "--fail-open"]
    assert "volumes" not in spec
    assert "volumeMounts" not in container
    assert spec["hostNetwork"]
    assert container["securityContext"]["privileged"]


def test_only_the_enforced_trait_needs_it() -> None:
    enforced, stored = TRAITS["enforced-default-deny"], TRAITS["default-deny"]
    assert enforced.needs == (NAME,)
    assert stored.needs == ()
    assert enforced.kept is not None
    assert stored.kept is not None
    (one,), (other,) = enforced.kept.objects("runs", ""), stored.kept.objects("runs", "")
    assert one["spec"] == other["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert one["metadata"]["name"] != other["metadata"]["name"]
