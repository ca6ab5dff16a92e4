"""A Spark Connect that does as it is told: for what a real one does once in a thousand hours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pyarrow as pa

from mayfly.connectors.sources.spark_protocol import SERVICE, message, messages
from servers import Authority

Script = Callable[[Any], Iterator[Any]]
_STREAMS = {"ExecutePlan": "ExecutePlanRequest", "ReattachExecute": "ReattachExecuteRequest"}
_CALLS = ("AnalyzePlan", "Config", "Interrupt", "ReleaseExecute", "ReleaseSession")


class FailingError(Exception):
    """How a call ends.

    Args:
        code: of gRPC.
        text: that goes with it.
        told: metadata of a google.rpc.ErrorInfo.
    """

    def __init__(self, code: grpc.StatusCode, text: str = "", **told: str) -> None:
        super().__init__(code)
        self.code, self.text, self.told = code, text, told

    def trailing(self) -> tuple[tuple[str, bytes], ...]:
        """Trailing metadata, as Spark sends it."""
        if not self.told:
            return ()
        entries = [message("Entry", key=k, value=v) for k, v in self.told.items()]
        info = message("ErrorInfo", reason="org.apache.spark.SparkException", metadata=entries)
        detail = message(
            "Detail",
            type_url="type.googleapis.com/google.rpc.ErrorInfo",
            value=info.SerializeToString(),
        )
        status = message("Status", code=13, details=[detail])
        return (("grpc-status-details-bin", status.SerializeToString()),)


def rows(response_id: str, *values: int, offset: int = 0) -> Any:
    """An answer with some rows of column `a`."""
    batch = pa.record_batch({"a": pa.array(values, pa.int64())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    sent = message(
        "ArrowBatch", row_count=len(values), data=sink.getvalue().to_pybytes(), start_offset=offset
    )
    return message("ExecutePlanResponse", response_id=response_id, arrow_batch=sent)


def complete(response_id: str = "end") -> Any:
    """The last answer."""
    nothing = message("Nothing")
    return message("ExecutePlanResponse", response_id=response_id, result_complete=nothing)


def unavailable() -> FailingError:
    """Nobody answers."""
    return FailingError(grpc.StatusCode.UNAVAILABLE)


def refusing(error_class: str, *, text: str = "", state: str = "42000") -> FailingError:
    """An error of Spark."""
    return FailingError(grpc.StatusCode.INTERNAL, text, errorClass=error_class, sqlState=state)


@dataclass
class Scripted:
    """One that runs.

    Attributes:
        port: on loopback.
        streams: what comes of ExecutePlan and ReattachExecute, one after the other: answers, and an
            error to end with.
        answers: of other calls, by their name; what is not there is an empty message.
        asked: every call with its name, request and metadata.
    """

    port: int = 0
    streams: list[Sequence[Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    interrupted: threading.Event = field(default_factory=threading.Event)

    def calls(self, *names: str) -> list[Any]:
        """Requests of some calls."""
        return [request for name, request, _ in self.asked if name in names]

    def _note(self, name: str, request: Any, context: Any) -> None:
        self.asked.append((name, request, dict(context.invocation_metadata())))

    def stream(self, name: str) -> Callable[[Any, Any], Iterator[Any]]:
        """What serves ExecutePlan and ReattachExecute."""

        def serve(request: Any, context: Any) -> Iterator[Any]:
            self._note(name, request, context)
            if name == "ExecutePlan" and request.plan.HasField("command"):
                yield complete()
                return
            for answer in self.streams.pop(0):
                if isinstance(answer, FailingError):
                    _fail(context, answer)
                if isinstance(answer, threading.Event):
                    answer.wait(20)
                    return
                yield answer

        return serve

    def call(self, name: str) -> Callable[[Any, Any], Any]:
        """What serves another call."""

        def serve(request: Any, context: Any) -> Any:
            self._note(name, request, context)
            answer = self.answers.get(name)
            if name == "Interrupt":
                self.interrupted.set()
            if isinstance(answer, FailingError):
                _fail(context, answer)
            if answer is not None:
                return answer
            if name == "AnalyzePlan":
                version = message("Version", version="4.9.1")
                return message("AnalyzePlanResponse", spark_version=version)
            return messages()[f"{name}Response"]()

        return serve


def _fail(context: Any, error: FailingError) -> None:
    context.set_trailing_metadata(error.trailing())
    context.abort(error.code, error.text)


@contextmanager
def scripted(
    authority: Authority | None = None, *, host: str = "127.0.0.1", service: str = SERVICE
) -> Iterator[Scripted]:
    """One that ends with the block; with an authority it speaks TLS."""
    made = Scripted()
    handlers = {}
    for name, asked in _STREAMS.items():
        handlers[name] = grpc.unary_stream_rpc_method_handler(
            made.stream(name),
            request_deserializer=messages()[asked].FromString,
            response_serializer=lambda m: m.SerializeToString(),
        )
    for name in (*_CALLS, "FetchErrorDetails"):
        handlers[name] = grpc.unary_unary_rpc_method_handler(
            made.call(name),
            request_deserializer=messages()[f"{name}Request"].FromString,
            response_serializer=lambda m: m.SerializeToString(),
        )
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
        if authority is None:
            made.port = server.add_insecure_port(f"{host}:0")
        else:
            pair = (authority.key.read_bytes(), authority.certificate.read_bytes())
            credentials = grpc.ssl_server_credentials([pair])
            made.port = server.add_secure_port(f"{host}:0", credentials)
        server.start()
        try:
            yield made
        finally:
            server.stop(None).wait()
