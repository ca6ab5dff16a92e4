"""Closing the plan that a state has open, within a transaction of whoever holds the state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from mayfly.adapters.planstores import journal, tables
from mayfly.domain.batch import SyncMode
from mayfly.planning.closing import ClosingSql
from mayfly.planning.names import WORKING_COPIES, Names
from mayfly.planning.spec import BatchInfo, CloseReport, KeyColumn, PlanSpec, StateIdentity
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import SqlSession


def close_open_plan(
    session: SqlSession,
    sql: SqlDialect,
    names: Names,
    spec: PlanSpec,
    *,
    layout: str,
    now_ms: int,
) -> CloseReport:
    """Merge what was answered, mark what is in doubt, drop the working copies.

    An engine whose transactions undo no dropped table leaves them to `drop_copies`.

    Args:
        session: in a transaction that may write.
        sql: its dialect.
        names: of the state's tables.
        spec: of the sync; of it only identity and keys are used.
        layout: see `tables.layout_text`, as the registry has it.
        now_ms: milliseconds since 1970.
    """
    names = tables.copies_of(names, layout)
    batches = journal.batches_of(session, names)
    closing = ClosingSql(tables.spec_of_layout(spec, layout), sql, names)
    report = _report(session, closing, batches)
    if sql.transactional_ddl:
        # A plan that an earlier release left open has no such table.
        session.execute(tables.create_before(spec, sql, names))
    for statement in closing.statements(now_ms):
        session.execute(statement)
    if sql.transactional_ddl:
        for statement in closing.drop_all():
            session.execute(statement)
    closed = {"plan_run": "NULL"}
    if report.complete:
        closed |= {"versions": "plan_versions", "suppression": "plan_suppression"}
    session.execute(sql.update(names.registry, closed, f"sid = {sql.literal(names.sid)}"))
    return report


def drop_copies(session: SqlSession, sql: SqlDialect, names: Names, layout: str) -> None:
    """Drop the working copies of a plan that was closed, where its transaction could not. What is
    left when this fails goes with the next plan.
    """
    if sql.transactional_ddl:
        return
    for kind in WORKING_COPIES:
        session.execute(sql.drop_table(tables.copies_of(names, layout).of(kind)))


def left_copies(session: SqlSession, sql: SqlDialect, names: Names) -> list[str]:
    """Quoted names of a state's working copies, of whatever plan, where each has a number."""
    found = session.table(sql.tables_of(names.schema)).column("name").to_pylist()
    return [sql.ours(names.schema, name) for name in numbered_copies(found, names)]


def numbered_copies(found: Iterable[str], names: Names) -> list[str]:
    """Those of the names of tables that are a state's working copies with a number."""
    ours = re.compile(f"({'|'.join(WORKING_COPIES)})_{names.sid}_[0-9]+")
    return [name for name in found if ours.fullmatch(name)]


def registered_spec(row: Mapping[str, Any]) -> PlanSpec:
    """As much of a sync as its line in the registry tells, for closing its plan without it."""
    keys = tuple(
        KeyColumn(name=name, sql_type=kind, arrow_type=pa.null())
        for name, kind in json.loads(str(row["state_keys"]))
    )
    return PlanSpec(
        identity=StateIdentity(
            workspace=row["workspace"],
            target=row["target"],
            sync=row["sync"],
            destination=row["destination"],
        ),
        run=str(row["plan_run"]),
        mode=SyncMode.UPSERT,
        external=False,
        by_identifier=False,
        model_sql="",
        keys=keys,
        fields=(),
        consent=None,
        suppression=(),
        versions="",
    )


def _report(session: SqlSession, closing: ClosingSql, batches: Sequence[BatchInfo]) -> CloseReport:
    def number(query: str) -> int:
        return int(session.table(closing.count(query)).column("n")[0].as_py())

    return CloseReport(
        delivered=number(closing.accepted("plan")),
        removed=number(closing.accepted("drop")),
        in_doubt=number(closing.doubtful("plan")) + number(closing.doubtful("drop")),
        dropped=sum(b.rows for b in batches if not b.intent and not b.acknowledged),
        complete=all(b.acknowledged for b in batches),
    )
