"""Spans and metrics as OTLP over HTTP, in the protocol's own messages.

The messages alone are a library's: its SDK would read a dozen environment variables, look for
resources on the machine and hold queues of its own. What is sent is what is on the closed list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as m
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as t

from mayfly.adapters.posting import post, reach
from mayfly.domain.telemetry import METRICS, Attributes, Metric, MetricKind, Point, Span, Sum
from mayfly.domain.version import VERSION

RESOURCE = (
    *("service.name", "service.version", "deployment.environment.name"),
    *("cloud.provider", "cloud.region"),
)
"""What is told of where it comes from; nothing of the machine."""
_WHOSE = "telemetry"
_CODE = "telemetry"
TIMEOUT_SECONDS = 4.0
"""Less than a command waits at its end, so that what was not sent is counted."""
_CONTENT = {"content-type": "application/x-protobuf"}


class OtlpReceiver:
    """Posts to `/v1/traces` and `/v1/metrics`. Sums are deltas: processes are short.

    Args:
        endpoint: HTTPS, or literal loopback over plain HTTP.
        headers: gives those that log in.
        resource: of `RESOURCE`, what is known.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Callable[[], Mapping[str, str]],
        resource: Mapping[str, str],
    ) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._headers = headers
        known = {name: resource[name] for name in RESOURCE if resource.get(name)}
        self._resource = Resource(attributes=[_pair(k, v) for k, v in known.items()])
        self._scope = InstrumentationScope(name="mayfly", version=VERSION)

    def traces(self, spans: Sequence[Span]) -> None:
        """See `TelemetryReceiver.traces`."""
        scoped = t.ScopeSpans(scope=self._scope, spans=[_span(each) for each in spans])
        request = ExportTraceServiceRequest(
            resource_spans=[t.ResourceSpans(resource=self._resource, scope_spans=[scoped])]
        )
        self._post("traces", request.SerializeToString())

    def metrics(
        self, sums: Sequence[Sum], points: Sequence[Point], *, since_ns: int, now_ns: int
    ) -> None:
        """See `TelemetryReceiver.metrics`."""
        found = []
        for metric in METRICS.values():
            mine = [one for one in sums if one.metric == metric.name]
            gauged = [point for point in points if point.metric == metric.name]
            if mine:
                found.append(_counted(metric, mine, since_ns, now_ns))
            if gauged:
                found.append(_gauged(metric, gauged, now_ns))
        scoped = m.ScopeMetrics(scope=self._scope, metrics=found)
        request = ExportMetricsServiceRequest(
            resource_metrics=[m.ResourceMetrics(resource=self._resource, scope_metrics=[scoped])]
        )
        self._post("metrics", request.SerializeToString())

    def check(self) -> None:
        """See `TelemetryReceiver.check`."""
        self._headers()
        reach(self._endpoint, whose=_WHOSE, code=_CODE)

    def _post(self, signal: str, body: bytes) -> None:
        headers = {**self._headers(), **_CONTENT}
        post(
            f"{self._endpoint}/v1/{signal}",
            body,
            headers,
            whose=_WHOSE,
            code=_CODE,
            timeout_seconds=TIMEOUT_SECONDS,
        )


def _pair(name: str, value: str | int) -> KeyValue:
    if isinstance(value, int):
        return KeyValue(key=name, value=AnyValue(int_value=value))
    return KeyValue(key=name, value=AnyValue(string_value=value))


def _pairs(attributes: Attributes) -> list[KeyValue]:
    return [_pair(f"mayfly.{name}", value) for name, value in attributes.items()]


def _span(span: Span) -> t.Span:
    failed, well = t.Status.STATUS_CODE_ERROR, t.Status.STATUS_CODE_UNSET
    status = t.Status(code=failed if span.failed else well)
    return t.Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=f"mayfly.{span.type}",
        kind=t.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_pairs(span.attributes),
        status=status,
    )


def _counted(metric: Metric, sums: Sequence[Sum], since_ns: int, now_ns: int) -> m.Metric:
    made = _metric(metric)
    if metric.kind is MetricKind.HISTOGRAM:
        made.histogram.aggregation_temporality = m.AGGREGATION_TEMPORALITY_DELTA
        made.histogram.data_points.extend(
            m.HistogramDataPoint(
                attributes=_pairs(one.attributes),
                start_time_unix_nano=since_ns,
                time_unix_nano=now_ns,
                count=one.number,
                sum=one.total,
                bucket_counts=one.buckets,
                explicit_bounds=metric.bounds,
            )
            for one in sums
        )
        return made
    made.sum.aggregation_temporality = m.AGGREGATION_TEMPORALITY_DELTA
    made.sum.is_monotonic = True
    made.sum.data_points.extend(
        m.NumberDataPoint(
            attributes=_pairs(one.attributes),
            start_time_unix_nano=since_ns,
            time_unix_nano=now_ns,
            as_double=one.total,
        )
        for one in sums
    )
    return made


def _gauged(metric: Metric, points: Sequence[Point], now_ns: int) -> m.Metric:
    made = _metric(metric)
    made.gauge.data_points.extend(
        m.NumberDataPoint(
            attributes=_pairs(point.attributes), time_unix_nano=now_ns, as_double=point.value
        )
        for point in points
    )
    return made


def _metric(metric: Metric) -> m.Metric:
    return m.Metric(name=f"mayfly.{metric.name}", description=metric.help, unit=metric.unit)
