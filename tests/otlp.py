"""A receiver of OTLP on loopback, which reads what it is sent with the protocol's own messages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_PATHS: dict[str, tuple[Any, Any]] = {
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
}


@dataclass(kw_only=True)
class Otlp:
    """What came, in order; it answers as it is told to.

    Args:
        url: its address.
        status: of every answer.
        hangs: while it is set nothing is answered.
        bodies: as they came, with the head of each request.
        requests: as the protocol's messages, those that were answered with 200.
    """

    url: str = ""
    status: int = 200
    hangs: threading.Event = field(default_factory=threading.Event)
    let_go: threading.Event = field(default_factory=threading.Event)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)

    def spans(self) -> list[Any]:
        """Every span."""
        return [
            span
            for request in self.requests
            if isinstance(request, ExportTraceServiceRequest)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> list[Any]:
        """Every metric."""
        return [
            metric
            for request in self.requests
            if isinstance(request, ExportMetricsServiceRequest)
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def resources(self) -> list[dict[str, str]]:
        """Of each request, what it says of where it comes from."""
        found = []
        for request in self.requests:
            parts = getattr(request, "resource_spans", None) or request.resource_metrics
            found += [values(part.resource.attributes) for part in parts]
        return found


def values(attributes: Any) -> dict[str, Any]:
    """Of attributes, by name."""
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


@contextmanager
def otlp_receiver() -> Iterator[Otlp]:
    """One on a free port."""
    made = Otlp()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.bodies.append(str(self.headers).encode() + body)
            made.headers.append({k.lower(): v for k, v in self.headers.items()})
            if made.hangs.is_set():
                made.let_go.wait(60)
                return
            request, reply = _PATHS[self.path]
            status = made.status
            if self.headers["content-type"] != "application/x-protobuf":
                status = 415
            if status == 200:
                made.requests.append(request.FromString(body))
            content = reply().SerializeToString()
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.let_go.set()
        server.shutdown()
