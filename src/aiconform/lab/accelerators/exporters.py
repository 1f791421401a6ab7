"""The exporters that the lab's can speak like: see `exporters.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path

from pydantic import Field

from aiconform.lab.accelerators.strict import Strict
from aiconform.spec import yamlfile


class Quantity(StrEnum):
    """What a series measures: percent, bytes, degrees or watts."""

    UTILIZATION = "utilization"
    MEMORY_USED = "memory_used"
    MEMORY_TOTAL = "memory_total"
    TEMPERATURE = "temperature"
    POWER = "power"


class Series(Strict):
    """A series of the exporter."""

    name: str
    of: Quantity
    help: str
    scale: float = 1.0
    """The factor from the unit of `of` to the series' own."""
    whole_only: bool = False
    """The exporter has no such series for a partition."""
    rows: tuple[dict[str, str], ...] = ()
    """The further labels of each of its rows for a device; those of the exporter if empty."""


class Exporter(Strict):
    """An exporter as its vendor deploys it, and what its pages look like."""

    name: str
    """Of its DaemonSet."""
    namespace: str
    port: int
    labels: dict[str, str]
    """Label -> template (`templates`) of every sample."""
    partition_labels: dict[str, str] = Field(default_factory=dict)
    """Further labels of a partition."""
    rows: tuple[dict[str, str], ...] = ({},)
    """A device has a row for each of these, with these labels in addition: one for each of its cores or engines."""
    series: tuple[Series, ...]
    sources: tuple[str, ...] = ()
    """Where the facts are from: URLs."""


@cache
def exporters() -> Mapping[str, Exporter]:
    """The known exporters by name."""
    data = yamlfile.read(Path(__file__).with_name("exporters.yaml")).data
    return {name: Exporter.model_validate(fields) for name, fields in data.items()}
