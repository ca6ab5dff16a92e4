"""Names of our tables in a warehouse: working copies and state of one sync."""

from __future__ import annotations

from dataclasses import dataclass

from mayfly.planning.sql.dialect import quote

STATE_TABLES = ("state", "pairs", "rejected")
WORKING_COPIES = ("scan", "plan", "drop", "gone", "batches", "intents", "acks", "codes", "before")


@dataclass(frozen=True, kw_only=True)
class Names:
    """Where tables are: in our schema, or temporary where a plan must write nothing.

    Args:
        schema: our schema in the warehouse.
        sid: of the state.
        temporary: working copies are temporary tables.
        absent: state tables taken as empty: temporary, too, whether or not they exist.
    """

    schema: str
    sid: str
    temporary: bool = False
    absent: frozenset[str] = frozenset()

    def of(self, kind: str) -> str:
        """Quoted name of a table of this state: state, pairs, rejected or a working copy."""
        temporary = self.temporary and (kind in WORKING_COPIES or kind in self.absent)
        if temporary:
            return quote(f"mf_{kind}")
        return f"{quote(self.schema)}.{quote(f'{kind}_{self.sid}')}"

    @property
    def registry(self) -> str:
        """The one table of all states."""
        return f"{quote(self.schema)}.{quote('states')}"

    @property
    def rejected_view(self) -> str:
        """The one view of all rejections."""
        return f"{quote(self.schema)}.{quote('rejected')}"
