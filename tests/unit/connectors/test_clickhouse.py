"""What the ClickHouse source makes of settings, numbers, names and bytes, without a server."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from mayfly.bootstrap.registry import SOURCES
from mayfly.config.load import load_project
from mayfly.connectors.sources.clickhouse import ClickhouseSource, require_version
from mayfly.connectors.sources.clickhouse_connect import (
    PINNED,
    Body,
    ClickhouseAccess,
    not_connected,
    translated,
)
from mayfly.connectors.sources.clickhouse_errors import (
    StillWorkingError,
    answer_error,
    code_in,
    from_code,
    lacked,
)
from mayfly.connectors.sources.clickhouse_session import ClickhouseSession, Place
from mayfly.connectors.sources.clickhouse_types import column, plain, plain_schema, readable, unfit
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.model_reads import TableRead
from mayfly.ports.source_spec import GrantRequest, SourceRequest

_PROJECT = """\
version: 1
workspace: {name: shop}
sources:
  events:
    type: clickhouse
    endpoint: https://ch.example.com
    user: "ma`yfly"
    password: env:CLICKHOUSE_PASSWORD
    database: shop
"""


class _Word:
    def __init__(self, text: str = "pa: sswörd") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def _access(endpoint: str = "https://ch.example.com", user: str = "mayfly") -> ClickhouseAccess:
    return ClickhouseAccess(endpoint=endpoint, user=user, password=_Word, database="shop")


def _request(tmp_path: Path, text: str = _PROJECT) -> SourceRequest:
    (tmp_path / "mayfly.yml").write_text(text)
    project = load_project(tmp_path)
    return SourceRequest(
        settings=project.sources["events"], root=tmp_path, resolve=lambda _: _Word()
    )


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "url", "host"),
    [
        ("https://ch.example.com", "https://ch.example.com:8443/", "ch.example.com"),
        ("https://ch.example.com:9443", "https://ch.example.com:9443/", "ch.example.com"),
        ("http://127.0.0.1:8123", "http://127.0.0.1:8123/", "127.0.0.1"),
    ],
)
def test_an_endpoint_is_an_address_and_a_host(endpoint: str, url: str, host: str) -> None:
    """With the ports that ClickHouse has, and without a user."""
    access = _access(endpoint)
    assert (access.url, access.host()) == (url, host)
    assert "pa: ssw" not in repr(access)


def test_the_project_file_makes_a_source(tmp_path: Path) -> None:
    """One host, a local state, and rights of one user on columns alone."""
    spec, request = SOURCES["clickhouse"], _request(tmp_path)
    assert request.settings.state == "local"
    assert spec.hosts(request) == {"ch.example.com"}
    source = spec.open(request)
    assert source.relation(None, "a`b") == "`shop`.`a\\`b`"
    assert source.relation("o\\p", "t") == "`o\\\\p`.`t`"
    reads = (
        TableRead(schema=None, name="people", columns=("id", "e mail")),
        TableRead(schema="Other", name="t", columns=None),
    )
    made, temporary, people, other = spec.grants(GrantRequest(source=request, reads=reads))
    assert made.startswith(
        "CREATE USER IF NOT EXISTS `ma\\`yfly` IDENTIFIED WITH sha256_hash BY '0"
    )
    assert "SETTINGS readonly = 2;" in made
    assert temporary == "GRANT CREATE TEMPORARY TABLE ON *.* TO `ma\\`yfly`;"
    assert people == "GRANT SELECT(`id`, `e mail`) ON `shop`.`people` TO `ma\\`yfly`;"
    assert other.startswith("GRANT SELECT ON `Other`.`t` TO `ma\\`yfly`;")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("state: source", "no_transactions"),
        ("state: elsewhere", "not_allowed"),
        ("endpoint: http://ch.example.com", "endpoint_refused"),
        ("endpoint: https://mayfly:secret@ch.example.com", "endpoint_refused"),
        ("endpoint: https://ch.example.com/path", "endpoint_refused"),
        ("password: secret", "literal_secret"),
        ("dsn: env:X", "key_of_other_type"),
        ("ca: relative.pem", "bad_format"),
    ],
)
def test_settings_that_weaken_it_are_refused(tmp_path: Path, change: str, code: str) -> None:
    """No plain HTTP off this machine, no secret in the file or the address, no state there."""
    key = change.partition(":")[0]
    kept = [line for line in _PROJECT.splitlines() if not line.strip().startswith(f"{key}:")]
    with pytest.raises(ConfigError) as refused:
        _request(tmp_path, "\n".join([*kept, f"    {change}", ""]))
    assert code in str(refused.value)


def test_a_state_in_the_source_is_refused_by_the_source_too() -> None:
    """For whoever makes one without project files."""
    source = ClickhouseSource("shop", _access())
    with pytest.raises(ConfigError, match="read_only_source"), source.session(write=True):
        pass
    with pytest.raises(ConfigError, match="read_only_source") as refused:
        source.check(write=True)
    assert "state: local" in refused.value.hint


@pytest.mark.parametrize("user", ["may:fly", "may\nfly"])
def test_a_user_that_http_cannot_name_is_refused(user: str) -> None:
    """A colon ends the name in a log-in."""
    with pytest.raises(ConfigError, match="user_invalid"):
        _access(user=user).client("shop")


def test_a_client_is_closed_on_every_side() -> None:
    """TLS 1.2 or later, verified; nothing of the environment; no redirect; no name of a machine."""
    with _access().client("shop") as client:
        assert not client.trust_env
        assert not client.follow_redirects
        assert client.headers["user-agent"] == "mayfly"
        pool = client._transport._pool  # type: ignore[attr-defined]
        context = pool._ssl_context
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_no_result_may_be_cut_short_by_a_setting() -> None:
    """Every way in which ClickHouse can end a result early without an error."""
    cut = [name for name in PINNED if name.endswith(("_overflow_mode", "_overflow_mode_leaf"))]
    assert len(cut) == 11
    assert {PINNED[name] for name in cut} == {"throw"}
    assert {PINNED[name] for name in ("limit", "offset", "skip_unavailable_shards")} == {"0"}
    assert PINNED["readonly"] == "2"


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (60, ConfigError, "table_missing"),
        (81, ConfigError, "database_missing"),
        (47, ConfigError, "column_missing"),
        (46, ConfigError, "function_missing"),
        (62, ConfigError, "query_syntax"),
        (179, ConfigError, "column_ambiguous"),
        (80, ConfigError, "query_invalid"),
        (6, ConfigError, "value_conversion"),
        (241, ConfigError, "memory_limit"),
        (396, ConfigError, "source_limit"),
        (452, ConfigError, "settings_refused"),
        (497, ConfigError, "missing_grant"),
        (164, ConfigError, "read_only_session"),
        (516, ConfigError, "source_refused"),
        (243, ConfigError, "disk_full"),
        (159, TransientError, "source_busy"),
        (202, TransientError, "source_busy"),
        (373, StillWorkingError, "source_busy"),
        (372, TransientError, "connection_lost"),
        (999, TransientError, "source_busy"),
        (12345, ContractError, "query_failed"),
    ],
)
def test_each_number_is_an_error_of_ours(number: int, kind: type[EngineError], code: str) -> None:
    """Without a word of the server's."""
    error = from_code(number, f"Code: {number}. DB::Exception: a value (X)")
    assert type(error) is kind
    assert error.code == code
    assert "a value" not in str(error) + error.hint


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            "grant SELECT(id, `e)mail`) ON shop.people. (Missing permissions: SELECT(x) ON y)",
            "GRANT SELECT(id, `e)mail`) ON shop.people",
        ),
        (
            "grant SELECT ON `we \\`ird`.`Ta. ble`. (ACCESS_DENIED)",
            "GRANT SELECT ON `we \\`ird`.`Ta. ble`",
        ),
        (
            "grant CREATE TEMPORARY TABLE ON *.*. (ACCESS_DENIED)",
            "GRANT CREATE TEMPORARY TABLE ON *.*",
        ),
        ("grant READ ON URL. (ACCESS_DENIED)", "GRANT READ ON URL"),
        ("grant 'a value' ON x", ""),
        ("grant SELECT ON 'a value'", ""),
    ],
)
def test_a_missing_right_is_told_by_its_names_alone(said: str, hint: str) -> None:
    """As they are quoted there; what is no name is not told."""
    text = "Code: 497. DB::Exception: u: Not enough privileges. To execute this query, it's "
    assert lacked(f"{text}necessary to have the {said}") == hint


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Code: 60. DB::Exception: x", 60),
        ("Code: 1. said by a row\r\n__exception__\r\nabc\r\nCode: 395. DB::Exception: y\n"
         "52 abc\r\n__exception__\r\n", 395),
        ("Code: 1. said by a row __exception__\r\nCode: 241. DB::Exception: y", 241),
        ("nothing", None),
    ],
)  # fmt: skip
def test_the_number_of_an_error_stands_behind_its_mark(text: str, code: int | None) -> None:
    """Whatever a row says before."""
    assert code_in(text) == code


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "source_refused"), (302, "source_refused"), (404, "source_refused"),
     (502, "source_away"), (503, "source_away")],
)  # fmt: skip
def test_answers_of_others_are_told_apart(status: int, code: str) -> None:
    """What a balancer or another server says."""
    assert answer_error(status).code == code


def test_a_certificate_is_told_from_a_server_that_is_away() -> None:
    """However deep the library has it."""
    inner = ssl.SSLCertVerificationError("a value")
    outer = httpx.ConnectError("a value")
    outer.__cause__ = OSError()
    outer.__cause__.__cause__ = inner
    assert not_connected("shop", outer).code == "tls_not_verified"
    assert not_connected("shop", httpx.ConnectError("a value")).code == "source_away"
    with pytest.raises(TransientError, match="connection_lost"), translated("shop"):
        raise httpx.ReadError("a value")


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("25.8.4.13", True),
        ("26.9.2.1", True),
        ("25.7.1.1", False),
        ("23.12.1", False),
        ("?", False),
    ],
)
def test_an_old_server_is_refused(version: str, fits: bool) -> None:
    """By the first two numbers."""
    if fits:
        require_version("shop", version)
        return
    with pytest.raises(ConfigError, match="server_too_old"):
        require_version("shop", version)


# -- answers -------------------------------------------------------------------------------------


def _arrow(rows: int, *, end: bool = True) -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table({"n": pa.array(range(rows), pa.int64())})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data if end else data[:-8]


def _session(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> object:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    client = httpx.Client(transport=httpx.MockTransport(answer))
    place = Place(
        source="shop", url="http://127.0.0.1:1/", database="d", grantee="`u`", compressed=True
    )
    return ClickhouseSession(client, place)


def test_a_whole_answer_is_a_table() -> None:
    """With the mark that ends it."""
    assert _session(_arrow(5)).table("SELECT 1").num_rows == 5


@pytest.mark.parametrize(
    "body",
    [
        _arrow(5, end=False),
        _arrow(5)[:-200],
        _arrow(5) + b"more",
        b"",
        b"not Arrow at all",
        _arrow(5, end=False) + b"__exception__\r\n",
    ],
)
def test_an_answer_that_is_not_whole_is_none(body: bytes) -> None:
    """Though its way was in order: a shorter result would look like rows that left."""
    with pytest.raises(TransientError, match="connection_lost"):
        _session(body).table("SELECT 1")
    with pytest.raises(TransientError, match="connection_lost"):
        list(_session(body).stream("SELECT 1"))


def test_an_error_in_its_midst_is_told() -> None:
    """By its number."""
    body = _arrow(5, end=False) + b"__exception__\r\nCode: 241. DB::Exception: a value (X)\n"
    with pytest.raises(ConfigError, match="memory_limit"):
        _session(body).table("SELECT 1")


def test_an_error_in_a_header_counts_whatever_the_status() -> None:
    """And a missing right says to whom."""
    text = b"it's necessary to have the grant SELECT(id) ON d.t. (ACCESS_DENIED)"
    session = _session(text, headers={"X-ClickHouse-Exception-Code": "497"})
    with pytest.raises(ConfigError, match="missing_grant") as refused:
        session.table("SELECT 1")
    assert refused.value.hint == "GRANT SELECT(id) ON d.t TO `u`;"


def test_a_body_is_read_in_any_pieces() -> None:
    """And remembers its end."""
    body = Body(httpx.Response(200, stream=httpx.ByteStream(bytes(range(100)))))
    assert [len(body.read(n)) for n in (0, 1, 50, 500, 1)] == [0, 1, 50, 49, 0]
    assert body.last == bytes(range(100))
    assert body.read() == b""


def test_bytes_of_a_fixed_length_are_bytes() -> None:
    """As digests come."""
    given = pa.record_batch({"d": pa.array([b"ab", None], pa.binary(2)), "n": pa.array([1, 2])})
    made = plain(given)
    assert made.schema == plain_schema(given.schema)
    assert made.to_pylist() == [{"d": b"ab", "n": 1}, {"d": None, "n": 2}]


@pytest.mark.parametrize(
    ("sql_type", "bare", "arrow"),
    [
        ("LowCardinality(Nullable(String))", "String", pa.string()),
        ("Nullable(Decimal(38, 2))", "Decimal(38, 2)", pa.decimal128(38, 2)),
        ("Decimal(39, 2)", "Decimal(39, 2)", pa.string()),
        ("SimpleAggregateFunction(anyLast, Nullable(UInt8))", "UInt8", pa.uint8()),
        ("SimpleAggregateFunction(groupArrayArray(3), Array(UInt8))", "Array(UInt8)", pa.string()),
        ("DateTime('Europe/Paris')", "DateTime('Europe/Paris')", pa.timestamp("us", tz="UTC")),
        ("DateTime64(9, 'UTC')", "DateTime64(9, 'UTC')", pa.timestamp("us", tz="UTC")),
        ("AggregateFunction(uniq, UInt64)", "AggregateFunction(uniq, UInt64)", pa.string()),
        ("SomethingNew(5)", "SomethingNew(5)", pa.string()),
    ],
)
def test_a_type_is_read_by_its_name(sql_type: str, bare: str, arrow: pa.DataType) -> None:
    """Without what says how values are kept; what nobody knows is text."""
    info = column("c", sql_type)
    assert (info.sql_type, info.arrow_type) == (bare, arrow)
    assert "`c`" in readable(info) or bare.startswith("Aggregate")
    assert (unfit(info) is not None) == bare.startswith(
        ("String", "Array", "Aggregate", "DateTime64")
    )
