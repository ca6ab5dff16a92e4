"""Connecting to Snowflake: the driver, its settings, the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.sources.snowflake_errors import not_connected
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.snowflake import quote
from mayfly.ports.source_spec import Revealed

DOMAIN = "snowflakecomputing.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CAPITALS = re.compile(r"[A-Z_][A-Z0-9_$]*", re.ASCII)
PINNED: Mapping[str, str | int | bool] = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "DATE_INPUT_FORMAT": "AUTO",
    "TIME_INPUT_FORMAT": "AUTO",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
    "TIME_OUTPUT_FORMAT": "HH24:MI:SS.FF9",
    "TIMESTAMP_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
    "TIMESTAMP_NTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9",
    "TIMESTAMP_LTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
    "TIMESTAMP_TZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF9 TZHTZM",
    "BINARY_INPUT_FORMAT": "HEX",
    "BINARY_OUTPUT_FORMAT": "HEX",
    "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
    "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "QUERY_TAG": "mayfly",
    # Whoever is killed in the midst of a statement leaves none behind.
    "ABORT_DETACHED_QUERY": True,
    "LOCK_TIMEOUT": 60,
    # A row that several rows match is given equal values by all of them.
    "ERROR_ON_NONDETERMINISTIC_UPDATE": False,
    "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    # Above it the driver would write what is loaded to a stage.
    "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD": 0,
    "CLIENT_TELEMETRY_ENABLED": False,
    "CLIENT_SESSION_KEEP_ALIVE": False,
}
"""Parameters of every session, set with the login: what results depend on, and what may be kept."""
_DRIVER: Mapping[str, object] = {
    "paramstyle": "qmark",
    "autocommit": True,
    "arrow_number_to_decimal": True,
    "client_store_temporary_credential": False,
    "client_out_of_band_telemetry_enabled": False,
    "crl_enable_disk_caching": False,
    # A certificate that cannot be shown to be valid still is none.
    "crl_check_mode": "ENABLED",
    "verify_certificates": True,
    "verify_hostname": True,
    "client_prefetch_threads": 1,
    "login_timeout": 60,
    "retry_max_attempts": 4,
    "auto_cleanup": False,
    "enable_server_session_keep_alive_auto_detection": False,
    "server_session_keep_alive": False,
    "log_query_text": False,
    "log_query_parameters": False,
}


def plainly(name: str) -> str:
    """A name of the project files as Mayfly has it: of database, schema, role and warehouse
    capitals are what is small.
    """
    return name.lower() if _CAPITALS.fullmatch(name) else name


@dataclass(frozen=True, kw_only=True)
class SnowflakeAccess:
    """Who reads what, and where. Its `repr` holds no secret.

    Args:
        account: as in the first part of its address.
        user: whose public key is known there.
        private_key: gives the PEM text of the key; called for each connection.
        passphrase: gives that of the key, where it has one.
        role: of the session, without others beside it.
        warehouse: that works for it.
        database: that is read, and written to.
        schema: where tables are that a model names without a schema.
        endpoint: `http://127.0.0.1:PORT` of an emulator, which no key is shown to.
    """

    account: str
    user: str
    private_key: Callable[[], Revealed]
    role: str
    warehouse: str
    database: str
    schema: str = "public"
    passphrase: Callable[[], Revealed] | None = None
    endpoint: str | None = None

    def host(self) -> str:
        """What is connected to first.

        Raises:
            ConfigError: `endpoint_refused`.
        """
        if self.endpoint is None:
            return f"{self.account.lower().replace('_', '-')}.{DOMAIN}"
        return _loopback(self.endpoint)[0]

    def connect(self, source: str) -> Any:
        """A connection of the driver.

        Raises:
            ConfigError: `driver_missing`, `key_invalid`, `source_refused`, `tls_required`.
            TransientError: `source_away`.
        """
        connector = driver()
        try:
            return connector.connect(**self._settings(source))
        except connector.errors.Error as error:
            raise not_connected(source, error.errno, str(error)) from None

    def _settings(self, source: str) -> dict[str, object]:
        names = {
            "account": self.account,
            "user": self.user,
            "role": quote(plainly(self.role)),
            "warehouse": quote(plainly(self.warehouse)),
            "database": quote(plainly(self.database)),
            "schema": quote(plainly(self.schema)),
            "host": self.host(),
            "session_parameters": dict(PINNED),
        }
        return {**_DRIVER, **names, **self._login(source)}

    def _login(self, source: str) -> dict[str, object]:
        if self.endpoint is not None:
            _, port = _loopback(self.endpoint)
            plain = {"protocol": "http", "port": port, "password": "none"}
            return {**plain, "crl_check_mode": "DISABLED"}
        return {
            "protocol": "https",
            "port": 443,
            "authenticator": "SNOWFLAKE_JWT",
            "private_key": self._key(source),
        }

    def _key(self, source: str) -> object:
        phrase = None if self.passphrase is None else self.passphrase().reveal().encode()
        try:
            return load_pem_private_key(self.private_key().reveal().encode(), phrase)
        except (TypeError, ValueError):
            raise ConfigError(
                "key_invalid",
                f"The private key of source {source} cannot be read.",
                hint="It is the text of a PEM file (-----BEGIN …). An encrypted one needs "
                "`private_key_passphrase`, and another one has none.",
            ) from None


def _loopback(endpoint: str) -> tuple[str, int]:
    parts = urlsplit(endpoint)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.port is None:
        raise ConfigError(
            "endpoint_refused",
            "The endpoint of a Snowflake source is an emulator on this machine, or none.",
            hint="Write it as http://127.0.0.1:PORT, or leave it out.",
        )
    return str(parts.hostname), parts.port


def driver() -> Any:
    """See `optional_driver`."""
    return optional_driver("snowflake.connector", kind="snowflake", logs=["snowflake"])
