"""Places for spools: a folder, and buckets on loopback."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from buckets import ACCESS_KEY, BUCKET, SECRET_KEY, TOKEN, Bucket
from mayfly.adapters.buckets import gcs_bucket, s3_bucket
from mayfly.adapters.spools.blobs import Blobs
from mayfly.adapters.spools.folder import FolderBlobs
from mayfly.adapters.spools.key_rows import KeyRow, KeyRows
from mayfly.adapters.spools.locks import HoldLock
from mayfly.adapters.spools.objects import ObjectBlobs
from mayfly.adapters.spools.spool import FOLDER, KEYS_FILE, LOCK_FILE, SealedSpool, SpoolParts
from mayfly.testing.fake_keys import FakeKeyProvider
from mayfly.testing.spool_world import NOW_MS, SpoolWorld

Fault = Callable[[str], None]


class StoppedKeys(KeyRows):
    """Tells each change before and after it is done."""

    def __init__(self, file: Path, fault: Fault) -> None:
        super().__init__(file)
        self._fault = fault

    def _told(self, name: str, act: Callable[[], Any]) -> Any:
        self._fault(f"{name}:before")
        found = act()
        self._fault(f"{name}:after")
        return found

    def write(self, row: KeyRow, *, instead_of: KeyRow | None) -> bool:
        """See `KeyRows.write`."""
        return bool(self._told("write", lambda: KeyRows.write(self, row, instead_of=instead_of)))

    def finish(self, row: KeyRow, *, instead_of: KeyRow | None = None) -> bool:
        """See `KeyRows.finish`."""
        return bool(self._told("finish", lambda: KeyRows.finish(self, row, instead_of=instead_of)))

    def replace_key(self, row: KeyRow, wrapped: bytes, key_version: str) -> bool:
        """See `KeyRows.replace_key`."""
        arguments = (row, wrapped, key_version)
        return bool(self._told("replace_key", lambda: KeyRows.replace_key(self, *arguments)))

    def drop_keys(self, blobs: Sequence[str]) -> None:
        """See `KeyRows.drop_keys`."""
        self._told("drop_keys", lambda: KeyRows.drop_keys(self, blobs))

    def empty_log(self) -> bool:
        """See `KeyRows.empty_log`."""
        return bool(self._told("empty_log", lambda: KeyRows.empty_log(self)))

    def forget(self, blobs: Sequence[str]) -> None:
        """See `KeyRows.forget`."""
        self._told("forget", lambda: KeyRows.forget(self, blobs))


class StoppedBlobs:
    """The same for sealed bytes."""

    def __init__(self, blobs: Blobs, fault: Fault) -> None:
        self._blobs = blobs
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._blobs, name)
        if name not in ("put", "delete"):
            return found

        def told(*arguments: Any) -> Any:
            self._fault(f"{name}:before")
            result = found(*arguments)
            self._fault(f"{name}:after")
            return result

        return told


def parts(folder: Path, blobs: Blobs, provider: FakeKeyProvider, **other: Any) -> SpoolParts:
    """What a spool in a folder of keys is made of."""
    values: dict[str, Any] = {
        "keys": KeyRows(folder / KEYS_FILE),
        "blobs": blobs,
        "lock": HoldLock(folder / LOCK_FILE),
        "provider": provider,
        "key_version": provider.version,
        "now_ms": lambda: NOW_MS,
    }
    return SpoolParts(**{**values, **other})


def read_all(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


class SameKeys(FakeKeyProvider):
    """The same key in every process."""

    def __init__(self) -> None:
        super().__init__()
        self._versions = {1: bytes(32)}


def world_of(
    folder: Path,
    blobs: Callable[[], Blobs],
    provider: FakeKeyProvider | None = None,
    **access: Any,
) -> SpoolWorld:
    """A world whose keys lie in a folder."""
    provider, clock = provider or FakeKeyProvider(), [NOW_MS]

    def open_spool(
        *, workspace: str = "shop-1", region: str = "eu-west-1", fault: Fault | None = None
    ) -> SealedSpool:
        tell = fault or (lambda name: None)
        made = parts(
            folder,
            StoppedBlobs(blobs(), tell),
            provider,
            keys=StoppedKeys(folder / KEYS_FILE, tell),
            now_ms=lambda: clock[0],
        )
        return SealedSpool(made, workspace=workspace, region=region)

    return SpoolWorld(open=open_spool, provider=provider, clock=clock, **access)


def folder_world(folder: Path, provider: FakeKeyProvider | None = None) -> SpoolWorld:
    """Keys and sealed bytes in one project."""
    sealed = folder / FOLDER

    def put(name: str, content: bytes | None) -> None:
        (sealed / name).unlink() if content is None else (sealed / name).write_bytes(content)

    return world_of(
        folder,
        lambda: FolderBlobs(sealed),
        provider,
        stored=lambda: read_all(folder),
        sealed=lambda: read_all(sealed),
        replace=put,
    )


def bucket_world(folder: Path, bucket: Bucket, blobs: Callable[[], Blobs]) -> SpoolWorld:
    """Keys in a folder, sealed bytes in a bucket that another spool uses too."""

    def put(name: str, content: bytes | None) -> None:
        if content is None:
            del bucket.objects[name]
        else:
            bucket.objects[name] = content

    return world_of(
        folder,
        blobs,
        stored=lambda: {**read_all(folder), **bucket.objects},
        sealed=lambda: dict(bucket.objects),
        replace=put,
    )


def s3(bucket: Bucket, **other: Any) -> ObjectBlobs:
    """A place in it, by the protocol of S3."""
    values: dict[str, Any] = {
        "region": "eu-west-1",
        "prefix": "spool/eu",
        "endpoint": bucket.address,
        "credentials": {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY},
        "env": {},
    }
    return ObjectBlobs(s3_bucket(BUCKET, **_later({**values, **other})))


def gcs(bucket: Bucket, **other: Any) -> ObjectBlobs:
    """A place in it, by the protocol of Google Cloud Storage."""
    values: dict[str, Any] = {
        "prefix": "spool/eu",
        "endpoint": bucket.address,
        "credentials": {"bearer_token": TOKEN},
        "env": {},
    }
    return ObjectBlobs(gcs_bucket(BUCKET, **_later({**values, **other})))


def _later(values: dict[str, Any]) -> dict[str, Any]:
    """Credentials are given by functions."""
    revealed = {name: lambda value=value: value for name, value in values["credentials"].items()}
    return {**values, "credentials": revealed}


def spool_in(folder: Path, provider: FakeKeyProvider, **other: Any) -> SealedSpool:
    """A spool whose keys and sealed bytes lie in a folder."""
    made = parts(folder, FolderBlobs(folder / FOLDER), provider, **other)
    return SealedSpool(made, workspace="shop-1", region="eu-west-1")


def connected(folder: Path) -> sqlite3.Connection:
    """Another connection to the file of keys, which keeps SQLite from removing its log."""
    KeyRows(folder / KEYS_FILE).create("folder")
    connection = sqlite3.connect(folder / KEYS_FILE)
    connection.execute("SELECT count(*) FROM keys").fetchone()
    return connection


def execute(folder: Path, statement: str, *values: object) -> None:
    """Change the file of keys behind the spool's back."""
    connection = sqlite3.connect(folder / KEYS_FILE)
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()
