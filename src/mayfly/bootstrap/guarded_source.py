"""A source that connects to the hosts its kind has named, and to no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from mayfly.adapters.egress import allow_hosts
from mayfly.ports.source import (
    ColumnInfo,
    ServerFacts,
    Source,
    SqlSession,
    TableInfo,
    ViewText,
    bytes_scanned,
    computes_with,
    views_among,
)


class GuardedSource:
    """A `Source` each call of which runs behind the egress guard.

    Args:
        source: of whatever kind.
        hosts: that its kind has named for these settings.
    """

    def __init__(self, source: Source, hosts: frozenset[str]) -> None:
        self.name = source.name
        self.dialect = source.dialect
        self._source = source
        self._hosts = hosts

    @contextmanager
    def session(self, *, write: bool) -> Iterator[SqlSession]:
        """See `Source.session`."""
        with allow_hosts(self._hosts), self._source.session(write=write) as session:
            yield session

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`."""
        with allow_hosts(self._hosts):
            return self._source.relation(schema, table)

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return self._source.readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        return self._source.unfit(column)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`."""
        with allow_hosts(self._hosts):
            return self._source.describe(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`."""
        with allow_hosts(self._hosts):
            return self._source.tables()

    def check(self, *, write: bool) -> None:
        """See `Source.check`."""
        with allow_hosts(self._hosts):
            self._source.check(write=write)

    def estimate(self, query: str) -> int | None:
        """See `bytes_scanned`."""
        with allow_hosts(self._hosts):
            return bytes_scanned(self._source, query)

    def views(
        self, names: Sequence[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], ViewText]:
        """See `views_among`."""
        with allow_hosts(self._hosts):
            return views_among(self._source, names)

    def computes_with(self) -> str | None:
        """See `computes_with` of the port."""
        with allow_hosts(self._hosts):
            return computes_with(self._source)

    def facts(self) -> ServerFacts:
        """See `Source.facts`."""
        with allow_hosts(self._hosts):
            return self._source.facts()
