"""The connectors there are, by the `type` that project files name.

A connector's module is imported when it is first asked for: a command needs one or two of three
dozen, and the libraries of no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from importlib import import_module
from typing import TypeVar

from mayfly.ports.connector import Connector
from mayfly.ports.destination import DestinationSpec
from mayfly.ports.source_spec import SourceSpec

T = TypeVar("T")


class _ByType(MutableMapping[str, T]):
    """What is found for a `type` when it is first asked for, and kept: tests put others there.

    Args:
        types: those that there are.
        find: by one of them.
    """

    def __init__(self, types: Iterable[str], find: Callable[[str], T]) -> None:
        self._types = tuple(types)
        self._find = find
        self._kept: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        if name not in self._kept:
            if name not in self._types:
                raise KeyError(name)
            self._kept[name] = self._find(name)
        return self._kept[name]

    def __setitem__(self, name: str, other: T) -> None:
        self._kept[name] = other

    def __delitem__(self, name: str) -> None:
        del self._kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._types

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)


def _defined(module: str, name: str, kind: type[T]) -> T:
    """What a module defines under a name."""
    found = getattr(import_module(module), name)
    if not isinstance(found, kind):
        raise TypeError(f"{module}.{name} is no {kind.__name__}.")
    return found


_DESTINATIONS = {
    "meta_ads": "meta_ads",
    "meta_conversions": "meta_conversions",
    "hubspot": "hubspot",
    "salesforce": "salesforce",
    "braze": "braze",
    "the_trade_desk": "the_trade_desk",
    "tiktok_ads": "tiktok_ads",
    "tiktok_events": "tiktok_events",
    "google_ads": "google_ads",
    "linkedin_ads": "linkedin_ads",
    "microsoft_ads": "microsoft_ads",
    "snap": "snap",
    "pinterest": "pinterest",
    "postgres": "database_postgres",
    "mysql": "database_mysql",
    "duckdb": "database_duckdb",
    "sqlite": "database_sqlite",
    "files": "files",
    "s3": "s3",
    "gcs": "gcs",
    "sftp": "sftp",
    "webhook": "webhook",
    "zendesk": "zendesk",
    "intercom": "intercom",
}
_SOURCES = {
    "bigquery": "bigquery",
    "clickhouse": "clickhouse",
    "databricks": "databricks",
    "duckdb": "duckdb",
    "files": "files",
    "mysql": "mysql",
    "postgres": "postgres",
    "redshift": "redshift",
    "snowflake": "snowflake",
    "spark": "spark",
    "sqlite": "sqlite",
}


def _connector(type_: str) -> Connector:
    module = f"mayfly.connectors.destinations.{_DESTINATIONS[type_]}"
    return _defined(module, "CONNECTOR", Connector)


def _source(type_: str) -> SourceSpec:
    return _defined(f"mayfly.connectors.sources.{_SOURCES[type_]}", "SPEC", SourceSpec)


CONNECTORS = _ByType(_DESTINATIONS, _connector)
"""Every kind of destination; a test holds them against those of the project files."""

SPECS: MutableMapping[str, DestinationSpec] = _ByType(
    _DESTINATIONS, lambda type_: CONNECTORS[type_].spec
)

SOURCES = _ByType(_SOURCES, _source)
"""Every kind of source; a test holds them against those of the project files."""
