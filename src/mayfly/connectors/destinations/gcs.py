"""Objects in a bucket of Google Cloud Storage, one for each batch, through its JSON interface."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import orjson

from mayfly.connectors.destinations.batch_files import NOTES, BatchFiles, Written, files_spec
from mayfly.connectors.destinations.batch_objects import NOTHING, Found, Objects
from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.google_keys import service_account_key
from mayfly.connectors.http_replies import (
    check_endpoint,
    json_object,
    refused,
    try_json,
    vendor_code,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
from mayfly.ports.http import HttpClient, HttpReply
from mayfly.ports.source_spec import Revealed
from mayfly.privacy.closed_logs import close_logs

HOST = "storage.googleapis.com"
REQUEST_SECONDS, UPLOAD_SECONDS = 30.0, 600.0
LISTED_MAX = 10_000
VENDOR = "Google Cloud Storage"
ROWS = "mayfly-rows"
_AUDIENCE = f"https://{HOST}/"
_FIELDS = "name,generation,size,md5Hash,kmsKeyName"
_BUSY = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})

SPEC = files_spec("gcs", frozenset({HOST}))


@dataclass(frozen=True, kw_only=True)
class GcsSettings:
    """Where objects go. One of the two credentials is given.

    Args:
        bucket: its name.
        region: its location, in small letters, where it must lie.
        prefix: folder in it, without slashes at its ends.
        service_account_key: the JSON of a service account's key, which signs for itself.
        access_token: of OAuth 2.0, that somebody else keeps fresh.
        kms_key: that encrypts objects; empty leaves that to the bucket.
        endpoint: Google's own, or literal loopback.

    Raises:
        ConfigError: `bad_endpoint`.
    """

    bucket: str
    region: str
    prefix: str = ""
    service_account_key: Revealed | None = field(default=None, repr=False)
    access_token: Revealed | None = field(default=None, repr=False)
    kms_key: str = ""
    endpoint: str = f"https://{HOST}"

    def __post_init__(self) -> None:
        check_endpoint(self.endpoint, HOST)


class _Tokens(Protocol):
    def token(self) -> str:
        """What authorises the next request."""


class _Given:
    def __init__(self, token: Revealed) -> None:
        self._token = token

    def token(self) -> str:
        return self._token.reveal()


class _Account:
    """A service account, which signs a statement for each hour (a self-signed JWT)."""

    def __init__(self, credentials: Revealed) -> None:
        jwt = optional_driver("google.auth.jwt", kind="gcs", logs=["google"], of="Destinations")
        key = service_account_key("a destination of type gcs", credentials)
        try:
            self._credentials: Any = jwt.Credentials.from_service_account_info(
                key, audience=_AUDIENCE
            )
        except (ValueError, TypeError):
            raise ConfigError(
                "credentials_invalid",
                "The private key of a service account cannot be read.",
                hint="Put the whole text of the key's file there, as Google gave it.",
            ) from None

    def token(self) -> str:
        if not self._credentials.valid:
            self._credentials.refresh(None)
        return bytes(self._credentials.token).decode("ascii")


class GcsBucket:
    """The requests of Google Cloud Storage; see `batch_objects.Bucket`."""

    def __init__(self, settings: GcsSettings, http: HttpClient) -> None:
        close_logs("google")
        self._settings = settings
        self._http = http
        self._tokens = _tokens(settings)
        self._before = f"{settings.prefix}/" if settings.prefix else ""
        self._url = f"{settings.endpoint}/storage/v1/b/{settings.bucket}"
        self._upload = f"{settings.endpoint}/upload/storage/v1/b/{settings.bucket}/o"

    async def observe(self) -> None:
        """See `Bucket.observe`."""
        found = _told(await self._ask("GET", self._url, {"fields": "location"}))
        location = str(found.get("location", "")).lower()
        if location != self._settings.region.lower():
            raise ConfigError(
                "bucket_elsewhere",
                f"The bucket does not lie in {self._settings.region}, as the project declares.",
                hint="Nothing was written. Correct `region`, if the data may be there.",
            )

    async def head(self, name: str) -> Found | None:
        """See `Bucket.head`."""
        url = f"{self._url}/o/{quote(self._before + name, safe='')}"
        reply = await self._ask("GET", url, {"fields": "generation,metadata"})
        if reply.status == 404:
            return None
        found = _told(reply)
        rows = (found.get("metadata") or {}).get(ROWS, "")
        return Found(tag=_generation(found), rows=int(rows) if rows.isdecimal() else None)

    async def create(self, name: str, content: bytes, *, rows: int, over: str | None) -> bool:
        """See `Bucket.create`."""
        params = {
            "uploadType": "multipart",
            "ifGenerationMatch": over or "0",
            "fields": _FIELDS,
        }
        if self._settings.kms_key:
            params["kmsKeyName"] = self._settings.kms_key
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        about = {"name": self._before + name, "md5Hash": digest, "metadata": {ROWS: str(rows)}}
        kind, body = await asyncio.to_thread(related, about, content)
        reply = await self._ask("POST", self._upload, params, body, {"content-type": kind})
        if reply.status == 412:
            return False
        found = _told(reply)
        sent = (self._before + name, str(len(content)), digest)
        if (found.get("name"), found.get("size"), found.get("md5Hash")) != sent:
            raise ContractError("unknown_answer", f"{VENDOR} took another object than was sent.")
        self._require_encrypted(str(found.get("kmsKeyName", "")))
        return True

    async def names(self, start: str) -> Sequence[Written]:
        """See `Bucket.names`."""
        fields = "items(name,timeCreated),nextPageToken"
        params = {"prefix": self._before + start, "fields": fields}
        found: list[Written] = []
        while True:
            page = _told(await self._ask("GET", f"{self._url}/o", params))
            found += [
                Written(
                    name=str(item["name"]).removeprefix(self._before),
                    day=str(item["timeCreated"])[:10],
                )
                for item in page.get("items", [])
            ]
            following = page.get("nextPageToken")
            if not following or len(found) >= LISTED_MAX:
                return found
            params["pageToken"] = str(following)

    async def close(self) -> None:
        """See `Bucket.close`."""
        await self._http.close()

    def _require_encrypted(self, told: str) -> None:
        wanted = self._settings.kms_key
        if wanted and not told.startswith(f"{wanted}/cryptoKeyVersions/"):
            raise ContractError(
                "not_encrypted",
                f"{VENDOR} took an object and does not say that it is encrypted with the key of "
                "the project.",
                hint="Look at the object's encryption, and at `kms_key`.",
            )

    async def _ask(
        self,
        method: str,
        url: str,
        params: Mapping[str, str],
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpReply:
        return await self._http.request(
            method,
            url,
            params=params,
            headers={"authorization": f"Bearer {self._tokens.token()}", **(headers or {})},
            content=content,
            timeout_seconds=REQUEST_SECONDS if content is None else UPLOAD_SECONDS,
        )


def related(about: Mapping[str, object], content: bytes) -> tuple[str, bytes]:
    """An object and what is said of it as one body (`multipart/related`), with its media type."""
    boundary = secrets.token_hex(24)
    parts = (
        f"--{boundary}\r\ncontent-type: application/json\r\n\r\n".encode(),
        orjson.dumps(about),
        f"\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n\r\n".encode(),
        content,
        f"\r\n--{boundary}--\r\n".encode(),
    )
    return f"multipart/related; boundary={boundary}", b"".join(parts)


def _told(reply: HttpReply) -> Mapping[str, Any]:
    """The object of an answer that is a success."""
    if reply.status == 200:
        return json_object(reply, VENDOR)
    raise refusal(reply)


def refusal(reply: HttpReply) -> EngineError:
    """Any answer that is no success, as our error. Pure."""
    reason = _reason(reply)
    shown = f"HTTP {reply.status}" + (f", {reason}" if reason else "")
    if reason in _BUSY:
        return refused(HttpReply(status=429, headers=reply.headers, body=b""), VENDOR, reason)
    if reply.status in (409, 410, 412):
        return TransientError("destination_busy", f"{VENDOR} cannot answer now ({shown}).")
    if reply.status == 404:
        return ConfigError(
            "bucket_missing",
            f"There is no such bucket ({shown}).",
            hint="Make it, or correct `bucket`.",
        )
    return refused(reply, VENDOR, reason)


def _reason(reply: HttpReply) -> str:
    """Google's own code; empty where there is none."""
    body = try_json(reply)
    error = body.get("error") if isinstance(body, dict) else None
    errors = error.get("errors") if isinstance(error, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return vendor_code(first.get("reason")) if isinstance(first, dict) else ""


def _generation(found: Mapping[str, Any]) -> str:
    generation = str(found.get("generation", ""))
    if not generation.isdecimal():
        raise ContractError("unknown_answer", f"{VENDOR} gives no generation of an object.")
    return generation


def _tokens(settings: GcsSettings) -> _Tokens:
    if settings.service_account_key is not None:
        return _Account(settings.service_account_key)
    if settings.access_token is None:
        raise ConfigError("secret_missing", "A bucket of Google needs a key or a token.")
    return _Given(settings.access_token)


def make(settings: GcsSettings, http: HttpClient) -> Objects:
    """The bucket as a place of files."""
    return Objects(GcsBucket(settings, http))


def _open(request: DestinationRequest) -> BatchFiles:
    settings = GcsSettings(
        bucket=request.text("bucket"),
        region=request.text("region"),
        prefix=request.text("prefix"),
        service_account_key=request.secret_if("service_account_key"),
        access_token=request.secret_if("access_token"),
        kms_key=request.text("kms_key"),
        endpoint=request.settings.endpoint or f"https://{HOST}",
    )
    place = make(settings, request.connect())
    return BatchFiles(place, request.text("format", "parquet"), request.context)


PAGE = ConnectorPage(
    title="Google Cloud Storage",
    example="""
destinations:
  lake:
    type: gcs
    kind: internal
    owner: Data team
    reason: our own lake
    bucket: shop-customers
    region: europe-west1
    prefix: mayfly/shop
    format: parquet
    service_account_key: file:~/keys/lake.json
syncs:
  people_to_lake:
    id: people_to_lake
    model: people
    destination: lake
    mode: append
    mapping: {id: id, email: email, city: city}
""",
    rights=(
        '`pip install "mayfly-data[gcs]"`: Google\'s library, which signs with the key of a '
        "service account. With `access_token` nothing is needed.",
        "`storage.buckets.get` (role Storage Legacy Bucket Reader): where the bucket lies.",
        "`storage.objects.create`, `storage.objects.get` and `storage.objects.list` (of objects "
        "only what is said of them is read), and `storage.objects.delete` to put a file in place "
        "of one without rows.",
        "With `kms_key`, the bucket's own service agent needs "
        "`cloudkms.cryptoKeyVersions.useToEncrypt` on it.",
    ),
    notes=(
        *NOTES,
        "A file is put by one request, with its MD5, and only where none of its name is there "
        f"(`ifGenerationMatch=0`): no upload leaves parts behind. {NOTHING}",
        "Before the first file of a run the bucket is asked where it lies; another location than "
        "`region` is refused (`bucket_elsewhere`). `kms_key` has each object encrypted with that "
        "key, and an answer that does not say so fails the run (`not_encrypted`).",
        "Google keeps deleted objects for seven days unless the bucket's soft delete is off.",
    ),
    untested=(
        "Google's own service: requests are held to a sandbox after its documentation, which "
        "Google's own client is held to, too.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC, open=_open, address=("bucket", "region", "prefix", "format"), page=PAGE
)
