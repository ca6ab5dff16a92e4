"""Names of persons in free text, by the real Presidio over a model that knows some names."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from mayfly.adapters.free_text import PresidioFreeText
from mayfly.cli.commands import app
from mayfly.domain.errors import ConfigError
from presidio_models import person_model

PROJECT = """\
version: 1
workspace: {name: shop}
sources:
  shop:
    type: duckdb
    path: shop.duckdb
    classify: {look: values, free_text: presidio, models: {en: model}}
"""


def test_texts_that_name_a_person_are_counted(tmp_path: Path) -> None:
    """And no others."""
    reader = PresidioFreeText({"en": person_model(tmp_path / "m", "Ottilie Quennell")})
    texts = ["please call Ottilie Quennell", "the parcel is lost", "ottilie quennell, again"]
    assert reader.persons(texts) == 2
    assert reader.persons([]) == 0


def test_a_model_that_is_not_here_is_refused(tmp_path: Path) -> None:
    """Before the library would look for it elsewhere; a folder that is no model, too."""
    person_model(tmp_path / "m", "Ottilie Quennell")
    with pytest.raises(ConfigError, match="model_missing"):
        PresidioFreeText({"en": "en_core_web_lg"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="model_unreadable"):
        PresidioFreeText({"en": str(tmp_path / "empty")})


def test_the_library_is_asked_for_by_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed."""
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ConfigError, match="driver_missing") as caught:
        PresidioFreeText({"en": "en_core_web_sm"})
    assert "mayfly-data[presidio]" in caught.value.hint


def test_free_text_of_a_table_is_read_where_its_source_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names that no list has; counts come out, and no text."""
    person_model(tmp_path / "model", "Zaphod Beeblebrox")
    (tmp_path / "mayfly.yml").write_text(PROJECT, encoding="utf-8")
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as con:
        con.execute(
            "CREATE TABLE notes AS SELECT 'entry ' || range || CASE WHEN range % 10 = 0 THEN "
            "' was told by Zaphod Beeblebrox' ELSE ' was put back on its shelf' END AS c1, "
            "'entry ' || range || ' of no one at all' AS c2 FROM range(200)"
        )
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["classify", "shop.notes", "--output", "json"])
    columns: dict[str, Any] = json.loads(found.stdout)["tables"]["shop.notes"]
    assert {n: c["class"] for n, c in columns.items()} == {"c1": "free_text_pii", "c2": "none"}
    assert columns["c1"]["evidence"]["persons"] == 20
    assert "Zaphod" not in found.stdout
