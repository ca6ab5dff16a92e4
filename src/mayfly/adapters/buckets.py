"""Buckets of S3 and Google Cloud Storage, through `obstore`.

The library is an extra (`objects`) and is only imported when a bucket is used. It reads many
settings from the environment unless they are given; what decides where bytes go and over what
(address, TLS, certificates, signing) is always given here. Its sockets are not Python's: the guard
on those is asked before each request instead. Nor can it be kept from following a redirect of a
request without a body of rows (`docs/decisions/0014-spool.md`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from mayfly.adapters.egress import require_host
from mayfly.domain.aws_hosts import credential_hosts, service_host
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import BucketSettings, SecretRef

if TYPE_CHECKING:
    from obstore.store import ClientConfig, GCSStore, RetryConfig, S3Store

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
_PREFIX = re.compile(r"([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_GCS = "https://storage.googleapis.com"
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_RETRIES = 3
_RETRY_SECONDS = 20
_TIMEOUT_SECONDS = 300  # one request carries a whole batch
_METADATA = frozenset({"metadata.google.internal", "169.254.169.254", "oauth2.googleapis.com"})
_NAMES = {"access_token": "bearer_token"}

Credentials = Mapping[str, Callable[[], str]]


class BucketError(Exception):
    """A request failed; adapters say it in their own words, and it travels no further.

    Args:
        kind: nothing is there of that name, or no such bucket; the credentials have no right;
            something is there of that name; it did not work, and may later.
        what: name of the library's error.
    """

    def __init__(self, kind: Literal["absent", "denied", "taken", "away"], what: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.what = what


class Bucket:
    """A folder of a bucket. Made by `s3_bucket` and `gcs_bucket`; opened by the first request.

    Calls block, and may run concurrently. Each may raise BucketError, ConfigError
    `driver_missing`, `bucket_proxy_set`, `bucket_credentials`, what revealing the credentials
    raises, and PolicyError `host_not_allowed`.
    """

    def __init__(
        self,
        make: Callable[[], S3Store | GCSStore],
        *,
        kind: str,
        name: str,
        prefix: str,
        address: str,
        env: Mapping[str, str],
    ) -> None:
        self._make = make
        self._store: S3Store | GCSStore | None = None
        self._lock = Lock()
        self._env = env
        # Whether one request removes many objects, absent ones too.
        self._deletes_many = kind == "s3"
        self._before = f"{prefix}/" if prefix else ""
        self.host = urlsplit(address).hostname or ""
        self.place = f"{kind}://{self.host}/{name}/{prefix}"

    def __repr__(self) -> str:
        return "Bucket()"

    def put(self, name: str, content: bytes, *, new: bool = False) -> None:
        """Write an object, in one request: parts of a larger upload would stay hidden if it ended.

        Args:
            name: within the folder.
            content: all of it.
            new: refuse (`taken`), by the service itself, where an object of that name is there.
        """
        with self._told() as store:
            import obstore

            mode: Literal["create", "overwrite"] = "create" if new else "overwrite"
            obstore.put(store, self._before + name, content, mode=mode, use_multipart=False)

    def get(self, name: str, bytes_max: int) -> bytes | None:
        """An object; None where it is larger."""
        with self._told() as store:
            import obstore

            found = obstore.get(store, self._before + name)
            return bytes(found.bytes()) if found.meta["size"] <= bytes_max else None

    def names(self) -> Sequence[str]:
        """Names of all objects below the folder, relative to it."""
        with self._told() as store:
            import obstore

            listed = obstore.list(store, self._before.removesuffix("/") or None)
            paths = [entry["path"] for chunk in listed for entry in chunk]
        return [path.removeprefix(self._before) for path in paths]

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there count as removed.

        Where the library takes any answer for a success, of whichever host it was led to, what the
        service still lists afterwards is `away`.
        """
        paths = [self._before + name for name in names]
        if self._deletes_many and paths:
            self._delete(paths)
            return
        for path in paths:
            try:
                self._delete(path)
            except BucketError as error:
                if error.kind != "absent":
                    raise
        if names and not set(names).isdisjoint(self.names()):
            raise BucketError("away", "NotRemovedError")

    def _delete(self, paths: str | Sequence[str]) -> None:
        with self._told() as store:
            import obstore

            obstore.delete(store, paths)

    def _opened(self) -> S3Store | GCSStore:
        with self._lock:
            if self._store is None:
                _refuse_proxy(self._env)
                try:
                    self._store = self._make()
                except ImportError:
                    raise _driver_missing() from None
            return self._store

    @contextmanager
    def _told(self) -> Iterator[S3Store | GCSStore]:
        """Texts of the library carry addresses and what the service wrote; none is passed on."""
        require_host(self.host)
        store = self._opened()
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        try:
            yield store
        except FileNotFoundError:
            raise BucketError("absent", "NotFoundError") from None
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise BucketError("denied", type(error).__name__) from None
        except AlreadyExistsError as error:
            raise BucketError("taken", type(error).__name__) from None
        except (BaseError, OSError) as error:
            raise BucketError("away", type(error).__name__) from None


def open_bucket(settings: BucketSettings, reveal: Callable[[SecretRef], str]) -> Bucket:
    """A bucket by its settings; nothing is read or connected to yet.

    Args:
        settings: of the bucket.
        reveal: gives the secret that a reference names; called by the first request.
    """
    credentials = {
        _NAMES.get(name, name): _later(reveal, reference)
        for name, reference in settings.credentials.items()
    }
    known: dict[str, Any] = {
        "prefix": settings.prefix,
        "endpoint": settings.endpoint or "",
        "credentials": credentials or None,
    }
    if settings.type == "gcs":
        return gcs_bucket(settings.bucket, **known)
    return s3_bucket(settings.bucket, region=settings.region, **known)


def bucket_hosts(settings: BucketSettings) -> frozenset[str]:
    """Hosts that a bucket needs: the service, and where the machine's credentials come from."""
    if settings.endpoint is not None:
        return frozenset({urlsplit(settings.endpoint).hostname or ""})
    if settings.type == "gcs":
        host, machine = urlsplit(_GCS).hostname or "", _METADATA
    else:
        host = service_host("s3", settings.region)
        machine = credential_hosts(settings.region)
    return frozenset({host}) | (frozenset() if settings.credentials else machine)


def s3_bucket(
    bucket: str,
    *,
    region: str,
    prefix: str = "",
    endpoint: str = "",
    credentials: Credentials | None = None,
    env: Mapping[str, str] = os.environ,
) -> Bucket:
    """A place in a bucket of S3, or of a service that speaks its protocol.

    Args:
        bucket: its name.
        region: of the bucket, such as `eu-west-1`.
        prefix: folder in the bucket, without slashes at its ends.
        endpoint: address of the service where it is not Amazon's: https, or http on loopback.
        credentials: `access_key_id`, `secret_access_key` and, where there is one, `session_token`.
            None takes what the machine offers: a role, or the variables of Amazon's own tools.
        env: the environment, in which no proxy may be set.

    Raises:
        ConfigError: `bucket_invalid`.
    """
    address = endpoint or f"https://{service_host('s3', region)}"
    _check(bucket, prefix, address, region)
    known = _known(credentials, ("access_key_id", "secret_access_key", "session_token"))

    def make() -> S3Store:
        from obstore.store import S3Store

        return S3Store(
            bucket,
            region=region,
            endpoint=address,
            # In the environment it would go before `endpoint`.
            aws_endpoint_url_s3=address,
            virtual_hosted_style_request=False,
            skip_signature=False,
            client_options=_client(address),
            retry_config=_retry(),
            **_given(known),
        )

    return Bucket(make, kind="s3", name=bucket, prefix=prefix, address=address, env=env)


def gcs_bucket(
    bucket: str,
    *,
    prefix: str = "",
    endpoint: str = "",
    credentials: Credentials | None = None,
    env: Mapping[str, str] = os.environ,
) -> Bucket:
    """A place in a bucket of Google Cloud Storage.

    Args:
        bucket: its name.
        prefix: folder in the bucket, without slashes at its ends.
        endpoint: address of the service where it is not Google's: https, or http on loopback.
        credentials: `service_account_key` (JSON) or `bearer_token`. None takes what the machine
            offers, as Google's own tools do.
        env: the environment, in which no proxy may be set.

    Raises:
        ConfigError: `bucket_invalid`.
    """
    address = endpoint or _GCS
    _check(bucket, prefix, address, "any")
    known = _known(credentials, ("service_account_key", "bearer_token"))

    def make() -> GCSStore:
        from obstore.exceptions import BaseError
        from obstore.store import GCSStore

        try:
            return GCSStore(
                bucket,
                base_url=address,
                skip_signature=False,
                client_options=_client(address),
                retry_config=_retry(),
                **_given(known),
            )
        except BaseError:
            raise ConfigError(
                "bucket_credentials",
                "The key of the bucket's service account cannot be read.",
                hint="It is the JSON that Google gives out for a service account.",
            ) from None

    return Bucket(make, kind="gs", name=bucket, prefix=prefix, address=address, env=env)


def _check(bucket: str, prefix: str, address: str, region: str) -> None:
    parts = urlsplit(address)
    is_https = parts.scheme == "https" and parts.hostname and not parts.path
    if not (
        _BUCKET.fullmatch(bucket)
        and _PREFIX.fullmatch(prefix)
        and _REGION.fullmatch(region)
        and (is_https or _LOOPBACK.fullmatch(address))
    ):
        raise ConfigError(
            "bucket_invalid",
            "Bucket, region, prefix or address has a form that no bucket has.",
            hint="An address is https://HOST, or http:// on 127.0.0.1; a prefix ends in no slash.",
        )


def _refuse_proxy(env: Mapping[str, str]) -> None:
    if any(value for name, value in env.items() if name.lower() in _PROXIES):
        raise ConfigError(
            "bucket_proxy_set",
            "The environment names a proxy, which the driver of buckets would use unasked.",
            hint="Unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY for Mayfly.",
        )


def _driver_missing() -> ConfigError:
    return ConfigError(
        "driver_missing",
        "A bucket needs the package obstore.",
        hint='Install it with `pip install "mayfly-data[objects]"`.',
    )


def _client(address: str) -> ClientConfig:
    return {
        "allow_http": address.startswith("http://"),
        "allow_invalid_certificates": False,
        "timeout": timedelta(seconds=_TIMEOUT_SECONDS),
    }


def _retry() -> RetryConfig:
    return {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}


def _known(credentials: Credentials | None, names: tuple[str, ...]) -> Credentials:
    if set(credentials or {}) - set(names):
        raise ConfigError("bucket_invalid", f"Credentials of a bucket are {', '.join(names)}.")
    return credentials or {}


def _given(credentials: Credentials) -> dict[str, Any]:
    return {name: reveal() for name, reveal in credentials.items()}


def _later(reveal: Callable[[SecretRef], str], reference: SecretRef) -> Callable[[], str]:
    return lambda: reveal(reference)
