"""Names of our tables in a warehouse: working copies and state of one sync."""

from __future__ import annotations

from dataclasses import dataclass

from mayfly.planning.sql.dialect import SqlDialect

STATE_TABLES = ("state", "pairs", "rejected")
TURNS = "turns"
WORKING_COPIES = ("scan", "plan", "drop", "gone", "batches", "intents", "acks", "codes", "before")


@dataclass(frozen=True, kw_only=True)
class Names:
    """Where tables are: in our schema, or temporary where a plan must write nothing.

    Args:
        sql: quotes them.
        schema: our schema in the warehouse.
        sid: of the state.
        temporary: working copies are temporary tables.
        copy: tells the working copies of one plan from those of others, where an engine cannot drop
            tables within a transaction.
        absent: state tables taken as empty: temporary, too, whether or not they exist.
    """

    sql: SqlDialect
    schema: str
    sid: str
    temporary: bool = False
    copy: int | None = None
    absent: frozenset[str] = frozenset()

    def of(self, kind: str) -> str:
        """Quoted name of a table of this state: state, pairs, rejected or a working copy."""
        temporary = self.temporary and (kind in WORKING_COPIES or kind in self.absent)
        if temporary:
            return self.sql.quote(f"mf_{kind}")
        copy = f"_{self.copy}" if self.copy is not None and kind in WORKING_COPIES else ""
        return self._ours(f"{kind}_{self.sid}{copy}")

    @property
    def registry(self) -> str:
        """The one table of all states."""
        return self._ours("states")

    @property
    def turns(self) -> str:
        """See `SqlDialect.turn`."""
        return self._ours(TURNS)

    @property
    def rejected_view(self) -> str:
        """The one view of all rejections."""
        return self._ours("rejected")

    def _ours(self, table: str) -> str:
        return self.sql.ours(self.schema, table)
