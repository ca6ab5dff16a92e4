"""Projects over a manifest of dbt, cut to what is read from one that dbt 1.12 wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mayfly.config.load import validate_project
from mayfly.domain.settings import Problem

Json = dict[str, Any]
MANIFEST = (Path(__file__).parent / "data/dbt_manifest.json").read_text("utf-8")
CUSTOMERS = "model.shop.dim_customers.v2"
TEXT = """version: 1
workspace: {name: shop}
dbt: {manifest: dbt/manifest.json}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  customers:
    source: shop
    ref: dim_customers
    primary_key: [id]
    columns: {id: {}, email: {}, city: {}, vip: {}, score: {}}
destinations:
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_crm:
    id: to_crm
    model: customers
    destination: crm
    mode: mirror
    table: people
    key: [id]
    mapping:
      id: id
      email: email
      city: city
"""
REF_LINE, REF_COLUMN = 9, 10


def write(
    root: Path,
    text: str = TEXT,
    change: Callable[[Json], object] | None = None,
    *,
    name: str = "dbt/manifest.json",
) -> Path:
    """The project's file and its manifest, changed."""
    manifest = json.loads(MANIFEST)
    if change is not None:
        change(manifest)
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    return root


def places(problems: list[Problem]) -> list[tuple[str, int, int, str]]:
    """Where each stands, and its code."""
    return [(p.file, p.line, p.column, p.code) for p in problems]


def one(root: Path) -> Problem:
    """The only problem of a project."""
    problems = validate_project(root)
    assert len(problems) == 1, problems
    return problems[0]


def column(name: str, said: Json | None, node: str = CUSTOMERS) -> Callable[[Json], None]:
    """Says something else of one column; nothing where it is None."""

    def change(manifest: Json) -> None:
        columns = manifest["nodes"][node]["columns"]
        columns.pop(name, None)
        if said is not None:
            columns[name] = {"name": name, **said}

    return change


def marked(name: str, **meta: object) -> Callable[[Json], None]:
    """Says something in the `config.meta` of one column."""
    return column(name, {"config": {"meta": meta}})
