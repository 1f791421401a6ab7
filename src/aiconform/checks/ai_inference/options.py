"""What a user can set for ai_inference."""

from __future__ import annotations

from aiconform.check import Options, option

GATEWAY_CLASS = "--set ai_inference.gateway_class"


class AiInferenceOptions(Options):
    gateway_class: str = option("", "The GatewayClass to use; by default it is discovered.")
    requests: int = option(200, "The number of requests by which each traffic split is judged.", ge=100, le=5000)
    programmed_seconds: float = option(
        300.0,
        "The longest time until a Gateway is programmed.",
        serves=("gateway_programming",),
        formerly=("programmed_within",),
        ge=1,
    )
    route_seconds: float = option(
        60.0,
        "The longest time until a route is accepted, and then until requests follow it.",
        serves=("first_answers",),
        formerly=("route_within",),
        ge=1,
    )
    change_seconds: float = option(
        60.0,
        "The longest time until changed weights take effect.",
        serves=("weights_take_effect",),
        formerly=("change_within",),
        ge=1,
    )

    @property
    def seconds(self) -> float:
        """The limit of the probe, including two minutes for the Pods and half a second for each request."""
        return self.programmed_seconds + 2 * self.route_seconds + self.change_seconds + 120 + self.requests / 2
