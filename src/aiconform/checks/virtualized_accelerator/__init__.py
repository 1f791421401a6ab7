"""virtualized_accelerator: virtual devices are asked for as fractions are, are their holder's alone, and come back."""

from aiconform.check import collect
from aiconform.checks.virtualized_accelerator import assertions, options, probes

CHECK = collect("virtualized_accelerator", options.__name__, probes.__name__, assertions.__name__)
