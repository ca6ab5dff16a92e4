"""Views as Spark and Databricks describe them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from mayfly.connectors.sources.described_views import described_view, view_of
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.planning.model_sql import parsed_view
from mayfly.ports.source import ViewText

SEEN: dict[str, Any] = {
    "type": "VIEW",
    "columns": [{"name": "id"}, {"name": "score"}],
    "view_text": "SELECT id, name AS score FROM people",
    "view_catalog_and_namespace": "lake.crm",
    "view_query_output_columns": ["id", "score"],
}


def test_a_view_has_its_text_and_where_its_names_are_looked_for() -> None:
    """As its query stands, where that calls the columns as the view does."""
    found = view_of(json.dumps(SEEN), "shop")
    assert found == ViewText(schema="lake.crm", sql=SEEN["view_text"])
    without = {k: v for k, v in SEEN.items() if k != "view_catalog_and_namespace"}
    assert view_of(json.dumps(without), "shop") == ViewText(schema="shop", sql=SEEN["view_text"])
    assert view_of(json.dumps({"type": "MANAGED"}), "shop") is None


def test_columns_that_a_view_calls_otherwise_are_part_of_its_text() -> None:
    """Two of them exchanged are another view."""
    texts = set()
    for names in (["score", "id"], ["a", "b`c"], ["id", "score"]):
        told = {**SEEN, "columns": [{"name": name} for name in names]}
        found = view_of(json.dumps(told), "shop")
        assert found is not None
        assert found.sql is not None
        texts.add(found.sql)
        made = parsed_view(found.sql, "spark")
        assert made is not None
        assert list(made[1]) == ([] if names == ["id", "score"] else names)
    assert len(texts) == 3


@pytest.mark.parametrize("text", [None, ""])
def test_a_text_that_is_not_shown_is_told_as_such(text: str | None) -> None:
    """That it is a view is known, and no more."""
    told = {**SEEN, "view_text": text}
    assert view_of(json.dumps(told), "shop") == ViewText(schema="shop", sql=None)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("table_missing", None),
        ("schema_missing", None),
        ("missing_grant", ViewText(schema="shop", sql=None)),
        ("query_invalid", ViewText(schema="shop", sql=None)),
    ],
)
def test_what_may_not_be_described_counts_as_a_view_without_a_text(
    code: str, found: ViewText | None
) -> None:
    """What is not there is no view; a server that is away is another thing."""

    def refused(statement: str) -> pa.Table:
        assert statement.startswith("DESCRIBE TABLE EXTENDED `a`.`b`")
        raise ConfigError(code, "no")

    def away(statement: str) -> pa.Table:
        raise TransientError("connection_lost", statement)

    assert described_view(refused, "`a`.`b`", "shop") == found
    with pytest.raises(TransientError, match="connection_lost"):
        described_view(away, "`a`.`b`", "shop")


@pytest.mark.parametrize(
    ("kind", "found"), [("MANAGED", None), ("VIEW", ViewText(schema="shop", sql=None))]
)
def test_a_catalog_that_writes_no_document_still_tells_tables_from_views(
    kind: str, found: ViewText | None
) -> None:
    """By what stands below its columns, of which one may be called so."""

    def asked(statement: str) -> pa.Table:
        if statement.endswith(" AS JSON"):
            raise ConfigError("query_invalid", "no")
        names = ["Type", "", "# Detailed Table Information", "Catalog", "Type"]
        return pa.table({"col_name": names, "data_type": ["string", "", "", "side", kind]})

    assert described_view(asked, "`a`.`b`", "shop") == found
