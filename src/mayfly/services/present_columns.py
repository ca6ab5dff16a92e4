"""A sync without columns that its model's table lacks: enough to take out who withdrew.

Whose row it is and what they said is in the keys and in the columns of consent. Of a column that is
gone nothing is read, and what was delivered of it is taken out as it was.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from mayfly.domain.settings import ColumnSettings, ModelSettings, SyncSettings
from mayfly.services.compile_sync import absent_columns
from mayfly.services.compiled_sync import CompileRequest


def of_present_columns(request: CompileRequest) -> CompileRequest | None:
    """The request without columns that are not there; None where nothing is missing that it can do
    without.

    Args:
        request: whose model is a table; the columns of a model of SQL are its own affair.

    Raises:
        ConfigError: the table is missing, or a right.
        TransientError: the source is away.
    """
    model = request.project.models[request.sync.model]
    absent = frozenset(absent_columns(request))
    if not absent or absent & _needed(model):
        return None
    kept = {n: c for n, c in model.columns.items() if not _lost(c, absent)}
    reduced = replace(model, columns=kept)
    project = request.project
    return replace(
        request,
        project=replace(project, models={**project.models, model.name: reduced}),
        sync=_without(request.sync, kept),
    )


def _needed(model: ModelSettings) -> frozenset[str]:
    """Columns that say whose a row is, and what they said."""
    bound = [c for binding in model.consent.values() for c in binding.columns]
    return frozenset((*model.primary_key, *bound))


def _lost(column: ColumnSettings, absent: Collection[str]) -> bool:
    """Whether a column is gone, or one without which it cannot be read."""
    return column.name in absent or column.default_country_column in absent


def _without(sync: SyncSettings, kept: Collection[str]) -> SyncSettings:
    return replace(sync, mapping={f: c for f, c in sync.mapping.items() if c in kept})
