"""The views that a model reads, and what they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mayfly.planning.lineage import TableName, ViewQuery, tables_in
from mayfly.planning.model_sql import canonical_view, parsed_view
from mayfly.ports.source import Source, ViewText, views_among

UNREADABLE = "unreadable"
TOO_DEEP = "too deep"
_DEPTH = 8
_MOST = 64


@dataclass(kw_only=True)
class ViewsFound:
    """What lies below a model.

    Args:
        pinned: by name, the digest of the view's text in canonical form, or why there is none.
        queries: the same views, parsed, by schema and name in small letters.
    """

    pinned: dict[str, str] = field(default_factory=dict)
    queries: dict[TableName, ViewQuery] = field(default_factory=dict)


def find_views(source: Source, names: Sequence[TableName]) -> ViewsFound:
    """Every view among the names, and below it; those past a bound are pinned as such."""
    found = ViewsFound()
    todo, asked = list(dict.fromkeys(names)), set[TableName]()
    for depth in range(_DEPTH + 1):
        asked.update(todo)
        views = views_among(source, todo)
        below: list[TableName] = []
        for name in todo:
            if name in views:
                full = depth == _DEPTH or len(found.pinned) >= _MOST
                below += _add(found, name, views[name], source, full=full)
        todo = [name for name in dict.fromkeys(below) if name not in asked]
        if not todo:
            break
    return found


def _add(
    found: ViewsFound, name: TableName, view: ViewText, source: Source, *, full: bool
) -> Sequence[TableName]:
    """Note one view; the names that it reads."""
    schema, table = name
    # The same view may be read with its schema and without.
    shown = ".".join(part for part in (view.schema, table) if part)
    key = (schema.casefold() if schema else None, table.casefold())
    if full or view.sql is None:
        found.pinned.setdefault(shown, TOO_DEEP if full else UNREADABLE)
        found.queries.setdefault(key, ViewQuery())
        return []
    found.pinned[shown] = _digest(canonical_view(view.sql, source.dialect))
    query = parsed_view(view.sql, source.dialect)
    if query is None:
        found.queries[key] = ViewQuery()
        return []
    found.queries[key] = ViewQuery(query=query[0], columns=query[1], schema=view.schema)
    read = list(tables_in(query[0]))
    # A name without a schema may be read where the view stands.
    return [*read, *((view.schema, t) for s, t in read if s is None and view.schema)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
