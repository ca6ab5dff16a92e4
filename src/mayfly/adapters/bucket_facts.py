"""What a bucket does with objects that are deleted, as its provider says it.

The library that carries objects does not ask that: boto3 (extra `aws`) and google-auth (extra
`gcp`) do, and only `doctor` needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mayfly.domain.aws_hosts import service_host
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.domain.settings import BucketSettings, SecretRef
from mayfly.privacy.closed_logs import close_logs

TIMEOUT_SECONDS = 5
_GCS = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_FIELDS = "location,versioning,softDeletePolicy,retentionPolicy,defaultEventBasedHold"
_DAY_SECONDS = 86_400
_CONSTRAINTS = {"": "us-east-1", "EU": "eu-west-1"}
"""What GetBucketLocation says of buckets that are older than its other answers."""
Reveal = Callable[[SecretRef], str]


@dataclass(frozen=True, kw_only=True)
class BucketFacts:
    """What becomes of what is deleted there, and where it is.

    Args:
        versioned: a deleted object stays as an earlier version.
        soft_delete_seconds: how long a deleted object can be restored; 0 where it cannot.
        lock_seconds: how long a new object cannot be deleted at all; None where until somebody
            releases it, 0 where it can.
        location: where it is, in small letters; empty where that is part of its address.
    """

    versioned: bool
    soft_delete_seconds: int = 0
    lock_seconds: int | None = 0
    location: str = ""


def read_bucket(settings: BucketSettings, reveal: Reveal) -> BucketFacts:
    """Ask the provider.

    Raises:
        ConfigError: `bucket_unknown`, the library is not installed or the right is missing; what
            `reveal` raises.
        TransientError: `bucket_unknown`, there is no answer.
    """
    return _read_gcs(settings, reveal) if settings.type == "gcs" else _read_s3(settings, reveal)


def bucket_region(settings: BucketSettings, reveal: Reveal) -> str:
    """Where a bucket is, in small letters, as its provider says when it is asked for nothing else.

    Raises:
        ConfigError, TransientError: as `read_bucket`.
    """
    if settings.type == "gcs":
        return _read_gcs(settings, reveal).location
    with _s3(settings, reveal) as client:
        # The answer to HeadBucket names the region even where the right to list is missing.
        found = client.head_bucket(Bucket=settings.bucket)["ResponseMetadata"]["HTTPHeaders"]
        region = found.get("x-amz-bucket-region")
        if region is None:
            located = client.get_bucket_location(Bucket=settings.bucket)
            region = _CONSTRAINTS.get(located.get("LocationConstraint") or "") or located.get(
                "LocationConstraint"
            )
        return str(region).lower()


@contextmanager
def _s3(settings: BucketSettings, reveal: Reveal) -> Iterator[Any]:
    config = _driver("botocore.config", "aws").Config(
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
        proxies={},
        ignore_configured_endpoint_urls=True,
        s3={"addressing_style": "path"},
    )
    errors = _driver("botocore.exceptions", "aws")
    close_logs("boto3", "botocore", "urllib3")
    given = {name: reveal(reference) for name, reference in settings.credentials.items()}
    address = settings.endpoint or f"https://{service_host('s3', settings.region)}"
    try:
        session = _driver("boto3.session", "aws").Session(
            region_name=settings.region,
            aws_access_key_id=given.get("access_key_id"),
            aws_secret_access_key=given.get("secret_access_key"),
            aws_session_token=given.get("session_token"),
        )
        yield session.client("s3", config=config, endpoint_url=address)
    except errors.ClientError as error:
        raise _refused(int(error.response["ResponseMetadata"]["HTTPStatusCode"])) from None
    except (errors.BotoCoreError, ValueError):
        raise _no_answer() from None


def _read_s3(settings: BucketSettings, reveal: Reveal) -> BucketFacts:
    with _s3(settings, reveal) as client:
        status = client.get_bucket_versioning(Bucket=settings.bucket).get("Status", "")
        return BucketFacts(
            versioned=status == "Enabled", lock_seconds=_lock_seconds(client, settings)
        )


def _lock_seconds(client: Any, settings: BucketSettings) -> int:
    errors = _driver("botocore.exceptions", "aws")
    try:
        answer = client.get_object_lock_configuration(Bucket=settings.bucket)
    except errors.ClientError as error:
        if error.response["Error"]["Code"] == "ObjectLockConfigurationNotFoundError":
            return 0
        raise
    rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    days = int(rule.get("Days", 0)) + 365 * int(rule.get("Years", 0))
    return days * _DAY_SECONDS


def _read_gcs(settings: BucketSettings, reveal: Reveal) -> BucketFacts:
    requests = _driver("google.auth.transport.requests", "gcp")
    close_logs("google.auth", "urllib3")
    address = f"{settings.endpoint or _GCS}/storage/v1/b/{settings.bucket}"
    headers: dict[str, str] = {}
    with _asked(), _session() as session:
        credentials = _google_credentials(settings, reveal)
        credentials.before_request(requests.Request(session), "GET", address, headers)
        reply = session.get(
            address,
            params={"fields": _FIELDS},
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        if reply.status_code != 200:
            raise _refused(reply.status_code)
        return _gcs_facts(reply.json())


def _session() -> Any:
    session = _driver("requests", "gcp").Session()
    session.trust_env = False
    return session


def _gcs_facts(found: Any) -> BucketFacts:
    held = bool(found.get("defaultEventBasedHold", False))
    return BucketFacts(
        versioned=bool(found.get("versioning", {}).get("enabled", False)),
        soft_delete_seconds=int(
            found.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0)
        ),
        lock_seconds=None
        if held
        else int(found.get("retentionPolicy", {}).get("retentionPeriod", 0)),
        location=str(found["location"]).lower(),
    )


def _google_credentials(settings: BucketSettings, reveal: Reveal) -> Any:
    """A key of a service account signs for itself, so that no token is fetched for it."""
    if (reference := settings.credentials.get("access_token")) is not None:
        return _driver("google.oauth2.credentials", "gcp").Credentials(reveal(reference))
    if (reference := settings.credentials.get("service_account_key")) is not None:
        return _driver("google.auth.jwt", "gcp").Credentials.from_service_account_info(
            json.loads(reveal(reference)), audience=f"{_GCS}/"
        )
    return _driver("google.auth", "gcp").default(scopes=[_SCOPE])[0]


@contextmanager
def _asked() -> Iterator[None]:
    """Texts of the libraries carry addresses and what the service wrote; none is passed on."""
    google = _driver("google.auth.exceptions", "gcp")
    requests = _driver("requests.exceptions", "gcp")
    try:
        yield
    except (google.GoogleAuthError, requests.RequestException):
        raise _no_answer() from None
    except (ValueError, KeyError, TypeError, AttributeError):
        # A key that is none, or an answer that is none.
        raise _no_answer() from None


def _driver(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise ConfigError(
            "bucket_unknown",
            "What the bucket does with deleted objects is not known: the library that asks is not "
            "installed.",
            hint=f'pip install "mayfly-data[{extra}]"',
        ) from None


def _refused(status: int) -> ConfigError | TransientError:
    if status >= 500 or status == 429:
        return _no_answer()
    return ConfigError(
        "bucket_unknown",
        f"What the bucket does with deleted objects is not known: it answers {status}.",
        hint="Give the right to read its settings: s3:GetBucketVersioning and "
        "s3:GetBucketObjectLockConfiguration, or storage.buckets.get; or check them yourself.",
    )


def _no_answer() -> TransientError:
    return TransientError(
        "bucket_unknown",
        "What the bucket does with deleted objects is not known: there is no answer.",
        hint="Check credentials and network; the bucket itself may work all the same.",
    )
