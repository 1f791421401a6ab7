"""ai_inference: the platform's Gateway API routes requests to models, and route changes lose no requests.

The check creates a Gateway of the platform's class and two model servers behind one HTTPRoute. The route selects a
server by a header or a path that names a model, and otherwise by weights. A client in the cluster sends requests
through the data plane; so does this machine if it can reach the Gateway's address. Each answer names its server. Then
the weights change while the client keeps sending requests with short and with long answers.
"""

from aiconform.check import collect
from aiconform.checks.ai_inference import assertions, figures, options, probes

CHECK = collect("ai_inference", options.__name__, probes.__name__, assertions.__name__, figures.__name__)
