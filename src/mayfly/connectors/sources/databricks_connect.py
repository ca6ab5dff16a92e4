"""Connecting to Databricks: the driver and its settings. Compiled, not run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.sources.databricks_errors import from_error
from mayfly.connectors.sources.databricks_volume import Volume
from mayfly.domain.errors import TransientError
from mayfly.ports.source_spec import Revealed

PINNED: Mapping[str, str] = {
    "TIMEZONE": "UTC",
    # A cast that fails is an error.
    "ANSI_MODE": "true",
}
"""Parameters of every session: what its results depend on."""
DRIVER: Mapping[str, object] = {
    "user_agent_entry": "mayfly",
    # Its errors, which carry values, would go to the vendor.
    "enable_telemetry": False,
    "force_enable_telemetry": False,
    # Results come over the workspace's own host, none from a store of files.
    "use_cloud_fetch": False,
    "_tls_no_verify": False,
    "_tls_verify_hostname": True,
    "_socket_timeout": 900,
    "_retry_stop_after_attempts_count": 5,
    "_retry_stop_after_attempts_duration": 120,
    "staging_allowed_local_path": None,
}


@dataclass(frozen=True, kw_only=True)
class DatabricksAccess:
    """Who reads what, and where. Its `repr` holds no secret.

    Args:
        host: of the workspace.
        http_path: of the SQL warehouse.
        token: gives the access token; called for each connection.
        catalog: that is read.
        schema: where tables are that a model names without a schema.
        volume: catalog, schema and name of the volume through which rows go to a session.
        endpoint: `http://127.0.0.1:PORT` of a stand-in, which no token is shown to.
        more: of the driver's settings.
    """

    host: str
    http_path: str
    token: Callable[[], Revealed]
    catalog: str
    volume: str
    schema: str = "default"
    endpoint: str | None = None
    more: tuple[tuple[str, object], ...] = ()

    def hosts(self) -> frozenset[str]:
        """What is connected to, and nothing beside."""
        return frozenset({self.host if self.endpoint is None else "127.0.0.1"})

    def connect(self, source: str) -> Any:
        """A connection of the driver.

        Raises:
            ConfigError: `driver_missing`, `source_refused`.
            TransientError: `source_away`.
        """
        module = driver()
        try:
            return module.connect(**self._settings())
        except failures() as error:
            context = getattr(error, "context", None) or {}
            found = from_error(str(error), context, answered=False)
            if found.code != "connection_lost":
                raise found from None
            raise TransientError(
                "source_away",
                f"The warehouse of source {source} does not answer.",
                hint="Check host and http_path of the source, and that this machine may reach it.",
            ) from None

    def stage(self) -> Volume:
        """The volume, as a session uses it."""
        loopback = self.endpoint is not None
        return Volume(
            self.endpoint or f"https://{self.host}",
            self.volume,
            token=None if loopback else lambda: self.token().reveal(),
            now_ms=lambda: time.time_ns() // 1_000_000,
        )

    def _settings(self) -> dict[str, object]:
        names = {
            "server_hostname": self.host,
            "http_path": self.http_path,
            "catalog": self.catalog,
            "schema": self.schema,
            "session_configuration": dict(PINNED),
        }
        if self.endpoint is None:
            login: dict[str, object] = {"access_token": self.token().reveal()}
        else:
            uri = f"{self.endpoint}/{self.http_path.lstrip('/')}"
            login = {"access_token": "none", "_connection_uri": uri}
        return {**DRIVER, **names, **login, **dict(self.more)}


def driver() -> Any:
    """See `optional_driver`."""
    return optional_driver(
        "databricks.sql", kind="databricks", logs=["databricks", "thrift", "urllib3"]
    )


def failures() -> tuple[type[Exception], ...]:
    """What the driver raises: errors of its own, and of what it sends with."""
    module = driver()
    sent = import_module("urllib3.exceptions").HTTPError
    spoken = import_module("thrift.Thrift").TException
    return module.Error, sent, spoken, OSError, ValueError
