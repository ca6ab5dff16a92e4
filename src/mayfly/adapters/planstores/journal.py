"""The journal of a plan: which batches were begun, which were answered, and what of each row."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mayfly.domain.batch import Operation
from mayfly.domain.outcomes import Outcomes
from mayfly.planning.names import Names
from mayfly.planning.spec import BatchInfo
from mayfly.ports.source import SqlSession


def batches_of(session: SqlSession, names: Names) -> tuple[BatchInfo, ...]:
    """A plan's batches in order, with what the journal has of each.

    Args:
        session: of the warehouse.
        names: with the plan's working copies.
    """
    size = names.sql.cast("b.size", names.sql.bigint)
    found = session.table(
        f"SELECT b.batch, b.op, b.field, {size} AS size, i.batch AS intent, "
        f"i.job, a.batch AS ack FROM {names.of('batches')} b "
        f"LEFT JOIN (SELECT batch, max(job) AS job FROM {names.of('intents')} GROUP BY batch) i "
        f"ON i.batch = b.batch LEFT JOIN (SELECT DISTINCT batch FROM {names.of('acks')}) a "
        f"ON a.batch = b.batch ORDER BY b.batch"
    ).to_pylist()
    unsent: dict[int, list[int]] = {}
    for r in session.table(
        f"SELECT o.batch, o.pos FROM {names.of('codes')} o LEFT JOIN {names.of('acks')} a "
        f"ON a.batch = o.batch WHERE a.batch IS NULL ORDER BY o.batch, o.pos"
    ).to_pylist():
        unsent.setdefault(r["batch"], []).append(r["pos"])
    return tuple(
        BatchInfo(
            number=r["batch"],
            operation=Operation(r["op"]),
            identifier=r["field"],
            rows=r["size"],
            intent=r["intent"] is not None,
            acknowledged=r["ack"] is not None,
            job=r["job"],
            unsent=tuple(unsent.get(r["batch"], ())),
        )
        for r in found
    )


def load_codes(session: SqlSession, batch: int, outcomes: Outcomes) -> None:
    """Codes of rows not plainly accepted, to be inserted within a transaction that begins after it:
    an engine may end one where a table is made.
    """
    rows = outcomes.not_accepted()
    if rows:
        session.load("mf_codes", _codes_table(batch, outcomes, rows))


def insert_codes(session: SqlSession, names: Names, outcomes: Outcomes) -> None:
    """What `load_codes` has loaded; what the intent said of a row stays."""
    if not outcomes.not_accepted():
        return
    codes = names.of("codes")
    kind = names.sql.integer
    numbers = ", ".join(names.sql.cast(f"m.{c}", kind) for c in ("batch", "pos", "code"))
    session.execute(
        f"INSERT INTO {codes} SELECT {numbers}, m.reason, m.vendor FROM mf_codes m "
        f"LEFT JOIN {codes} o ON o.batch = m.batch AND o.pos = m.pos WHERE o.code IS NULL"
    )


def _codes_table(batch: int, outcomes: Outcomes, rows: Sequence[int]) -> pa.Table:
    codes = outcomes.codes.to_pylist()
    reasons = [outcomes.reasons.get(r) for r in rows]
    return pa.table(
        {
            "batch": pa.array([batch] * len(rows), pa.int64()),
            "pos": pa.array(list(rows), pa.int64()),
            "code": pa.array([codes[r] for r in rows], pa.int64()),
            "reason": pa.array([r.code if r else None for r in reasons], pa.string()),
            "vendor": pa.array(
                [r.vendor_code or None if r else None for r in reasons], pa.string()
            ),
        }
    )
