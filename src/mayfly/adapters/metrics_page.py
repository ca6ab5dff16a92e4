"""Metrics in the text form of Prometheus, by its own library.

Each page is of a registry of its own: what the library's default registry finds out of process and
machine is not on it, and nothing is kept between two pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from mayfly.domain.telemetry import METRICS, Metric, MetricKind, Point, Sum

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def metrics_page(sums: Sequence[Sum], found: Sequence[Point]) -> bytes:
    """The page. Of a metric without a value there is its name alone.

    Args:
        sums: what the process counted.
        found: what any process finds.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Listed(sums, found))
    return generate_latest(registry)


class _Listed(Collector):
    def __init__(self, sums: Sequence[Sum], found: Sequence[Point]) -> None:
        self._sums = sums
        self._found = found

    def collect(self) -> Iterator[Family]:
        """One family for each metric on the list, in its order."""
        for metric in METRICS.values():
            yield self._family(metric)

    def _family(self, metric: Metric) -> Family:
        sums = [one for one in self._sums if one.metric == metric.name]
        match metric.kind:
            case MetricKind.COUNTER:
                counter = CounterMetricFamily(
                    metric.prometheus, metric.help, labels=metric.attributes
                )
                for one in sums:
                    counter.add_metric(_labels(metric, one.attributes), one.total)
                return counter
            case MetricKind.HISTOGRAM:
                histogram = HistogramMetricFamily(
                    metric.prometheus, metric.help, labels=metric.attributes
                )
                for one in sums:
                    histogram.add_metric(
                        _labels(metric, one.attributes), _cumulative(metric, one), one.total
                    )
                return histogram
            case MetricKind.GAUGE:
                gauge = GaugeMetricFamily(metric.prometheus, metric.help, labels=metric.attributes)
                for point in self._found:
                    if point.metric == metric.name:
                        gauge.add_metric(_labels(metric, point.attributes), point.value)
                return gauge


def _labels(metric: Metric, attributes: Mapping[str, object]) -> list[str]:
    return [str(attributes[name]) for name in metric.attributes]


def _cumulative(metric: Metric, one: Sum) -> list[tuple[str, float]]:
    found, so_far = [], 0
    for bound, number in zip((*map(str, metric.bounds), "+Inf"), one.buckets, strict=True):
        so_far += number
        found.append((bound, float(so_far)))
    return found
