"""Pods whose containers run as root, whom no mode of a file stops: then the device cgroup decides who opens what."""

from __future__ import annotations

from collections.abc import Callable

from aiconform.cluster import Object, Rejected
from aiconform.cluster.scratch import Scratch

# Who makes device nodes needs the baseline level of Pod Security.
AS_ROOT: Object = {
    "runAsUser": 0,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"], "add": ["MKNOD", "DAC_OVERRIDE"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


class AsRoot:
    """Creates Pods. `unprivileged`: why the platform refuses containers that run as root, or empty.

    security: the securityContext with which they do.
    """

    def __init__(self, scratch: Scratch, security: Object = AS_ROOT) -> None:
        self.unprivileged = ""
        self._scratch, self._security = scratch, security

    async def create(self, made: Callable[[Object], Object]) -> Object:
        """The created Pod. made: makes it, with these fields in each of its containers. Raises ClusterError.

        Where the platform refuses containers that run as root, they run as it wants: what they see is the same.
        """
        if not self.unprivileged:
            try:
                return await self._scratch.create(made({"securityContext": self._security}))
            except Rejected as error:
                refused = str(error)
        created = await self._scratch.create(made({}))
        self.unprivileged = self.unprivileged or refused
        return created
