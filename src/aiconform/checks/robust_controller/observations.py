"""What robust_controller observes."""

from __future__ import annotations

from aiconform.check import Observation


class Refusal(Observation):
    """The response to an invalid object: `by` is the webhook that refused it, empty if none did.

    `unreached` is the webhook that the API server could not reach, so that the request failed; `behind` the one that
    answered to the end of its time that it does not know the new Namespace.
    """

    accepted: bool
    by: str
    unreached: str
    said: str
    behind: str = ""


class Arrival(Observation):
    """Whether an object reached the state `wanted`; `last` is what was last seen of that."""

    reached: bool
    wanted: str
    last: str


class Child(Observation):
    kind: str
    name: str
    uid: str


class Made(Observation):
    """The valid object: whether it could be created (`problem` says why not), and whether it became ready."""

    created: bool
    problem: str
    arrival: Arrival | None


class Loss(Observation):
    """A child that was deleted, and the one that replaced it."""

    lost: Child
    new: Child | None


class Changed(Observation):
    """A change after the restart: why it could not be made, or whether it had its effect."""

    problem: str
    arrival: Arrival | None


class ControllerPod(Observation):
    name: str
    uid: str
    ready: bool


class ControllerState(Observation):
    """A Deployment of the operator, with its Pods."""

    namespace: str
    name: str
    images: list[str]
    wanted: int
    pods: list[ControllerPod]

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.pods)

    @property
    def complete(self) -> bool:
        return self.wanted > 0 and self.ready == max(self.wanted, len(self.pods))

    def __str__(self) -> str:
        more = f" ({len(self.pods)} exist)" if len(self.pods) != self.wanted else ""
        return f"{self.namespace}/{self.name}: {self.ready} of {self.wanted} Pods ready{more}"


class Restart(Observation):
    """The controllers after their Pods were deleted. If they came back, the refusal and the change were repeated."""

    controllers: list[ControllerState]
    back: bool
    refusal: Refusal | None
    changed: Changed | None


class Life(Observation):
    """An operator, and the life of one of its custom resources.

    `restart` is None if the controller was not restarted, and `spared` says why. `left` are the objects that remained
    after the deletion of the custom resource; None if it was never created. `seconds` are the limits.
    """

    operator: str
    version: str
    why: str
    crds: list[str]
    unestablished: list[str]
    webhook: str
    configuration: str
    failure_policy: str
    namesakes: list[str]
    controllers: list[ControllerState]
    refusal: Refusal
    made: Made
    children: list[Child]
    loss: Loss | None
    restart: Restart | None
    spared: str
    left: list[str] | None
    seconds: dict[str, float]
