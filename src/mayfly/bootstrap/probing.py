"""Which rules a source may hash, asked no more often than the answer can change."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, computes_with
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.probe_source import probe_source

_Answers = dict[RuleUse, bool]
_EMBEDDED: dict[tuple[str, str], _Answers] = {}
"""Of engines in this process, by dialect: they are asked once, however many projects are opened."""


class Probes:
    """What the sources of an open project answered. Each rule is asked once of each."""

    def __init__(self) -> None:
        self._of: dict[str, _Answers] = {}

    def differing(
        self, source: Source, sql: SqlDialect, uses: Sequence[RuleUse]
    ) -> frozenset[RuleUse]:
        """See `probe_source`. What every plan rests on is asked with the first rules."""
        known = self._of.get(source.name)
        engine = computes_with(source) if known is None else None
        kept = None if engine is None else (source.dialect, engine)
        if known is None and kept is not None:
            known = _EMBEDDED.get(kept)
        new = [use for use in uses if known is None or use not in known]
        if known is None or new:
            wrong = probe_source(source, sql, new)
            known = {} if known is None else known
            known.update({use: use in wrong for use in new})
        self._of[source.name] = known
        if kept is not None:
            _EMBEDDED[kept] = known
        return frozenset(use for use in uses if known[use])
