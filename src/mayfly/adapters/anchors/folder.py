"""Checkpoints in a folder of a disk that others keep."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError, TransientError
from mayfly.services.durable import sync_directory


class FolderAnchor:
    """One file for each checkpoint, `<workspace id>-<entries>.checkpoint`, that all may read.

    It is there whole or not at all; on a share without hard links, whole once the act that was cut
    off while it wrote is repeated.

    Args:
        folder: which must be there, outside the project.
        workspace_id: names the files.
        project: whose owner is whom the checkpoints are kept from.
    """

    def __init__(self, folder: Path, *, workspace_id: str, project: Path) -> None:
        self._folder = folder
        self._workspace_id = workspace_id
        self._project = project

    def publish(self, note: str, *, size: int, at: datetime) -> None:
        """See `Anchor.publish`.

        Raises:
            PolicyError: `anchor_inside`, the folder lies in the project, by a link perhaps.
            IntegrityError: `anchor_conflict`, there is another checkpoint of as many entries.
        """
        del at
        if self._folder.resolve().is_relative_to(self._project.resolve()):
            raise PolicyError(
                "anchor_inside",
                "The folder for checkpoints lies in the project: they would leave nobody's hands.",
                hint="Name a folder that somebody else keeps, such as a mounted share.",
            )
        if not self._folder.is_dir():
            raise ConfigError(
                "anchor_refused",
                "The folder for checkpoints is not there.",
                hint="Make or mount it; its path must be absolute.",
            )
        path = self._folder / f"{self._workspace_id}-{size}.checkpoint"
        content = note.encode()
        try:
            _put(path, content)
            is_kept = _is_kept(path, content)
            sync_directory(self._folder)
        except OSError as error:
            raise _away(error) from None
        if not is_kept:
            raise IntegrityError(
                "anchor_conflict",
                "The folder for checkpoints has another one of as many entries.",
                hint="Verify the ledger against it: one of the two was written anew.",
            )


def _put(path: Path, content: bytes) -> None:
    """Make the file, unless there is one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write_new(temporary, content)
        with suppress(FileExistsError):
            _name(temporary, path, content)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _name(temporary: Path, path: Path, content: bytes) -> None:
    try:
        os.link(temporary, path)  # unlike a rename, this fails where the name is taken
    except FileExistsError:
        raise
    except OSError:  # shares that know no hard links say so in many ways
        _write_new(path, content)


def _is_kept(path: Path, content: bytes) -> bool:
    """Whether the file holds this; a beginning of it, which a killed process left, is completed."""
    with path.open("rb") as file:
        kept = file.read(len(content) + 1)
        os.fsync(file.fileno())  # by whoever wrote it: he may not have come to it
    if kept != content and content.startswith(kept):
        _write(path, content, os.O_WRONLY | os.O_NOFOLLOW)
        return True
    return kept == content


def _write_new(path: Path, content: bytes) -> None:
    _write(path, content, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _write(path: Path, content: bytes, flags: int) -> None:
    with os.fdopen(os.open(path, flags | os.O_CLOEXEC, 0o644), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _away(error: OSError) -> TransientError:
    return TransientError(
        "anchor_away",
        f"A checkpoint could not be written to its folder (error {error.errno}).",
        hint="Check its mount, rights and room.",
    )
