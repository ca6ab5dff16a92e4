"""The working copies of the plan that a state has open, as far as one person stands in them."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from mayfly.adapters.planstores import tables
from mayfly.adapters.planstores.registry import StateLine
from mayfly.planning.columns import same_key
from mayfly.planning.names import Names
from mayfly.planning.numbering import identifiers
from mayfly.planning.spec import PlanSpec
from mayfly.planning.sql.dialect import TARGET, SqlDialect
from mayfly.ports.source import SqlSession
from mayfly.ports.subjects import PlannedSubject

_OF_KEYS = ("plan", "scan", "before", "drop")


@dataclass(frozen=True, kw_only=True)
class OpenCopies:
    """Working copies in an open session of their database.

    Args:
        session, sql: of the database.
        names: of the copies, and of the state's tables.
        spec: that the plan was made by, as far as closing it needs; see `spec_of_layout`.
        subject: table with the keys of the person's rows.
    """

    session: SqlSession
    sql: SqlDialect
    names: Names
    spec: PlanSpec
    subject: str

    @property
    def sent(self) -> str:
        """FROM item, still without its alias: planned rows of batches that were begun. What became
        of them stands nowhere else until the plan is closed.
        """
        plan, intents = self.names.of("plan"), self.names.of("intents")
        return (
            f"(SELECT p.* FROM {plan} p JOIN (SELECT DISTINCT batch FROM {intents}) i "
            f"ON i.batch = p.batch)"
        )

    def pairs(self) -> str:
        """Query of `k0` …, `field`, `digest` of what such rows sent; empty where none is kept."""
        keys = ", ".join(f"s.k{i} AS k{i}" for i in range(len(self.spec.keys)))
        parts = [
            f"SELECT {keys}, {self.sql.literal(field.name)} AS field, s.v{i} AS digest "
            f"FROM {self.sent} s WHERE s.v{i} IS NOT NULL"
            for i, field in identifiers(self.spec)
        ]
        return " UNION ALL ".join(parts)

    def planned(self) -> PlannedSubject:
        """Where the person stands, once the keys are marked."""
        same = same_key(self.spec, "q", "w")
        found = self.session.table(
            f"SELECT q.batch AS batch, q.pos AS pos FROM {self.names.of('plan')} q "
            f"JOIN {self.subject} w ON {same}"
        )
        rows: dict[int, list[int]] = {}
        for row in found.cast(pa.schema([("batch", pa.int64()), ("pos", pa.int64())])).to_pylist():
            rows.setdefault(row["batch"], []).append(row["pos"])
        return PlannedSubject(run=self.spec.run, rows=rows)

    def take_out(self) -> None:
        """Within a transaction: the person's rows, and what was to be taken out of them. The sizes
        of batches stay, so that positions of the others do.
        """
        names, match = self.names, same_key(self.spec, "w", TARGET)
        if self.spec.by_identifier:
            keys = same_key(self.spec, "p", "w")
            mine = f"SELECT p.field, p.digest FROM {names.of('pairs')} p JOIN {self.subject} w"
            same = f"k.field = {TARGET}.field AND k.digest = {TARGET}.digest"
            self._delete("drop", f"({mine} ON {keys}) k", same)
            # Nobody else's plan has that table.
            self._delete("gone", f"{self.subject} w", match)
        for kind in _OF_KEYS:
            self._delete(kind, f"{self.subject} w", match)

    def _delete(self, kind: str, item: str, match: str) -> None:
        self.session.execute(self.sql.delete_matched(self.names.of(kind), [(item, match)]))


def open_copies(
    session: SqlSession, sql: SqlDialect, names: Names, spec: PlanSpec, *, subject: str
) -> OpenCopies | None:
    """Those of the plan that is open; None where none is."""
    row = StateLine(sql, names, "").known(session)
    if row is None or row["plan_run"] is None:
        return None
    layout = str(row["plan_layout"])
    return OpenCopies(
        session=session,
        sql=sql,
        names=tables.copies_of(names, layout),
        spec=tables.spec_of_layout(spec, layout),
        subject=subject,
    )
