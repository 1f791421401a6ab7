"""Metrics as monitoring systems exchange them: samples, read from a page in Prometheus' text format or OpenMetrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

_COUNTER = re.compile(r"^([ \t]*#[ \t]*TYPE[ \t]+\S+[ \t]+)counter[ \t\r]*$", re.MULTILINE)
_DECLARATION = re.compile(r"^[ \t]*#[ \t]*(HELP|TYPE|EOF)\b", re.MULTILINE)
_EXEMPLAR = re.compile(r" # \{[^\n]*$", re.MULTILINE)
_NOT_CLASSIC = re.compile(r"[^a-zA-Z0-9_:]")


class BadFormat(ValueError):
    """A text that is not in a metrics format; the message says where."""


@dataclass(frozen=True)
class MetricSample:
    """One sample of one series."""

    name: str
    labels: dict[str, str]
    value: float

    def __str__(self) -> str:
        """As in Prometheus' text format."""
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels.items())
        return f"{self.name}{{{labels}}} {self.value:.17g}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def parse(text: str, content_type: str = "") -> list[MetricSample]:
    """The samples of a page of metrics, in Prometheus' text format or OpenMetrics. Raises BadFormat.

    A name that only Prometheus 3 allows is read as older versions get it: each other character as an underscore.
    """
    try:
        found = list(
            _of_openmetrics(text) if content_type.startswith("application/openmetrics-text") else _of_text(text)
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise BadFormat(f"not in a format for metrics: {error or type(error).__name__}") from error
    # Clients declare metrics that have no series yet.
    if not found and text.strip() and not _DECLARATION.search(text):
        raise BadFormat("not in a format for metrics: no sample in it")
    return found


def _of_text(text: str) -> Iterator[MetricSample]:
    # The parser renames the samples of counters that are not called so.
    return _samples(parse_text(_COUNTER.sub(r"\1untyped", text)))


def _of_openmetrics(text: str) -> Iterable[MetricSample]:
    """Raises ValueError. What Prometheus does not insist on, such as families in one piece, nobody has to keep."""
    try:
        return list(_samples(parse_openmetrics(text)))  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        if not text.rstrip().endswith("# EOF"):
            raise
    return _of_text(_EXEMPLAR.sub("", text))


def _samples(families: Iterable[Metric]) -> Iterator[MetricSample]:
    for metric in families:
        for sample in metric.samples:
            labels = {_classic(name): value for name, value in sample.labels.items()}
            yield MetricSample(_classic(sample.name), labels, float(sample.value))


@lru_cache(maxsize=4096)
def _classic(name: str) -> str:
    return _NOT_CLASSIC.sub("_", name)
