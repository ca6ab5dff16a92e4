"""Sealed bytes as objects of a bucket in S3 or Google Cloud Storage, through `obstore`.

The library is an extra (`objects`) and is only imported when a bucket is opened. It reads many
settings from the environment unless they are given; what decides where bytes go and over what
(address, TLS, certificates, signing) is always given here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mayfly.adapters.spools.blobs import BLOB_BYTES_MAX
from mayfly.domain.errors import ConfigError, TransientError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSStore, RetryConfig, S3Store

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
_PREFIX = re.compile(r"([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9-]+\.spool")
_GCS = "https://storage.googleapis.com"
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_RETRIES = 3
_RETRY_SECONDS = 20
_TIMEOUT_SECONDS = 300  # one request carries a whole batch


class ObjectBlobs:
    """See `Blobs`. Made by `s3_blobs` and `gcs_blobs`."""

    def __init__(
        self, store: S3Store | GCSStore, *, place: str, prefix: str, host: str, deletes_many: bool
    ) -> None:
        """Both functions below say what is needed.

        Args:
            store: the bucket.
            place: names it.
            prefix: folder in it.
            host: name of the service, for the list of hosts that a worker may reach.
            deletes_many: whether one request removes many objects, absent ones too.
        """
        self._store = store
        self._deletes_many = deletes_many
        self._place = place
        self._before = f"{prefix}/" if prefix else ""
        self.host = host

    def __repr__(self) -> str:
        return "ObjectBlobs()"

    @property
    def place(self) -> str:
        """Scheme, host, bucket and prefix."""
        return self._place

    @property
    def is_shared(self) -> bool:
        """Several machines may use one bucket, each with keys of its own."""
        return True

    def put(self, name: str, content: bytes) -> None:
        """See `Blobs.put`. One request: parts of a larger upload would stay hidden if it ended."""
        import obstore

        with _place_needed(), _translated():
            obstore.put(self._store, self._path(name), content, use_multipart=False)

    def get(self, name: str) -> bytes | None:
        """See `Blobs.get`."""
        import obstore

        path = self._path(name)
        try:
            with _translated():
                found = obstore.get(self._store, path)
                if found.meta["size"] > BLOB_BYTES_MAX:
                    return None
                return bytes(found.bytes())
        except _AbsentError:
            return None

    def names(self, beginning: str) -> Iterator[str]:
        """See `Blobs.names`."""
        import obstore

        with _place_needed(), _translated():
            # The service lists folders, so that the beginning of a name is looked at here.
            listed = obstore.list(self._store, self._before.removesuffix("/") or None)
            paths = [entry["path"] for chunk in listed for entry in chunk]
        found = (path.removeprefix(self._before) for path in paths)
        yield from sorted(n for n in found if _NAME.fullmatch(n) and n.startswith(beginning))

    def delete(self, names: Sequence[str]) -> None:
        """See `Blobs.delete`."""
        import obstore

        paths = [self._path(name) for name in names]
        if self._deletes_many and paths:
            with _place_needed(), _translated():
                obstore.delete(self._store, paths)
            return
        for path in paths:
            with suppress(_AbsentError), _translated():
                obstore.delete(self._store, path)

    def _path(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("a sealed object's name is letters, digits and dashes")
        return self._before + name


def s3_blobs(
    bucket: str,
    *,
    region: str,
    prefix: str = "",
    endpoint: str = "",
    credentials: Mapping[str, str] | None = None,
    env: Mapping[str, str] = os.environ,
) -> ObjectBlobs:
    """A place in a bucket of S3, or of a service that speaks its protocol.

    Args:
        bucket: its name.
        region: of the bucket, such as `eu-west-1`.
        prefix: folder in the bucket, without slashes at its ends.
        endpoint: address of the service where it is not Amazon's: https, or http on loopback.
        credentials: `access_key_id`, `secret_access_key` and, where there is one, `session_token`.
            None takes what the machine offers (role, environment), as Amazon's own tools do.
        env: the environment, in which no proxy may be set.

    Raises:
        ConfigError: `driver_missing`, `spool_bucket_invalid`, `spool_proxy_set`.
    """
    host = endpoint or f"https://s3.{region}.amazonaws.com"
    _check(bucket, prefix, host, region, env)
    with _driver():
        from obstore.store import S3Store
    store = S3Store(
        bucket,
        region=region,
        endpoint=host,
        # In the environment it would go before `endpoint`.
        aws_endpoint_url_s3=host,
        virtual_hosted_style_request=False,
        skip_signature=False,
        client_options=_client(host),
        retry_config=_retry(),
        **_given(credentials, ("access_key_id", "secret_access_key", "session_token")),
    )
    return _made(store, "s3", bucket, prefix, host)


def gcs_blobs(
    bucket: str,
    *,
    prefix: str = "",
    endpoint: str = "",
    credentials: Mapping[str, str] | None = None,
    env: Mapping[str, str] = os.environ,
) -> ObjectBlobs:
    """A place in a bucket of Google Cloud Storage.

    Args:
        bucket: its name.
        prefix: folder in the bucket, without slashes at its ends.
        endpoint: address of the service where it is not Google's: https, or http on loopback.
        credentials: `service_account_key` (JSON) or `bearer_token`. None takes what the machine
            offers, as Google's own tools do.
        env: the environment, in which no proxy may be set.

    Raises:
        ConfigError: `driver_missing`, `spool_bucket_invalid`, `spool_proxy_set`.
    """
    host = endpoint or _GCS
    _check(bucket, prefix, host, "any", env)
    with _driver():
        from obstore.store import GCSStore
    store = GCSStore(
        bucket,
        base_url=host,
        skip_signature=False,
        client_options=_client(host),
        retry_config=_retry(),
        **_given(credentials, ("service_account_key", "bearer_token")),
    )
    return _made(store, "gs", bucket, prefix, host)


class _AbsentError(Exception):
    """Nothing is there under that name."""


@contextmanager
def _place_needed() -> Iterator[None]:
    try:
        yield
    except _AbsentError:
        raise ConfigError(
            "spool_place_missing",
            "The bucket of the spool is not there.",
            hint="Make it in the worker's region, without versions and closed to others.",
        ) from None


@contextmanager
def _translated() -> Iterator[None]:
    """Texts of the library carry addresses and what the service wrote; none is passed on."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except FileNotFoundError:
        raise _AbsentError from None
    except (PermissionDeniedError, UnauthenticatedError):
        raise ConfigError(
            "spool_denied",
            "The bucket of the spool refuses this worker's credentials.",
            hint="Give them the right to write, read, list and delete objects there.",
        ) from None
    except (BaseError, OSError) as error:
        raise TransientError(
            "spool_unavailable",
            f"The bucket of the spool does not answer ({type(error).__name__}).",
            hint="Nothing was lost; run again, and check bucket and rights if it lasts.",
        ) from None


@contextmanager
def _driver() -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise ConfigError(
            "driver_missing",
            "A spool in a bucket needs the package obstore.",
            hint='Install it with `pip install "mayfly-data[objects]"`.',
        ) from None


def _check(bucket: str, prefix: str, host: str, region: str, env: Mapping[str, str]) -> None:
    address = urlsplit(host)
    is_https = address.scheme == "https" and address.hostname and not address.path
    if not (
        _BUCKET.fullmatch(bucket)
        and _PREFIX.fullmatch(prefix)
        and _REGION.fullmatch(region)
        and (is_https or _LOOPBACK.fullmatch(host))
    ):
        raise ConfigError(
            "spool_bucket_invalid",
            "Bucket, region, prefix or address of the spool has a form that no bucket has.",
            hint="An address is https://HOST, or http:// on 127.0.0.1; a prefix ends in no slash.",
        )
    if any(value for name, value in env.items() if name.lower() in _PROXIES):
        raise ConfigError(
            "spool_proxy_set",
            "The environment names a proxy, which the driver of buckets would use unasked.",
            hint="Unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY for Mayfly.",
        )


def _client(host: str) -> ClientConfig:
    return {
        "allow_http": host.startswith("http://"),
        "allow_invalid_certificates": False,
        "timeout": timedelta(seconds=_TIMEOUT_SECONDS),
    }


def _retry() -> RetryConfig:
    return {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}


def _given(credentials: Mapping[str, str] | None, known: tuple[str, ...]) -> dict[str, Any]:
    unknown = set(credentials or {}) - set(known)
    if unknown:
        raise ConfigError(
            "spool_bucket_invalid",
            f"Credentials of the spool's bucket are {', '.join(known)}.",
        )
    return dict(credentials or {})


def _made(store: S3Store | GCSStore, kind: str, bucket: str, prefix: str, host: str) -> ObjectBlobs:
    name = urlsplit(host).hostname or ""
    return ObjectBlobs(
        store,
        place=f"{kind}://{name}/{bucket}/{prefix}",
        prefix=prefix,
        host=name,
        deletes_many=kind == "s3",
    )
