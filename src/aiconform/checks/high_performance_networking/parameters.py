"""What the parameters of claims, and of their DeviceClasses, say of interfaces.

Their forms are those of https://github.com/kubernetes-sigs/dranet, https://github.com/k8snetworkplumbingwg/dra-driver-sriov
and https://docs.cilium.io.
"""

from __future__ import annotations

from aiconform.cluster import Object

# Fields that name the interface inside the Pod; DRANET has it under `interface`.
_NAMES = ("ifName", "interfaceName", "podIfName")
_NESTED, _NAME = "interface", "name"
# The kernel's drivers that hand a device to a program: it has no interface then.
_USERSPACE = ("vfio-pci", "uio_pci_generic", "igb_uio")


def without_names(parameters: Object) -> Object:
    """The parameters without the name of an interface, which a Pod can have once only."""
    found = {name: value for name, value in parameters.items() if name not in _NAMES}
    if isinstance(nested := found.get(_NESTED), dict):
        found[_NESTED] = {name: value for name, value in nested.items() if name != _NAME}
    return found


def without_interface(claim: Object) -> str:
    """Why the devices of an allocated claim have no interface, by its parameters and its class's; else empty."""
    devices = ((claim.get("status") or {}).get("allocation") or {}).get("devices") or {}
    drivers = [each.get("driver") for each in parameters_of(devices)]
    bound = next((each for each in drivers if each in _USERSPACE), None)
    return f"by the claim's parameters, its driver is {bound}, which leaves no interface" if bound else ""


def parameters_of(configured: Object) -> list[Object]:
    """The parameters in the `config` of a DeviceClass or of an allocation."""
    opaque = [(each.get("opaque") or {}).get("parameters") for each in configured.get("config") or []]
    return [each for each in opaque if isinstance(each, dict)]
