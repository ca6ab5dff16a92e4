"""The connectors there are, by the `type` that project files name.

A connector's module is imported when it is first asked for: a command needs one or two of three
dozen, and the libraries of no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from mayfly.ports.connector import Connector
from mayfly.ports.destination import DestinationSpec
from mayfly.ports.source_spec import SourceSpec

T = TypeVar("T")


class _Imported(Mapping[str, T], Generic[T]):
    """What modules of a package define under one name.

    Args:
        package: of the modules.
        modules: by `type`.
        attribute: what each of them defines.
        kind: that it is of.
    """

    def __init__(
        self, package: str, modules: Mapping[str, str], attribute: str, kind: type[T]
    ) -> None:
        self._package = package
        self._modules = modules
        self._attribute = attribute
        self._kind = kind

    def __getitem__(self, name: str) -> T:
        module = import_module(f"{self._package}.{self._modules[name]}")
        found = getattr(module, self._attribute)
        if not isinstance(found, self._kind):
            raise TypeError(f"{module.__name__}.{self._attribute} is no {self._kind.__name__}.")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


class _Specs(Mapping[str, DestinationSpec]):
    """What connectors say of themselves."""

    def __init__(self, connectors: Mapping[str, Connector]) -> None:
        self._connectors = connectors

    def __getitem__(self, name: str) -> DestinationSpec:
        return self._connectors[name].spec

    def __contains__(self, name: object) -> bool:
        return name in self._connectors

    def __iter__(self) -> Iterator[str]:
        return iter(self._connectors)

    def __len__(self) -> int:
        return len(self._connectors)


CONNECTORS: Mapping[str, Connector] = _Imported(
    "mayfly.connectors.destinations",
    {
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
    },
    "CONNECTOR",
    Connector,
)
"""Every kind of destination; a test holds them against those of the project files."""

SPECS: Mapping[str, DestinationSpec] = _Specs(CONNECTORS)

SOURCES: Mapping[str, SourceSpec] = _Imported(
    "mayfly.connectors.sources",
    {
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
    },
    "SPEC",
    SourceSpec,
)
"""Every kind of source; a test holds them against those of the project files."""
