"""robust_controller: an operator for AI workloads works, also after it lost a child and its controller restarted.

The check follows one custom resource through its life. The operator's webhook refuses an invalid one. A valid one
reaches its ready state. One of its children is deleted and recreated. The Pods of the controller are deleted; the new
ones still refuse the invalid object and reconcile a change. The custom resource is deleted, and its children with it.

The operators are data (platform/operators/operators.yaml). The check changes and deletes only what it created, except
for the Pods of the controller: the requirement is that the operator survives their loss.
"""

from aiconform.check import collect
from aiconform.checks.robust_controller import assertions, choice, options, probes

CHECK = collect("robust_controller", options.__name__, choice.__name__, probes.__name__, assertions.__name__)
