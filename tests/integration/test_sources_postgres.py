"""A PostgreSQL source against a real server."""

from __future__ import annotations

import psycopg
import pyarrow as pa
import pytest

from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.errors import ConfigError, TransientError


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


@pytest.fixture(scope="module")
def dsn(postgres_module_database: str) -> str:
    """A real PostgreSQL over its socket."""
    return postgres_module_database


@pytest.fixture
def admin(dsn: str) -> psycopg.Connection:
    """A connection that may do everything."""
    return psycopg.connect(dsn, autocommit=True)


def test_no_function_of_a_model_writes_in_a_reading_session(
    dsn: str, admin: psycopg.Connection
) -> None:
    """Temporary tables are filled in a transaction the server refuses every write in."""
    with admin:
        admin.execute("CREATE TABLE log (a int)")
        admin.execute(
            "CREATE FUNCTION sly() RETURNS int LANGUAGE sql VOLATILE "
            "AS 'INSERT INTO log VALUES (1) RETURNING a'"
        )
    source = PostgresSource("crm", _Dsn(dsn))
    with (
        source.session(write=False) as session,
        pytest.raises(ConfigError, match="read_only_session"),
    ):
        session.execute('CREATE TEMPORARY TABLE "mf_scan" AS SELECT sly() AS a')
    with source.session(write=False) as session:
        assert session.table("SELECT a FROM log").num_rows == 0


def test_a_table_dropped_while_read_gives_whole_rows_or_one_error(
    dsn: str, admin: psycopg.Connection
) -> None:
    """A stream holds its table: the drop waits, and no row is lost."""
    with admin:
        admin.execute("CREATE TABLE big AS SELECT i AS id FROM generate_series(1, 300000) i")
    source = PostgresSource("crm", _Dsn(dsn))
    with (
        source.session(write=False) as session,
        psycopg.connect(dsn, autocommit=True, options="-c lock_timeout=50") as other,
    ):
        stream = session.stream("SELECT big.id, repeat('x', 100) AS x FROM big", rows=1000)
        seen = next(stream).num_rows
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("DROP TABLE big")
        assert seen + sum(b.num_rows for b in stream) == 300_000
        other.execute("DROP TABLE big")
        with pytest.raises(ConfigError, match="table_missing"):
            session.table("SELECT id FROM big")


def test_settings_of_role_and_database_change_nothing(dsn: str, admin: psycopg.Connection) -> None:
    """The session pins what results depend on."""
    with admin:
        admin.execute("ALTER ROLE postgres SET TimeZone = 'Asia/Tokyo'")
        admin.execute("ALTER ROLE postgres SET DateStyle = 'German'")
        admin.execute("ALTER ROLE postgres SET extra_float_digits = -5")
        admin.execute("ALTER ROLE postgres SET search_path = pg_catalog")
    try:
        with PostgresSource("crm", _Dsn(dsn)).session(write=False) as session:
            row = session.table(
                "SELECT ('2026-01-02 03:04:05+00'::timestamptz)::text AS t, "
                "('2026-01-02'::date)::text AS d, (0.1::float8 + 0.2)::text AS f"
            ).to_pylist()[0]
    finally:
        with psycopg.connect(dsn, autocommit=True) as again:
            again.execute("ALTER ROLE postgres RESET ALL")
    assert row == {"t": "2026-01-02 03:04:05+00", "d": "2026-01-02", "f": "0.30000000000000004"}


def test_loading_a_hundred_thousand_digests_keeps_each(dsn: str) -> None:
    """Bulk load and read back."""
    rows = pa.table(
        {
            "n": pa.array(range(100_000), pa.int64()),
            "d": pa.array([i.to_bytes(32, "big") for i in range(100_000)], pa.binary()),
        }
    )
    with PostgresSource("crm", _Dsn(dsn)).session(write=False) as session:
        session.load("mf_load_1", rows)
        back = session.table("SELECT n, d FROM mf_load_1 ORDER BY n")
    assert back.equals(rows)


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        (("/postgres?", "/no_such_base?"), ConfigError, "source_refused"),
        (("postgres:@", "no_such_role:@"), ConfigError, "source_refused"),
        (("host=", "host=/nonexistent"), TransientError, "source_away"),
        (("host=", "nothing="), ConfigError, "dsn_invalid"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told_apart(
    postgres_server_dsn: str, change: tuple[str, str], kind: type[Exception], code: str
) -> None:
    """Refused by the server is for the operator; no answer may be tried again."""
    dsn = postgres_server_dsn.replace(*change)
    with pytest.raises(kind, match=code):
        PostgresSource("crm", _Dsn(dsn)).check(write=False)
