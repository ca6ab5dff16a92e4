"""The store's statements, each in a file of its own, and how times are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

_SQL = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> Any:
    """The statement of that file."""
    return text((_SQL / f"{name}.sql").read_text(encoding="ascii"))


def time_text(at: datetime) -> str:
    """Of one length and one zone, so that the order of texts is that of times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


class Statements(ABC):
    """What the parts of the store share: its transactions, and statements by their names."""

    @abstractmethod
    def _transaction(self, *, write: bool) -> AbstractContextManager[Connection]:
        """One, in which errors are the store's own."""

    @abstractmethod
    def _execute(self, name: str, values: Mapping[str, Any]) -> int:
        """Rows that a statement has changed."""

    @abstractmethod
    def _execute_all(self, steps: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Several statements in one transaction."""

    @abstractmethod
    def _rows(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What a statement finds."""
