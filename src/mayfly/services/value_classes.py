"""What the values of models were found to be: looked at on request and for an approval, never by a
run, which reads what the store has noted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from mayfly.domain.classes import PERSONAL, rank
from mayfly.domain.runs import ColumnVerdict
from mayfly.ports.free_text import FreeText
from mayfly.ports.source import ColumnInfo
from mayfly.ports.store import Store
from mayfly.privacy.detect import Verdict, kept_name
from mayfly.services.classify_table import Looks, Rows, classify_rows

_BY_VALUES = 0.75
"""A verdict of less confidence rests on the column's name, which a run reads by itself."""


def value_classes(
    store: Store, target: str, model: str, columns: Iterable[str]
) -> Mapping[str, str]:
    """By column of a model the class that its values have, where that is of a person's data."""
    kept = {kept_name(v.column, model): v.cls for v in store.verdicts(target, model)}
    keys = {column: kept_name(column, model) for column in columns} if kept else {}
    noted = {column: kept[key] for column, key in keys.items() if key in kept}
    found = {column: PERSONAL if cls == "dirty_hashed" else cls for column, cls in noted.items()}
    return {column: cls for column, cls in found.items() if rank(cls) >= rank(PERSONAL)}


def look_at(
    store: Store,
    target: str,
    rows: Rows,
    looks: Looks,
    now: datetime,
    free_text: Callable[[], FreeText | None],
) -> None:
    """Note what the columns of a model are, unless that is known of the same query and types."""
    model = rows.name
    basis = basis_of(rows.relation, rows.columns, looks)
    known = store.verdicts(target, model)
    if known and all(verdict.basis == basis for verdict in known):
        return
    note(store, target, model, classify_rows(rows, looks, free_text()), basis, now)


def note(
    store: Store,
    target: str,
    model: str,
    verdicts: Mapping[str, Verdict],
    basis: str,
    now: datetime,
) -> None:
    """Note verdicts on a model's columns: names, of personal ones a digest, classes and counts, no
    value.
    """
    found = [
        ColumnVerdict(
            target=target,
            model=model,
            column=kept_name(column, model),
            cls=verdict.cls if verdict.confidence >= _BY_VALUES else "none",
            counts=dict(verdict.evidence),
            basis=basis,
            at=now,
        )
        for column, verdict in verdicts.items()
    ]
    store.note_verdicts(target, model, found)


def basis_of(relation: str, columns: Sequence[ColumnInfo], looks: Looks) -> str:
    """Digest of what is looked at: it changes with the query, and with a column's type."""
    types = sorted([column.name, column.sql_type] for column in columns)
    return hashlib.sha256(json.dumps([relation, types, looks]).encode()).hexdigest()
