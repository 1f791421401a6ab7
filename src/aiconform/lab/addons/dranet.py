"""DRANET: a DRA driver for network interfaces, which moves a link of the node into the Pod that claims it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiconform.lab.accelerators.config import KUBELET_PLUGINS, LINKS_SOCKET
from aiconform.lab.addons import manifests
from aiconform.lab.addons.fast_links import keeper, possible
from aiconform.lab.addons.model import AddOn, Site
from aiconform.lab.build.assets import Assets
from aiconform.lab.build.components import Component, Render
from aiconform.lab.build.images import Image, controller
from aiconform.lab.config import FAST_LINKS, LabError
from aiconform.lab.traits.trait import LABEL as MADE_UP

if TYPE_CHECKING:
    from aiconform.cluster import Cluster, Object

NAME = "dranet"
COMPONENT = Component(
    NAME,
    "1.4.0",
    NAME,
    ("sigs.k8s.io/dranet/cmd/dranet",),
    (NAME,),
    renders=(Render("manifests.yaml", "copy", "install.yaml", module="sigs.k8s.io/dranet"),),
)
IMAGE = f"registry.k8s.io/networking/dranet:v{COMPONENT.version}"
DRIVER = "dra.net"
# What else a machine has belongs to other machines, or to the host: its processes see all PCI devices of the kernel.
_OFFERED = " || ".join(f'attributes["dra.net/ifName"].StringValue == "{name}"' for name in FAST_LINKS)
_ARGUMENTS = (
    "--hostname-override=$(NODE_NAME)",
    f'--filter="dra.net/ifName" in attributes && ({_OFFERED})',
    # In place of the metadata services of clouds, it asks the lab's accelerators where the links are said to be.
    "--cloud-provider-hint=webhook",
    f"--webhook-url=unix://{KUBELET_PLUGINS}/{LINKS_SOCKET}",
    # Each event of any link on the node has it look at all of them again: by default, up to every two seconds.
    "--inventory-min-poll-interval=5s",
    "--v=2",
)
# These folders of a node would be the host's, too, and nothing here needs them: no RDMA, no programs of other drivers.
_OF_THE_HOST = ("infiniband", "bpf-programs")


def _images(assets: Assets) -> Sequence[Image]:
    return (controller(IMAGE, assets.of(COMPONENT, NAME), f"/{NAME}", user="0:0"),)


def _objects(site: Site) -> Sequence[Object]:
    objects = manifests.settle(manifests.read(site.assets.of(COMPONENT, "manifests.yaml")))
    spec = manifests.find(objects, "DaemonSet", NAME)["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    # Its own image has no entrypoint, and these name the program; after it, this one would read no flag.
    container |= {"image": IMAGE, "args": [*_ARGUMENTS]}
    # It is ready once it has started: asking on and on would cost each node a request a second.
    container["startupProbe"] |= {"periodSeconds": 1, "failureThreshold": 600}
    del container["readinessProbe"]
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] not in _OF_THE_HOST]
    spec["volumes"] = [each for each in spec["volumes"] if each["name"] not in _OF_THE_HOST]
    on_machines = {"matchExpressions": [{"key": MADE_UP, "operator": "DoesNotExist"}]}
    terms = {"nodeSelectorTerms": [on_machines]}
    spec["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    selectors = [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]
    device_class = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": DRIVER},
        "spec": {"selectors": selectors},
    }
    return [*objects, device_class]


async def _published(cluster: Cluster, site: Site, seconds: float) -> None:
    """Wait until each node that has links has a ResourceSlice for them. Raises LabError."""
    from aiconform.cluster import TimedOut, wait

    def by_all(slices: Sequence[Object]) -> bool | None:
        there = {each["spec"].get("nodeName") for each in slices if each["spec"]["driver"] == DRIVER}
        return True if there.issuperset(site.equipped) else None

    what = f"ResourceSlices of {DRIVER} on {', '.join(site.equipped)}"
    try:
        await wait.among(cluster, "resource.k8s.io/v1", "ResourceSlice", None, by_all, seconds=seconds, what=what)
    except TimedOut as error:
        raise LabError(f"add-on {NAME} offers nothing: {error}") from error


ADD_ON = AddOn(
    name=NAME,
    summary="DRANET: network interfaces by DRA; nodes with accelerators get two links for it.",
    components=(COMPONENT,),
    images=_images,
    objects=_objects,
    requires=possible,
    shown=_published,
    node_processes=keeper,
    since="1.34",
)
