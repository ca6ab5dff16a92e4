"""`mayfly classify`: which class of value stands in each column of files and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mayfly.adapters.clock import SystemClock
from mayfly.api.findings import require_source
from mayfly.bootstrap import open_source
from mayfly.bootstrap.connectors import dialect_of
from mayfly.bootstrap.free_text import free_text_of
from mayfly.bootstrap.keeping import store_of
from mayfly.config.load import load_project
from mayfly.connectors.table_files import ENDINGS, read_table_file, tables_below
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import Project
from mayfly.privacy.detect import ShownNames, Verdict, classify_table
from mayfly.services.classify_table import Looks, Rows, classify_rows, looks_of, rows_of_table
from mayfly.services.value_classes import basis_of, note

_OF_SOURCE = re.compile(r"(?P<source>[a-z][a-z0-9_]{0,62})\.(?P<table>[^/\\]+)")


def classify(paths: list[str], *, root: Path, target: str) -> dict[str, Any]:
    """Verdicts by table and column.

    Args:
        paths: files and folders, and tables of a source of the project as `SOURCE.TABLE`. Values
            of those are counted by the source's own engine, as far as its `classify` lets them.
        root: the project's folder.
        target: that the project is loaded with.

    Raises:
        ConfigError: as `tables_below` and `read_table_file`; `unknown_source`, `table_missing`.
    """
    found: dict[str, Any] = {}
    files = []
    for path in paths:
        named = _OF_SOURCE.fullmatch(path)
        if named is None or Path(path).exists() or Path(path).suffix.lower() in ENDINGS:
            files.append(Path(path))
        else:
            verdicts = _of_source(root, target, named["source"], named["table"])
            found[path] = _shown(verdicts)
    for name, file in tables_below(files).items():
        found[name] = _shown(classify_table(read_table_file(file), table=name))
    names = ShownNames(found)
    tables = {names.name(name): verdicts for name, verdicts in found.items()}
    return {"schema": "mayfly/classify/1", "ok": True, "tables": tables}


def _of_source(root: Path, target: str, source: str, table: str) -> dict[str, Verdict]:
    project = load_project(root, target=target)
    require_source(project, source)
    opened = open_source(project, source)
    known = {info.name: info for info in opened.tables()}
    if table not in known:
        raise ConfigError(
            "table_missing",
            f"Source {source} has no table of this name, or the role may not see it.",
            hint=f"Run `mayfly discover {source}`.",
        )
    looks = looks_of(project.sources[source].classify)
    rows = rows_of_table(opened, dialect_of(project, source), known[table])
    verdicts = classify_rows(rows, looks, free_text_of(project, source))
    _note(project, rows, known[table].schema, verdicts, looks)
    return verdicts


def _note(
    project: Project, rows: Rows, schema: str | None, verdicts: Mapping[str, Verdict], looks: Looks
) -> None:
    """Keep what was found for the models of the table; a project without a store keeps nothing."""
    store = store_of(project)
    if looks == "names" or not store.exists():
        return
    for name, model in project.models.items():
        same = model.table is not None and model.table[1] == rows.name
        if model.source != rows.source.name or not same or model.table is None:
            continue
        if model.table[0] not in (None, schema):
            continue
        basis = basis_of(rows.relation, rows.columns, looks)
        named = {column: v for column, v in verdicts.items() if column in model.columns}
        note(store, project.target, name, named, basis, SystemClock().now())


def _shown(verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    names = ShownNames(verdicts)
    return {
        names.name(name): {
            "class": verdict.cls,
            "confidence": round(verdict.confidence, 2),
            "evidence": dict(verdict.evidence),
            "nested": dict(verdict.nested),
        }
        for name, verdict in verdicts.items()
    }
