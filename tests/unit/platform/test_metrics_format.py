"""Pages of metrics as exporters write them: what is read, and as what."""

from __future__ import annotations

import pytest

from aiconform.platform.monitoring.metrics import BadFormat, parse

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def read(text: str, content_type: str = "text/plain; version=0.0.4") -> list[str]:
    return [str(sample) for sample in parse(text, content_type)]


def test_a_counter_keeps_its_name() -> None:
    """DCGM's exporter declares counters without the suffix: etc/default-counters.csv."""
    name = "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"
    assert read(f'# HELP {name} b\n# TYPE {name} counter\n{name}{{gpu="0"}} 1\n') == [f'{name}{{gpu="0"}} 1']
    assert read("# TYPE requests_total counter\nrequests_total 1\n") == ["requests_total{} 1"]


def test_a_page_that_declares_metrics_without_series_is_one() -> None:
    assert read("# HELP a b\n# TYPE a gauge\n") == read("# TYPE a gauge\n# EOF\n", OPENMETRICS) == read("") == []
    with pytest.raises(BadFormat):
        parse("# Metrics\n")


def test_names_of_prometheus_3_are_read_as_older_versions_get_them() -> None:
    """https://prometheus.io/docs/instrumenting/escaping_schemes/"""
    text = '# TYPE "hw.gpu.utilization" gauge\n{"hw.gpu.utilization","hw.id"="a.0"} 0.5\nb{"hw.id"="1"} 1\n'
    assert read(text) == ['hw_gpu_utilization{hw_id="a.0"} 0.5', 'b{hw_id="1"} 1']


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ('# TYPE a gauge\na{x="1"} 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x="2"} 2\n# EOF\n', 3),
        ("# TYPE a counter\na 1\n# EOF\n", 1),
        ('# TYPE a gauge\n\na 1 # {trace_id="x"} 1 1.5\n# EOF\n', 1),
        ("# TYPE a gauge\n# UNIT a bytes\na 1\n# EOF\n", 1),
        ('# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 1\n# TYPE a gauge\na 1\n# EOF\n', 3),
    ],
    ids=["a family in pieces", "a counter without suffix", "an exemplar of a gauge", "a unit", "no infinite bucket"],
)
def test_what_prometheus_collects_is_in_a_standard_format(text: str, samples: int) -> None:
    assert len(read(text, OPENMETRICS)) == samples
    with pytest.raises(BadFormat):
        parse(text.replace("# EOF\n", ""), OPENMETRICS)


@pytest.mark.parametrize(
    "line",
    [
        'a{x="1",} 1',
        'a { x = "1" } 1 1712345678901',
        'a{x="1"}\t1',
        'a{x="q\\"uo\\\\te\\n}{,="} NaN',
        'a{x=""} +Inf',
        "a 9223372036854775807\r",
    ],
)
def test_lines_as_the_text_format_allows_them(line: str) -> None:
    assert len(read(f"# TYPE a gauge\n{line}\n\n")) == 1
