"""`mayfly classify` on files as people have them, and on a table of a source."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from mayfly.cli.commands import app
from mayfly.domain.errors import ConfigError

SCHEMA = Path(__file__).parents[2] / "docs/reference/json/classify.schema.json"
PEOPLE = "kd_nr;E-Mail;plz;anna@example.com;x1\n" + "".join(
    f"{n};person{n}@example.com;0{n:04d};{n % 3};+33 6 12 34 5{n % 10} 7{n % 10}\n"
    for n in range(200)
)


def classified(*words: str) -> dict[str, Any]:
    """The one document of a call, as its schema says."""
    result = CliRunner().invoke(app, ["classify", *words, "--output", "json"])
    document: dict[str, Any] = json.loads(result.stdout)
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(document)
    assert "example.com" not in result.stdout
    return document


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CSV with semicolons and a Parquet file."""
    (tmp_path / "kunden.csv").write_text(PEOPLE, encoding="utf-8")
    rows = {"doc": [{"mail": f"p{n}@example.com"} for n in range(30)], "n": list(range(30))}
    pq.write_table(pa.table(rows), tmp_path / "events.parquet")
    (tmp_path / "notes.txt").write_text("a@example.com", encoding="utf-8")
    return tmp_path


def test_a_folder_is_classified_file_by_file(folder: Path) -> None:
    """A zero before a postcode is kept, a name that is an address is not shown, and only files that
    are tables are looked at.
    """
    tables = classified(str(folder))["tables"]
    assert {name: {c: v["class"] for c, v in t.items()} for name, t in tables.items()} == {
        "kunden": {"kd_nr": "opaque_id", "E-Mail": "email", "plz": "postal_code",
                   "(withheld)": "none", "x1": "phone"},
        "events": {"doc": "email", "n": "none"},
    }  # fmt: skip
    assert tables["events"]["doc"]["nested"] == {"mail": "email"}
    assert tables["kunden"]["E-Mail"]["evidence"] == {
        "values": 200, "distinct": 200, "email": 200, "name": 1,
    }  # fmt: skip


def test_people_see_a_line_for_each_column(folder: Path) -> None:
    """With its class, how sure that is, and counts."""
    result = CliRunner().invoke(app, ["classify", str(folder / "kunden.csv")])
    assert result.exit_code == 0
    assert "E-Mail" in result.stdout
    assert "200 email" in result.stdout
    assert "@" not in result.stdout


def test_an_empty_table_of_a_source_is_known_by_names_and_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is in it."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(tmp_path / "keys"))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute("CREATE TABLE people (id BIGINT, email VARCHAR, phone_ok BOOLEAN, dob DATE)")
    (tmp_path / "mayfly.yml").write_text(
        "version: 1\nworkspace: {name: shop}\nkeys: {provider: local}\nstore: {url: sqlite}\n"
        "targets: {dev: {}}\nsources:\n  shop: {type: duckdb, path: shop.duckdb}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    columns = classified("shop.people")["tables"]["shop.people"]
    assert {name: c["class"] for name, c in columns.items()} == {
        "id": "opaque_id", "email": "email", "phone_ok": "none", "dob": "date_of_birth",
    }  # fmt: skip
    assert all(c["evidence"]["values"] == 0 for c in columns.values())
    assert _code("shop.nobody") == "table_missing"
    assert _code("nowhere.people") == "unknown_source"


def _refused(*words: str) -> ConfigError:
    result = CliRunner().invoke(app, ["classify", *words])
    assert isinstance(result.exception, ConfigError)
    return result.exception


def _code(*words: str) -> str:
    return _refused(*words).code


def test_what_cannot_be_read_is_refused(folder: Path) -> None:
    """By a code, and without what is in it."""
    (folder / "broken.parquet").write_bytes(b"PAR1 no more")
    (folder / "sub").mkdir()
    (folder / "sub/kunden.csv").write_text(PEOPLE, encoding="utf-8")
    assert _code(str(folder / "broken.parquet")) == "unreadable"
    assert _code(str(folder / "notes.txt")) == "unknown_file"
    assert _code(str(folder / "nothing.csv")) == "file_not_found"
    assert _code(str(folder / "kunden.csv"), str(folder / "sub")) == "table_ambiguous"


def test_a_refusal_names_the_file_unless_its_name_is_personal(folder: Path) -> None:
    """A file that is not there is no table of a source, whatever dots its name has."""
    assert "notes.txt" in str(_refused(str(folder / "notes.txt")))
    missing = _refused("exports.2024.csv")
    assert missing.code == "file_not_found"
    assert "exports.2024.csv" in str(missing)
    personal = _refused(str(folder / "anna@example.com.txt"))
    assert personal.code == "file_not_found"
    assert "@" not in str(personal)
    assert _code("exports.csv") == "file_not_found"


SOURCES = (
    "version: 1\nworkspace: {{name: shop}}\nkeys: {{provider: local}}\nstore: {{url: sqlite}}\n"
    "targets: {{dev: {{}}}}\nsources:\n  shop: {{{source}}}\n"
)
PEOPLE_SQL = (
    "CREATE TABLE people (id BIGINT, digest VARCHAR(100), clean VARCHAR(100), c1 VARCHAR(100), "
    "c2 VARCHAR(100), mobile BIGINT)"
)
NAMES = (
    "Anna Bernd Chloé Dieter Emma Fritz Greta Hugo Ida Jonas Karin Lukas Maria Nils Olga Peter "
    "Sandra Thomas Ulrike Walter Sophie Julien Camille Marco Giulia Carlos"
).split()


def people() -> list[tuple[object, ...]]:
    """Two thousand rows; one digest is none, and names stand in a column without one."""
    rows: list[tuple[object, ...]] = []
    for n in range(2_000):
        digest = hashlib.sha256(str(n).encode()).hexdigest()
        mixed = "anna@example.com" if n == 1_234 else digest
        card = "4111 1111 1111 1111" if n == 77 else f"note {n}"
        rows.append((n, mixed, digest, NAMES[n % 26], card, 447700900000 + n % 1000))
    return rows


def _classified(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> dict[str, Any]:
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(folder / "keys"))
    (folder / "mayfly.yml").write_text(SOURCES.format(source=source), encoding="utf-8")
    monkeypatch.chdir(folder)
    table: dict[str, Any] = classified("shop.people")["tables"]["shop.people"]
    return table


def _classes(columns: dict[str, Any]) -> dict[str, str]:
    return {name: column["class"] for name, column in columns.items()}


def test_a_name_that_is_personal_is_withheld_in_a_database_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table, a column or a key of a struct, on discovery and on request."""
    (tmp_path / "mayfly.yml").write_text(
        "version: 1\nworkspace: {name: shop}\nsources: {shop: {type: duckdb, path: shop.duckdb}}\n"
    )
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute('CREATE TABLE "anna@example.com" AS SELECT 1 AS "bo@example.com"')
        con.execute("""CREATE TABLE t AS SELECT {'cy@example.com': 1} AS s, 2 AS n""")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["discover", "shop", "--output", "json"])
    tables = json.loads(result.stdout)["tables"]
    assert "example.com" not in result.stdout
    found = {t["name"]: [(c["name"], c["type"]) for c in t["columns"]] for t in tables}
    assert found == {
        "(withheld)": [("(withheld)", "INTEGER")],
        "t": [("s", "(withheld)"), ("n", "INTEGER")],
    }
    [(table, columns)] = classified("shop.anna@example.com")["tables"].items()
    assert (table, list(columns)) == ("(withheld)", ["(withheld)"])


COUNTED = {
    "id": "opaque_id", "digest": "dirty_hashed", "clean": "hashed", "c1": "none",
    "c2": "credit_card", "mobile": "phone",
}  # fmt: skip


def test_a_table_is_counted_by_its_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One address among two thousand digests is seen; names are read where the source says so, and
    with `names` nothing but names and types is.
    """
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(PEOPLE_SQL)
        con.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", people())
    source = "type: duckdb, path: shop.duckdb"
    columns = _classified(monkeypatch, tmp_path, source)
    assert _classes(columns) == COUNTED
    assert columns["digest"]["evidence"] == {"values": 2_000, "hash_hex_64": 1_999, "email": 1}
    read = _classified(monkeypatch, tmp_path, source + ", classify: values")
    assert _classes(read) == COUNTED | {"c1": "first_name"}
    assert read["c1"]["evidence"]["sampled"] == 2_000
    named = _classified(monkeypatch, tmp_path, source + ", classify: names")
    assert _classes(named) == {
        "id": "opaque_id", "digest": "none", "clean": "none", "c1": "none", "c2": "none",
        "mobile": "phone",
    }  # fmt: skip
    assert all(column["evidence"]["values"] == 0 for column in named.values())


def test_a_table_is_counted_by_its_postgres(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same counts."""
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(PEOPLE_SQL.encode())
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s, %s, %s)", people())
    monkeypatch.setenv("SHOP_DSN", postgres_database)
    columns = _classified(monkeypatch, tmp_path, "type: postgres, dsn: env:SHOP_DSN")
    assert _classes(columns) == COUNTED
    read = _classified(monkeypatch, tmp_path, "type: postgres, dsn: env:SHOP_DSN, classify: values")
    assert _classes(read) == COUNTED | {"c1": "first_name"}
