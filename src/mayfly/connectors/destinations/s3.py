"""Objects in a bucket of Amazon S3, one for each batch.

Requests are signed by Amazon's library and go out as all others do: to the bucket's own region and
no other host, whatever an answer says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from mayfly.connectors.destinations import s3_requests as s3
from mayfly.connectors.destinations.batch_files import NOTES, BatchFiles, Written, files_spec
from mayfly.connectors.destinations.batch_objects import NOTHING, Found, Objects
from mayfly.connectors.http_replies import check_endpoint
from mayfly.domain.aws_hosts import credential_hosts, service_host
from mayfly.domain.errors import ContractError, TransientError
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest, HostsRequest
from mayfly.ports.http import HttpClient, HttpReply

REQUEST_SECONDS, UPLOAD_SECONDS = 30.0, 600.0
LISTED_MAX = 10_000
_REGION = re.compile(r"[a-z0-9-]{1,32}")

SPEC = files_spec("s3")


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Where objects go.

    Args:
        bucket: its name.
        region: where it must lie.
        prefix: folder in it, without slashes at its ends.
        keys: that sign.
        kms_key: ARN of the key that encrypts objects; empty leaves that to the bucket.
        bucket_owner: id of the account that the bucket must belong to; empty where any may.
        endpoint: Amazon's own, or literal loopback.

    Raises:
        ConfigError: `bad_endpoint`.
    """

    bucket: str
    region: str
    prefix: str = ""
    keys: s3.S3Keys = field(default_factory=s3.S3Keys, repr=False)
    kms_key: str = ""
    bucket_owner: str = ""
    endpoint: str = ""

    def __post_init__(self) -> None:
        check_endpoint(self.address, service_host("s3", self.region))

    @property
    def address(self) -> str:
        """Of the service."""
        return self.endpoint or f"https://{service_host('s3', self.region)}"


class S3Bucket:
    """The requests of S3; see `batch_objects.Bucket`."""

    def __init__(self, settings: S3Settings, http: HttpClient) -> None:
        self._settings = settings
        self._http = http
        self._signer = s3.Signer(settings.keys, settings.region)
        self._before = f"{settings.prefix}/" if settings.prefix else ""
        self._url = f"{settings.address}/{settings.bucket}"

    async def observe(self) -> None:
        """See `Bucket.observe`."""
        reply = await self._ask("HEAD", self._url)
        found = reply.headers.get("x-amz-bucket-region", "")
        region = found if _REGION.fullmatch(found) else ""
        if region and region != self._settings.region:
            raise s3.elsewhere(region)
        if reply.status != 200:
            raise s3.refusal(reply)
        if not region:
            raise ContractError("unknown_answer", "S3 does not say where the bucket lies.")

    async def head(self, name: str) -> Found | None:
        """See `Bucket.head`."""
        reply = await self._ask("HEAD", self._object(name))
        if reply.status == 404:
            return None
        tag = reply.headers.get("etag", "")
        if reply.status != 200:
            raise s3.refusal(reply)
        if not tag:
            raise ContractError("unknown_answer", "S3 gives no tag of an object.")
        return Found(tag=tag, rows=s3.rows_of(reply))

    async def create(self, name: str, content: bytes, *, rows: int, over: str | None) -> bool:
        """See `Bucket.create`."""
        kms_key = self._settings.kms_key
        headers = s3.put_headers(rows, kms_key=kms_key, over=over)
        reply = await self._ask("PUT", self._object(name), headers, content)
        if reply.status == 412:
            return False
        if reply.status == 404 and s3.error_code(reply) == "NoSuchKey":
            raise TransientError("object_changed", "An object that was to be replaced is gone.")
        if reply.status != 200:
            raise s3.refusal(reply)
        s3.require_encrypted(reply, kms_key)
        return True

    async def names(self, start: str) -> Sequence[Written]:
        """See `Bucket.names`."""
        found: list[Written] = []
        query = {"list-type": "2", "prefix": self._before + start}
        while True:
            reply = await self._ask("GET", f"{self._url}?{urlencode(query, quote_via=quote)}")
            if reply.status != 200:
                raise s3.refusal(reply)
            page, following = s3.listed(reply, self._name)
            found += page
            if not following or len(found) >= LISTED_MAX:
                return found
            query["continuation-token"] = following

    async def close(self) -> None:
        """See `Bucket.close`."""
        await self._http.close()

    def _object(self, name: str) -> str:
        return f"{self._url}/{self._before}{name}"

    def _name(self, key: str) -> str:
        return key.removeprefix(self._before) if key.startswith(self._before) else ""

    async def _ask(
        self, method: str, url: str, headers: dict[str, str] | None = None, content: bytes = b""
    ) -> HttpReply:
        owner = self._settings.bucket_owner
        mine = {"x-amz-expected-bucket-owner": owner} if owner else {}
        # In a thread: digests of a whole file, and the machine's credentials perhaps.
        signed = await asyncio.to_thread(
            self._signer.signed, method, url, {**(headers or {}), **mine}, content
        )
        return await self._http.request(
            method,
            url,
            headers=signed,
            content=content or None,
            timeout_seconds=UPLOAD_SECONDS if content else REQUEST_SECONDS,
        )


def make(settings: S3Settings, http: HttpClient) -> Objects:
    """The bucket as a place of files."""
    return Objects(S3Bucket(settings, http))


def _open(request: DestinationRequest) -> BatchFiles:
    settings = S3Settings(
        bucket=request.text("bucket"),
        region=request.text("region"),
        prefix=request.text("prefix"),
        keys=s3.S3Keys(
            access_key_id=request.secret_if("access_key_id"),
            secret_access_key=request.secret_if("secret_access_key"),
            session_token=request.secret_if("session_token"),
        ),
        kms_key=request.text("kms_key"),
        bucket_owner=request.text("bucket_owner"),
        endpoint=request.settings.endpoint or "",
    )
    place = make(settings, request.connect())
    return BatchFiles(place, request.text("format", "parquet"), request.context)


def _hosts(request: HostsRequest) -> frozenset[str]:
    options = request.settings.options
    region = str(options.get("region", ""))
    machine = frozenset() if options.get("access_key_id") else credential_hosts(region)
    return machine | {service_host("s3", region)}


PAGE = ConnectorPage(
    title="Amazon S3",
    example="""
destinations:
  lake:
    type: s3
    kind: internal
    owner: Data team
    reason: our own lake
    bucket: shop-customers
    region: eu-west-1
    prefix: mayfly/shop
    format: parquet
    access_key_id: env:LAKE_KEY_ID
    secret_access_key: env:LAKE_KEY
syncs:
  people_to_lake:
    id: people_to_lake
    model: people
    destination: lake
    mode: append
    mapping: {id: id, email: email, city: city}
""",
    rights=(
        '`pip install "mayfly-data[s3]"`: Amazon\'s library, which signs.',
        "`s3:ListBucket` on the bucket: whether it is there and where, and whether a file is there "
        "(without it Amazon answers 403 where there is none).",
        "`s3:PutObject` and `s3:GetObject` on the objects below `prefix`; of these only heads are "
        "read. With `kms_key`, `kms:GenerateDataKey` on that key.",
        "Without keys in the project, what the machine offers: a role, or the variables and files "
        "of Amazon's own tools.",
    ),
    notes=(
        *NOTES,
        "A file is put by one request whose body is signed, and only where none of its name is "
        "there (`If-None-Match`): no upload leaves parts behind. " + NOTHING,
        "Before the first file of a run the bucket is asked where it lies; another region than "
        "`region` is refused (`bucket_elsewhere`). `bucket_owner` refuses a bucket of another "
        "account. `kms_key` has each object encrypted with that key, and an answer that does not "
        "say so fails the run (`not_encrypted`).",
    ),
    untested=(
        "Amazon's own service: all of this is held to moto's S3, which checks signatures, and "
        "regions, keys of KMS and bucket owners as far as moto has them.",
        "Services of others that speak S3; only Amazon's hosts are connected to.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("bucket", "region", "prefix", "format"),
    hosts=_hosts,
    page=PAGE,
)
