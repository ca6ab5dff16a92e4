"""Tables of MariaDB, through PyMySQL: rows go as the data of a LOAD DATA into a temporary table,
and from there by an UPDATE and an INSERT into the target.

Making a table commits, so tables are made before a row is written. `INSERT IGNORE` and
`ON DUPLICATE KEY` would hide what is wrong with a row, and are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa

from mayfly.connectors.destinations.database_mysql_errors import (
    from_number,
    not_connected,
    refused,
    translated,
)
from mayfly.connectors.destinations.database_mysql_rows import (
    Target,
    csv_pieces,
    load_statement,
    stage_statement,
)
from mayfly.connectors.destinations.databases import (
    STAGE,
    Cursor,
    Engine,
    Found,
    TableDestination,
    TableSession,
    refuse_fields,
    table_spec,
)
from mayfly.connectors.destinations.values import rows_not_finite, rows_out_of_calendar
from mayfly.connectors.mysql_connect import (
    OLDEST_VERSION,
    driver,
    hosts_of,
    mariadb_version,
    open_connection,
    read_dsn,
    send_rows,
)
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.mysql import BYTES, MysqlDialect
from mayfly.ports.connector import FIRST_ADDRESS, Connector, DestinationRequest, HostsRequest
from mayfly.ports.destination import DestinationContext
from mayfly.ports.source_spec import Revealed

SPEC_MYSQL = table_spec("mysql")
LOCK_WAIT_SECONDS = 60
_OWNER = "the destination"
_COLUMNS_MAX = 1_017
_NAME_CHARACTERS_MAX = 64
_KEY_TEXT_MAX = 255
_KEY_TEXTS = 700
"""Characters that all columns of a key may have: an index takes 3,072 bytes."""
_DECIMAL_DIGITS_MAX, _DECIMAL_SCALE_MAX = 65, 38
_SQL = MysqlDialect()
_EXACT_NAME = "(@@lower_case_table_names <> 0 OR BINARY table_name = BINARY %s)"
_HERE = f"table_schema = DATABASE() AND table_name = %s AND {_EXACT_NAME}"


class MysqlEngine(Engine):
    """One database and one table of it."""

    marker_types = (
        "run varchar(255), batch integer, sync varchar(255), row_count integer, "
        "written_at varchar(40)"
    )
    table_options = f" ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {BYTES}"

    def __init__(
        self,
        dsn: Revealed,
        context: DestinationContext,
        *,
        lock_wait_seconds: int = LOCK_WAIT_SECONDS,
    ) -> None:
        self._dsn = dsn
        self._wait_seconds = lock_wait_seconds
        self._context = context

    @contextmanager
    def session(self) -> Iterator[TableSession]:
        """See `Engine.session`."""
        driver("Destinations")
        dsn = read_dsn(_OWNER, self._dsn)
        with translated(dsn.database):
            connection = open_connection(
                dsn, timeout_seconds=10, refused=not_connected, autocommit=False
            )
            try:
                _require_version(str(connection.get_server_info()))
                session = MysqlTableSession(connection, self, self._context.object_name)
                session.execute(_settings(self._wait_seconds))
                yield session
            finally:
                with suppress(Exception):
                    connection.close()

    def check(self) -> None:
        """See `Engine.check`."""
        with self.session() as session:
            [(takes_data,)] = session.run("SELECT @@global.local_infile").fetchall()
            if not takes_data:
                raise from_number(1148, read_dsn(_OWNER, self._dsn).database)
            session.find()

    def name(self, table: str) -> str:
        """In the database that the dsn names."""
        return _SQL.quote(table)

    def quote(self, identifier: str) -> str:
        """See `Engine.quote`."""
        return _SQL.quote(identifier)

    def sql_type(self, kind: pa.DataType) -> str:
        """MariaDB's type for an Arrow type. A TIMESTAMP would end in 2038, and a FLOAT is shown
        with six digits.
        """
        if pa.types.is_decimal(kind):
            digits, scale = kind.precision - min(kind.scale, 0), max(kind.scale, 0)
            fits = digits <= _DECIMAL_DIGITS_MAX and scale <= _DECIMAL_SCALE_MAX
            return f"decimal({digits}, {scale})" if fits else "longtext"
        return next((name for check, name in _TYPES if check(kind)), "longtext")

    def key_type(self, kind: pa.DataType, columns: int) -> str:
        """Texts and bytes as long as an index takes them."""
        found = self.sql_type(kind)
        length = min(_KEY_TEXT_MAX, _KEY_TEXTS // columns)
        texts = {"longtext": f"varchar({length})", "longblob": f"varbinary({length})"}
        return texts.get(found, found)

    def unstorable(self, rows: pa.Table) -> Mapping[int, str]:
        """MariaDB's floats are finite, its days have years of four digits."""
        return {**rows_out_of_calendar(rows), **rows_not_finite(rows)}


_TYPES = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_int8, "tinyint"),
    (pa.types.is_int16, "smallint"),
    (pa.types.is_int32, "int"),
    (pa.types.is_int64, "bigint"),
    (pa.types.is_uint8, "tinyint unsigned"),
    (pa.types.is_uint16, "smallint unsigned"),
    (pa.types.is_uint32, "int unsigned"),
    (pa.types.is_uint64, "bigint unsigned"),
    (pa.types.is_floating, "double"),
    (pa.types.is_date, "date"),
    (pa.types.is_timestamp, "datetime(6)"),
    (pa.types.is_time, "time(6)"),
    (pa.types.is_binary, "longblob"),
    (pa.types.is_large_binary, "longblob"),
    (pa.types.is_nested, "json"),
)


class MysqlTableSession(TableSession):
    """One transaction on one connection."""

    mark = "%s"

    def __init__(self, connection: Any, engine: MysqlEngine, table: str) -> None:
        super().__init__(table, engine.name)
        self._connection = connection

    def run(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """See `TableSession.run`."""
        cursor: Any = self._connection.cursor()
        cursor.execute(sql, tuple(values) or None)
        return cursor  # type: ignore[no-any-return]

    def exists(self, table: str) -> bool:
        """See `TableSession.exists`."""
        sql = f"SELECT 1 FROM information_schema.tables WHERE {_HERE}"
        return bool(self.run(sql, (table, table)).fetchall())

    def find(self) -> Found | None:
        """See `TableSession.find`.

        Raises:
            ConfigError: `table_not_transactional`.
        """
        found = super().find()
        if found is not None:
            self._require_transactions()
        return found

    def _require_transactions(self) -> None:
        sql = (
            "SELECT 1 FROM information_schema.tables AS t JOIN information_schema.engines AS e "
            f"ON e.engine = t.engine WHERE {_HERE} AND e.transactions = 'YES'"
        )
        if not self.run(sql, (self._table, self._table)).fetchall():
            raise ConfigError(
                "table_not_transactional",
                "The destination's table is a view or has an engine without transactions, in which "
                "half a batch could stay.",
                hint=f"ALTER TABLE {self._target} ENGINE=InnoDB; or name another table.",
            )

    def columns(self) -> Iterable[str]:
        """See `TableSession.columns`."""
        return [column.name for column in self._described()]

    def _described(self) -> Sequence[Target]:
        sql = (
            "SELECT column_name, column_type, character_set_name, collation_name FROM "
            f"information_schema.columns WHERE {_HERE}"
        )
        found = self.run(sql, (self._table, self._table)).fetchall()
        return [
            Target(str(name), str(kind), _text(charset), _text(collation))
            for name, kind, charset, collation in found
        ]

    def unique(self) -> Iterable[Iterable[str]]:
        """See `TableSession.unique`: of an index over beginnings of texts nothing follows."""
        sql = (
            "SELECT index_name, column_name, sub_part FROM information_schema.statistics "
            f"WHERE {_HERE} AND non_unique = 0"
        )
        indexes: dict[str, list[str]] = {}
        partial = set()
        for index, column, part in self.run(sql, (self._table, self._table)).fetchall():
            indexes.setdefault(index, []).append(column)
            if part is not None:
                partial.add(index)
        return [columns for index, columns in indexes.items() if index not in partial]

    def stage(self, rows: pa.Table) -> None:
        """See `TableSession.stage`: columns have the target's types, and a value that does not fit
        its own refuses the batch.
        """
        columns = self._targets(rows)
        self.execute(stage_statement(STAGE, columns))
        if not self._load(STAGE, rows, columns):
            raise refused(self._first_warning())

    def fill(self, rows: pa.Table) -> bool:
        """See `TableSession.fill`."""
        self.execute("SAVEPOINT mayfly_fill")
        if self._load(self._target, rows, self._targets(rows)):
            return True
        self.execute("ROLLBACK TO SAVEPOINT mayfly_fill")
        return False

    def _targets(self, rows: pa.Table) -> Sequence[Target]:
        known = {column.name: column for column in self._described()}
        return [known[name] for name in rows.column_names]

    def _load(self, into: str, rows: pa.Table, columns: Sequence[Target]) -> bool:
        """Whether every row arrived as it is."""
        sql = load_statement(into, rows.schema, columns)
        loaded, warnings = send_rows(self._connection, sql, csv_pieces(rows))
        return loaded == rows.num_rows and not warnings

    def _first_warning(self) -> int:
        found = self.run("SHOW WARNINGS LIMIT 1").fetchall()
        return int(found[0][1]) if found else 0

    def statements(
        self, operation: Operation, key: Sequence[str], columns: Sequence[str]
    ) -> Iterator[str]:
        """See `TableSession.statements`. The stage comes first in each join: the target has an
        index, and the stage none.
        """
        named = list(map(_SQL.quote, columns))
        staged = ", ".join(f"s.{name}" for name in named)
        insert = (
            f"INSERT INTO {self._target} ({', '.join(named)}) SELECT {staged} FROM {STAGE} AS s"
        )
        match operation:
            case Operation.REMOVE:
                same = self._same(columns)
                yield f"DELETE t FROM {STAGE} AS s STRAIGHT_JOIN {self._target} AS t ON {same}"
            case Operation.INSERT:
                yield insert
            case _:
                same = self._same(key)
                changed = [_SQL.quote(c) for c in columns if c not in key]
                if changed:
                    values = ", ".join(f"t.{name} = s.{name}" for name in changed)
                    yield (
                        f"UPDATE {STAGE} AS s STRAIGHT_JOIN {self._target} AS t ON {same} "
                        f"SET {values}"
                    )
                first = _SQL.quote(key[0])
                yield f"{insert} LEFT JOIN {self._target} AS t ON {same} WHERE t.{first} IS NULL"

    def _same(self, key: Sequence[str]) -> str:
        """By the index, which may take different texts for the same, and then by their bytes."""
        texts = {column.name for column in self._described() if column.charset}
        conditions = [f"t.{_SQL.quote(k)} = s.{_SQL.quote(k)}" for k in key]
        conditions += [
            f"BINARY t.{_SQL.quote(k)} = BINARY s.{_SQL.quote(k)}" for k in key if k in texts
        ]
        return " AND ".join(conditions)

    def commit(self) -> None:
        """See `TableSession.commit`."""
        self._connection.commit()


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _settings(lock_wait_seconds: int) -> str:
    """What the meaning of rows depends on, whatever role or server set."""
    pinned = {
        "time_zone": "'+00:00'",
        # What does not fit is an error; a number 0 is no wish for the next one.
        "sql_mode": "'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION,"
        "NO_AUTO_VALUE_ON_ZERO'",
        # A rounded decimal is a note, a value that was made to fit a warning.
        "sql_notes": "0",
        "lc_messages": "'en_US'",
        "old_mode": "''",
        "foreign_key_checks": "1",
        "unique_checks": "1",
        "check_constraint_checks": "1",
        "sql_safe_updates": "0",
        "sql_select_limit": "18446744073709551615",
        "sql_big_selects": "1",
        "innodb_lock_wait_timeout": str(lock_wait_seconds),
        "lock_wait_timeout": str(lock_wait_seconds),
        "default_tmp_storage_engine": "InnoDB",
        # What an INSERT does not find must not come from somebody else before it is there.
        "tx_isolation": "'REPEATABLE-READ'",
    }
    listed = ", ".join(f"SESSION {name} = {value}" for name, value in pinned.items())
    return f"SET {listed}"


def _require_version(greeting: str) -> None:
    version = mariadb_version(greeting)
    if version is None:
        raise ConfigError(
            "server_not_supported",
            "The destination's server is not MariaDB.",
            hint="MySQL has other collations that compare bytes, and nothing was run on it. Write "
            "to a MariaDB.",
        )
    if version < OLDEST_VERSION:
        raise ConfigError(
            "server_too_old",
            f"The destination's server is MariaDB {version[0]}.{version[1]}; "
            f"{OLDEST_VERSION[0]}.{OLDEST_VERSION[1]} or later is needed.",
            hint="Upgrade the server, or write to a newer one.",
        )


def _refuse_names(context: DestinationContext) -> None:
    for name in (context.object_name, *context.columns):
        if name.endswith(" ") or any(c == "\0" or ord(c) > 0xFFFF for c in name):
            raise ConfigError(
                "name_invalid",
                f"Sync {context.sync}: a name of {len(name)} characters ends with a blank or has a "
                "character that MariaDB's names cannot have.",
                hint="Give the table or field another name in the sync.",
            )


def make(*, dsn: Revealed, context: DestinationContext) -> TableDestination:
    """The connector for one table of MariaDB."""
    refuse_fields(
        context,
        "MariaDB",
        columns_max=_COLUMNS_MAX,
        name_characters_max=_NAME_CHARACTERS_MAX,
    )
    _refuse_names(context)
    return TableDestination(MysqlEngine(dsn, context), context)


def _open(request: DestinationRequest) -> TableDestination:
    return make(dsn=request.secret("dsn"), context=request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    return hosts_of(_OWNER, request.reveal(request.settings.options.get("dsn")))


CONNECTOR = Connector(spec=SPEC_MYSQL, open=_open, address=FIRST_ADDRESS, hosts=_hosts)
