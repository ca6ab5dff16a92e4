"""Requests to ClickHouse's HTTP interface: who asks, over what, and what each request pins."""

from __future__ import annotations

import io
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import httpx

from mayfly.connectors.sources.clickhouse_errors import (
    CODE_HEADER,
    answer_error,
    code_in,
    from_code,
    lost,
)
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.ports.source_spec import Revealed
from mayfly.privacy.closed_logs import close_logs

# Their lines hold addresses.
close_logs("httpx", "httpcore")

TLS_PORT, PLAIN_PORT = 8443, 8123
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 900.0
"""How long a server may say nothing; while it works it says every minute that it does."""
SESSION_SECONDS = 600
"""How long the server keeps temporary tables of a session that asks nothing more."""
ERROR_BYTES_MAX = 1 << 16
_LIMITED = (
    *("read_overflow_mode", "read_overflow_mode_leaf", "group_by_overflow_mode"),
    *("sort_overflow_mode", "result_overflow_mode", "timeout_overflow_mode"),
    *("timeout_overflow_mode_leaf", "set_overflow_mode", "join_overflow_mode"),
    *("transfer_overflow_mode", "distinct_overflow_mode"),
)
PINNED: Mapping[str, str] = {
    "readonly": "2",
    # What a killed process leaves running ends by itself.
    "cancel_http_readonly_queries_on_client_close": "1",
    "session_timezone": "UTC",
    # A result is whole, or an error: some of these would cut it short without a word.
    **dict.fromkeys(_LIMITED, "throw"),
    "limit": "0",
    "offset": "0",
    "extremes": "0",
    "final": "0",
    "skip_unavailable_shards": "0",
    "use_query_cache": "0",
    "additional_result_filter": "",
    # What SQL means. Models have the engine's own; see `planning.sql.clickhouse.OF_MODELS`.
    "allow_experimental_analyzer": "1",
    "join_use_nulls": "1",
    "prefer_column_name_to_alias": "1",
    "group_by_use_nulls": "0",
    "transform_null_in": "0",
    "aggregate_functions_null_for_empty": "0",
    "empty_result_for_aggregation_by_empty_set": "0",
    "data_type_default_nullable": "0",
    "cast_keep_nullable": "0",
    "decimal_check_overflow": "1",
    "cast_ipv4_ipv6_default_on_conversion_error": "0",
    "count_distinct_implementation": "uniqExact",
    "any_join_distinct_right_table_keys": "0",
    "join_default_strictness": "ALL",
    "union_default_mode": "",
    # How values are written.
    "bool_true_representation": "true",
    "bool_false_representation": "false",
    "date_time_output_format": "iso",
    "output_format_decimal_trailing_zeros": "1",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_quote_denormals": "1",
    "output_format_json_quote_decimals": "1",
    "output_format_json_named_tuples_as_objects": "1",
    "output_format_json_escape_forward_slashes": "0",
    "output_format_json_validate_utf8": "0",
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_fixed_string_as_fixed_byte_array": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    # A scan of many columns is a long statement.
    "max_query_size": "67108864",
    "max_ast_elements": "4000000",
    "max_expanded_ast_elements": "16000000",
    "max_ast_depth": "10000",
    "max_parser_depth": "10000",
    # Rows that are loaded are there when the statement is done.
    "async_insert": "0",
    # Says that the server works, for whatever stands between; see `IDLE_SECONDS`.
    "send_progress_in_http_headers": "1",
    "http_headers_progress_interval_ms": "60000",
    "http_write_exception_in_output_format": "0",
    "enable_http_compression": "0",
    "wait_end_of_query": "0",
}
"""Settings of every request: what results depend on, and what may be kept."""
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
for _option, _seconds in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
    if hasattr(socket, _option):
        _KEEP_ALIVE.append((socket.IPPROTO_TCP, getattr(socket, _option), _seconds))
_NO_LATIN = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class ClickhouseAccess:
    """Who reads what, and where. Its `repr` holds no secret.

    Args:
        endpoint: `https://host`, with a port or without; or `http://127.0.0.1:PORT`.
        user: that reads.
        password: gives it; called for each session. It goes in a header, never in an address.
        database: where tables are that a model names without one.
        ca: file of an authority of one's own.
    """

    endpoint: str
    user: str
    password: Callable[[], Revealed] = field(repr=False)
    database: str
    ca: Path | None = None

    def host(self) -> str:
        """What is connected to."""
        return urlsplit(self.endpoint).hostname or ""

    @property
    def url(self) -> str:
        """Of every request; it names nobody."""
        parts = urlsplit(self.endpoint)
        port = parts.port or (TLS_PORT if parts.scheme == "https" else PLAIN_PORT)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}:{port}/"

    def client(self, source: str) -> httpx.Client:
        """For one session: it heeds no variable of the environment and follows no redirect.

        Args:
            source: its name, for messages.

        Raises:
            ConfigError: `user_invalid`; `ca_invalid`.
        """
        if ":" in self.user or _NO_LATIN.search(self.user):
            raise ConfigError(
                "user_invalid",
                f"The user of source {source} has a colon or a control character in its name, "
                "which HTTP cannot say.",
                hint="Read as a user of another name.",
            )
        # Reading the authorities takes longer than a statement; without TLS nobody asks them.
        verify = _tls(source, self.ca) if self.url.startswith("https:") else False
        return httpx.Client(
            auth=httpx.BasicAuth(self.user.encode(), self.password().reveal().encode()),
            transport=httpx.HTTPTransport(verify=verify, retries=0, socket_options=_KEEP_ALIVE),
            headers={"user-agent": "mayfly", "accept-encoding": "identity"},
            timeout=httpx.Timeout(IDLE_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
            follow_redirects=False,
        )


def _tls(source: str, ca: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else certifi.where())
    except (OSError, ssl.SSLError):
        raise ConfigError(
            "ca_invalid",
            f"The file of an authority that source {source} names cannot be read.",
            hint="`ca` is the path of a PEM file.",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class Body(io.RawIOBase):
    """An answer as the reader of Arrow wants it. It remembers how it ended."""

    def __init__(self, reply: httpx.Response) -> None:
        super().__init__()
        self._pieces = reply.iter_raw()
        self._held = b""
        self.last = b""

    def readable(self) -> bool:
        """It can be read from its beginning to its end."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """As many bytes, or fewer at the end."""
        parts, wanted = [], size if size is not None and size >= 0 else None
        while wanted is None or wanted > 0:
            if not self._held:
                self._held = next(self._pieces, b"")
                self.last = (self.last + self._held)[-ERROR_BYTES_MAX:]
            if not self._held:
                break
            part, self._held = self._held[:wanted], b"" if wanted is None else self._held[wanted:]
            parts.append(part)
            wanted = None if wanted is None else wanted - len(part)
        return b"".join(parts)


@contextmanager
def answered(
    client: httpx.Client, source: str, url: str, params: Mapping[str, str], content: bytes
) -> Iterator[httpx.Response]:
    """The answer to one request, whose body is still to be read.

    Raises:
        TransientError: `source_away`, `connection_lost`.
        ConfigError: `tls_not_verified`, and whatever the server says.
    """
    with translated(source):
        request = client.build_request("POST", url, params=dict(params), content=content)
        reply = client.send(request, stream=True)
    try:
        if reply.status_code != 200 or CODE_HEADER in reply.headers:
            raise _said(source, reply)
        yield reply
    finally:
        # What was not read whole is not read on: the connection is closed, and the server ends the
        # statement.
        with suppress(httpx.HTTPError):
            reply.close()


def read_whole(source: str, reply: httpx.Response, most: int = -1) -> bytes:
    """The body of an answer.

    Args:
        source: its name.
        reply: whose body it is.
        most: bytes of it; all where it is negative.
    """
    with translated(source):
        return Body(reply).read(most)


def _said(source: str, reply: httpx.Response) -> EngineError:
    text = read_whole(source, reply, ERROR_BYTES_MAX).decode("utf-8", "replace")
    code = reply.headers.get(CODE_HEADER, "")
    number = int(code) if code.isdecimal() else code_in(text)
    return answer_error(reply.status_code) if number is None else from_code(number, text)


@contextmanager
def translated(source: str) -> Iterator[None]:
    """Turn errors of the way to the server into ours."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise not_connected(source, error) from None
    except (httpx.HTTPError, httpx.StreamError, OSError):
        raise lost() from None


def not_connected(source: str, error: BaseException) -> EngineError:
    """Our error for a connection that was not made."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return ConfigError(
                "tls_not_verified",
                f"The server of source {source} could not be verified.",
                hint="Its certificate must be for the host of `endpoint`, valid, and of an "
                "authority that is known; `ca` names the file of one of your own.",
            )
        seen = seen.__cause__ or seen.__context__
    return TransientError(
        "source_away",
        f"The server of source {source} does not answer.",
        hint="Check `endpoint` of the source, and that this machine may reach it.",
    )
