"""The faults that are changes of objects in the cluster: of an add-on's configuration, of a controller's scale, ...

One module for each add-on or path that is spoiled has an ACTIONS of its own; here they come together.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiconform.lab.faults import autoscaling, gangs, gateways, monitoring, operators, scaled_pods
from aiconform.lab.faults.action import Action

ACTIONS: Mapping[str, Action] = {
    **autoscaling.ACTIONS,
    **gangs.ACTIONS,
    **gateways.ACTIONS,
    **scaled_pods.ACTIONS,
    **operators.ACTIONS,
    **monitoring.ACTIONS,
}
"""By the name of the fault, which the registry describes."""
