"""How far the deletion of a workspace is, and the end of all that its store has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import text

from mayfly.adapters.stores.statements import Statements, time_text

_EMPTY = Path(__file__).parent / "sql" / "empty_store.sql"


class SqlDeletion(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

    def deletion(self) -> Mapping[str, datetime]:
        """See `Store.deletion`."""
        rows = self._rows("select_deletion", {})
        return {row["step"]: datetime.fromisoformat(row["done_at"]) for row in rows}

    def note_deletion(self, step: str, now: datetime) -> None:
        """See `Store.note_deletion`."""
        self._execute("insert_deletion", {"step": step, "done_at": time_text(now)})

    def empty(self) -> int:
        """See `Store.empty`."""
        with self._transaction(write=True) as connection:
            return sum(
                max(0, connection.execute(text(statement)).rowcount)
                for statement in _EMPTY.read_text(encoding="ascii").split(";\n")
                if statement.strip()
            )
