"""The control plane's processes and their files."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiconform.lab.addons.registry import ADD_ONS
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import Network, Paths
from aiconform.lab.kubernetes.pki import Authority, signing_key, write_kubeconfig
from aiconform.lab.machines.preconditions import Precondition
from aiconform.lab.machines.processes import ProcessSpec, code_of
from aiconform.lab.plan import LabPlan

# A node that does not answer is NotReady after this time. The default of 50 s would slow down every test of it.
NODE_GRACE_SECONDS = 20
_ETCD = "http://127.0.0.1:2379"
GO_SETTINGS = {"GOGC": "300"}
"""Environment of Kubernetes' components: they collect garbage half as often, for some more memory."""


def certificates(paths: Paths, network: Network) -> Authority:
    """Create all certificates and kubeconfigs of the control plane and the administrator; returns the cluster's CA.

    Those of the control plane's components are in the folder `pki`, too.
    """
    authority = Authority(paths.pki, "ca")
    front_proxy = Authority(paths.pki, "front-proxy-ca")  # its users can act as others: never use the cluster's CA
    front_proxy.issue(paths.pki, "front-proxy", "front-proxy")
    signing_key(paths.pki)
    hosts = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    hosts += ["localhost", "127.0.0.1", network.control_plane, network.kubernetes_service]
    authority.issue(paths.pki, "apiserver", "kube-apiserver", hosts=hosts)
    authority.issue(paths.pki, "apiserver-kubelet", "kube-apiserver-kubelet", ["system:masters"])
    admin = authority.issue(paths.pki, "admin", "admin", ["system:masters"])
    write_kubeconfig(paths.kubeconfig, authority, network.server, *admin, name=f"aiconform-{paths.name}")
    for component in ("kube-controller-manager", "kube-scheduler"):
        pair = authority.issue(paths.pki, component, f"system:{component}")
        write_kubeconfig(paths.pki / f"{component}.kubeconfig", authority, network.server, *pair)
    return authority


def api_is_ready(paths: Paths, network: Network) -> Precondition:
    """Holds when the API server reports that it is ready, with its bootstrap roles."""
    return Precondition(
        https=f"{network.server}/readyz",
        ca=str(paths.pki / "ca.crt"),
        cert=str(paths.pki / "admin.crt"),
        key=str(paths.pki / "admin.key"),
    )


def processes(
    plan: LabPlan, paths: Paths, network: Network, assets: Assets, helpers: Sequence[str] = ()
) -> tuple[ProcessSpec, ...]:
    """etcd, API server, controller-manager, scheduler, and the add-ons' `helpers` (modules of the lab)."""
    ready = (api_is_ready(paths, network),)
    etcd_ready = (Precondition(tcp=_ETCD.removeprefix("http://")),)
    return (
        ProcessSpec("etcd", (assets["etcd"], *_etcd(paths.machine("control-plane"))), GO_SETTINGS),
        *(
            ProcessSpec(name, (assets[name], *flags), GO_SETTINGS, needs)
            for name, flags, needs in (
                ("kube-apiserver", _api_server(plan, paths, network), etcd_ready),
                ("kube-controller-manager", _manager(plan, paths), ready),
                ("kube-scheduler", _scheduler(plan, paths), ready),
            )
        ),
        *(
            ProcessSpec(
                module.rpartition(".")[2],
                (sys.executable, "-P", "-m", module, str(paths.state)),
                env=code_of(module.rpartition(".")[0]),
                needs=ready,
            )
            for module in helpers
        ),
    )


def _etcd(folder: Path) -> tuple[str, ...]:
    return (
        "--name=etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=etcd=http://127.0.0.1:2380",
        "--log-level=warn",
        # What it has written survives the end of its process, though not a loss of power.
        "--unsafe-no-fsync",
    )


def _api_server(plan: LabPlan, paths: Paths, network: Network) -> tuple[str, ...]:
    pki = paths.pki
    served = plan.served
    return (
        f"--advertise-address={network.control_plane}",
        "--secure-port=6443",
        f"--etcd-servers={_ETCD}",
        f"--service-cluster-ip-range={network.services}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy.key'}",
        # Webhooks and aggregated APIs are reached at their Pods' addresses, as no kube-proxy runs here.
        "--enable-aggregator-routing=true",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        *(["--runtime-config=" + _pairs(served)] if served else []),
        *_gates(plan),
    )


def _manager(plan: LabPlan, paths: Paths) -> tuple[str, ...]:
    pki, kubeconfig = paths.pki, paths.pki / "kube-controller-manager.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials=true",
        # At start it requests a token for each controller: at 20 a second this would take five seconds.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--leader-elect=false",
        f"--node-monitor-grace-period={NODE_GRACE_SECONDS}s",
        "--node-monitor-period=2s",
        "--profiling=false",
        *_gates(plan),
        # If a flag is given twice, the last one counts.
        *(flag for name in plan.add_ons for flag in ADD_ONS[name].manager_flags),
    )


def _scheduler(plan: LabPlan, paths: Paths) -> tuple[str, ...]:
    kubeconfig = paths.pki / "kube-scheduler.kubeconfig"
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        *_gates(plan),
    )


def _gates(plan: LabPlan) -> list[str]:
    return ["--feature-gates=" + _pairs(plan.gates)] if plan.gates else []


def _pairs(values: Mapping[str, bool]) -> str:
    return ",".join(f"{name}={str(on).lower()}" for name, on in sorted(values.items()))
