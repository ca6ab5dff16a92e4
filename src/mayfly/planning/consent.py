"""The consent filter as SQL: a column of the model, a table of events, or both."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.planning.spec import Consent, ConsentTable, PlanSpec
from mayfly.planning.sql.dialect import SqlDialect, subject_text

SAID = "mf_said"
"""Of a subject in the consent table: 1 granted, 0 refused, null unknown."""
SINCE = "mf_since"
"""Microseconds since 1970: the time of the event that says so."""
_SUBJECT = "mf_subject"
_NEVER = str(2**63 - 1)


def consented_model(spec: PlanSpec, sql: SqlDialect) -> str:
    """FROM item of the model's rows, with what the consent table says of each where one is bound.

    The model's columns keep their names.
    """
    return _consented(spec.model_sql, sql, spec.consent, spec.now_ms)


def consent_state(spec: PlanSpec, sql: SqlDialect) -> str:
    """1 granted, 0 refused, null unknown, over `consented_model`. Column and table must agree."""
    return _state(spec.consent, sql)


def told_model(
    model_sql: str,
    names: Sequence[str],
    sql: SqlDialect,
    consent: Consent,
    *,
    name: str,
    now_ms: int,
) -> str:
    """A model with one column more, which says whether a consent is granted.

    Args:
        model_sql: one SELECT.
        names: of its columns, quoted.
        sql: its dialect.
        consent: that is told.
        name: of the column: the text `granted`, else `denied`.
        now_ms: the moment at which it is asked for.
    """
    told = f"CASE WHEN ({_state(consent, sql)}) = 1 THEN 'granted' ELSE 'denied' END"
    columns = ", ".join((*names, f"{sql.cast(told, sql.text)} AS {sql.quote(name)}"))
    return f"SELECT {columns} FROM {_consented(model_sql, sql, consent, now_ms)}"


def _consented(model_sql: str, sql: SqlDialect, consent: Consent | None, now_ms: int) -> str:
    model = f"({model_sql}) AS mf_model"
    if consent is None or consent.table is None:
        return model
    table = consent.table
    key = subject_text(sql, sql.quote(table.matches.name), table.matches.arrow_type)
    return (
        f"{model} LEFT JOIN ({latest_events(table, sql, now_ms * 1000)}) AS mf_consent "
        f"ON mf_consent.{_SUBJECT} = {key}"
    )


def _state(consent: Consent | None, sql: SqlDialect) -> str:
    if consent is None:
        return "1"
    if consent.column is None:
        return SAID
    column = sql.quote(consent.column)
    granted = f"WHEN {sql.is_one_of(column, consent.values)} THEN 1 ELSE 0"
    state = f"CASE WHEN {column} IS NULL THEN NULL {granted} END"
    if consent.table is None:
        return state
    return (
        f"CASE WHEN {SAID} = 0 OR ({state}) = 0 THEN 0 WHEN {SAID} = 1 AND ({state}) = 1 THEN 1 END"
    )


def is_dated(spec: PlanSpec) -> bool:
    """Whether `withdrawn_since` tells anything."""
    return spec.consent is not None and spec.consent.is_dated


def withdrawn_since(spec: PlanSpec, sql: SqlDialect) -> str:
    """Microseconds since 1970 of what refuses a row, over `consented_model`; null where unknown."""
    consent = spec.consent
    column = None if consent is None else consent.withdrawn_at
    stamp = (
        "NULL" if column is None else sql.microseconds(sql.quote(column.name), column.arrow_type)
    )
    if consent is None or consent.table is None:
        return stamp
    return f"CASE WHEN {SAID} = 0 THEN {SINCE}{'' if column is None else f' ELSE {stamp}'} END"


def latest_events(table: ConsentTable, sql: SqlDialect, now_us: int) -> str:
    """Query of what each subject's events say at a moment, as `consent_at` does."""
    return (
        f"SELECT {_SUBJECT}, CASE WHEN min(mf_says) <> max(mf_says) OR max(mf_at) > {int(now_us)} "
        f"THEN NULL WHEN min(mf_says) = 1 THEN 1 WHEN min(mf_says) = 0 THEN 0 END AS {SAID}, "
        f"max(mf_at) AS {SINCE} "
        f"FROM (SELECT {_SUBJECT}, mf_at, mf_says, "
        f"max(mf_at) OVER (PARTITION BY {_SUBJECT}) AS mf_latest "
        f"FROM ({_events(table, sql, now_us)}) AS mf_events) AS mf_last "
        f"WHERE mf_at = mf_latest GROUP BY {_SUBJECT}"
    )


def _events(table: ConsentTable, sql: SqlDialect, now_us: int) -> str:
    """Events about the purpose: subject, time, and what each says (1, 0, or -1 for nothing).

    One without a time is later than any other.
    """
    subject = sql.quote(table.subject.name)
    purpose, time = sql.quote(table.purpose), sql.quote(table.time.name)
    at = sql.microseconds(time, table.time.arrow_type)
    about = f"({purpose} IS NULL OR {sql.is_one_of(purpose, table.spellings.purposes)})"
    return (
        f"SELECT {subject_text(sql, subject, table.subject.arrow_type)} AS {_SUBJECT}, "
        f"coalesce({at}, {sql.cast(_NEVER, sql.bigint)}) AS mf_at, "
        f"{_says(table, sql, now_us)} AS mf_says "
        f"FROM {table.relation} AS mf_told WHERE {subject} IS NOT NULL AND {about}"
    )


def _says(table: ConsentTable, sql: SqlDialect, now_us: int) -> str:
    state, spellings = sql.quote(table.state), table.spellings
    nothing = f"WHEN {sql.quote(table.purpose)} IS NULL OR {state} IS NULL THEN -1"
    if spellings.unknown:
        nothing += f" WHEN {sql.is_one_of(state, spellings.unknown)} THEN -1"
    granted = sql.is_one_of(state, spellings.granted)
    void = "".join(f" WHEN {granted} AND ({v}) THEN -1" for v in _void(table, sql, now_us))
    return f"CASE {nothing}{void} WHEN {granted} THEN 1 ELSE 0 END"


def _void(table: ConsentTable, sql: SqlDialect, now_us: int) -> list[str]:
    """What makes a grant say nothing: another source, or its end."""
    found, spellings = [], table.spellings
    if table.source is not None and spellings.sources is not None:
        source = sql.quote(table.source)
        found.append(f"{source} IS NULL OR NOT {sql.is_one_of(source, spellings.sources)}")
    if table.valid_until is not None:
        column = sql.quote(table.valid_until.name)
        until = sql.microseconds(column, table.valid_until.arrow_type)
        ended = f"coalesce({until}, 0) <= {int(now_us)}"
        found.append(f"{column} IS NOT NULL AND {ended}" if spellings.without_end else ended)
    return found
