"""acme.fabric: Pods have a network interface that carries large packets."""

from pathlib import Path

from acme_fabric import check
from aiconform.check import collect

CHECK = collect("acme.fabric", check.__name__, requirement=Path(__file__).with_name("acme.fabric.yaml"))
