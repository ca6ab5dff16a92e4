"""`mayfly classify` on files as people have them, and on a table of a source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
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


def test_a_table_of_a_source_is_known_by_names_and_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row of it is read."""
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
