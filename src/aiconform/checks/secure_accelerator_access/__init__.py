"""secure_accelerator_access: only the container that was given a device can reach it."""

from aiconform.check import collect
from aiconform.checks.secure_accelerator_access import assertions, figures, options, probes

CHECK = collect("secure_accelerator_access", options.__name__, probes.__name__, assertions.__name__, figures.__name__)
