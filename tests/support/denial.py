"""Traffic that is denied in new Namespaces, and how a Pod sees it."""

from __future__ import annotations

from pathlib import Path

from support.lab import Lab

DENIAL = "enforced-default-deny"
"""The trait."""
ASKS = """
apiVersion: v1
kind: Pod
metadata: {name: asks, namespace: default}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
    - name: asks
      image: registry.k8s.io/e2e-test-images/busybox:1.36.1-1
      command:
        - sh
        - -c
        - |
          # The rules for a new Pod take a moment: the last answer counts. Nothing else is printed, as a log has the
          # lines of two streams in any order.
          for _ in 1 2 3 4; do
            sleep 3
            nslookup kubernetes.default.svc.cluster.local >/dev/null 2>&1 && said=resolved || said=denied
          done
          echo $said
"""


def asked(lab: Lab, folder: Path) -> str:
    """What a Pod says that asks the cluster's DNS."""
    file = folder / "asks.yaml"
    file.write_text(ASKS)
    lab.kubectl("apply", "-f", str(file))
    try:
        lab.kubectl("wait", "pod/asks", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        return lab.kubectl("logs", "asks").strip()
    finally:
        lab.kubectl("delete", "pod", "asks")
