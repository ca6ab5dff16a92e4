"""Buckets on loopback as the place of a project's spool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from buckets import ACCESS_KEY, BUCKET, SECRET_KEY, TOKEN, Bucket, bucket_service

_SETTINGS = {
    "s3": "region: eu-west-1, access_key_id: env:S3_ID, secret_access_key: env:S3_SECRET",
    "gcs": "region: europe-west1, access_token: env:GCS_TOKEN",
}


@contextmanager
def spool_bucket(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, str]]:
    """An empty bucket, and the part of the project files that names it; secrets are set."""
    for name, value in (("S3_ID", ACCESS_KEY), ("S3_SECRET", SECRET_KEY), ("GCS_TOKEN", TOKEN)):
        monkeypatch.setenv(name, value)
    with bucket_service() as bucket:
        place = f"type: {kind}, bucket: {BUCKET}, prefix: mayfly/shop"
        yield bucket, f"spool: {{{place}, endpoint: '{bucket.address}', {_SETTINGS[kind]}}}\n"
