"""No engine of ours writes rows to temporary files, whichever way they take."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest

from mayfly.api import load
from mayfly.bootstrap import initialise

PROJECT = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
  folder: {type: files, path: data}
models:
  people: {source: shop, table: people, primary_key: [id], columns: {id: {}, tags: {}}}
  exported: {source: folder, table: people, primary_key: [id], columns: {id: {}, tags: {}}}
destinations:
  lite: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
  duck: {type: duckdb, path: crm.duckdb, kind: internal, owner: care, reason: answers}
syncs:
"""
EXPORTED = (
    "  exported: {source: folder, table: people, primary_key: [id], columns: {id: {}, tags: {}}}\n"
)
SYNC = (
    "  NAME: {id: NAME, model: MODEL, destination: DESTINATION, mode: upsert, table: NAME, "
    "key: [id], mapping: {id: id, tags: tags}}\n"
)


@pytest.fixture
def spill_places(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Where the engines that are started may write temporary files."""
    found: set[str] = set()
    connect = duckdb.connect

    def noted(*args: Any, **kwargs: Any) -> duckdb.DuckDBPyConnection:
        made = connect(*args, **kwargs)
        [row] = made.execute("SELECT current_setting('temp_directory')").fetchall()
        found.add(str(row[0]))
        return made

    monkeypatch.setattr(duckdb, "connect", noted)
    return found


def test_every_engine_keeps_rows_in_memory(tmp_path: Path, spill_places: set[str]) -> None:
    """Sources, a folder's local state, a table, and nested values on their way to one."""
    people = "SELECT i AS id, ['a', 'b'] AS tags FROM range(3) AS r(i)"
    with duckdb.connect(str(tmp_path / "shop.duckdb"), config={"temp_directory": ""}) as shop:
        shop.execute(f"CREATE TABLE people AS {people}")
        (tmp_path / "data").mkdir()
        shop.execute(f"COPY people TO '{tmp_path}/data/people.parquet' (FORMAT parquet)")
    text = PROJECT
    for model in ("people", "exported"):
        for destination in ("lite", "duck"):
            made = SYNC.replace("MODEL", model).replace("DESTINATION", destination)
            text += made.replace("NAME", f"{model}_{destination}")
    (tmp_path / "mayfly.yml").write_text(text)
    initialise(tmp_path)
    project = load(tmp_path)
    project.approve(actor="tester")
    assert [s.status for s in project.run().syncs] == ["succeeded"] * 4
    assert spill_places == {""}


class Noted(sqlite3.Connection):
    """Tells its settings as it is closed, by the file it has open."""

    settings: ClassVar[dict[str, set[tuple[int, int]]]] = {}

    def close(self) -> None:
        """See there."""
        with suppress(sqlite3.Error):
            [(_, _, file), *_] = self.execute("PRAGMA database_list").fetchall()
            [temporary] = self.execute("PRAGMA temp_store").fetchone()
            [wiped] = self.execute("PRAGMA secure_delete").fetchone()
            self.settings.setdefault(Path(file).name, set()).add((temporary, wiped))
        super().close()


def test_sqlite_wipes_what_it_frees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own files; a destination's is the customer's. None has temporary files of its own."""
    connect = sqlite3.connect

    def noted(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return connect(*args, **kwargs | {"factory": Noted})

    monkeypatch.setattr(Noted, "settings", {})
    monkeypatch.setattr(sqlite3, "connect", noted)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", noted)
    with duckdb.connect(str(tmp_path / "shop.duckdb"), config={"temp_directory": ""}) as shop:
        shop.execute("CREATE TABLE people AS SELECT i AS id, ['a'] AS tags FROM range(3) AS r(i)")
    sync = SYNC.replace("MODEL", "people").replace("DESTINATION", "lite").replace("NAME", "one")
    text = PROJECT.replace("folder: {type: files, path: data}", "").replace(EXPORTED, "")
    (tmp_path / "mayfly.yml").write_text(text + sync)
    initialise(tmp_path)
    project = load(tmp_path)
    project.approve(actor="tester")
    assert [s.status for s in project.run().syncs] == ["succeeded"]
    project.app.store.close()
    memory = 2
    assert Noted.settings.pop("store.sqlite") == {(memory, 1)}
    assert {temporary for temporary, _ in Noted.settings.pop("crm.sqlite")} == {memory}
    assert {s for found in Noted.settings.values() for s in found} <= {(memory, 1)}
