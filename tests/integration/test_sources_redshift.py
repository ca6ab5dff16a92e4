"""The protocol of a Redshift, on a real PostgreSQL: no more of it is shown here."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg.conninfo import make_conninfo

from approved import check_approved
from contract.source_worlds import Dsn, as_owner
from mayfly.connectors.sources.redshift import RedshiftSource
from mayfly.domain.errors import ConfigError, ContractError, TransientError
from mayfly.ports.source import ColumnInfo, ViewText

TYPES = {
    "a": ("true", "bool", "bool", True),
    "b": ("7::int2", "int2", "int16", 7),
    "c": ("7::int4", "int4", "int32", 7),
    "d": ("'-9223372036854775808'::int8", "int8", "int64", -(2**63)),
    "e": ("0.1::float4", "float4", "double", float.fromhex("0x1.99999ap-4")),
    "f": ("0.1::float8", "float8", "double", 0.1),
    "g": ("12.50::numeric(6,2)", "numeric(6,2)", "decimal128(6, 2)", Decimal("12.50")),
    "h": ("12.5::numeric", "numeric", "string", "12.5"),
    "i": ("'é😀 '::varchar(9)", "varchar", "string", "é😀 "),
    "j": ("'x'::char(3)", "bpchar", "string", "x"),
    "k": ("'2026-03-29'::date", "date", "date32[day]", date(2026, 3, 29)),
    "l": ("'23:59:59.5'::time", "time", "time64[us]", time(23, 59, 59, 500_000)),
    "m": (
        "'2026-03-29 01:30:00.123456'::timestamp",
        "timestamp",
        "timestamp[us]",
        datetime(2026, 3, 29, 1, 30, 0, 123456),
    ),
    "n": (
        "'2026-03-29 01:30:00.123456+02'::timestamptz",
        "timestamptz",
        "timestamp[us, tz=UTC]",
        datetime(2026, 3, 28, 23, 30, 0, 123456, UTC),
    ),
    "o": ("'\\x00ff'::bytea", "varbyte", "binary", b"\x00\xff"),
    "p": ("'23:59:59+00'::timetz", "timetz", "string", "23:59:59+00"),
    "q": ("'a'::\"char\"", "oid:18", "string", "a"),
    "r": ("NULL::int8", "int8", "int64", None),
}


@pytest.fixture
def source(postgres_module_database: str) -> RedshiftSource:
    """A database of this module."""
    return RedshiftSource("crm", Dsn(postgres_module_database), product="PostgreSQL")


def test_types_arrive_as_they_are_described(source: RedshiftSource) -> None:
    """From the texts of the protocol, exactly."""
    query = "SELECT " + ", ".join(f"{sql} AS {name}" for name, (sql, *_) in TYPES.items())
    with source.session(write=False) as session:
        columns = session.describe(query)
        shown = ", ".join(f"{source.readable(c)} AS {c.name}" for c in columns)
        [batch] = session.stream(f"SELECT {shown} FROM ({query}) AS q")
    assert {c.name: (c.sql_type, str(c.arrow_type)) for c in columns} == {
        name: (kind, arrow) for name, (_, kind, arrow, _) in TYPES.items()
    }
    assert [f.type for f in batch.schema] == [c.arrow_type for c in columns]
    assert batch.to_pylist() == [{name: value for name, (*_, value) in TYPES.items()}]


@pytest.mark.parametrize("value", ["'infinity'::timestamp", "'0044-03-15 BC'::date"])
def test_a_value_without_a_form_stops_the_reading(source: RedshiftSource, value: str) -> None:
    """Nothing arrives as another value."""
    with source.session(write=False) as session, pytest.raises(ConfigError, match="conversion"):
        list(session.stream(f"SELECT {value} AS v"))


def test_settings_of_a_user_change_nothing(
    source: RedshiftSource, postgres_module_database: str
) -> None:
    """Forms of dates and floats, and the time zone, are a session's own."""
    query = "SELECT 0.1::float8 AS f, now()::date AS d, '2026-03-29 01:30+02'::timestamptz AS z"
    base = psycopg.conninfo.conninfo_to_dict(postgres_module_database)["dbname"]
    before = _read(source, query)
    other = {"datestyle": "German", "timezone": "Asia/Kathmandu", "extra_float_digits": "-15"}
    as_owner(
        postgres_module_database,
        *(f"ALTER ROLE postgres IN DATABASE \"{base}\" SET {k} = '{v}'" for k, v in other.items()),
    )
    try:
        assert _read(source, query) == before
    finally:
        as_owner(postgres_module_database, f'ALTER ROLE postgres IN DATABASE "{base}" RESET ALL')


def _read(source: RedshiftSource, query: str) -> list[dict[str, object]]:
    with source.session(write=False) as session:
        return session.table(query).to_pylist()


def test_values_go_beside_the_statement(
    source: RedshiftSource, postgres_module_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, of which none loses a row."""
    monkeypatch.setattr("mayfly.connectors.sources.redshift_session.VALUES_MAX", 5)
    as_owner(
        postgres_module_database,
        "CREATE FUNCTION from_hex(text) RETURNS bytea LANGUAGE sql AS $$SELECT decode($1, 'hex')$$",
    )
    said: list[str] = []
    run = psycopg.Cursor.execute

    def noted(self: psycopg.Cursor, query: bytes, *given: Any, **named: Any) -> object:
        said.append(bytes(query).decode())
        return run(self, query, *given, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    rows = pa.table({"n": pa.array(range(11), pa.int64()), "s": pa.array(["marked"] * 11)})
    with source.session(write=False) as session:
        session.load("mf_load_1", rows)
        found = session.table("SELECT n, s FROM mf_load_1 ORDER BY n").to_pylist()
        left = session.table("SELECT count(*) AS n FROM pg_class WHERE relname = 'mf_load_1_in'")
    assert found == rows.to_pylist()
    assert left.to_pylist() == [{"n": 0}]
    assert sum(sql.startswith("INSERT") for sql in said) == 6
    assert not any("marked" in sql for sql in said)


@pytest.mark.parametrize(
    "statement",
    [
        "WITH x AS (SELECT 1) DELETE FROM people",
        "CREATE TABLE other (n int)",
        "CREATE TEMPORARY TABLE public.x (n int)",
        "INSERT INTO people VALUES (1)",
        "UPDATE people SET id = 1",
        'UPDATE "mf_x"."people" SET id = 1',
        "GRANT SELECT ON people TO PUBLIC",
        "/* mayfly */ TRUNCATE people",
        "UNLOAD ('SELECT 1') TO 's3://x'",
    ],
)
def test_what_is_no_reading_is_refused_here(source: RedshiftSource, statement: str) -> None:
    """By how it begins: the engine has no session that only reads."""
    with source.session(write=False) as session:
        session.execute("CREATE TEMPORARY TABLE mf_x (n int)")
        with pytest.raises(ConfigError, match="read_only_session"):
            session.execute(statement)
        assert session.execute("INSERT INTO mf_x SELECT 1") == 1
        assert session.execute('UPDATE "mf_x" SET n = 2') == 1


def test_a_check_wants_a_redshift_its_schema_and_temporary_tables(
    source: RedshiftSource, postgres_module_database: str
) -> None:
    """Another server is refused by name."""
    source.check(write=False)
    assert source.facts().engine.startswith("PostgreSQL 1")
    assert abs((source.facts().clock or datetime.now(UTC)) - datetime.now(UTC)).days == 0
    with pytest.raises(ConfigError, match="server_not_supported"):
        RedshiftSource("crm", Dsn(postgres_module_database)).check(write=False)
    other = RedshiftSource(
        "crm", Dsn(postgres_module_database), schema="sales", product="PostgreSQL"
    )
    with pytest.raises(ConfigError, match="schema_missing"):
        other.check(write=False)
    base = psycopg.conninfo.conninfo_to_dict(postgres_module_database)["dbname"]
    as_owner(
        postgres_module_database,
        "DROP ROLE IF EXISTS mf_weak",
        "CREATE ROLE mf_weak LOGIN",
        f'REVOKE TEMPORARY ON DATABASE "{base}" FROM PUBLIC',
    )
    weak = Dsn(make_conninfo(postgres_module_database, user="mf_weak"))
    with pytest.raises(ConfigError, match="missing_grant") as caught:
        RedshiftSource("crm", weak, product="PostgreSQL").check(write=False)
    assert caught.value.hint.startswith(f'GRANT TEMPORARY ON DATABASE "{base}"')
    as_owner(postgres_module_database, "DROP ROLE mf_weak")


def test_nothing_is_written(source: RedshiftSource) -> None:
    """Its state is beside it, whatever is asked for."""
    with pytest.raises(ConfigError, match="read_only_source"), source.session(write=True):
        pass


def test_a_session_is_busy_while_a_result_is_read(source: RedshiftSource) -> None:
    """And free again once the rest is not wanted."""
    with source.session(write=False) as session:
        stream = session.stream("SELECT generate_series(1, 100000) AS n", rows=10)
        assert next(stream).num_rows == 10
        with pytest.raises(ContractError, match="session_busy"):
            session.table("SELECT 1 AS a")
        stream.close()  # type: ignore[attr-defined]
        session.begin()
        session.rollback()
        assert session.table("SELECT 1 AS a").to_pylist() == [{"a": 1}]


def test_a_server_that_is_away_can_be_tried_again() -> None:
    """Nothing listens there."""
    with pytest.raises(TransientError, match="source_away"):
        RedshiftSource("crm", Dsn("host=127.0.0.1 port=1 user=u dbname=d")).check(write=False)


@pytest.mark.parametrize("mode", ["require", "disable", "verify-ca"])
def test_tls_off_this_machine_cannot_be_weakened(mode: str) -> None:
    """Before anything is connected to."""
    dsn = Dsn(f"host=shop.example.com user=u dbname=d sslmode={mode}")
    with pytest.raises(ConfigError, match="tls_required"):
        RedshiftSource("crm", dsn).check(write=False)


def test_a_table_that_may_not_be_described_hides_no_other(
    source: RedshiftSource, postgres_module_database: str
) -> None:
    """Found without columns."""
    as_owner(
        postgres_module_database,
        "CREATE TABLE public.people (id int8, email varchar(20))",
        "CREATE VIEW public.people_v AS SELECT id FROM public.people",
    )
    found = {t.name: t.columns for t in source.tables()}
    assert [c.name for c in found["people"]] == ["id", "email"]
    assert found["people"][1] == ColumnInfo(
        name="email", sql_type="varchar", arrow_type=pa.string()
    )


def test_what_is_asked_of_a_view_is_approved(
    source: RedshiftSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that a person has read."""
    said: list[str] = []
    run = psycopg.Cursor.execute

    def noted(self: psycopg.Cursor, query: bytes, *given: Any, **named: Any) -> object:
        said.append(bytes(query).decode())
        return run(self, query, *given, **named)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    asked = [(None, "seen"), ("crm", "it's"), ("other.crm", "people")]
    assert source.views(asked) == {asked[2]: ViewText(schema="other.crm", sql=None)}
    check_approved("redshift-views.sql", "".join(f"{sql};\n" for sql in said))
