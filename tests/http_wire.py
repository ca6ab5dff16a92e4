"""A server seen through a proxy that keeps what is asked of it and what it says."""

from __future__ import annotations

import base64
import binascii
import gzip
import http.client
import io
import json
import re
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding"}
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_PARQUET = b"PAR1"


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, as they crossed the wire but for compression."""

    path: str
    asked: bytes
    said: bytes

    @property
    def is_upload(self) -> bool:
        """Whether it brings data, and begins no query."""
        return self.path.startswith("/upload/")


@dataclass
class HttpWire:
    """What crossed.

    Args:
        port: the clients' end, on loopback.
    """

    port: int
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """The clients' end."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self) -> bytes:
        """All requests but uploads, their paths first, in every reading."""
        return _joined(_request(e) for e in self.exchanges if not e.is_upload)

    def uploaded(self) -> bytes:
        """All uploads."""
        return _joined(_request(e) for e in self.exchanges if e.is_upload)

    def said(self) -> bytes:
        """All answers, in every reading."""
        return _joined(readings(e.said) for e in self.exchanges)


def _joined(parts: Iterable[Iterable[bytes]]) -> bytes:
    return b"\0".join(part for each in parts for part in each)


def _request(exchange: Exchange) -> Iterator[bytes]:
    yield unquote_plus(exchange.path).encode()
    yield from readings(exchange.asked)


def readings(body: bytes) -> Iterator[bytes]:
    """All that can be read from a body, once: texts of JSON, what base64 stands for, values of
    Arrow streams and of a Parquet file; the body itself where it is no JSON.
    """
    try:
        texts = list(_texts(json.loads(body)))
    except ValueError:
        yield body
        texts = []
    if _PARQUET in body:
        start, end = body.index(_PARQUET), body.rindex(_PARQUET) + len(_PARQUET)
        yield from values_of(pq.read_table(io.BytesIO(body[start:end])))
    for text in texts:
        yield text.encode()
        if _BASE64.fullmatch(text):
            yield from _meant(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield str(name)
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif value is not None:
        yield str(value)


def _meant(text: str) -> Iterator[bytes]:
    try:
        meant = base64.b64decode(text, validate=True)
    except binascii.Error:
        return
    try:
        table = pa.ipc.open_stream(meant).read_all()
    except (pa.ArrowInvalid, OSError):
        yield meant
    else:
        yield from (*values_of(table), str(table.schema).encode())


def values_of(table: pa.Table) -> Iterator[bytes]:
    """Each value but nulls, as bytes."""
    for column in table.columns:
        for value in column.to_pylist():
            if value is not None:
                yield value if isinstance(value, bytes) else str(value).encode()


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wire: HttpWire
    server_at: tuple[str, int]

    def _pass(self) -> None:
        asked = self._body()
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_ONE_HOP}
        headers |= {"Content-Length": str(len(asked)), "Accept-Encoding": "identity"}
        upstream = http.client.HTTPConnection(*self.server_at, timeout=120)
        try:
            upstream.request(self.command, self.path, body=asked, headers=headers)
            answer = upstream.getresponse()
            said = answer.read()
            self.wire.exchanges.append(
                Exchange(
                    self.path,
                    _plain(asked, self.headers.get("Content-Encoding")),
                    _plain(said, answer.headers.get("Content-Encoding")),
                )
            )
            self._answer(answer, said)
        finally:
            upstream.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815 -- names of the library

    def _answer(self, answer: http.client.HTTPResponse, said: bytes) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_ONE_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _plain(body: bytes, encoding: str | None) -> bytes:
    """What a body says. One in a coding that is not known here cannot be looked through."""
    match (encoding or "identity").lower():
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case other:
            assert other == "identity", f"cannot read {other}"
            return body


@contextmanager
def http_wire_to(endpoint: str) -> Iterator[HttpWire]:
    """A wire to a server on this machine while the block runs."""
    at = urlsplit(endpoint)
    made: dict[str, Any] = {"server_at": (at.hostname, at.port)}
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (_Proxy,), made)) as server:
        server.daemon_threads = True
        wire = HttpWire(server.server_address[1])
        server.RequestHandlerClass.wire = wire  # type: ignore[attr-defined]
        running = threading.Thread(target=server.serve_forever)
        running.start()
        try:
            yield wire
        finally:
            server.shutdown()
            running.join()
