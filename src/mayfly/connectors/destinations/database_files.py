"""What databases in one file share."""

from __future__ import annotations

from pathlib import Path

from mayfly.connectors.destinations.databases import Engine, quote
from mayfly.domain.errors import ConfigError, TransientError


class FileEngine(Engine):
    """A database in one file.

    Args:
        path: of the file; it is made where it is missing, its folder is not.
        table: the target, unquoted.
    """

    kind: str
    """Its name in messages."""

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        self._table = table

    @property
    def table(self) -> str:
        """The target, unquoted."""
        return self._table

    def check(self) -> None:
        """Without making the file."""
        if not self._path.parent.is_dir():
            raise self.no_folder()
        if self._path.exists():
            super().check()

    def name(self, table: str) -> str:
        """Tables stand in the main schema."""
        return f"main.{quote(table)}"

    def require_folder(self) -> None:
        """Raise ConfigError `folder_missing` where the file may not be made or opened."""
        if not self._path.parent.is_dir() or self._path.is_symlink():
            raise self.no_folder()

    def unwritable(self) -> ConfigError:
        """What is said of a file that this user may not write."""
        return ConfigError(
            "database_unwritable",
            f"The destination's {self.kind} file may not be written, or its folder may not.",
            hint="Give this user the right to write both, or write to another file.",
        )

    def disk_full(self) -> TransientError:
        """What is said of a file whose disk has no room."""
        return TransientError(
            "disk_full",
            f"The disk of the destination's {self.kind} file is full; the batch was not written.",
            hint="Make room there.",
        )

    def no_folder(self) -> ConfigError:
        """What is said then."""
        return ConfigError(
            "folder_missing",
            f"The destination's {self.kind} file must lie in a folder that exists, and be no "
            "symbolic link.",
        )
