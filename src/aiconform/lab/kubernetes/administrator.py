"""The connection by which the lab changes its own cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aiconform.lab.machines import pace

if TYPE_CHECKING:
    from aiconform.cluster import Cluster

# For an API server that is ready, and for a moment has no time to answer.
_PASSING_SECONDS = 30.0


@asynccontextmanager
async def administrator(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """The cluster, with every right. What fails for a moment is asked again for a while.

    Raises ClusterError.
    """
    from aiconform.cluster import connect
    from aiconform.cluster.patience import patient

    with patient(pace.limit(_PASSING_SECONDS)):
        async with connect(str(kubeconfig)) as cluster:
            yield cluster
