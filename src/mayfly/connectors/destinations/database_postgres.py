"""Tables of PostgreSQL, through psycopg: COPY into a temporary table, then one statement."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import conninfo

from mayfly.connectors.destinations.databases import (
    STAGE,
    Cursor,
    Engine,
    TableDestination,
    TableSession,
    quote,
    refuse_fields,
    table_spec,
)
from mayfly.connectors.destinations.values import (
    csv_frame,
    rows_out_of_calendar,
    rows_with_nul,
)
from mayfly.connectors.postgres_connect import TLS_HINT, failure, hosts_of
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.connector import (
    FIRST_ADDRESS,
    Connector,
    DestinationRequest,
    HostsRequest,
)
from mayfly.ports.destination import DestinationContext
from mayfly.ports.source_spec import Revealed

SPEC_POSTGRES = table_spec("postgres")
_COLUMNS_MAX = 1_600
_NAME_BYTES_MAX = 63
_NULL = "\\N"
_COPY_ROWS = 10_000
_OPTIONS = "-c timezone=UTC -c datestyle=ISO -c extra_float_digits=3"
LOCK_WAIT_SECONDS = 60.0


def verified_tls(dsn: Revealed) -> dict[str, str]:
    """Settings that verify the server's certificate off loopback; none for loopback or sockets.

    Raises:
        ConfigError: `tls_not_verified`, the dsn asks for less.
    """
    if hosts_of(dsn) <= {"127.0.0.1", "::1", "localhost"}:
        return {}
    given = conninfo.conninfo_to_dict(dsn.reveal())
    if given.get("sslmode") not in (None, "verify-full"):
        raise ConfigError(
            "tls_not_verified",
            "The destination's dsn does not verify the server's certificate.",
            hint="Use sslmode=verify-full, with sslrootcert for an authority of your own.",
        )
    return {
        "sslmode": "verify-full",
        "sslrootcert": str(given.get("sslrootcert") or "system"),
        "ssl_min_protocol_version": "TLSv1.2",
    }


class PostgresEngine(Engine):
    """One database and one table of it."""

    def __init__(
        self,
        dsn: Revealed,
        schema: str,
        context: DestinationContext,
        *,
        lock_wait_seconds: float = LOCK_WAIT_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._wait_ms = round(lock_wait_seconds * 1000)
        self._schema = schema
        self._context = context

    @contextmanager
    def session(self) -> Iterator[TableSession]:
        """See `Engine.session`."""
        with _translated(self._schema):
            connection = self._connect()
            try:
                yield PostgresTableSession(connection, self, self._context.object_name)
            finally:
                connection.close()

    def _connect(self) -> psycopg.Connection[Any]:
        """The connection's own settings never reach a message: they hold the password."""
        settings = conninfo.make_conninfo(self._dsn.reveal(), **verified_tls(self._dsn))
        try:
            return psycopg.connect(
                settings,
                connect_timeout=10,
                application_name="mayfly",
                options=f"{_OPTIONS} -c lock_timeout={self._wait_ms}",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
        except psycopg.OperationalError as error:
            raise _not_connected(str(error)) from None

    def name(self, table: str) -> str:
        """In the configured schema."""
        return f"{quote(self._schema)}.{quote(table)}"

    @property
    def schema(self) -> str:
        """The configured schema."""
        return self._schema

    def sql_type(self, kind: pa.DataType) -> str:
        """PostgreSQL's type for an Arrow type."""
        if pa.types.is_decimal(kind):
            return f"numeric({kind.precision}, {kind.scale})"
        for check, name in _TYPES:
            if check(kind):
                return name
        if pa.types.is_timestamp(kind):
            return "timestamptz" if kind.tz else "timestamp"
        return "text"

    def unstorable(self, rows: pa.Table) -> Mapping[int, str]:
        """Text with a NUL character; days that COPY cannot spell."""
        return {**rows_out_of_calendar(rows), **rows_with_nul(rows)}


_TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "smallint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_uint8, "smallint"),
    (pa.types.is_int32, "integer"),
    (pa.types.is_uint16, "integer"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_uint32, "bigint"),
    (pa.types.is_uint64, "numeric(20, 0)"),
    (pa.types.is_float32, "real"),
    (pa.types.is_floating, "double precision"),
    (pa.types.is_date, "date"),
    (pa.types.is_time, "time"),
    (pa.types.is_binary, "bytea"),
    (pa.types.is_large_binary, "bytea"),
    (pa.types.is_nested, "jsonb"),
)


class PostgresTableSession(TableSession):
    """One transaction on one connection."""

    mark = "%s"

    def __init__(
        self, connection: psycopg.Connection[Any], engine: PostgresEngine, table: str
    ) -> None:
        super().__init__(table, engine.name)
        self._connection = connection
        self._engine = engine

    def run(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """See `TableSession.run`."""
        return self._connection.execute(sql.encode(), values or None)

    def exists(self, table: str) -> bool:
        """See `TableSession.exists`."""
        sql = (
            "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'f', 'v')"
        )
        return bool(self.run(sql, (self._engine.schema, table)).fetchall())

    def columns(self) -> Iterable[str]:
        """See `TableSession.columns`."""
        sql = (
            "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = %s::regclass "
            "AND a.attnum > 0 AND NOT a.attisdropped"
        )
        return [name for (name,) in self.run(sql, (self._target,)).fetchall()]

    def unique(self) -> Iterable[Iterable[str]]:
        """See `TableSession.unique`."""
        sql = (
            "SELECT array_agg(a.attname::text) FROM pg_index i "
            "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
            "WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indpred IS NULL "
            "AND i.indisvalid GROUP BY i.indexrelid"
        )
        return [names for (names,) in self.run(sql, (self._target,)).fetchall()]

    def stage(self, rows: pa.Table) -> None:
        """COPY of whole columns as CSV; null is written as itself and '' as a quoted text."""
        columns = ", ".join(quote(n) for n in rows.column_names)
        like = f"SELECT {columns} FROM {self._target} LIMIT 0"
        self.execute(f"CREATE TEMP TABLE {STAGE} ON COMMIT DROP AS {like}")
        self._copy(STAGE, rows)

    def fill(self, rows: pa.Table) -> bool:
        """See `TableSession.fill`."""
        try:
            with self._connection.transaction():
                self._copy(f"{self._target} ({', '.join(map(quote, rows.column_names))})", rows)
        except (psycopg.errors.UniqueViolation, psycopg.errors.FeatureNotSupported):
            return False
        return True

    def _copy(self, into: str, rows: pa.Table) -> None:
        sql = f"COPY {into} FROM STDIN (FORMAT csv, NULL '{_NULL}')"
        with self._connection.cursor().copy(sql.encode()) as copy:
            # In pieces: the server takes one while the next is written.
            for first in range(0, rows.num_rows, _COPY_ROWS):
                buffer = io.BytesIO()
                csv_frame(rows.slice(first, _COPY_ROWS), bytes_prefix="\\x", utc="+00").write_csv(
                    buffer, include_header=False, null_value=_NULL, quote_style="non_numeric"
                )
                copy.write(buffer.getbuffer())

    def commit(self) -> None:
        """See `TableSession.commit`."""
        self._connection.commit()


@contextmanager
def _translated(schema: str) -> Iterator[None]:
    """Psycopg's texts carry values and dsn; only the SQLSTATE is passed on."""
    try:
        yield
    except EngineError:
        raise
    except psycopg.errors.InsufficientPrivilege:
        raise ConfigError(
            "missing_grant",
            f"The role may not read, write or create tables in schema {schema}.",
            hint=f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO <role>; "
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {quote(schema)} "
            "TO <role>",
        ) from None
    except psycopg.errors.InvalidSchemaName:
        raise ConfigError(
            "schema_missing",
            f"The destination has no schema {schema}.",
            hint=f"CREATE SCHEMA {quote(schema)}; or name another with `schema`.",
        ) from None
    except (
        psycopg.DataError,
        psycopg.IntegrityError,
        # A key that is too long for an index; psycopg counts it among what is operational.
        psycopg.errors.ProgramLimitExceeded,
    ) as error:
        raise ContractError(
            "batch_refused",
            "The destination's table refused a value of a batch.",
            hint=f"SQLSTATE {error.sqlstate}: compare its types and constraints with the model's.",
        ) from None
    except psycopg.errors.LockNotAvailable:
        raise TransientError(
            "database_locked",
            "Another session holds the destination's table for too long.",
            hint="End that session: pg_stat_activity and pg_locks on the server show it.",
        ) from None
    except psycopg.errors.DiskFull:
        raise TransientError(
            "disk_full",
            "The disk of the destination's server is full; the batch was not written.",
            hint="Make room there; the next run goes on.",
        ) from None
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise _away() from None
    except psycopg.Error as error:
        raise ContractError(
            "database_error", f"PostgreSQL refused a statement (SQLSTATE {error.sqlstate})."
        ) from None


def _not_connected(text: str) -> EngineError:
    match failure(text):
        case "refused":
            return ConfigError(
                "login_refused",
                "The destination's server refuses this role or database.",
                hint="Check user, password and database in the dsn, and pg_hba.conf.",
            )
        case "tls":
            return ConfigError(
                "tls_not_verified",
                "The destination's server could not be verified.",
                hint=TLS_HINT,
            )
        case "away":
            return _away()


def _away() -> TransientError:
    return TransientError(
        "database_unavailable",
        "The destination's server is away or busy.",
        hint="Check that it runs and that host and port in the dsn are right.",
    )


def make(*, dsn: Revealed, schema: str, context: DestinationContext) -> TableDestination:
    """The connector for one table of PostgreSQL."""
    refuse_fields(
        context,
        "PostgreSQL",
        columns_max=_COLUMNS_MAX,
        name_bytes_max=_NAME_BYTES_MAX,
        case_matters=True,
    )
    return TableDestination(PostgresEngine(dsn, schema, context), context)


def _open(request: DestinationRequest) -> TableDestination:
    return make(
        dsn=request.secret("dsn"),
        schema=request.text("schema", "public"),
        context=request.context,
    )


def _hosts(request: HostsRequest) -> frozenset[str]:
    return hosts_of(request.reveal(request.settings.options.get("dsn")))


CONNECTOR = Connector(spec=SPEC_POSTGRES, open=_open, address=FIRST_ADDRESS, hosts=_hosts)
