"""What a Snowflake source says and refuses without a server."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mayfly.connectors.sources.snowflake import SnowflakeSource
from mayfly.connectors.sources.snowflake_connect import PINNED, SnowflakeAccess, driver
from mayfly.connectors.sources.snowflake_errors import from_number, not_connected
from mayfly.connectors.sources.snowflake_session import SnowflakeSession
from mayfly.connectors.sources.snowflake_types import arrow_type, readable, type_name, unfit
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.snowflake import SnowflakeDialect, exchanged, literal, quote
from mayfly.ports.source import ColumnInfo, ViewText


class _Secret:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def _access(**more: Any) -> SnowflakeAccess:
    given: dict[str, Any] = {
        "account": "My_Org-shop", "user": "u", "private_key": lambda: _Secret("no key"),
        "role": "MAYFLY", "warehouse": "w", "database": 'd"b', **more,
    }  # fmt: skip
    return SnowflakeAccess(**given)


def _pem(passphrase: bytes | None = None) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    how: Any = serialization.NoEncryption()
    if passphrase is not None:
        how = serialization.BestAvailableEncryption(passphrase)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, how).decode()


@pytest.mark.parametrize(
    ("here", "there"),
    [("id", "ID"), ("ID", "id"), ("Id", "Id"), ("a b", "a b"), ("_x$1", "_X$1"), ("é", "é")],
)
def test_names_are_exchanged_without_two_becoming_one(here: str, there: str) -> None:
    """What is small here is in capitals there, and the other way round; back it is the same."""
    assert exchanged(here) == there
    assert exchanged(there) == here
    assert quote(here) == f'"{there}"'


def test_a_backslash_cannot_end_a_literal() -> None:
    """Neither can a quote."""
    assert literal("\\'; --") == "'\\\\''; --'"


def test_tables_keep_nothing_of_what_is_deleted() -> None:
    """Transient or temporary, and without Time Travel; the schema, too."""
    sql = SnowflakeDialect()
    for statement in (
        sql.create_schema("_mayfly"),
        sql.create_table("t", "n int"),
        sql.create_as("t", "SELECT 1", temporary=True),
        sql.working_copy("t", "SELECT 1"),
    ):
        assert "DATA_RETENTION_TIME_IN_DAYS = 0" in statement
        assert "TRANSIENT" in statement or "TEMPORARY" in statement


def test_the_key_is_read_here_and_the_rest_of_the_settings_is_pinned() -> None:
    """Nothing is stored, told or cached, and TLS is verified."""
    phrase = "p"
    access = _access(
        private_key=lambda: _Secret(_pem(phrase.encode())), passphrase=lambda: _Secret(phrase)
    )
    made = access._settings("crm")
    assert made["host"] == "my-org-shop.snowflakecomputing.com"
    assert (made["role"], made["database"]) == ('"MAYFLY"', '"d""b"')
    assert (made["protocol"], made["authenticator"]) == ("https", "SNOWFLAKE_JWT")
    assert (made["verify_certificates"], made["verify_hostname"]) == (True, True)
    assert made["crl_check_mode"] == "ENABLED"
    assert made["client_store_temporary_credential"] is False
    assert made["crl_enable_disk_caching"] is False
    assert made["session_parameters"] == dict(PINNED)
    assert PINNED["CLIENT_TELEMETRY_ENABLED"] is False
    assert "password" not in made
    assert "Secret" not in repr(access)


@pytest.mark.parametrize("key", ["no key", ""])
def test_a_key_that_cannot_be_read_is_told_without_its_text(key: str) -> None:
    """The same without its passphrase."""
    for access in (_access(private_key=lambda: _Secret(key or _pem(b"p"))),):
        with pytest.raises(ConfigError, match="key_invalid") as caught:
            access.connect("crm")
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "endpoint",
    ["https://127.0.0.1:1", "http://db.example.com:80", "http://127.0.0.1", "http://10.0.0.1:80"],
)
def test_an_endpoint_off_this_machine_is_refused(endpoint: str) -> None:
    """Nothing goes in clear to another one."""
    with pytest.raises(ConfigError, match="endpoint_refused"):
        _access(endpoint=endpoint).connect("crm")


@pytest.mark.parametrize(
    ("number", "state", "kind", "code"),
    [
        (2003, "42S02", ConfigError, "table_missing"),
        (3001, "42501", ConfigError, "missing_grant"),
        (904, "42000", ConfigError, "column_missing"),
        (2031, "42601", ConfigError, "query_invalid"),
        (100038, "22018", ConfigError, "value_conversion"),
        (606, "57P03", ConfigError, "warehouse_missing"),
        (630, "57014", TransientError, "source_busy"),
        (390112, "08001", TransientError, "connection_lost"),
        (250001, None, TransientError, "connection_lost"),
        (None, None, ContractError, "query_failed"),
    ],
)
def test_numbers_of_errors_have_codes(
    number: int | None, state: str | None, kind: type[EngineError], code: str
) -> None:
    """Whatever the text says."""
    found = from_number(number, state)
    assert isinstance(found, kind)
    assert found.code == code


def test_a_login_that_fails_is_told_apart() -> None:
    """Refused, not verified, or no answer; the driver's text stays out."""
    texts = {
        "source_refused": "390144: JWT token is invalid. secret",
        "tls_required": "invalid peer certificate: secret",
        "source_away": "Connection refused: secret",
    }
    for code, text in texts.items():
        error = not_connected("crm", 250001, text)
        assert error.code == code
        assert "secret" not in f"{error.message} {error.hint}"


class _Cursor:
    rowcount = 0

    def __init__(self, ran: list[str]) -> None:
        self._ran = ran

    def execute(self, sql: str, _: object = None) -> None:
        self._ran.append(sql)

    def close(self) -> None:
        return


class _Connection:
    def __init__(self) -> None:
        self.ran: list[str] = []

    def cursor(self) -> _Cursor:
        return _Cursor(self.ran)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM t",
        "/* mayfly */ UPDATE s.t SET a = 1",
        "DROP TABLE t",
        "CREATE TABLE x (n int)",
        "CREATE OR REPLACE TEMPORARY TABLE t (n int)",
        "CREATE TEMPORARY TABLE s.t (n int)",
        "CREATE SCHEMA x",
        "MERGE INTO t USING u ON TRUE WHEN MATCHED THEN DELETE",
        "CALL p()",
        "PUT file:///etc/passwd @~",
        "GET @~ file:///tmp",
        "COPY INTO t FROM @s",
        "GRANT ROLE a TO ROLE b",
        "ALTER SESSION SET TIMEZONE = 'x'",
        "EXECUTE IMMEDIATE 'x'",
        "TRUNCATE TABLE t",
        "USE ROLE x",
        "INSERT OVERWRITE INTO mf_a SELECT 1",
        "BEGIN",
        'DELETE FROM "MF_A".t',
        "UPDATE mf_a.t SET a = 1",
        "INSERT INTO mf_abc SELECT 1",
        "",
        "-- SELECT\nDROP TABLE t",
        "/* a */ /* b */ DROP TABLE mf_b",
    ],
)
def test_a_session_that_reads_passes_no_change(sql: str) -> None:
    """By how a statement begins, behind its comments."""
    connection = _Connection()
    session = SnowflakeSession(connection, write=False, schema='"PUBLIC"')
    session.execute("CREATE TEMPORARY TABLE mf_a (n NUMBER)")
    with pytest.raises(ConfigError, match="read_only_session"):
        session.execute(sql)
    assert len(connection.ran) == 1


def test_a_session_that_reads_changes_its_own_temporary_tables() -> None:
    """However their names are spelled."""
    connection = _Connection()
    session = SnowflakeSession(connection, write=False, schema='"PUBLIC"')
    for sql in (
        "/* mayfly */ CREATE TEMPORARY TABLE IF NOT EXISTS mf_a (n NUMBER)",
        'INSERT INTO "MF_A" SELECT 1',
        "UPDATE mf_a AS mf_t SET n = 2 WHERE TRUE",
        "DELETE FROM MF_A AS mf_t WHERE TRUE",
        "DROP TABLE IF EXISTS mf_a",
        "WITH x AS (SELECT 1) SELECT * FROM x",
    ):
        session.execute(sql)
    assert len(connection.ran) == 6


class _Refusing(_Connection):
    def cursor(self) -> Any:
        class Refused(_Cursor):
            def execute(self, sql: str, _: object = None) -> None:
                raise driver().errors.ProgrammingError(
                    msg=f"no {sql}", errno=3001, sqlstate="42501"
                )

        return Refused(self.ran)


def test_a_missing_right_is_told_with_the_statement_that_gives_it() -> None:
    """And without the statement that was refused."""
    sql, given = SnowflakeDialect(), {"SCHEMA": "GRANT s;", "TABLE": "GRANT t;", "VIEW": "GRANT v;"}
    session = SnowflakeSession(_Refusing(), write=True, schema='"PUBLIC"', grants=given)
    for statement, hint in (
        (sql.create_schema("_mayfly"), "GRANT s;"),
        (sql.create_table("t", "n int"), "GRANT t;"),
        (f"/* mayfly */ {sql.create_as('t', 'SELECT 1')}", "GRANT t;"),
        (sql.replace_view("v", "SELECT 1"), "GRANT v;"),
        ("SELECT secret FROM t", "`mayfly doctor --grants`"),
    ):
        with pytest.raises(ConfigError, match="missing_grant") as caught:
            session.execute(statement)
        assert caught.value.hint.startswith(hint)
        assert "secret" not in str(caught.value)


def test_a_schema_that_is_made_does_not_become_the_sessions() -> None:
    """Snowflake would look there for tables without a schema from then on."""
    connection = _Connection()
    session = SnowflakeSession(connection, write=True, schema='"PUBLIC"')
    session.execute(SnowflakeDialect().create_schema("_mayfly"))
    assert connection.ran[-1] == 'USE SCHEMA "PUBLIC"'


@pytest.mark.parametrize(
    ("kind", "precision", "scale", "name", "arrow", "shown"),
    [
        ("NUMBER", 38, 0, "NUMBER(38,0)", "decimal128(38, 0)", '"C"'),
        ("NUMBER", 18, 0, "NUMBER(18,0)", "int64", '"C"'),
        ("FIXED", 38, None, "DECFLOAT", "string", 'CAST("C" AS VARCHAR)'),
        ("TEXT", None, None, "VARCHAR", "string", '"C"'),
        ("TIME", 0, 6, "TIME(6)", "time64[us]", '"C"'),
        ("TIMESTAMP_NTZ", 0, 6, "TIMESTAMP_NTZ(6)", "timestamp[us]", '"C"'),
        ("VARIANT", None, None, "VARIANT", "string", 'TO_JSON(CAST("C" AS VARIANT))'),
        ("MAP", None, None, "MAP", "string", 'TO_JSON(CAST("C" AS VARIANT))'),
        ("VECTOR", None, None, "VECTOR", "string", 'TO_JSON(CAST("C" AS ARRAY))'),
        ("GEOGRAPHY", None, None, "GEOGRAPHY", "string", 'CAST(ST_ASGEOJSON("C") AS VARCHAR)'),
        ("INTERVAL", None, None, "INTERVAL", "string", 'CAST("C" AS VARCHAR)'),
        ("UNKNOWN", None, None, "UNKNOWN", "string", 'CAST("C" AS VARCHAR)'),
    ],
)
def test_types_are_read_exactly_or_as_text(
    kind: str, precision: int | None, scale: int | None, name: str, arrow: str, shown: str
) -> None:
    """Those that an emulator has not, too."""
    made = type_name(kind, precision, scale)
    assert made == name
    assert str(arrow_type(made)) == arrow
    column = ColumnInfo(name="c", sql_type=made, arrow_type=arrow_type(made))
    assert readable(column) == shown
    assert unfit(column) is None


def test_what_is_finer_than_a_microsecond_is_told() -> None:
    """It would arrive as another moment."""
    kind = type_name("TIMESTAMP_LTZ", 0, None)
    column = ColumnInfo(name="c", sql_type=kind, arrow_type=arrow_type(kind))
    assert unfit(column) == 'MOD(DATE_PART(NANOSECOND, "C"), 1000) <> 0'
    assert readable(column).startswith("CASE WHEN NOT (MOD(")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], None),
        ([None], ViewText(schema="public", sql=None)),
        (
            ["CREATE VIEW v AS SELECT 1", None],
            ViewText(schema="public", sql="CREATE VIEW v AS SELECT 1"),
        ),
    ],
)
def test_a_secure_view_of_another_role_is_one_without_a_text(
    monkeypatch: pytest.MonkeyPatch, rows: list[str | None], found: ViewText | None
) -> None:
    """Snowflake lists it, and shows its owner alone what it is made of."""
    source, said = SnowflakeSource("shop", _access()), []

    def table(self: SnowflakeSession, sql: str) -> pa.Table:
        said.append(sql)
        return pa.table({"d": pa.array(rows, pa.string())})

    monkeypatch.setattr(SnowflakeSession, "table", table)
    monkeypatch.setattr(SnowflakeAccess, "connect", lambda self, name: _Closed())
    told = source.views([(None, "seen")])
    assert told == ({} if found is None else {(None, "seen"): found})
    assert "table_schema = 'PUBLIC' AND table_name = 'SEEN'" in said[0]
    said.clear()
    source.views([("crm.Sales", "Seen")])
    assert len(said) == (1 if rows else 2)
    assert "table_schema = 'crm.Sales' AND table_name = 'Seen'" in said[0]
    assert rows or "FROM \"CRM\".information_schema.views WHERE table_schema = 'Sales'" in said[1]


class _Closed:
    def close(self) -> None:
        """Nothing is open."""
