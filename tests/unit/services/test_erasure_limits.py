"""What no erasure reaches is named, with who must act."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mayfly.config.load import load_project
from mayfly.services.erasure_limits import out_of_reach

PROJECT = """version: 1
workspace: {name: shop}
sources: {shop: {type: duckdb, path: shop.duckdb}}
models:
  people: {source: shop, table: people, primary_key: [id], columns: {id: {}}}
destinations:
  share: {type: files, path: out, format: csv, kind: internal, owner: care, reason: they ask}
syncs:
  out:
    id: out
    model: people
    destination: share
    mode: append
    purpose: service
    mapping: {id: id}
"""


def test_backups_states_and_files_that_were_handed_over_are_named(tmp_path: Path) -> None:
    """Each once, and none of them ends by itself."""
    (tmp_path / "mayfly.yml").write_text(PROJECT, encoding="utf-8")
    project = load_project(tmp_path, target="dev")
    found = out_of_reach(project, datetime(2026, 1, 1, tzinfo=UTC), ["s1"])
    assert [(place["what"], place["where"]) for place in found] == [
        ("backups", "shop"),
        ("backups", "store"),
        ("files", "share"),
        ("state", "s1"),
    ]
    assert all(place["who_must_act"] and place["ends_at"] is None for place in found)


def test_rows_that_are_known_by_their_key_alone_are_named(tmp_path: Path) -> None:
    """Of each sync that was asked, last."""
    (tmp_path / "mayfly.yml").write_text(PROJECT, encoding="utf-8")
    project = load_project(tmp_path, target="dev")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert out_of_reach(project, now, [])[-1]["what"] == "files"
    last = out_of_reach(project, now, [], asked=["out"])[-1]
    assert (last["what"], last["where"]) == ("rejections", "out")
    assert "primary_key" in last["who_must_act"]
