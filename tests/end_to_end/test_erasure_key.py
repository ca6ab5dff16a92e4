"""At a third party whoever withdraws is taken out: what names the row must be there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb

from end_to_end.projects import approved, make_project
from mayfly.api import load

PROJECT = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {rule: pseudonym}, city: {rule: pseudonym}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  agency: {type: sqlite, path: agency.sqlite}
syncs:
  to_agency:
    id: to_agency
    model: people
    destination: agency
    mode: upsert
    table: people
    key: [KEY]
    purpose: ads
    mapping: MAPPING
"""


def _text(key: str, mapping: str) -> str:
    return PROJECT.replace("KEY", key).replace("MAPPING", mapping)


def test_a_mapping_without_the_primary_key_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """A withdrawal could not be carried out."""
    make_project(tmp_path, "", rows=3, text=_text("town", "{town: city}"))
    document = load(tmp_path).plan().to_dict()
    assert [r["code"] for r in document["syncs"][0]["refusals"]] == ["erasure_key"]


def test_with_it_who_withdraws_is_taken_out(tmp_path: Path) -> None:
    """By the same pseudonym."""
    make_project(tmp_path, "", rows=3, text=_text("who", "{who: id, town: city}"))
    project = approved(tmp_path)
    assert project.run().exit_code == 0
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("UPDATE people SET ads = FALSE WHERE id = 1")
    assert project.run().to_dict()["syncs"][0]["rows"]["removed"] == 1
    with sqlite3.connect(tmp_path / "agency.sqlite") as agency:
        assert agency.execute("SELECT count(*) FROM people").fetchone() == (2,)
