"""Consent events of tests: a table of them as one query, for any engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mayfly.domain.consent import ConsentEvent, Spellings
from mayfly.planning.spec import ConsentTable, TypedColumn
from mayfly.planning.sql.dialect import SqlDialect

NOW_US = 1_780_000_000_000_000
SPELLINGS = Spellings(
    purposes=("ads", "Ads"),
    granted=("given", "renewed"),
    unknown=("asked",),
    sources=("form", "shop"),
    ends=True,
)


def events_query(sql: SqlDialect, told: Mapping[int, Sequence[ConsentEvent]]) -> str:
    """Query of a table of events: subject, purpose, state, at, until, source."""
    rows = [
        ", ".join(
            (
                f"{sql.cast(str(subject), sql.bigint)} AS subject",
                f"{_text(sql, e.purpose)} AS purpose",
                f"{_text(sql, e.state)} AS state",
                f"{_time(sql, e.at_us)} AS at",
                f"{_time(sql, e.until_us)} AS ends",
                f"{_text(sql, e.source)} AS source",
            )
        )
        for subject, events in told.items()
        for e in events
    ]
    return " UNION ALL ".join(f"SELECT {row}" for row in rows)


def events_table(sql: SqlDialect, relation: str, spellings: Spellings = SPELLINGS) -> ConsentTable:
    """How that query is read."""
    times = pa.timestamp("us") if sql.has_times else pa.string()
    return ConsentTable(
        relation=relation,
        subject=TypedColumn(name="subject", arrow_type=pa.int64()),
        matches=TypedColumn(name="id", arrow_type=pa.int64()),
        purpose="purpose",
        state="state",
        time=TypedColumn(name="at", arrow_type=times),
        valid_until=TypedColumn(name="ends", arrow_type=times) if spellings.ends else None,
        source="source" if spellings.sources is not None else None,
        spellings=spellings,
    )


def _text(sql: SqlDialect, value: Any) -> str:
    return sql.cast("NULL" if value is None else sql.literal(value), sql.text)


def _time(sql: SqlDialect, micros: int | None) -> str:
    if micros is None:
        return sql.cast("NULL", "timestamp" if sql.has_times else sql.text)
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=micros)
    text = moment.isoformat(" ", "microseconds")
    return sql.moment(text) if sql.has_times else sql.literal(text)
