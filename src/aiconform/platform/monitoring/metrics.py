"""Metrics as monitoring systems exchange them: samples, read from a page in Prometheus' text format or OpenMetrics."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text


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
    """The samples of a page of metrics, in Prometheus' text format or OpenMetrics. Raises BadFormat."""
    parser = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
    try:
        found = [
            MetricSample(sample.name, dict(sample.labels), float(sample.value))
            for metric in parser(text)
            for sample in metric.samples
        ]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise BadFormat(f"not in a format for metrics: {error or type(error).__name__}") from error
    if not found and text.strip():
        raise BadFormat("not in a format for metrics: no sample in it")
    return found
