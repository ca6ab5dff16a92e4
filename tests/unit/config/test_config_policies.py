"""What columns that nobody has named may do is said of a model, and for no third party."""

from __future__ import annotations

from pathlib import Path

import pytest

from mayfly.config.load import load_project, validate_project

PROJECT = """\
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    policy: %s
    blocked: [ssn]
    columns: {id: {}}
destinations:
  own: {type: duckdb, path: own.duckdb, kind: internal, owner: Data, reason: ours}
  out: {type: duckdb, path: out.duckdb}
syncs:
  s: {id: s, model: people, destination: %s, mode: append, table: t, mapping: {id: id, m: %s}}
"""


def _problems(root: Path, policy: str, destination: str, column: str = "mail") -> list[object]:
    (root / "mayfly.yml").write_text(PROJECT % (policy, destination, column), encoding="utf-8")
    return [(p.file, p.line, p.column, p.code) for p in validate_project(root)]


def test_a_column_that_is_not_named_is_blocked(tmp_path: Path) -> None:
    """By default, and to any destination."""
    for destination in ("own", "out"):
        assert _problems(tmp_path, "block_all", destination) == [
            ("mayfly.yml", 17, 92, "unknown_column")
        ]


@pytest.mark.parametrize("policy", ["allow_columns", "allow_all"])
def test_an_open_policy_is_for_internal_destinations(tmp_path: Path, policy: str) -> None:
    """A mapping may name any column then; at a third party the policy's own place is told."""
    assert _problems(tmp_path, policy, "own") == []
    model = load_project(tmp_path, target="dev").models["people"]
    assert (model.policy, set(model.columns)) == (policy, {"id", "mail"})
    assert _problems(tmp_path, policy, "out") == [("mayfly.yml", 10, 13, "policy_external")]


@pytest.mark.parametrize("policy", ["block_all", "allow_columns", "allow_all"])
def test_a_blocked_column_is_in_no_mapping(tmp_path: Path, policy: str) -> None:
    """Whatever the policy is."""
    found = _problems(tmp_path, policy, "own", "ssn")
    assert ("mayfly.yml", 17, 92, "column_blocked") in found
