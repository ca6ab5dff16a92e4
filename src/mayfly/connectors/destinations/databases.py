"""Tables of a database: one algorithm, with a small engine for each kind of database behind it.

A batch is one transaction: its rows and its number in `_mayfly_batches` are committed together,
so that a repeat is a no-op and `applied` can answer after a crash.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.checks import require_protected
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Done,
    Erasure,
    JobRef,
    Pending,
    Progress,
    RequestLimits,
    Submitted,
)
from mayfly.privacy.detect import ShownNames
from mayfly.privacy.gate import Form, ProtectedBatch

MARKERS = "_mayfly_batches"
STAGE = "mayfly_stage"


def table_spec(name: str) -> DestinationSpec:
    """The specification all databases share."""
    return DestinationSpec(
        name=name,
        modes=frozenset({SyncMode.UPSERT, SyncMode.MIRROR, SyncMode.APPEND}),
        fields=(),
        request=RequestLimits(rows_max=50_000, bytes_max=1_000_000_000),
        hosts=frozenset(),
        processor=None,
        erasure=Erasure.BY_KEY,
        confirms_erasure=True,
        batch_marker=True,
    )


def quote(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


@dataclass(frozen=True, kw_only=True)
class Found:
    """What stands in the database under the table's name."""

    columns: frozenset[str]
    unique: tuple[frozenset[str], ...]


class Cursor(Protocol):
    """What the drivers give for a statement."""

    def fetchall(self) -> list[Any]:
        """All rows."""


class TableSession(ABC):
    """One transaction. Errors are translated; leaving without commit undoes it.

    Args:
        table: the target, unquoted.
        name: gives the quoted, qualified name of a table.
    """

    mark = "?"
    """How the driver writes a value's place."""

    def __init__(self, table: str, name: Callable[[str], str]) -> None:
        self._table = table
        self._target = name(table)
        self._markers = name(MARKERS)

    def execute(self, sql: str) -> None:
        """One statement without values."""
        self.run(sql)

    def has_batch(self, head: BatchHead) -> bool:
        """Whether the marker of a batch is there; false where there are no markers."""
        if not self.exists(MARKERS):
            return False
        m = self.mark
        sql = f"SELECT 1 FROM {self._markers} WHERE run = {m} AND batch = {m} AND sync = {m}"
        return bool(self.run(sql, (head.run, head.number, head.sync)).fetchall())

    def mark_batch(self, head: BatchHead, at: str) -> None:
        """Insert the marker of a batch."""
        places = ", ".join([self.mark] * 5)
        values = (head.run, head.number, head.sync, head.rows, at)
        self.run(f"INSERT INTO {self._markers} VALUES ({places})", values)

    def find(self) -> Found | None:
        """The target table, None where there is none."""
        if not self.exists(self._table):
            return None
        return Found(columns=frozenset(self.columns()), unique=tuple(map(frozenset, self.unique())))

    @abstractmethod
    def run(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """One statement; values are names and numbers of ours, never of a row."""

    @abstractmethod
    def exists(self, table: str) -> bool:
        """Whether there is a table of that name."""

    @abstractmethod
    def columns(self) -> Iterable[str]:
        """Columns of the target."""

    @abstractmethod
    def unique(self) -> Iterable[Iterable[str]]:
        """Columns of each unique index of the target."""

    def is_empty(self) -> bool:
        """Whether the target has no row."""
        return not self.run(f"SELECT 1 FROM {self._target} LIMIT 1").fetchall()

    def fill(self, rows: pa.Table) -> bool:
        """Load rows into the target itself, in bulk, where none of them is there yet.

        False where that is not so, or cannot be done; then nothing was.
        """
        del rows
        return False

    @abstractmethod
    def stage(self, rows: pa.Table) -> None:
        """Load rows into the temporary table STAGE, in bulk."""

    def statements(
        self, operation: Operation, key: Sequence[str], columns: Sequence[str]
    ) -> Iterator[str]:
        """What brings staged rows into the target.

        Args:
            operation: what is done with them.
            key: the fields that name a row.
            columns: of the stage.
        """
        names = ", ".join(map(quote, columns))
        if operation is Operation.REMOVE:
            same = " AND ".join(f"{self._target}.{quote(k)} = s.{quote(k)}" for k in columns)
            yield f"DELETE FROM {self._target} WHERE EXISTS (SELECT 1 FROM {STAGE} s WHERE {same})"
            return
        insert = f"INSERT INTO {self._target} ({names}) SELECT {names} FROM {STAGE} WHERE TRUE"
        if operation is Operation.INSERT:
            yield insert
            return
        others = [c for c in columns if c not in key]
        update = ", ".join(f"{quote(c)} = excluded.{quote(c)}" for c in others)
        action = f"DO UPDATE SET {update}" if others else "DO NOTHING"
        yield f"{insert} ON CONFLICT ({', '.join(map(quote, key))}) {action}"

    @abstractmethod
    def commit(self) -> None:
        """Make it durable."""


class Engine(ABC):
    """A kind of database."""

    marker_types: str = "run text, batch integer, sync text, row_count integer, written_at text"
    table_options: str = ""
    """What follows the columns of a table that is made."""

    @abstractmethod
    def session(self) -> AbstractContextManager[TableSession]:
        """Open one transaction."""

    @abstractmethod
    def name(self, table: str) -> str:
        """Quoted, qualified name of a table."""

    @abstractmethod
    def sql_type(self, kind: pa.DataType) -> str:
        """Column type for an Arrow type."""

    def key_type(self, kind: pa.DataType, columns: int) -> str:
        """Column type for an Arrow type in a key of so many columns."""
        del columns
        return self.sql_type(kind)

    def quote(self, identifier: str) -> str:
        """A quoted identifier."""
        return quote(identifier)

    def check(self) -> None:
        """Raise what a run would meet. Writes nothing."""
        with self.session() as session:
            session.find()

    def unstorable(self, rows: pa.Table) -> Mapping[int, str]:
        """Rows this database cannot hold as they are, whatever the table, with a reason code."""
        del rows
        return {}


_SHORTER = "Give the table or field a shorter name in the sync."


def refuse_fields(
    context: DestinationContext,
    kind: str,
    *,
    columns_max: int | None = None,
    name_bytes_max: int | None = None,
    name_characters_max: int | None = None,
    case_matters: bool = False,
) -> None:
    """Refuse fields that a kind of database cannot have as the columns of one table.

    Raises:
        ConfigError: `too_many_columns`, `name_too_long`, `column_ambiguous`.
    """
    where, names = f"Sync {context.sync}", list(context.columns)
    shown = ShownNames([context.object_name, *names]).name
    if columns_max is not None and len(names) > columns_max:
        raise ConfigError(
            "too_many_columns",
            f"{where}: the mapping has {len(names)} fields; {kind}'s tables have at most "
            f"{columns_max} columns.",
            hint="Map fewer fields, or send them to two tables with two syncs.",
        )
    for name in (context.object_name, *names):
        if name_bytes_max is not None and len(name.encode()) > name_bytes_max:
            raise ConfigError(
                "name_too_long",
                f"{where}: a name of {len(name.encode())} bytes begins with {shown(name)[:40]}; "
                f"{kind}'s names have at most {name_bytes_max}, and it would cut this one.",
                hint=_SHORTER,
            )
        if name_characters_max is not None and len(name) > name_characters_max:
            raise ConfigError(
                "name_too_long",
                f"{where}: a name of {len(name)} characters begins with {shown(name)[:40]}; "
                f"{kind}'s names have at most {name_characters_max}.",
                hint=_SHORTER,
            )
    folded: dict[str, str] = {}
    for name in names if not case_matters else ():
        other = folded.setdefault(name.lower(), name)
        if other != name:
            raise ConfigError(
                "column_ambiguous",
                f"{where}: fields {shown(other)} and {shown(name)} of the mapping differ only in "
                f"case, which {kind}'s columns cannot.",
                hint="Give one of them another name in the mapping; its column stays as it is.",
            )


class TableDestination:
    """Writes batches into one table."""

    def __init__(self, engine: Engine, context: DestinationContext) -> None:
        self._engine = engine
        self._context = context
        self._lock = asyncio.Lock()
        # Whether only rows of this run are in the table, whose keys differ; None: not looked yet.
        self._ours_alone: bool | None = None

    async def check(self) -> None:
        """See `Destination.check`."""
        async with self._lock:
            await asyncio.to_thread(self._engine.check)

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done | Submitted:
        """See `Destination.write`: all or nothing; a repeat is a no-op."""
        require_protected(batch)
        async with self._lock:
            outcomes = await asyncio.to_thread(self._write, batch)
        progress.rows_done(outcomes)
        return progress.done()

    async def poll(self, job: JobRef) -> Done | Pending:
        """Databases answer at once."""
        raise ContractError("no_jobs", f"Batch {job.batch} was not submitted as a job.")

    async def applied(self, head: BatchHead) -> bool | None:
        """See `Destination.applied`."""

        def ask() -> bool:
            with self._engine.session() as session:
                return session.has_batch(head)

        async with self._lock:
            return await asyncio.to_thread(ask)

    async def erase(self, identifiers: ProtectedBatch) -> Done | Submitted:
        """Remove rows by key."""
        require_protected(identifiers)
        return await self.write(identifiers, Progress(rows=len(identifiers)))

    async def close(self) -> None:
        """Nothing stays open between batches."""

    def _write(self, batch: ProtectedBatch) -> Outcomes:
        rows = batch.rendered()
        refused = self._engine.unstorable(rows)
        kept = _without(rows, refused)
        try:
            self._write_kept(batch.head, kept)
        except (pa.ArrowException, ValueError, OverflowError):
            # The text may hold a value; halving finds the row.
            raise ContractError(
                "batch_refused", "A batch holds a value that the destination's types cannot."
            ) from None
        return _outcomes(len(batch), refused)

    def _write_kept(self, head: BatchHead, kept: pa.Table) -> None:
        with self._engine.session() as session:
            if not session.has_batch(head):
                session.execute(
                    f"CREATE TABLE IF NOT EXISTS {self._engine.name(MARKERS)} "
                    f"({self._engine.marker_types}){self._engine.table_options}"
                )
                self._prepare(session)
                if not self._filled(session, head.operation, kept):
                    session.stage(kept)
                    key = self._context.key
                    for statement in session.statements(head.operation, key, kept.column_names):
                        session.execute(statement)
                session.mark_batch(head, datetime.now(UTC).isoformat())
            session.commit()

    def _filled(self, session: TableSession, operation: Operation, rows: pa.Table) -> bool:
        """What only adds rows needs no stage: an append, and a first load, of which no row can be
        there unless somebody else writes.
        """
        if operation is Operation.REMOVE:
            return False
        if operation is Operation.INSERT:
            return session.fill(rows)
        if self._ours_alone is None:
            self._ours_alone = session.is_empty()
        self._ours_alone = self._ours_alone and session.fill(rows)
        return self._ours_alone

    def _prepare(self, session: TableSession) -> None:
        """Create the table, or check that the one that is there fits."""
        found = session.find()
        table, key = self._context.object_name, self._context.key
        if found is None:
            keyed = key if self._context.mode is not SyncMode.APPEND else ()
            columns = [
                f"{self._engine.quote(name)} {self._column_type(name, keyed)}"
                for name in self._context.columns
            ]
            if keyed:
                columns.append(f"PRIMARY KEY ({self._list(keyed)})")
            session.execute(
                f"CREATE TABLE {self._engine.name(table)} ({', '.join(columns)})"
                f"{self._engine.table_options}"
            )
            return
        missing = sorted(set(self._context.columns) - found.columns)
        if missing:
            raise ConfigError(
                "column_missing",
                f"The destination's table has no column {self._listed(missing[:10])}.",
                hint="Add it there, or take it out of the mapping.",
            )
        if self._context.mode is not SyncMode.APPEND and frozenset(key) not in found.unique:
            over = self._shown().text(self._list(key))
            raise ConfigError(
                "key_not_unique",
                f"The destination's table has no unique index on {self._listed(key)}.",
                hint=f"CREATE UNIQUE INDEX ON {self._engine.name(table)} ({over})",
            )

    def _listed(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._shown().name, names))

    def _shown(self) -> ShownNames:
        return ShownNames(self._context.columns)

    def _column_type(self, name: str, key: Sequence[str]) -> str:
        is_clear = self._context.forms.get(name) is Form.CLEAR
        kind = self._context.columns[name] if is_clear else pa.string()
        return self._engine.key_type(kind, len(key)) if name in key else self._engine.sql_type(kind)

    def _list(self, names: Sequence[str]) -> str:
        return ", ".join(map(self._engine.quote, names))


def _without(rows: pa.Table, refused: Mapping[int, str]) -> pa.Table:
    if not refused:
        return rows
    index = pa.array(range(rows.num_rows))
    return rows.filter(pc.invert(pc.is_in(index, value_set=pa.array(list(refused)))))


def _outcomes(rows: int, refused: Mapping[int, str]) -> Outcomes:
    if not refused:
        return Outcomes.all_of(OutcomeCode.ACCEPTED, rows)
    codes = [int(OutcomeCode.ACCEPTED)] * rows
    for row in refused:
        codes[row] = int(OutcomeCode.REJECTED)
    reasons = {row: Reason(code=code) for row, code in refused.items()}
    return Outcomes(codes=pa.array(codes, pa.uint8()), reasons=reasons)
