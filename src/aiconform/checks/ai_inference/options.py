"""What a user can set for ai_inference."""

from __future__ import annotations

from aiconform.check import Options, option

GATEWAY_CLASS = "--set ai_inference.gateway_class"
MOST_CLASSES = 3
"""The largest number of classes that are tried where the user names none."""


class AiInferenceOptions(Options):
    gateway_class: str = option("", "The GatewayClass to use; by default it is discovered.")
    gateway: str = option(
        "",
        "An existing Gateway to use, NAMESPACE/NAME, with a listener for HTTP that allows routes from the run's "
        "Namespace; by default the check creates one.",
        pattern=r"^$|^[^/\s]+/[^/\s]+$",
    )
    port: int = option(
        0,
        "The port of the Gateway's listener; by default 80, or that of the platform's other Gateways of the class.",
        ge=0,
        le=65535,
    )
    annotations: str = option(
        "",
        "Annotations of the Gateway that the check creates and of its infrastructure: KEY=VALUE, separated by commas.",
        pattern=r"^$|^[^=,\s]+=[^,]*(,[^=,\s]+=[^,]*)*$",
    )
    parameters: str = option(
        "",
        "What the Gateway's infrastructure refers to as its parameters: KIND.GROUP/NAME, or KIND/NAME without a group, "
        "of an object in the run's Namespace.",
        pattern=r"^$|^[^./\s]+(\.[^/\s]+)?/[^/\s]+$",
    )
    requests: int = option(200, "The number of requests by which each traffic split is judged.", ge=100, le=5000)
    programmed_seconds: float = option(
        600.0,
        "The longest time until a Gateway is programmed. Clouds take minutes to deliver a load balancer.",
        serves=("gateway_programming",),
        formerly=("programmed_within",),
        ge=1,
    )
    route_seconds: float = option(
        300.0,
        "The longest time until a route is accepted, and then until requests follow it. A cloud's load balancer first "
        "finds the backends healthy, and its name becomes known.",
        serves=("first_answers",),
        formerly=("route_within",),
        ge=1,
    )
    change_seconds: float = option(
        180.0,
        "The longest time until changed weights take effect.",
        serves=("weights_take_effect",),
        formerly=("change_within",),
        ge=1,
    )

    @property
    def seconds(self) -> float:
        """The limit of the probe, including two minutes for the Pods and half a second for each request."""
        tries = 1 if self.gateway_class or self.gateway else MOST_CLASSES
        return tries * self.programmed_seconds + 2 * self.route_seconds + self.change_seconds + 120 + self.requests / 2
