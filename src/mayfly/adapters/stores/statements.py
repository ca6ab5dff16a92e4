"""The store's statements, each in a file of its own, and how times are written."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import text

_SQL = Path(__file__).parent / "sql"


@cache
def statement(name: str) -> Any:
    """The statement of that file."""
    return text((_SQL / f"{name}.sql").read_text(encoding="ascii"))


def time_text(at: datetime) -> str:
    """Of one length and one zone, so that the order of texts is that of times."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
