"""Which rules a source may hash, asked no more often than the answer can change."""

from __future__ import annotations

from collections.abc import Sequence

from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, computes_with
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.probe_source import probe_source

_Answers = dict[RuleUse, bool]
_EMBEDDED: dict[str, _Answers] = {}
"""Of engines in this process: they are asked once, however many projects are opened."""


class Probes:
    """What the sources of an open project answered. Each rule is asked once of each."""

    def __init__(self) -> None:
        self._of: dict[str, _Answers] = {}

    def differing(
        self, source: Source, sql: SqlDialect, uses: Sequence[RuleUse]
    ) -> frozenset[RuleUse]:
        """See `probe_source`."""
        known = self._of.get(source.name)
        if known is None:
            known = self._answers(source, sql)
        new = [use for use in uses if use not in known]
        if new:
            wrong = probe_source(source, sql, new)
            known.update({use: use in wrong for use in new})
        return frozenset(use for use in uses if known[use])

    def _answers(self, source: Source, sql: SqlDialect) -> _Answers:
        """Where answers of a source are kept. Its planner is asked here, before the first rule."""
        engine = computes_with(source)
        if engine is None:
            probe_source(source, sql, ())
            known: _Answers = {}
        elif engine in _EMBEDDED:
            known = _EMBEDDED[engine]
        else:
            probe_source(source, sql, ())
            known = _EMBEDDED.setdefault(engine, {})
        return self._of.setdefault(source.name, known)
