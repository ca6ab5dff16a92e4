"""The suite of spools, on a folder, S3 and Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import Bucket, bucket_service
from mayfly.testing.spool_contract import SpoolContract
from mayfly.testing.spool_world import SpoolWorld
from spool_worlds import bucket_world, folder_world, gcs, s3


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    """An empty bucket on loopback."""
    with bucket_service() as found:
        yield found


class TestFolder(SpoolContract):
    """Sealed bytes beside the keys, in a folder of their own."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> SpoolWorld:
        """A project that holds nothing."""
        return folder_world(tmp_path)


class TestS3(SpoolContract):
    """A bucket that checks signatures."""

    @pytest.fixture
    def world(self, tmp_path: Path, bucket: Bucket) -> SpoolWorld:
        """An empty bucket, and a folder for keys."""
        return bucket_world(tmp_path, bucket, lambda: s3(bucket))


class TestGcs(SpoolContract):
    """A bucket that checks the bearer token."""

    @pytest.fixture
    def world(self, tmp_path: Path, bucket: Bucket) -> SpoolWorld:
        """An empty bucket, and a folder for keys."""
        return bucket_world(tmp_path, bucket, lambda: gcs(bucket))
