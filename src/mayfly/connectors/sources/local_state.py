"""Database files of our own in which local states stand, told of as what they are."""

from __future__ import annotations

from pathlib import Path

import duckdb

from mayfly.connectors.private_files import as_private_as
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.domain.errors import ConfigError, EngineError, IntegrityError, TransientError
from mayfly.services.durable import sync_directory


def make_database(path: Path) -> None:
    """Make an empty database, and its folder, for this user alone. May be repeated.

    Raises:
        ConfigError: `local_state_not_writable`.
    """
    if path.is_file():
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with as_private_as(path):
            duckdb.connect(str(path), config={"temp_directory": ""}).close()
        path.chmod(0o600)
        sync_directory(path.parent)
    except (OSError, duckdb.IOException):
        raise _not_writable() from None


class LocalStateDatabase(DuckdbSource):
    """The file of one local state. Its name, that of the state, is all that messages tell.

    Args:
        path: of the file.
        lock_wait_seconds: how long to wait while another process holds it.
    """

    def __init__(self, path: Path, *, lock_wait_seconds: float = 30) -> None:
        super().__init__(path.stem, path, lock_wait_seconds=lock_wait_seconds)

    def not_opened(self, error: duckdb.Error) -> EngineError:
        """See `DuckdbSource.not_opened`."""
        known = super().not_opened(error)
        if isinstance(known, TransientError):
            return TransientError(
                "run_active",
                f"Another process works on local state {self.name}.",
                hint="Wait until it has ended, or stop it, and run again.",
            )
        if known.code == "file_not_accessible":
            return _not_writable()
        return IntegrityError(
            "local_state_damaged",
            f"Local state {self.name} cannot be read: its file is damaged, or of a newer release.",
            hint=f"Restore .mayfly/state/{self.name}.duckdb from a backup, or take the file away: "
            "the sync then begins with an empty state and sends everything.",
        )


def _not_writable() -> ConfigError:
    return ConfigError(
        "local_state_not_writable",
        "The folder of the local state cannot be written.",
        hint="Make room on its disk, and give this user the right to write `.mayfly/state`.",
    )
