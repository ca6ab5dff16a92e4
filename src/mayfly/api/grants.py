"""`doctor --grants`: the least rights that a project needs at a source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mayfly.api.findings import require_source
from mayfly.bootstrap import name_of_dialect, source_request, source_spec
from mayfly.config.load import load_project
from mayfly.domain.settings import ModelSettings, Project
from mayfly.planning.model_reads import TableRead, joined_reads, reads_of_sql
from mayfly.planning.model_sql import check_where
from mayfly.planning.sql.dialect import DialectName
from mayfly.ports.source_spec import GrantRequest


def least_grants(root: Path, name: str, *, target: str) -> dict[str, Any]:
    """A script for the owner of the source. Connects to nothing; the source's secret, which names
    the role, must be at hand.

    Raises:
        UsageError: `unknown_source`.
        PolicyError: as `check_model_sql`, of a model of the source.
        ConfigError: `secret_missing`; `dsn_invalid`.
    """
    project = load_project(root, target=target)
    require_source(project, name)
    request = GrantRequest(
        source=source_request(project, name), reads=joined_reads(_reads(project, name))
    )
    spec = source_spec(project, name)
    lines = list(spec.grants(request))
    if spec.never_asked:
        lines.insert(0, f"-- Compiled, not run: no {spec.never_asked} was ever asked.")
    return {"schema": "mayfly/doctor/1", "ok": True, "source": name, "grants": lines}


def _reads(project: Project, name: str) -> Iterator[TableRead]:
    dialect = name_of_dialect(project, name)
    for model in project.models.values():
        if model.source != name:
            continue
        if model.table is not None:
            yield _of_table(model, *model.table, dialect)
        else:
            yield from reads_of_sql(model.sql or "", dialect)
        yield from _of_consent(model)


def _of_table(
    model: ModelSettings, schema: str | None, table: str, dialect: DialectName
) -> TableRead:
    """The columns that a run selects: those declared, those that state consent, and those that say
    which rows there are. Where the model takes all there are, all of them.
    """
    names = {
        *model.read_columns,
        *(c for binding in model.consent.values() for c in binding.columns),
    }
    if model.where is not None:
        where = check_where(model.where, dialect)
        [rows] = reads_of_sql(f"SELECT 1 AS one FROM mf_rows WHERE {where}", dialect)
        names |= {*(rows.columns or ())}
    if model.policy == "allow_all":
        return TableRead(schema=schema, name=table, columns=None)
    return TableRead(schema=schema, name=table, columns=tuple(sorted(names)))


def _of_consent(model: ModelSettings) -> Iterator[TableRead]:
    """The columns of consent tables that a run reads."""
    for binding in model.consent.values():
        if binding.table is not None:
            schema, name = binding.table.name
            yield TableRead(schema=schema, name=name, columns=tuple(sorted(binding.table.columns)))
