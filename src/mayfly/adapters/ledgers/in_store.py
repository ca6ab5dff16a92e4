"""A ledger in the store's PostgreSQL database: one for any number of machines.

Lines, tree and signed head are those of a folder. An append is one transaction that holds the
head's row, so that of several machines one writes at a time and each goes on from what the one
before it has signed; a process that dies leaves nothing of its append.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice

from sqlalchemy import Connection

from mayfly.adapters.ledgers.export import StoredLedger
from mayfly.adapters.ledgers.tree import (
    Position,
    Told,
    TreeLedger,
    grown,
    head_of,
    inconsistent,
    require_signed,
)
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.adapters.stores.statements import statement
from mayfly.domain.errors import PolicyError
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.merkle import Frontier

_PAGE_LINES = 5_000


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What the store says of its ledger; `size` is one more than the last entry's number."""

    note: str
    key_line: str
    size: int


class StoreLedger(TreeLedger):
    """The ledger of one workspace, beside its acts. Threads, processes and machines share it."""

    def __init__(
        self,
        store: SqlStore,
        signer: Signer,
        clock: Callable[[], datetime],
        *,
        told: Told | None = None,
    ) -> None:
        """Open a ledger and check it against its checkpoint.

        Args:
            store: whose database it is in.
            signer: what signs its checkpoints.
            clock: the present time, with a zone.
            told: is handed the entries of each append, once they are durable.

        Raises:
            PolicyError: `ledger_missing`, there is no ledger; `mayfly init` makes one.
            IntegrityError: `ledger_inconsistent`.
            EngineError: whatever the store raises.
        """
        super().__init__(signer, clock, told=told)
        self._store = store
        self._alone = threading.Lock()
        self._connection: Connection | None = None
        with self._locked(write=False):
            self._position = self._refreshed(Position(frontier=Frontier()))

    @classmethod
    def create(
        cls,
        store: SqlStore,
        signer: Signer,
        clock: Callable[[], datetime],
        *,
        taken: StoredLedger | None = None,
    ) -> StoreLedger:
        """Make a ledger where there is none, whole or not at all, and open it.

        Args:
            store: whose database it is to be in.
            signer: what signs its checkpoints.
            clock: the present time, with a zone.
            taken: one of this workspace that lay elsewhere and is gone on with; it must verify.

        Raises:
            PolicyError: `ledger_exists`.
            IntegrityError: `ledger_inconsistent`, of the one that is to be taken over.
            EngineError: as when opening; whatever reading the lines raises.
        """
        with store.transaction(write=True) as connection:
            connection.execute(statement("lock_creation"))
            if _head_in(connection) is not None:
                raise PolicyError(
                    "ledger_exists", "There is a ledger already; it is never replaced."
                )
            position = Position(frontier=Frontier())
            while taken is not None and (page := list(islice(taken.lines, _PAGE_LINES))):
                _insert(connection, position.size, page)
                position = grown(position, page)
            note = signer.checkpoint(position.size, position.frontier.root())
            key_line = signer.verifier_key.to_line() + "\n"
            if taken is not None:
                note, key_line = taken.note, taken.key_line
            require_signed(position, head_of(signer, key_line=key_line, note=note))
            values = {"note": note, "verifier_key": key_line}
            connection.execute(statement("insert_ledger_head"), values)
        return cls(store, signer, clock)

    @contextmanager
    def _locked(self, *, write: bool) -> Iterator[None]:
        """One connection a process, however many threads wait: what `settle_list` asks the store
        meanwhile needs another. Readers wait for no writer.
        """
        with self._alone, self._store.transaction(write=write) as connection:
            self._connection = connection
            try:
                if write:
                    connection.execute(statement("lock_ledger"))
                yield
            finally:
                self._connection = None

    def _refreshed(self, known: Position) -> Position:
        head = _head_in(self._held())
        if head is None:
            raise _missing() if not known.size else inconsistent("its checkpoint is gone")
        if head.note == known.note and head.size == known.size:
            return known
        stated = head_of(self._signer, key_line=head.key_line, note=head.note)
        if stated.size != head.size:
            raise inconsistent("it has another number of entries than its checkpoint")
        lines = lines_since(partial(_page_in, self._held()), known.size)
        position = grown(known, islice(lines, max(0, stated.size - known.size)))
        require_signed(position, stated)
        return replace(position, note=head.note)

    def _written(self, known: Position, lines: Sequence[bytes], after: Position) -> None:
        _insert(self._held(), known.size, lines)
        self._held().execute(statement("update_ledger_head"), {"note": after.note})

    def _lines(self, *, size: int, end_bytes: int) -> Iterator[bytes]:
        del end_bytes
        return lines_since(partial(_page_of, self._store), size)

    def _held(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the ledger's lock is not held")
        return self._connection


def stored_ledger(store: SqlStore) -> StoredLedger | None:
    """The ledger as it lies in a store, whether it verifies or not; None where there is none.

    Raises:
        EngineError: whatever the store raises.
    """
    with store.transaction(write=False) as connection:
        head = _head_in(connection)
    if head is None:
        return None
    lines = islice(lines_since(partial(_page_of, store), 0), head.size)
    return StoredLedger(note=head.note, key_line=head.key_line, lines=lines)


def lines_since(page: Callable[[int], Sequence[tuple[int, bytes]]], since: int) -> Iterator[bytes]:
    """Lines from a number on, read in pages: entries never change, so that pages of several
    transactions are of one ledger. A gap is refused.
    """
    while rows := page(since):
        for seq, line in rows:
            if seq != since:
                raise inconsistent("an entry of it is missing")
            since += 1
            yield line


def _page_of(store: SqlStore, since: int) -> Sequence[tuple[int, bytes]]:
    with store.transaction(write=False) as connection:
        return _page_in(connection, since)


def _page_in(connection: Connection, since: int) -> Sequence[tuple[int, bytes]]:
    values = {"since": since, "most": _PAGE_LINES}
    rows = connection.execute(statement("select_ledger_lines"), values).mappings()
    # What is no ASCII is no entry; it hashes to something else than what was signed.
    return [(int(row["seq"]), str(row["line"]).encode()) for row in rows]


def _head_in(connection: Connection) -> _Head | None:
    row = connection.execute(statement("select_ledger_head")).mappings().first()
    if row is None:
        return None
    last = row["last_seq"]
    size = 0 if last is None else int(last) + 1
    return _Head(note=row["note"], key_line=row["verifier_key"], size=size)


def _insert(connection: Connection, since: int, lines: Sequence[bytes]) -> None:
    values = [{"seq": since + n, "line": line.decode("ascii")} for n, line in enumerate(lines)]
    connection.execute(statement("insert_ledger_line"), values)


def _missing() -> PolicyError:
    return PolicyError(
        "ledger_missing",
        "The ledger of this workspace is not in its store.",
        hint="Run `mayfly init`, which makes it, or takes over the one that lies in `.mayfly/"
        "ledger` of this machine; or restore the store from a backup.",
    )
