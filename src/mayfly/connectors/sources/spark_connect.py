"""Connecting to Spark Connect: where, as whom, over TLS, and what each session pins."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mayfly.connectors.sources.spark_client import SparkClient, driver
from mayfly.connectors.sources.spark_errors import failure, not_connected
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.spark import quote
from mayfly.ports.source_spec import Revealed

PORT = 15002
OLDEST = 4
PATIENCE_SECONDS = 60.0
MESSAGE_BYTES = 128 * 1024 * 1024
_REMOTE = re.compile(r"sc://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
LEGACY = "spark.sql.legacy."
"""Settings of this beginning bring back what older releases did; a session has none of them."""
PINNED: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.caseSensitive": "false",
    # What does not fit is an error.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.ansi.enforceReservedKeywords": "false",
    "spark.sql.ansi.relationPrecedence": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.function.concatBinaryAsString": "false",
    "spark.sql.function.eltOutputAsString": "false",
    "spark.sql.groupByAliases": "true",
    "spark.sql.groupByOrdinal": "true",
    "spark.sql.orderByOrdinal": "true",
    "spark.sql.charAsVarchar": "false",
    "spark.sql.preserveCharVarcharTypeInfo": "false",
    "spark.sql.readSideCharPadding": "true",
    "spark.sql.jsonGenerator.ignoreNullFields": "false",
    # A text ${…} would be read as a setting, or as a variable of the server's process.
    "spark.sql.variable.substitute": "false",
    # A path in the place of a table.
    "spark.sql.runSQLOnFiles": "false",
    # A file that is left out would look as if its rows had left.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreInvalidPartitionPaths": "false",
    "spark.sql.hive.verifyPartitionPath": "false",
    # How old files are read.
    "spark.sql.parquet.binaryAsString": "false",
    "spark.sql.parquet.int96AsTimestamp": "true",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
    "spark.sql.avro.datetimeRebaseModeInRead": "CORRECTED",
    # With it Spark 4.3 fails to plan some unions of rows that it keeps.
    "spark.sql.constraintPropagation.enabled": "false",
    # How a result comes.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "10000",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
"""Settings of every session: what values and fingerprints depend on, and what SQL may reach."""


@dataclass(frozen=True, kw_only=True)
class SparkAccess:
    """Which server, and as whom. Its `repr` holds no secret.

    Args:
        remote: `sc://HOST[:PORT]`.
        catalog, schema: where tables are that a model names alone.
        token: gives what the server wants to see; called for each session.
        ca_file: certificates of who signed the server's, where it is no public authority.
        user: that the server shows.
        patience_seconds: how long a server that does not answer is asked again in a session.
    """

    remote: str
    catalog: str = "spark_catalog"
    schema: str = "default"
    token: Callable[[], Revealed] | None = None
    ca_file: Path | None = None
    user: str = "mayfly"
    patience_seconds: float = PATIENCE_SECONDS

    def address(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            ConfigError: `remote_invalid`.
        """
        found = _REMOTE.fullmatch(self.remote)
        port = int(found.group("port") or PORT) if found else 0
        if found is None or not 0 < port < 65536:
            raise ConfigError(
                "remote_invalid",
                "The remote of a Spark source is not sc://HOST:PORT.",
                hint="Write sc://spark.example.com:15002. A token, TLS and the user have keys of "
                "their own: `token`, `ca_file`, `user`.",
            )
        return found.group("host").strip("[]"), port

    @property
    def is_local(self) -> bool:
        """Whether nothing of it goes over a network."""
        return self.address()[0] in _LOOPBACK

    @property
    def has_tls(self) -> bool:
        """Off this machine without exception; on it where an authority is named."""
        return not self.is_local or self.ca_file is not None

    def connect(self, source: str) -> SparkClient:
        """A new session with its settings.

        Raises:
            ConfigError: `driver_missing`, `remote_invalid`, `source_refused`, `tls_not_verified`,
                `server_too_old`, `schema_missing`.
            TransientError: `source_away`.
        """
        grpc = driver()
        metadata = () if self.token is None else self._bearer(source)
        client = SparkClient(
            self._channel(grpc),
            user=self.user,
            metadata=metadata,
            patience_seconds=self.patience_seconds,
        )
        try:
            _require_new(source, client.version(patient=False))
            client.configure(PINNED, without=LEGACY)
            return client
        except grpc.RpcError as error:
            client.close()
            text = str(error.details() or "")
            raise not_connected(source, failure(error), text, tls=self.has_tls) from None
        except BaseException:
            client.close()
            raise

    def here(self) -> str:
        """Statement that makes catalog and schema those of the session."""
        return f"USE {quote(self.catalog)}.{quote(self.schema)}"

    def _bearer(self, source: str) -> tuple[tuple[str, str], ...]:
        if self.token is None:
            return ()
        token = self.token().reveal().strip()
        if not token.isascii() or not token.isprintable() or not token:
            raise ConfigError(
                "token_invalid",
                f"The token of source {source} is no line of plain characters.",
                hint="Check what the reference in `token` names.",
            )
        return (("authorization", f"Bearer {token}"),)

    def _channel(self, grpc: Any) -> Any:
        host, port = self.address()
        target = f"dns:///[{host}]:{port}" if ":" in host else f"dns:///{host}:{port}"
        options = [
            # Nobody is asked which way to go: neither the environment nor the name's own record.
            ("grpc.enable_http_proxy", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.max_receive_message_length", MESSAGE_BYTES),
            ("grpc.max_send_message_length", MESSAGE_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # What one attempt may take.
            ("grpc.min_reconnect_backoff_ms", 20_000),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            # A server takes no more than one in five minutes.
            ("grpc.keepalive_time_ms", 310_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # Channels of one process would share a connection, and what it was verified by.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if not self.has_tls:
            return grpc.insecure_channel(target, options=options)
        return grpc.secure_channel(target, self._credentials(grpc), options=options)

    def _credentials(self, grpc: Any) -> Any:
        try:
            roots = None if self.ca_file is None else self.ca_file.read_bytes()
        except OSError:
            raise ConfigError(
                "ca_file_unreadable",
                "The file that `ca_file` of a Spark source names cannot be read.",
                hint="Name a file of certificates in PEM.",
            ) from None
        return grpc.ssl_channel_credentials(root_certificates=roots)


def _require_new(source: str, version: str) -> None:
    major = version.partition(".")[0]
    if not major.isdecimal() or int(major) < OLDEST:
        raise ConfigError(
            "server_too_old",
            f"The server of source {source} is older than Spark {OLDEST}.0.",
            hint=f"Use Spark {OLDEST}.0 or later.",
        )
