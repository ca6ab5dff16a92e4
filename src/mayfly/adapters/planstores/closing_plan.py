"""Closing the plan that a state has open, within a transaction of whoever holds the state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mayfly.adapters.planstores import journal, tables
from mayfly.domain.batch import SyncMode
from mayfly.planning.closing import ClosingSql
from mayfly.planning.names import Names
from mayfly.planning.spec import BatchInfo, CloseReport, KeyColumn, PlanSpec, StateIdentity
from mayfly.planning.sql.dialect import SqlDialect, literal
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

    Args:
        session: in a transaction that may write.
        sql: its dialect.
        names: of the state's tables.
        spec: of the sync; of it only identity and keys are used.
        layout: see `tables.layout_text`, as the registry has it.
        now_ms: milliseconds since 1970.
    """
    batches = journal.batches_of(session, names)
    closing = ClosingSql(tables.spec_of_layout(spec, layout), sql, names)
    report = _report(session, closing, batches)
    for statement in (*closing.statements(now_ms), *closing.drop_all()):
        session.execute(statement)
    versions = ""
    if report.complete:
        versions = ", versions = plan_versions, suppression = plan_suppression"
    session.execute(
        f"UPDATE {names.registry} SET plan_run = NULL{versions} WHERE sid = {literal(names.sid)}"
    )
    return report


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
