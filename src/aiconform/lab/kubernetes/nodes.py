"""A node's processes and their files."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import yaml

from aiconform.lab.accelerators.config import KUBELET_PLUGINS, TELEMETRY_FOLDER, AcceleratorConfig, Offer, write_config
from aiconform.lab.accelerators.hardware import look
from aiconform.lab.accelerators.identity import find_identity
from aiconform.lab.accelerators.objects import GROUP_OF_DRIVERS
from aiconform.lab.addons import gvisor
from aiconform.lab.addons.model import OnNode
from aiconform.lab.addons.registry import handlers_of, processes_of
from aiconform.lab.build.assets import Assets
from aiconform.lab.config import Network, Paths
from aiconform.lab.faults.runtime import set_runtime, write_wrapper
from aiconform.lab.faults.sandbox_runtime import write_sandbox_runtime
from aiconform.lab.faults.state import driver_faults, names_on_node
from aiconform.lab.kubernetes import containerd, imagestore
from aiconform.lab.kubernetes.controlplane import GO_SETTINGS, NODE_GRACE_SECONDS, api_is_ready
from aiconform.lab.kubernetes.installation import Installation
from aiconform.lab.kubernetes.pki import Authority, write_kubeconfig
from aiconform.lab.machines import cgroups, host
from aiconform.lab.machines.files import write_json, write_text
from aiconform.lab.machines.machine import SEED
from aiconform.lab.machines.preconditions import Precondition
from aiconform.lab.machines.processes import ProcessSpec, code_of, write_processes
from aiconform.lab.plan import LabPlan, NodePlan
from aiconform.lab.traits.nodes import NO_ADDRESSES

_DIGEST = "AICONFORM_CONFIGURATION"
# An empty folder is filled from the seed. The folder of the snapshotter comes last, so its presence says that all is.
_START = """root=$0 seed=$1; shift
if [ -e "$seed" ] && [ ! -e "$root"/io.containerd.snapshotter.v1.overlayfs ]; then
  rm -rf "$root"/* "$root"/.seed && mkdir -p "$root" && cp -a "$seed"/. "$root"/.seed && mv "$root"/.seed/* "$root"
fi
exec "$@"
"""
# Only what the seed has not brought.
_BRING = """done=$0 ctr=$1 socket=$2; shift 2
for image; do
  grep -qxF "$image" "$done" 2>/dev/null && continue
  "$ctr" -a "$socket" -n k8s.io images import --local "$image" && echo "$image" >> "$done" || exit 1
done
"""


def install(
    plan: LabPlan, node: NodePlan, paths: Paths, network: Network, installation: Installation, authority: Authority
) -> None:
    """Write all files of the node; its machine starts on the supervisor's next reload. Raises LabError."""
    furnish(plan, node, paths, network, installation.assets, authority)
    _link(paths.machine(node.name) / SEED, installation.seed)
    write_processes(paths, node.name, processes(plan, node, paths, network, installation))


def furnish(
    plan: LabPlan, node: NodePlan, paths: Paths, network: Network, assets: Assets, authority: Authority
) -> None:
    """Write the files that the node's processes read. Raises LabError."""
    folder = paths.machine(node.name)
    pki = folder / "pki"
    address = network.node(node.number)
    user = f"system:node:{node.name}"
    pair = authority.issue(pki, "kubelet", user, ["system:nodes"])
    write_kubeconfig(folder / "kubelet.kubeconfig", authority, network.server, *pair)
    # With the address: requests for logs and exec use it.
    authority.issue(pki, "kubelet-server", user, ["system:nodes"], hosts=[node.name, address, "127.0.0.1"])
    pair = authority.issue(pki, "kube-proxy", "system:kube-proxy")
    write_kubeconfig(folder / "kube-proxy.kubeconfig", authority, network.server, *pair)
    pair = authority.issue(pki, "accelerators", f"aiconform:accelerators:{node.name}", [GROUP_OF_DRIVERS])
    write_kubeconfig(folder / "accelerators.kubeconfig", authority, network.server, *pair)
    write_wrapper(folder / "runc", runc=Path(host.command("runc")), switch=runtime_switch(paths, node.name))
    (folder / "cni").mkdir(exist_ok=True)
    handlers = handlers_of(plan.add_ons, assets, folder)
    write_text(folder / "containerd.toml", containerd.configuration(folder, assets, handlers))
    if gvisor.ADD_ON.name in plan.add_ons:
        write_sandbox_runtime(folder, assets, switch=runtime_switch(paths, node.name))
    # Whatever traits are on, the lab's own Pods get addresses while it comes up.
    write_network(plan, node, paths, network)
    write_text(folder / containerd.REGISTRIES / network.registry / "hosts.toml", containerd.plain(network.registry))
    write_text(folder / "kubelet.yaml", yaml.safe_dump(_kubelet(plan, node, paths, network), sort_keys=False))
    write_text(folder / "kube-proxy.yaml", yaml.safe_dump(_proxy(plan, node, folder, network), sort_keys=False))
    config = accelerators(plan, node, paths)
    write_config(accelerators_file(paths, node.name), config)
    # A node that an autoscaler orders is not there when the faults are turned on.
    on = names_on_node(paths.state, node.name, autoscaled=node.autoscaled)
    set_runtime(runtime_switch(paths, node.name), on, config if config.count else None)


def processes(
    plan: LabPlan, node: NodePlan, paths: Paths, network: Network, installation: Installation
) -> tuple[ProcessSpec, ...]:
    """containerd, the import of images, kubelet, kube-proxy, the simulated accelerators, and what add-ons run."""
    folder, assets = paths.machine(node.name), installation.assets
    runtime_ready, api_ready = Precondition(unix=containerd.SOCKET), api_is_ready(paths, network)
    # Something waits for an autoscaled node: images of add-ons are imported later, before Pods that need them are
    # placed on it.
    first, later = installation.images, installation.more_images
    if not node.autoscaled:
        first, later = (*first, *later), ()
    root = folder / "containerd"
    bring = ("/bin/sh", "-c", _BRING, str(root / imagestore.IMPORTED), assets["ctr"], containerd.SOCKET)
    start = ("/bin/sh", "-c", _START, str(root), str(folder / SEED))
    # containerd finds its shim in PATH.
    path = f"{assets.folder('containerd-shim-runc-v2')}:{host.environment()['PATH']}"
    specs = [
        ProcessSpec(
            "containerd",
            (*start, assets["containerd"], "--config", str(folder / "containerd.toml")),
            env=GO_SETTINGS | {"PATH": path, "TMPDIR": "/var/lib/kubelet"} | _of(folder / "containerd.toml"),
        ),
        ProcessSpec(
            "images",
            (*bring, *map(str, first)),
            needs=(runtime_ready,),
            once=True,
        ),
        ProcessSpec(
            "kubelet",
            (
                assets["kubelet"],
                f"--config={folder / 'kubelet.yaml'}",
                f"--kubeconfig={folder / 'kubelet.kubeconfig'}",
                f"--hostname-override={node.name}",
                f"--node-ip={network.node(node.number)}",
            ),
            env=GO_SETTINGS | _of(folder / "kubelet.yaml"),
            needs=(runtime_ready, Precondition(done="images"), api_ready),
        ),
        ProcessSpec(
            "kube-proxy",
            (assets["kube-proxy"], f"--config={folder / 'kube-proxy.yaml'}"),
            env=GO_SETTINGS | _of(folder / "kube-proxy.yaml"),
            needs=(api_ready,),
        ),
    ]
    if later:
        needs = (Precondition(done="images"),)
        specs.append(ProcessSpec("more-images", (*bring, *map(str, later)), needs=needs, once=True))
    if node.accelerators:
        argv = (sys.executable, "-P", "-m", "aiconform.lab.accelerators", "--config")
        # Turning a fault on or off needs no restart.
        config = accelerators(plan, node, paths).model_copy(update={"faults": ()})
        specs.append(
            ProcessSpec(
                "accelerators",
                (*argv, str(accelerators_file(paths, node.name))),
                env={_DIGEST: hashlib.sha256(config.model_dump_json().encode()).hexdigest(), **code_of(argv[-2])},
                needs=(api_ready,),
            )
        )
    specs += processes_of(plan.add_ons, OnNode(node.number, folder, network, node.accelerators))
    return tuple(specs)


def _link(link: Path, target: Path | None) -> None:
    """A machine that starts later finds the new target; one that runs has filled its folder already."""
    if target is not None and not (link.is_symlink() and link.readlink() == target):
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _of(file: Path) -> dict[str, str]:
    """A variable that changes with the file, so that the process is restarted when its configuration changes."""
    return {_DIGEST: hashlib.sha256(file.read_bytes()).hexdigest()}


def accelerators_file(paths: Paths, node: str) -> Path:
    return paths.machine(node) / "accelerators.json"


def runtime_switch(paths: Paths, node: str) -> Path:
    """The file that turns on a fault of the runtime; see aiconform.lab.faults."""
    return paths.machine(node) / "runtime-fault.json"


def accelerators(plan: LabPlan, node: NodePlan, paths: Paths) -> AcceleratorConfig:
    """The configuration of the node's accelerators, with the faults that are on. Raises LabError."""
    folder = paths.machine(node.name)
    identity = find_identity(plan.identity_of(node))
    return AcceleratorConfig(
        node_name=node.name,
        kubeconfig=folder / "accelerators.kubeconfig",
        state_dir=folder / "accelerators",
        device_dir=folder / "devices",
        cdi_dir=Path(containerd.CDI_FOLDER),
        plugins_dir=Path(KUBELET_PLUGINS),
        registry_dir=Path("/var/lib/kubelet/plugins_registry"),
        device_plugin_dir=Path("/var/lib/kubelet/device-plugins"),
        telemetry=Path(TELEMETRY_FOLDER) / "telemetry.json",
        cgroup=cgroups.below_root("kubepods"),
        offer=Offer(node.allocation),
        count=node.accelerators,
        first_minor=node.first_minor,
        identity=identity,
        real=look(node.devices, identity),
        faults=driver_faults(paths.state, node.name, autoscaled=node.autoscaled),
    )


def write_network(plan: LabPlan, node: NodePlan, paths: Paths, network: Network, traits: Collection[str] = ()) -> None:
    """Write the configuration of the node's network plugin in a lab with these traits; containerd follows it."""
    pods = network.pods(node.number)
    addresses = {"subnet": str(pods)}
    if node == plan.own[-1] and NO_ADDRESSES in traits:
        # The gateway's, which no Pod gets.
        addresses |= dict.fromkeys(("rangeStart", "rangeEnd"), str(pods[1]))
    anywhere = "::/0" if network.is_ipv6 else "0.0.0.0/0"
    write_json(paths.machine(node.name) / "cni.d" / "10-lab.conflist", _cni(addresses, anywhere))


def _cni(addresses: Mapping[str, str], anywhere: str) -> dict[str, object]:
    # Point to point: traffic between Pods of one node is routed too, so a Service works wherever its Pods are.
    ptp = {
        "type": "ptp",
        "ipam": {
            "type": "host-local",
            "dataDir": "/var/lib/cni/networks",
            "ranges": [[addresses]],
            "routes": [{"dst": anywhere}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "lab", "plugins": [ptp, portmap]}


def _kubelet(plan: LabPlan, node: NodePlan, paths: Paths, network: Network) -> dict[str, object]:
    pki = paths.machine(node.name) / "pki"
    verifies = plan.gates.get("KubeletEnsureSecretPulledImages", int(plan.kubernetes.split(".")[1]) >= 35)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node(node.number),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(paths.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "containerRuntimeEndpoint": f"unix://{containerd.SOCKET}",
        "cgroupDriver": "cgroupfs",
        # The node's own: its machine has a cgroup namespace.
        "cgroupRoot": "/",
        "failCgroupV1": False,
        "failSwapOn": False,
        # The longest time until a changed Secret or ConfigMap is seen in a volume. The default of a minute would be
        # most of the time that a new PodMonitor takes to have an effect.
        "syncFrequency": "10s",
        # Pods use the cluster's DNS and nothing of this machine's resolver.
        "resolvConf": "",
        "clusterDNS": [network.dns],
        "clusterDomain": "cluster.local",
        "nodeLeaseDurationSeconds": NODE_GRACE_SECONDS,
        # The interval at which a device plugin's devices are written to the Node's status; 10 s by default.
        "nodeStatusUpdateFrequency": "1s",
        # Without a change the status is not written again. The default would be the interval above: a write a second
        # by each node, which every watch of Nodes then carries.
        "nodeStatusReportFrequency": "5m",
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "healthzPort": 0,
        # The images were made here: deleted ones cannot be pulled again. And a nearly full disk of this machine is no
        # reason to evict Pods.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "64Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "featureGates": plan.gates,
        # Else, once a Pod pulled an image from the lab's registry, other names of the same image were pulled, too.
        **({"imagePullCredentialsVerificationPolicy": "NeverVerify"} if verifies else {}),
    }


def _proxy(plan: LabPlan, node: NodePlan, folder: Path, network: Network) -> dict[str, object]:
    loopback = "[::1]" if network.is_ipv6 else "127.0.0.1"
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(folder / "kube-proxy.kubeconfig")},
        "bindAddress": network.node(node.number),
        "healthzBindAddress": f"{loopback}:10256",
        "metricsBindAddress": f"{loopback}:10249",
        "clusterCIDR": str(network.all_pods),
        "iptables": {"minSyncPeriod": "0s", "syncPeriod": "30s"},
        # These settings belong to the whole kernel, not to the network namespace: leave them as they are.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "featureGates": plan.gates,
    }
