"""`mayfly map` proposes what a person then writes."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from mayfly.cli.commands import app

PROJECT = """version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  customers:
    source: shop
    table: customers
    primary_key: [id]
    columns: {id: {}, mail: {class: email}, vorname: {}, score: {}}
    consent: {ads: {column: ok, equals: true, constant: all agreed}}
destinations:
  meta: {type: meta_ads, account_id: "1", access_token: env:NO_TOKEN, endpoint: sandbox}
  crm: {type: duckdb, path: crm.duckdb, kind: internal, owner: care, reason: they answer}
syncs:
  to_meta: {id: to_meta, model: customers, destination: meta, mode: audience, audience: A,
    purpose: ads, mapping: {EXTERN_ID: id}}
  to_crm: {id: to_crm, model: customers, destination: crm, mode: upsert, table: t, key: [id],
    purpose: ads, mapping: {id: id}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project that `mayfly init` prepared."""
    (tmp_path / "mayfly.yml").write_text(PROJECT, encoding="utf-8")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE customers (id BIGINT, mail TEXT, vorname TEXT, score INT, ok BOOL)"
        )
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    return tmp_path


def test_a_mapping_is_proposed_as_it_stands_in_a_project_file(project: Path) -> None:
    """By class and by name; a platform whose fields are known is not asked, nor its secret."""
    result = CliRunner().invoke(app, ["map", "to_meta"])
    assert result.exit_code == 0, result.output
    text = result.stdout.split("Fields without")[0]
    assert YAML(typ="safe").load(text) == {
        "mapping": {"EXTERN_ID": "id", "EMAIL": "mail", "FN": "vorname"}
    }
    assert "EMAIL: mail  # by class" in text
    assert "Columns without a field: score." in result.stdout


def test_who_does_not_tell_its_fields_is_said(project: Path) -> None:
    """A table takes what the mapping names."""
    result = CliRunner().invoke(app, ["map", "to_crm", "--output", "json"])
    document = json.loads(result.stdout)
    assert document["fields_from"] == "nobody"
    assert document["mapping"] == [{"field": "id", "column": "id", "why": "mapped"}]
    assert document["columns_left"] == ["mail", "vorname", "score"]


def test_a_field_that_is_not_there_names_the_nearest(project: Path) -> None:
    """And the plan is refused."""
    text = PROJECT.replace("{EXTERN_ID: id}", "{EMIAL: mail}")
    (project / "mayfly.yml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["plan", "to_meta"])
    assert result.exit_code == 3
    assert "Did you mean EMAIL?" in " ".join(result.output.split())
