"""A connection to an SFTP server whose host key is known, and what its errors mean.

asyncssh (extra `sftp`) speaks the protocol over Python's own sockets, which the egress guard sees.
Whatever it would read from this machine unasked (`~/.ssh`, an agent, Kerberos) is turned off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mayfly.connectors.drivers import optional_driver
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.source_spec import Revealed

CONNECT_SECONDS, LOGIN_SECONDS, CALL_SECONDS = 10.0, 30.0, 600.0
KEEPALIVE_SECONDS = 15.0
# Without signatures over SHA-1.
_SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
_AWAY = ("SFTPConnectionLost", "SFTPNoConnection")
_ABSENT = ("SFTPNoSuchFile", "SFTPNoSuchPath", "SFTPNotADirectory")
_FORBIDDEN = ("SFTPPermissionDenied", "SFTPWriteProtect")
_FULL = ("SFTPNoSpaceOnFilesystem", "SFTPQuotaExceeded")


@dataclass(frozen=True, kw_only=True)
class SftpSettings:
    """Where files go, and who logs in. Of `private_key` and `password` one is given.

    Args:
        host, port: of the server.
        host_keys: public keys that it may show: type and base64.
        username: who logs in.
        private_key: in OpenSSH's form or PEM.
        passphrase: that the key is encrypted with.
        password: in the key's place.
        folder: that files go to.
        group_reads: whether files are for the group, too, and not for their owner alone.
    """

    host: str
    port: int
    host_keys: Sequence[str]
    username: str
    private_key: Revealed | None = field(default=None, repr=False)
    passphrase: Revealed | None = field(default=None, repr=False)
    password: Revealed | None = field(default=None, repr=False)
    folder: str
    group_reads: bool = False


class Session:
    """One connection, opened by the first call and anew after a failure. Calls may overlap.

    Raises:
        ConfigError: `driver_missing`.
    """

    def __init__(self, settings: SftpSettings) -> None:
        self._ssh: Any = optional_driver(
            "asyncssh", kind="sftp", logs=["asyncssh"], of="Destinations"
        )
        self._settings = settings
        self._opening = asyncio.Lock()
        self._connection: Any = None
        self._client: Any = None

    @property
    def library(self) -> Any:
        """For its types."""
        return self._ssh

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """The library's client of the server.

        Raises:
            ConfigError: `host_key_unknown`, `reauthorise`, `credentials_invalid`,
                `folder_missing`, `folder_unwritable`, `sftp_refused`.
            TransientError: the server is away, or fails without saying why.
            PolicyError: `host_not_allowed`.
        """
        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield await self._opened()
        except self._ssh.SFTPError as error:
            raise _of_server(type(error).__name__) from None
        except (self._ssh.Error, OSError, TimeoutError) as error:
            self._drop()
            raise self._of_connection(error) from None
        except BaseException:
            # What was under way is not known to have ended.
            self._drop()
            raise

    async def close(self) -> None:
        """End the connection. May be repeated."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()
        self._connection = self._client = None

    async def _opened(self) -> Any:
        async with self._opening:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._ssh.connect(**self._options())
                self._client = await self._started(self._connection)
            return self._client

    async def _started(self, connection: Any) -> Any:
        try:
            return await connection.start_sftp_client()
        except (self._ssh.SFTPError, self._ssh.ChannelOpenError):
            if connection.is_closed():
                raise
            raise ConfigError(
                "sftp_refused",
                "The server takes the login, and offers no SFTP.",
                hint="Have it enabled for the user.",
            ) from None

    def _options(self) -> dict[str, Any]:
        given = self._settings
        login: dict[str, Any] = {
            "client_keys": None,
            "preferred_auth": "password,keyboard-interactive",
        }
        if given.private_key is not None:
            login = {"client_keys": [self._private_key()], "preferred_auth": "publickey"}
        elif given.password is not None:
            login["password"] = given.password.reveal()
        return {
            "host": given.host,
            "port": given.port,
            "username": given.username,
            "known_hosts": (self._host_keys(), [], []),
            "server_host_key_algs": _algorithms(given.host_keys),
            **login,
            # Nothing of this machine or its user is read or run.
            "config": None,
            "agent_path": None,
            "agent_forwarding": False,
            "gss_host": None,
            "proxy_command": None,
            "x509_trusted_certs": None,
            # A server that asks for nothing is not the one that knows this user.
            "disable_trivial_auth": True,
            "connect_timeout": CONNECT_SECONDS,
            "login_timeout": LOGIN_SECONDS,
            "keepalive_interval": KEEPALIVE_SECONDS,
        }

    def _host_keys(self) -> list[Any]:
        try:
            return [self._ssh.import_public_key(text) for text in self._settings.host_keys]
        except self._ssh.KeyImportError:
            raise ConfigError(
                "bad_host_key",
                "A key of host_keys cannot be read.",
                hint="`ssh-keyscan HOST` gives lines of host, type and base64: leave out the host.",
            ) from None

    def _private_key(self) -> Any:
        given = self._settings
        if given.private_key is None:
            raise ConfigError("secret_missing", "The SFTP server needs a private key.")
        passphrase = None if given.passphrase is None else given.passphrase.reveal()
        try:
            return self._ssh.import_private_key(given.private_key.reveal().strip(), passphrase)
        except (self._ssh.KeyImportError, self._ssh.KeyEncryptionError):
            raise ConfigError(
                "credentials_invalid",
                "The private key for the SFTP server cannot be read.",
                hint="Put the whole text of its file there; `passphrase` opens an encrypted one.",
            ) from None

    def _of_connection(self, error: BaseException) -> EngineError:
        ssh = self._ssh
        match error:
            case ssh.HostKeyNotVerifiable():
                return ConfigError(
                    "host_key_unknown",
                    "The SFTP server shows another host key than those of the project.",
                    hint="Nothing was sent. Ask whoever runs it whether its key was replaced, over "
                    "another way, and put the new one in host_keys; else somebody stands between.",
                )
            case ssh.PermissionDenied():
                return ConfigError(
                    "reauthorise",
                    "The SFTP server refuses the login.",
                    hint="Check username and key or password, and that the server takes that way.",
                )
            case ssh.KeyExchangeFailed() | ssh.ProtocolNotSupported():
                return ContractError(
                    "sftp_no_agreement",
                    "The SFTP server offers no encryption, or no kind of host key, that is taken.",
                    hint="Have a current version of it run there.",
                )
            case TimeoutError():
                return TransientError("destination_timeout", "The SFTP server did not answer.")
            case _:
                return TransientError(
                    "destination_unreachable", "The connection could not be made or was cut."
                )


def _algorithms(host_keys: Sequence[str]) -> list[str]:
    """Those of the known keys first: a server with several shows one of them. The others follow,
    so that a server with none of them shows that, and does not just hang up.
    """
    known = {key.partition(" ")[0] for key in host_keys}
    kinds = sorted(_SIGNATURES, key=lambda kind: kind not in known)
    return [name for kind in kinds for name in _SIGNATURES[kind]]


def _of_server(kind: str) -> EngineError:
    """An error of the library by its name; its text is the server's and goes nowhere."""
    if kind in _ABSENT:
        return ConfigError(
            "folder_missing",
            "The destination's folder is not on the server, or is no folder.",
            hint="Make it there, or correct `folder`.",
        )
    if kind in _FORBIDDEN:
        return ConfigError(
            "folder_unwritable",
            "The destination's folder may not be written or listed.",
            hint="Give the user the right there, or name another folder.",
        )
    if kind in _FULL:
        return TransientError("disk_full", "The SFTP server has no room for the file.")
    if kind in _AWAY:
        return TransientError("destination_unreachable", "The connection was cut.")
    return TransientError(
        "sftp_failed",
        f"The SFTP server failed ({kind}).",
        hint="It says no more; its disk may be full.",
    )
