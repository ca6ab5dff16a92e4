"""Files on an SFTP server, one for each batch: written under a hidden name, then renamed."""

from __future__ import annotations

import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from mayfly.connectors.destinations.batch_files import NOTES, BatchFiles, Written, files_spec
from mayfly.connectors.destinations.sftp_session import Session, SftpSettings
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest, HostsRequest

STALE_SECONDS = 3_600
_PART = ".part"

SPEC = files_spec("sftp")


class SftpFolder:
    """A `Place` on an SFTP server.

    A file is renamed only where there is none of its name. Where an attempt was cut off, only its
    hidden file is left, or the rename is under way: `settled` removes the one, and so the other
    finds nothing to rename.
    """

    def __init__(self, settings: SftpSettings) -> None:
        self._settings = settings
        self._session = Session(settings)
        self._is_swept = False

    async def check(self) -> None:
        """See `Place.check`: the folder is there."""
        async with self._session.client() as client:
            found = await client.stat(self._settings.folder)
        if not stat.S_ISDIR(found.permissions or stat.S_IFDIR):
            raise ConfigError(
                "folder_missing",
                "The destination's folder is no folder on the server.",
                hint="Correct `folder`.",
            )

    async def put(self, name: str, content: bytes, rows: int) -> None:
        """See `Place.put`."""
        del rows
        part = self._path(f".{name}.{secrets.token_hex(8)}{_PART}")
        async with self._session.client() as client:
            if await client.lexists(self._path(name)):
                return
            try:
                written = await self._write(client, part, content)
                await self._rename(client, part, name)
            except BaseException:
                with suppress(self._session.library.Error, OSError):
                    await client.remove(part)
                raise
            if not self._is_swept:
                await self._sweep(client, f".{name.partition('.')[0]}.", written)
                self._is_swept = True

    async def settled(self, name: str, nothing: bytes) -> bool:
        """See `Place.settled`."""
        del nothing
        async with self._session.client() as client:
            for entry in await client.readdir(self._settings.folder):
                if _is_part(entry.filename, f".{name}."):
                    await self._remove(client, entry.filename)
            return bool(await client.lexists(self._path(name)))

    async def written(self, start: str) -> Sequence[Written]:
        """See `Place.written`."""
        async with self._session.client() as client:
            entries = await client.readdir(self._settings.folder)
        return [
            Written(name=entry.filename, day=_day(entry.attrs.mtime))
            for entry in entries
            if entry.filename.startswith(start)
        ]

    async def close(self) -> None:
        """See `Place.close`."""
        await self._session.close()

    async def _write(self, client: Any, part: str, content: bytes) -> float:
        """The hidden file, whole and on the server's disk where it can promise that.

        Returns:
            When it was written by the server's clock, in seconds since 1970.
        """
        ssh = self._session.library
        mode = 0o640 if self._settings.group_reads else 0o600
        async with client.open(part, "xb", attrs=ssh.SFTPAttrs(permissions=mode)) as file:
            await file.write(content)
            with suppress(ssh.SFTPOpUnsupported):
                await file.fsync()
        found = await client.stat(part)
        if found.size != len(content):
            raise TransientError("sftp_failed", "A file on the server is not as long as was sent.")
        return float(found.mtime or 0)

    async def _rename(self, client: Any, part: str, name: str) -> None:
        ssh = self._session.library
        try:
            await client.rename(part, self._path(name))
        except (ssh.SFTPFailure, ssh.SFTPFileAlreadyExists):
            # Another attempt at this batch came first: its file has the same rows.
            if not await client.lexists(self._path(name)):
                raise
            await client.remove(part)

    async def _sweep(self, client: Any, start: str, now: float) -> None:
        """Remove hidden files that runs of this sync left long ago: they hold rows."""
        for entry in await client.readdir(self._settings.folder):
            is_old = float(entry.attrs.mtime or now) < now - STALE_SECONDS
            if is_old and _is_part(entry.filename, start):
                await self._remove(client, entry.filename)

    async def _remove(self, client: Any, name: str) -> None:
        with suppress(self._session.library.SFTPNoSuchFile):
            await client.remove(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._settings.folder}/{name}"


def _is_part(name: str, start: str) -> bool:
    return name.startswith(start) and name.endswith(_PART)


def _day(mtime: float | None) -> str:
    return datetime.fromtimestamp(mtime or 0, UTC).date().isoformat()


def make(settings: SftpSettings) -> SftpFolder:
    """The folder as a place of files."""
    return SftpFolder(settings)


def _open(request: DestinationRequest) -> BatchFiles:
    options = request.settings.options
    host_keys = options.get("host_keys")
    settings = SftpSettings(
        host=request.text("host"),
        port=int(request.text("port", "22")),
        host_keys=[str(key) for key in host_keys] if isinstance(host_keys, list | tuple) else [],
        username=request.text("username"),
        private_key=request.secret_if("private_key"),
        passphrase=request.secret_if("passphrase"),
        password=request.secret_if("password"),
        folder=request.text("folder").rstrip("/"),
        group_reads=bool(options.get("group_reads", False)),
    )
    return BatchFiles(make(settings), request.text("format", "csv"), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    return frozenset({str(request.settings.options.get("host", ""))})


PAGE = ConnectorPage(
    title="SFTP",
    example="""
destinations:
  partner:
    type: sftp
    kind: internal
    owner: Logistics
    reason: a warehouse of our own
    host: sftp.example.com
    host_keys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBnkzK8y6uZ0hVKqbB0aJqkpgSX1mGxDqQqXzPpTz0aP
    username: mayfly
    private_key: file:~/.ssh/partner
    folder: upload/customers
    format: csv
syncs:
  people_to_partner:
    id: people_to_partner
    model: people
    destination: partner
    mode: append
    mapping: {id: id, city: city}
""",
    rights=(
        '`pip install "mayfly-data[sftp]"`: asyncssh.',
        "A login by key or password, and the right to list `folder`, make, rename and remove files "
        "in it. Mayfly makes no folder.",
        "The server's public keys, from whoever runs it: `ssh-keyscan HOST` shows what it shows "
        "now, to compare.",
    ),
    notes=(
        *NOTES,
        "A file is written as `.<name>.<random>.part` and renamed once all of it is there, on the "
        "server's disk where it offers that (`fsync`). What a run that was killed left under a "
        "hidden name is removed by the next look at that batch, or by the first file of a later "
        "run once it is an hour old.",
        "A file is its owner's alone (mode 0600); with `group_reads: true` its group may read it "
        "(0640).",
        "A server with another key than those of `host_keys` is not logged in to "
        "(`host_key_unknown`). While a key is replaced, name both. Nothing of the machine is used: "
        "no `~/.ssh`, no agent, no known hosts of its user.",
    ),
    untested=(
        "Servers other than OpenSSH. Rename without overwriting, and listing, are part of SFTP 3, "
        "which all of them speak.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("host", "port", "username", "folder", "format"),
    hosts=_hosts,
    page=PAGE,
)
