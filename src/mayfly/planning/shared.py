"""Expressions that several columns of one statement share, worked out once, in layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest


class Shared:
    """Names for expressions; each layer of subqueries may use the names of the layers below.

    Engines do not look for common parts behind a CASE, and PostgreSQL would write a subquery's
    column into each place that uses it: hence the fence at each subquery's end.

    Args:
        fence: ends a subquery.
        needed: condition for rows that any of this is worked out for.
    """

    def __init__(self, fence: str, *, needed: str) -> None:
        self._fence = fence
        self._needed = needed
        self._names: dict[str, str] = {}
        self._layers: list[list[tuple[str, str]]] = []

    def add_layer(self, expressions: Iterable[str]) -> None:
        """Name some expressions. Those named in this call cannot use each other."""
        layer: list[tuple[str, str]] = []
        for sql in dict.fromkeys(expressions):
            if sql not in self._names:
                layer.append((f"h{len(self._names) + len(layer)}", sql))
        made = [(name, self.named(sql)) for name, sql in layer]
        self._names |= {sql: name for name, sql in layer}
        if made:
            self._layers.append(made)

    def add_parts(self, parts: Iterable[Sequence[str]]) -> None:
        """Name what stands in several expressions more than once, of each inner parts first."""
        for layer in zip_longest(*parts):
            self.add_layer(sql for sql in layer if sql is not None)

    def named(self, sql: str) -> str:
        """An expression with its named parts replaced by their names, the largest first."""
        for known in sorted(self._names, key=len, reverse=True):
            sql = sql.replace(known, self._names[known])
        return sql

    def over(self, select: str) -> str:
        """A subquery with all names added as columns."""
        for depth, layer in enumerate(self._layers):
            columns = ", ".join(
                f"CASE WHEN {self._needed} THEN {sql} END AS {name}" for name, sql in layer
            )
            select = f"SELECT *, {columns} FROM ({select}{self._fence}) AS mf_h{depth}"
        return f"{select}{self._fence}"
