"""Views as Spark and Databricks describe them: one statement, whose answer is one JSON document."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.spark import quote
from mayfly.ports.source import ViewText

_MISSING = ("table_missing", "schema_missing")
_ODD = "query_invalid"
_DETAILS = "# Detailed Table Information"


def described_view(asked: Callable[[str], pa.Table], relation: str, schema: str) -> ViewText | None:
    """What a view is made of; None of what is none.

    Args:
        asked: the whole answer to a statement.
        relation: the quoted name of what may be a view.
        schema: that it was looked for in.
    """
    try:
        answer = asked(f"DESCRIBE TABLE EXTENDED {relation} AS JSON")
    except ConfigError as error:
        if error.code in _MISSING or (error.code == _ODD and _is_table(asked, relation)):
            return None
        # Whoever may not see it may not tell either that it is a table.
        return ViewText(schema=schema, sql=None)
    return view_of(str(answer.column(0)[0].as_py()), schema)


def _is_table(asked: Callable[[str], pa.Table], relation: str) -> bool:
    """Whether a catalog that writes no such document calls it something else than a view."""
    try:
        rows = asked(f"DESCRIBE TABLE EXTENDED {relation}").to_pylist()
    except ConfigError:
        return False
    heads = [place for place, row in enumerate(rows) if row["col_name"] == _DETAILS]
    below = rows[heads[-1] :] if heads else []
    kinds = [str(row["data_type"]).upper() for row in below if row["col_name"] == "Type"]
    return bool(kinds) and not any("VIEW" in kind for kind in kinds)


def view_of(document: str, schema: str) -> ViewText | None:
    """Of the answer for one table or view."""
    told: Mapping[str, Any] = json.loads(document)
    if "VIEW" not in str(told.get("type", "")).upper():
        return None
    text = told.get("view_text") or told.get("view_original_text")
    if not text:
        return ViewText(schema=schema, sql=None)
    names = [str(column["name"]) for column in told.get("columns") or ()]
    made = [str(name) for name in told.get("view_query_output_columns") or ()]
    within = str(told.get("view_catalog_and_namespace") or schema).replace("`", "")
    return ViewText(schema=within, sql=named_columns(str(text), names, made))


def named_columns(query: str, names: Sequence[str], made: Sequence[str]) -> str:
    """The text of a view that calls its columns as its query does, or otherwise.

    Args:
        query: of the view.
        names: of its columns.
        made: what the query calls them; empty where nobody knows.
    """
    if not names or list(names) == list(made):
        return query
    return f"CREATE VIEW {quote('view')} ({', '.join(map(quote, names))}) AS {query}"
