"""Buckets on loopback as the place of a project's spool, and as its anchor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from buckets import ACCESS_KEY, BUCKET, SECRET_KEY, TOKEN, Bucket, bucket_service

_SECRETS = {"S3_ID": ACCESS_KEY, "S3_SECRET": SECRET_KEY, "GCS_TOKEN": TOKEN}
_S3_KEYS = "region: eu-west-1, access_key_id: env:S3_ID, secret_access_key: env:S3_SECRET"


@contextmanager
def spool_bucket(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, str]]:
    """An empty bucket, and the part of the project files that names it; secrets are set."""
    google = "region: europe-west1, access_token: env:GCS_TOKEN"
    settings = f"prefix: mayfly/shop, {google if kind == 'gcs' else _S3_KEYS}"
    with _served(kind, settings, monkeypatch) as (bucket, text):
        yield bucket, f"spool: {text}\n"


@contextmanager
def anchor_bucket(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Bucket, str]]:
    """The same as the anchor `audit`."""
    settings = "access_token: env:GCS_TOKEN" if kind == "gcs" else _S3_KEYS
    with _served(kind, settings, monkeypatch) as (bucket, text):
        yield bucket, f"anchors:\n  audit: {text}\n"


@contextmanager
def _served(
    kind: str, settings: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Bucket, str]]:
    for name, value in _SECRETS.items():
        monkeypatch.setenv(name, value)
    with bucket_service() as bucket:
        place = f"type: {kind}, bucket: {BUCKET}, endpoint: '{bucket.address}'"
        yield bucket, f"{{{place}, {settings}}}"
