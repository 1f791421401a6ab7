"""What a user can set for high_performance_networking."""

from __future__ import annotations

import json

from pydantic import field_validator

from aiconform.check import Options, option
from aiconform.platform.images import Images


class HighPerformanceNetworking(Options):
    device_class: str = option(
        "",
        "The DeviceClass by which Pods claim an interface; by default one of the platform that selects the device, "
        "else one that the run makes.",
    )
    selector: str = option(
        "",
        "A CEL expression that devices have to satisfy, as in a ResourceClaim, where not every network device of the "
        "platform is for the workloads in question.",
    )
    parameters: str = option(
        "",
        "Parameters of each claim for the network driver: a JSON object, as under `opaque.parameters` of a "
        "ResourceClaim, where its interfaces need some, such as the network that they are attached to.",
    )
    image: str = option(
        "",
        "Image of the Pods, where the default one cannot be used. It needs sh, ip, httpd, wget, sha256sum, base64, awk "
        "and timeout, as busybox has them.",
    )
    start_seconds: float = option(
        120.0,
        "The longest time until a Pod runs with its interface: a virtual function may have to be set up first.",
        serves=("pod_runs",),
        ge=1,
    )
    transfer_seconds: float = option(
        60.0,
        "The longest time of the transfer between the two Pods.",
        serves=("transfer",),
        ge=1,
    )
    return_seconds: float = option(
        60.0,
        "The longest time from the end of a Pod until its interface is offered again.",
        serves=("interface_returns",),
        ge=1,
    )

    @field_validator("parameters")
    @classmethod
    def _is_an_object(cls, value: str) -> str:
        try:
            read = json.loads(value) if value else {}
        except ValueError as error:
            raise ValueError(f"no JSON: {error}") from error
        if not isinstance(read, dict):
            raise ValueError('a JSON object, such as \'{"interface": {"mtu": 9000}}\'')
        return value

    def shell(self, images: Images) -> str:
        """The image with busybox that Pods have: the user's, or else the suite's."""
        return self.image or images["shell"]
