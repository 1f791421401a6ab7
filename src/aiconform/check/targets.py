"""What a probe tests: the accelerators of one node or of several, another component, or the platform itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiconform.check.observation import NothingToLookAt
from aiconform.check.options import Settings
from aiconform.platform import AcceleratorGroup, NodeAccelerators, Platform


@dataclass(frozen=True)
class PlatformComponent:
    """A component of the platform that a probe tests and that has no accelerators, for example an operator.

    `name` becomes part of the names of objects: lower-case letters, digits, hyphens.
    """

    name: str

    @property
    def place(self) -> str:
        return self.name

    @property
    def members(self) -> tuple[NodeAccelerators, ...]:
        return ()

    def at_most(self, member: NodeAccelerators) -> int | None:
        """How many devices of a member its probe holds at most; None for as many as the probe declares."""
        return None

    @property
    def disturbs(self) -> bool:
        """Whether this probe could make others fail: then it starts when all others are done."""
        return False

    def __str__(self) -> str:
        return self.name


Target = NodeAccelerators | AcceleratorGroup | PlatformComponent | None
Targets = Callable[[Platform, Settings], Awaitable[Sequence[Target]]]


async def accelerators(platform: Platform, settings: Settings) -> Sequence[NodeAccelerators]:
    """One node of each kind of accelerator, or every accelerator node. Raises NothingToLookAt."""
    found = await platform.accelerators()
    chosen = found.offered if settings.every_node else found.one_of_each_kind()
    if not chosen:
        looked = "; ".join(found.passed_over) or "no ResourceSlice and no extended resource of a known accelerator"
        raise NothingToLookAt(f"nothing to look at: no usable accelerator on this platform ({looked})")
    return chosen
