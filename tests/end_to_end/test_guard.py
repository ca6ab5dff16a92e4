"""What a third party's table may not hold: a number in clear behind a class that does not fit."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import duckdb
import pytest

from end_to_end.projects import approved, make_project

PARTNER = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: places
    primary_key: [id]
    columns: {id: {minimum: 0, maximum: 1000}, COLUMN: {class: postal_code}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
destinations:
  partner: {type: sqlite, path: partner.sqlite, kind: external, owner: care, reason: measured}
syncs:
  to_partner:
    id: to_partner
    model: people
    destination: partner
    mode: upsert
    table: places
    key: [id]
    purpose: ads
    mapping: {id: id, zip: COLUMN}
"""


def _places(root: Path, column: str, numbers: int) -> None:
    """300 rows with a short postcode, some with a telephone number that has a postcode's shape."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(
            f"CREATE TABLE places AS SELECT i AS id, TRUE AS ads, CASE WHEN i < {numbers} "
            f"THEN '0639981234' ELSE '69001' END AS {column} FROM range(300) AS r(i)"
        )
    with sqlite3.connect(root / "partner.sqlite") as connection:
        connection.execute("CREATE TABLE places (id INTEGER PRIMARY KEY, zip TEXT)")


def _zips(root: Path) -> list[str]:
    with sqlite3.connect(root / "partner.sqlite") as connection:
        return sorted({zip_code for (zip_code,) in connection.execute("SELECT zip FROM places")})


@pytest.mark.parametrize(
    ("column", "delivered"), [("mobile", 299), ("postcode", 300)], ids=["named", "not named"]
)
def test_a_number_in_a_column_named_for_it_is_withheld(
    tmp_path: Path, column: str, delivered: int
) -> None:
    """Its class says postcode, and the shape fits: the name tells what it is."""
    root = make_project(tmp_path / "shop", "", text=PARTNER.replace("COLUMN", column))
    _places(root, column, 1)
    rows = approved(root).run("to_partner").to_dict()["syncs"][0]["rows"]
    assert (rows["delivered"], rows["withheld_guard"]) == (delivered, 300 - delivered)
    assert ("0639981234" in _zips(root)) is (delivered == 300)


@pytest.mark.parametrize(
    ("sql", "delivered"),
    [
        ("SELECT id, coalesce(mobile, '') AS zone, ads FROM places", 299),
        ("SELECT id, z AS zone, ads FROM (SELECT id, mobile AS z, ads FROM places) AS s", 299),
        (
            "WITH a AS (SELECT id, mobile AS z, ads FROM places) SELECT id, z AS zone, ads FROM a",
            299,
        ),
        ("SELECT id, other AS zone, ads FROM places", 300),
    ],
)
def test_a_query_hides_no_name(tmp_path: Path, sql: str, delivered: int) -> None:
    """What a column was called where it comes from counts, through subqueries, too."""
    text = PARTNER.replace("table: places\n    primary", f'sql: "{sql}"\n    primary')
    root = make_project(tmp_path / "shop", "", text=text.replace("COLUMN", "zone"))
    _places(root, "mobile", 1)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute("ALTER TABLE places ADD COLUMN other VARCHAR")
        connection.execute("UPDATE places SET other = mobile")
    rows = approved(root).run("to_partner").to_dict()["syncs"][0]["rows"]
    assert (rows["delivered"], rows["withheld_guard"]) == (delivered, 300 - delivered)


def test_a_column_of_numbers_stops_the_run(tmp_path: Path) -> None:
    """Nothing of it leaves, and nothing of it is shown."""
    root = make_project(tmp_path / "shop", "", text=PARTNER.replace("COLUMN", "phone_no"))
    _places(root, "phone_no", 300)
    result = approved(root).run("to_partner").to_dict()
    assert result["syncs"][0]["status"] == "refused"
    assert "0639981234" not in str(result)
    assert _zips(root) == []
