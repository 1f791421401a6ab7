"""What ai_inference observes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiconform.check import Observation


class GatewayClassStatus(Observation):
    """A GatewayClass; `accepted` is None until its controller decides, `says` is the condition in words."""

    name: str
    controller: str
    accepted: bool | None
    says: str


class RequestCounts(Observation):
    """Requests of one kind. `answers`: server -> number of answers; `failures`: response or error -> occurrences.

    `model` is the model that the header or path named.
    """

    rule: Literal["weights", "header", "path", "none"]
    model: str
    origin: Literal["inside", "outside"]
    answers: dict[str, int]
    failures: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.answers.values()) + sum(self.failures.values())


class WeightChange(Observation):
    """What happened to a steady flow of requests when the weights changed.

    in_force_after: seconds from the change until the last answers agreed with the new weights and no longer with the
    old ones; None if they never did. within: the limit for that. sample: server -> answers, of the requests after that
    (or of the last requests if the change never took effect). requests, long_requests: the number of all requests, and
    of those for long answers. lost: response or error instead of a complete answer -> occurrences.
    """

    weights: dict[str, int]
    in_force_after: float | None
    within: float
    sample: dict[str, int]
    requests: int
    long_requests: int
    lost: dict[str, int]


class Routing(Observation):
    """The status of a Gateway and its route, and the requests through them.

    Fields of steps that were not reached are None or empty. `unreached` is the client's last error if the data plane
    never answered; `outside` says why this machine sent no requests.
    """

    api_version: str
    release: str
    classes: tuple[GatewayClassStatus, ...]
    taken: str
    why: str
    programmed: bool | None = None
    gateway_says: str = ""
    address: str = ""
    route_accepted: bool | None = None
    route_says: str = ""
    weights: dict[str, int] = Field(default_factory=dict)
    unreached: str = ""
    asked: tuple[RequestCounts, ...] = ()
    outside: str = ""
    change: WeightChange | None = None
