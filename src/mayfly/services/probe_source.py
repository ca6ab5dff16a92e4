"""On connecting: whether this server computes what a sync leaves to it as Mayfly would."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.planning.probe import PROBE_ROW, differences, planner_probe, probe_row
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, SqlSession
from mayfly.privacy.rules.probe import (
    PROBE_STRINGS,
    RuleUse,
    differing,
    expect,
    probe_sql,
    probe_strings,
)


def probe_source(source: Source, sql: SqlDialect, uses: Sequence[RuleUse]) -> frozenset[RuleUse]:
    """The uses of rules that this server may not hash: its answer differs from Python's.

    Raises:
        ConfigError: `server_differs`, it computes otherwise what every plan rests on.
        TransientError: the source is away.
    """
    with source.session(write=False) as session:
        _require_planner(source, sql, session)
        asked = list(dict.fromkeys(uses))
        if not asked:
            return frozenset()
        if sql.probes_rows:
            session.load(PROBE_STRINGS, probe_strings())
        found = _ask(source, sql, session, asked)
        if found is not None:
            return found
        # One of them cannot be run there at all: each is asked by itself.
        alone = {use: _ask(source, sql, session, [use]) for use in asked}
        return frozenset(use for use, answer in alone.items() if answer is None or answer)


def _require_planner(source: Source, sql: SqlDialect, session: SqlSession) -> None:
    query, wanted = planner_probe(sql)
    try:
        if sql.probes_rows:
            session.load(PROBE_ROW, probe_row())
        wrong = differences(session.table(query), wanted)
    except TransientError:
        raise
    except EngineError:
        wrong = ["the probe itself"]
    if wrong:
        raise ConfigError(
            "server_differs",
            f"The server of source {source.name} computes {', '.join(wrong)} otherwise than "
            "Mayfly; plans made on it would be wrong.",
            hint="Use a database in UTF8 on a supported version; a server that forbids MD5 "
            "(FIPS) cannot hold the state: set `state: local` on the source.",
        )


def _ask(
    source: Source, sql: SqlDialect, session: SqlSession, uses: Sequence[RuleUse]
) -> frozenset[RuleUse] | None:
    """Uses that differ; None where the server refuses the query."""
    try:
        asked = probe_sql(uses, source.dialect, sql.as_text("{column}"), loaded=sql.probes_rows)
        with ThreadPoolExecutor(1) as beside:
            beside.submit(expect, uses)
            found = session.table(asked)
    except TransientError:
        raise
    except EngineError:
        return None
    return differing(uses, found)
