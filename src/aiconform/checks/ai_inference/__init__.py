"""ai_inference: the platform's Gateway API routes requests to models as its routes say, and changes without a loss."""

from aiconform.check import collect
from aiconform.checks.ai_inference import probes

CHECK = collect("ai_inference", probes.__name__)
