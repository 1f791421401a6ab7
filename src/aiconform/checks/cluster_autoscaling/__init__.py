"""cluster_autoscaling: a pending Pod that requests an accelerator causes a node of that kind to be added and removed.

On the nodes of one pool, placeholder Pods keep the pending Pod away. It requests one accelerator, so it is
unschedulable: that is what an autoscaler acts on. From then on the nodes are followed: one is added, becomes Ready,
offers the accelerator, and the Pod runs on it. After the Pod is deleted, the node has to be removed as well, while the
nodes with placeholders stay.
"""

from aiconform.check import collect
from aiconform.checks.cluster_autoscaling import assertions, figures, options, probes

CHECK = collect("cluster_autoscaling", options.__name__, probes.__name__, assertions.__name__, figures.__name__)
