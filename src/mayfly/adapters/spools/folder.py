"""Sealed bytes as files of one folder, readable by their owner only."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from mayfly.adapters.spools.blobs import BLOB_BYTES_MAX
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.services.durable import sync_directory, write_private

_NAME = re.compile(r"[A-Za-z0-9-]+\.spool")
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_DENIED = frozenset((errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOTDIR))


class FolderBlobs:
    """See `Blobs`. The folder holds nothing else; it is made with mode 0700 at the first write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return "FolderBlobs()"

    @property
    def place(self) -> str:
        """The same for every folder: a project that is moved takes its spool along."""
        return "folder"

    @property
    def is_shared(self) -> bool:
        """The folder belongs to one spool."""
        return False

    def put(self, name: str, content: bytes) -> None:
        """See `Blobs.put`: a temporary file, sync, rename, sync of the folder."""
        path = self._path(name)
        temporary = path.with_name(f".{name}.part")
        try:
            self._make_folder()
            try:
                write_private(temporary, content)
                temporary.rename(path)
                sync_directory(self._folder)
            except OSError:
                for left in (temporary, path):
                    with suppress(OSError):
                        left.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise _translate(error) from None

    def get(self, name: str) -> bytes | None:
        """See `Blobs.get`."""
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(BLOB_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _translate(error) from None
        return content if len(content) <= BLOB_BYTES_MAX else None

    def names(self, beginning: str) -> Iterator[str]:
        """See `Blobs.names`. Temporary files are named as they would have been."""
        try:
            with os.scandir(self._folder) as entries:
                found = {e.name.removeprefix(".").removesuffix(".part") for e in entries}
        except FileNotFoundError:
            return
        except OSError as error:
            raise _translate(error) from None
        yield from sorted(n for n in found if _NAME.fullmatch(n) and n.startswith(beginning))

    def delete(self, names: Sequence[str]) -> None:
        """See `Blobs.delete`. Temporary files of those names go too."""
        try:
            for path in map(self._path, names):
                for left in (path.with_name(f".{path.name}.part"), path):
                    left.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                sync_directory(self._folder)
        except OSError as error:
            raise _translate(error) from None

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError("a sealed file's name is letters, digits and dashes")
        return self._folder / name

    def _make_folder(self) -> None:
        if self._folder.is_symlink():
            raise OSError(errno.ELOOP, "the folder is a link")
        make_folder(self._folder)
        self._folder.chmod(0o700)


def make_folder(folder: Path) -> None:
    """Make a folder of mode 0700 and its missing parents, durably; leave those that are there.

    Raises:
        OSError: it cannot be made.
    """
    for missing in reversed([d for d in (folder, *folder.parents) if not d.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
        sync_directory(missing.parent)


def _translate(error: OSError) -> EngineError:
    if error.errno in _FULL:
        return TransientError(
            "disk_full",
            "The disk of the spool is full; the batch was not held.",
            hint="Make room there and run again.",
        )
    if error.errno in _DENIED:
        return ConfigError(
            "spool_unwritable",
            f"The folder of the spool cannot be used (error {error.errno}).",
            hint="It must be a folder, no link, that this user may read and write.",
        )
    return TransientError(
        "spool_unavailable",
        f"The folder of the spool does not answer (error {error.errno}).",
        hint="Check its disk, then run again.",
    )
