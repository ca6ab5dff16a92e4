"""Sealed bytes as objects of a bucket in S3 or Google Cloud Storage."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mayfly.adapters.buckets import Bucket, BucketError
from mayfly.adapters.spools.blobs import BLOB_BYTES_MAX
from mayfly.domain.errors import ConfigError, TransientError

_NAME = re.compile(r"[A-Za-z0-9-]+\.spool")


class ObjectBlobs:
    """See `Blobs`. Beside what that raises, whatever `Bucket` says of its settings."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __repr__(self) -> str:
        return "ObjectBlobs()"

    @property
    def place(self) -> str:
        """Scheme, host, bucket and prefix."""
        return self._bucket.place

    @property
    def is_shared(self) -> bool:
        """Several machines may use one bucket, each with keys of its own."""
        return True

    def put(self, name: str, content: bytes) -> None:
        """See `Blobs.put`."""
        _check(name)
        with _told():
            self._bucket.put(name, content)

    def get(self, name: str) -> bytes | None:
        """See `Blobs.get`."""
        _check(name)
        with _told():
            try:
                return self._bucket.get(name, BLOB_BYTES_MAX)
            except BucketError as error:
                if error.kind != "absent":
                    raise
                return None

    def names(self, beginning: str) -> Iterator[str]:
        """See `Blobs.names`."""
        with _told():
            # The service lists folders, so that the beginning of a name is looked at here.
            found = self._bucket.names()
        yield from sorted(n for n in found if _NAME.fullmatch(n) and n.startswith(beginning))

    def delete(self, names: Sequence[str]) -> None:
        """See `Blobs.delete`."""
        for name in names:
            _check(name)
        with _told():
            self._bucket.delete(names)


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError("a sealed object's name is letters, digits and dashes")


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BucketError as error:
        raise _translate(error) from None


def _translate(error: BucketError) -> ConfigError | TransientError:
    if error.kind == "absent":
        return ConfigError(
            "spool_place_missing",
            "The bucket of the spool is not there.",
            hint="Make it in the worker's region, without versions and closed to others.",
        )
    if error.kind == "denied":
        return ConfigError(
            "spool_denied",
            "The bucket of the spool refuses this worker's credentials.",
            hint="Give them the right to write, read, list and delete objects there.",
        )
    return TransientError(
        "spool_unavailable",
        f"The bucket of the spool does not answer ({error.what}).",
        hint="Nothing was lost; run again, and check bucket and rights if it lasts.",
    )
