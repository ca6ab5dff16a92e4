"""What stands in a table of a source: counts of its engine, and a sample where that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

import pyarrow as pa

from mayfly.planning.detection import CountedColumn, count_queries, read_counts
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.free_text import FreeText
from mayfly.ports.source import ColumnInfo, Source, SqlSession, TableInfo
from mayfly.privacy.detect import (
    Verdict,
    classify_counts,
    classify_names,
    classify_table,
    some_sentences,
    strictest,
)

Looks = Literal["names", "counts", "values"]
"""How far a source lets its values be looked at: not at all, by counts, by a sample of texts."""
SAMPLE_ROWS = 10_000
SENTENCES_MAX = 400
_OF_PERSONS = 0.02
"""Of the sentences that are read: what a model takes for a person by mistake is less."""
_BY_NAME, _BY_READING = 0.4, 0.8
_ENOUGH = 10


def looks_of(setting: object) -> Looks:
    """What a source's `classify` says; counts where it says nothing."""
    if free_text_models(setting):
        return "values"
    return cast("Looks", setting) if setting in get_args(Looks) else "counts"


def free_text_models(setting: object) -> Mapping[str, str]:
    """Models by language, where a source's `classify` has free text read; else none."""
    if not isinstance(setting, Mapping) or setting.get("free_text") != "presidio":
        return {}
    models: Mapping[str, str] = setting["models"]
    return models


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What is looked at.

    Args:
        source: that it is in.
        sql: of the source.
        relation: FROM item of a table, or of a model's query.
        name: of the table or model.
        columns: as the source describes them.
    """

    source: Source
    sql: SqlDialect
    relation: str
    name: str
    columns: Sequence[ColumnInfo]


def rows_of_table(source: Source, sql: SqlDialect, table: TableInfo) -> Rows:
    """A table as discovery found it."""
    relation = source.relation(table.schema, table.name)
    return Rows(source=source, sql=sql, relation=relation, name=table.name, columns=table.columns)


def rows_of_query(source: Source, sql: SqlDialect, query: str, name: str) -> Rows:
    """A model's query, which may be run."""
    relation = f"({query}) AS mf_model"
    columns = source.describe(query)
    return Rows(source=source, sql=sql, relation=relation, name=name, columns=columns)


def classify_rows(
    rows: Rows, looks: Looks, free_text: FreeText | None = None
) -> dict[str, Verdict]:
    """The class of each column.

    Args:
        rows: of a table or query.
        looks: how far its values may be looked at. What a sample holds stays in memory, and goes
            with this call.
        free_text: what reads sentences of the sample for names of persons.

    Raises:
        ConfigError: a right is missing, or the table.
        TransientError: the source is away.
    """
    kinds = {column.name: column.arrow_type for column in rows.columns}
    if looks == "names":
        return classify_names(kinds)
    with rows.source.session(write=False) as session:
        counts = _counted(session, rows)
        verdicts = classify_counts(kinds, counts)
        if looks == "values":
            sample = _sampled(session, rows)
            verdicts = _with_sample(verdicts, sample, rows.name)
            if free_text is not None:
                verdicts = _with_persons(verdicts, sample, free_text)
    return verdicts


def _with_persons(
    verdicts: Mapping[str, Verdict], sample: Mapping[str, pa.ChunkedArray], free_text: FreeText
) -> dict[str, Verdict]:
    """Sentences that name persons are free text of persons, unless they are worse."""
    found = dict(verdicts)
    for name, column in sample.items():
        texts = some_sentences(column, SENTENCES_MAX)
        persons = free_text.persons(texts) if texts else 0
        if persons < max(1, _OF_PERSONS * len(texts)):
            continue
        told = Verdict(cls="free_text_pii", confidence=_BY_READING)
        worse = strictest(verdicts[name], told)
        evidence = {**verdicts[name].evidence, "persons": persons, "read": len(texts)}
        found[name] = replace(worse, evidence=evidence)
    return found


def _counted(session: SqlSession, rows: Rows) -> dict[str, dict[str, int]]:
    readable = rows.source.readable
    columns = [CountedColumn(sql=readable(c), kind=c.arrow_type) for c in rows.columns]
    found: dict[int, dict[str, int]] = {}
    for query in count_queries(rows.source.dialect, rows.sql, rows.relation, columns):
        [row] = session.table(query).to_pylist()
        # An engine may fold the names of columns.
        found |= read_counts({str(name).lower(): count for name, count in row.items()})
    return {column.name: found[n] for n, column in enumerate(rows.columns)}


def _sampled(session: SqlSession, rows: Rows) -> dict[str, pa.ChunkedArray]:
    """Texts of the first rows that the engine gives, by column."""
    texts = [c for c in rows.columns if pa.types.is_string(c.arrow_type)]
    if not texts:
        return {}
    listed = ", ".join(f"{rows.source.readable(c)} AS c{n}" for n, c in enumerate(texts))
    sample = session.table(f"SELECT {listed} FROM {rows.relation} LIMIT {SAMPLE_ROWS}")
    return {c.name: sample.column(n) for n, c in enumerate(texts)}


def _with_sample(
    verdicts: Mapping[str, Verdict], sample: Mapping[str, pa.ChunkedArray], table: str
) -> dict[str, Verdict]:
    """What counts tell is told of all values; names and texts of persons by those of the sample."""
    read = classify_table(sample, table=table)
    return {
        name: _of_both(verdict, read[name]) if name in read else verdict
        for name, verdict in verdicts.items()
    }


def _of_both(counted: Verdict, read: Verdict) -> Verdict:
    by_name = counted.confidence <= _BY_NAME and read.evidence.get("distinct", 0) >= _ENOUGH
    worse = read if by_name else strictest(counted, read)
    sampled = read.evidence.get("values", 0)
    evidence = {**counted.evidence, "sampled": sampled}
    if worse is read and read.cls != "none":
        evidence["name"] = read.evidence.get("name", 0)
    return replace(worse, evidence={k: v for k, v in evidence.items() if v or k == "values"})
