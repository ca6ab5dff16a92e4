"""Where sealed bytes are put: what a folder and a bucket have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

BLOB_BYTES_MAX = (1 << 30) + (1 << 24)
"""A content of 1 GiB that does not compress, sealed."""


class Blobs(Protocol):
    """Named bytes in one place. Calls block, may be repeated and may run concurrently.

    Names are letters, digits, dashes and dots, and are never used twice. Every call may raise
    TransientError `spool_unavailable`, ConfigError `spool_denied`, `spool_unwritable` or
    `spool_place_missing`.
    """

    @property
    def place(self) -> str:
        """Names the place as long as it is the same; no secret is in it."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other spools may have their bytes in the same place."""
        ...

    def put(self, name: str, content: bytes) -> None:
        """Write bytes durably, whole or not at all.

        Raises:
            TransientError: `disk_full`.
        """
        ...

    def get(self, name: str) -> bytes | None:
        """The bytes; None where there are none of that name, or more than a sealed batch has."""
        ...

    def names(self, beginning: str) -> Iterator[str]:
        """Every name that begins so, leftovers of writers that were killed included."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Remove bytes; those that are not there count as removed."""
        ...
