"""Checkpoints in a folder of a disk that others keep."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from mayfly.domain.errors import ConfigError, PolicyError, TransientError
from mayfly.services.durable import sync_directory


class FolderAnchor:
    """One file for each checkpoint, `<workspace id>-<entries>.checkpoint`.

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
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return
        except OSError as error:
            raise _away(error) from None
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            sync_directory(self._folder)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise _away(error) from None


def _away(error: OSError) -> TransientError:
    return TransientError(
        "anchor_away",
        f"A checkpoint could not be written to its folder (error {error.errno}).",
        hint="Check its mount, rights and room.",
    )
