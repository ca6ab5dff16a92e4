"""Runs from a PostgreSQL whose tables and rights are not plain."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from end_to_end.odd_projects import Odd, refused, run


@pytest.fixture
def odd(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Odd:
    """A project over an empty PostgreSQL, read by the owner or by whom `ROLE_DSN` names."""
    monkeypatch.setenv("ODD_DSN", postgres_database)
    monkeypatch.setenv("ROLE_DSN", postgres_database)
    settings = {"dsn": "env:ROLE_DSN"}
    return Odd(root=tmp_path, source="postgres", dsn=postgres_database, settings=settings)


def test_a_key_of_a_domain_is_a_key(odd: Odd) -> None:
    """One that takes no null, over text and over a number: rows come, change and go."""
    odd.make(
        "CREATE DOMAIN above AS int NOT NULL CHECK (VALUE > 0)",
        "CREATE DOMAIN code AS varchar(9) NOT NULL",
        "CREATE DOMAIN price AS numeric(10, 2)",
        "CREATE TABLE rows (id above, c code, p price)",
        "INSERT INTO rows VALUES (1, 'a', 1.50), (2, 'b', 2.50), (3, 'c', NULL)",
    )
    project = odd.write({"id": "id", "c": "c", "p": "p"}, key=["id", "c"], to="duckdb")
    assert run(project)["rows"]["delivered"] == 3
    odd.make("DELETE FROM rows WHERE id = 2", "UPDATE rows SET p = 9 WHERE id = 1")
    done = run(project)["rows"]
    assert (done["delivered"], done["removed"]) == (1, 1)
    assert odd.ask("duckdb", "SELECT CAST(p AS varchar) FROM {t} ORDER BY id") == [
        ("9.00",),
        (None,),
    ]
    assert run(project)["status"] == "no_changes"


@pytest.mark.parametrize("kind", ["int[]", "jsonb"])
def test_a_key_without_plain_equality_is_refused(odd: Odd, kind: str) -> None:
    """Before anything is planned, by name."""
    odd.make(f"CREATE TABLE rows (id {kind}, n int)", "INSERT INTO rows VALUES (NULL, 1)")
    project = odd.write({"id": "id", "n": "n"}, key=["id"], to="duckdb", approve=False)
    [plan] = project.plan("out").to_dict()["syncs"]
    assert "key_type" in {r["code"] for r in plan["refusals"]}


def test_a_policy_that_comes_between_runs_takes_no_row_back(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused, and what was delivered stays; a view of the owner's is the way."""
    odd.make(
        "CREATE TABLE rows AS SELECT i AS id FROM generate_series(1, 9) i",
        "DROP ROLE IF EXISTS policed",
        "CREATE ROLE policed LOGIN",
        "GRANT SELECT ON rows TO policed",
        "DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO policed', "
        "current_database()); END $$",
    )
    names = {"id": "id"}
    monkeypatch.setenv("ROLE_DSN", make_conninfo(odd.dsn, user="policed"))
    project = odd.write(names, key=["id"], to="duckdb")
    assert run(project)["rows"]["delivered"] == 9
    odd.make("ALTER TABLE rows ENABLE ROW LEVEL SECURITY")
    assert refused(project)["code"] == "row_security"
    assert odd.ask("duckdb", "SELECT count(*) FROM {t}") == [(9,)]
    odd.make("CREATE VIEW shown AS SELECT id FROM rows", "GRANT SELECT ON shown TO policed")
    project = odd.write(names, key=["id"], to="duckdb", sql="SELECT id FROM shown")
    assert run(project)["status"] == "no_changes"


def test_a_run_prints_the_statement_that_it_lacks(
    odd: Odd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the doctor does: what is pasted, one after the other, makes the run succeed."""
    odd.make(
        "CREATE TABLE rows AS SELECT i AS id FROM generate_series(1, 9) i",
        "CREATE TABLE other AS SELECT 1 AS id",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "DROP ROLE IF EXISTS poor",
        "CREATE ROLE poor LOGIN",
        "GRANT SELECT ON other TO poor",
        "DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', "
        "current_database()); END $$",
    )
    project = odd.write({"id": "id"}, key=["id"], to="duckdb")
    monkeypatch.setenv("ROLE_DSN", make_conninfo(odd.dsn, user="poor"))
    pasted: list[str] = []
    while (done := run(project))["status"] != "succeeded":
        assert done["error"]["code"] == "missing_grant", done
        assert done["error"]["hint"] not in pasted
        pasted.append(done["error"]["hint"])
        odd.make(*pasted[-1:])
    assert done["rows"]["delivered"] == 9
    assert 'GRANT USAGE ON SCHEMA "public" TO "poor";' in pasted[0]
    assert any('GRANT SELECT ON TABLE "public"."rows" TO "poor";' in text for text in pasted)
