"""Google Cloud Storage over its JSON interface, as strict as its documentation, in memory.

Every bucket is there, in one location unless a test says another. Uploads are `multipart` alone:
the one way that the connector takes.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import unquote

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

AUDIENCE = "https://storage.googleapis.com/"
LOCATION = "EUROPE-WEST1"
LIFE_SECONDS, SKEW_SECONDS = 3_600, 300
_OBJECTS = re.compile(r"/storage/v1/b/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/o")
_OBJECT = re.compile(r"(?:/download)?/storage/v1/b/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/o/([^/]+)")
_BUCKET = re.compile(r"/storage/v1/b/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])")
_UPLOAD = re.compile(r"/upload/storage/v1/b/([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/o")
_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_ALWAYS = {"fields", "prettyPrint", "projection", "alt", "quotaUser", "userIp"}
_REASONS = {
    400: "invalid",
    401: "authError",
    403: "forbidden",
    404: "notFound",
    405: "methodNotAllowed",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    503: "backendError",
}


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """One object of a bucket."""

    content: bytes
    generation: int
    metadata: Mapping[str, str]
    content_type: str
    kms_key: str = ""
    created: str = "2026-11-29T12:00:00.000Z"


@dataclass(kw_only=True)
class _Wrong(Exception):  # noqa: N818, an answer
    status: int
    reason: str = ""


@dataclass(kw_only=True)
class GcsVendor:
    """See `Vendor`.

    Attributes:
        tokens: the bearer tokens that work; None takes any.
        accounts: public key of each service account, by its e-mail; where there is none, no
            signature is checked.
        locations: of buckets that lie elsewhere.
        absent: names of buckets that are not there.
        no_right: rights that the credentials lack: `get` of buckets, `create`, `read` or `list`
            of objects.
        objects: by bucket and name.
        page: how many names a listing gives at once.
    """

    tokens: frozenset[str] | None = None
    name: str = "gcs"
    accounts: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.locations: dict[str, str] = {}
        self.absent: set[str] = set()
        self.no_right: set[str] = set()
        self.objects: dict[tuple[str, str], StoredObject] = {}
        self.page = 1_000
        self._generation = 1_764_417_600_000_000

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        starts = ("/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/")
        return path.startswith(starts)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        return _error(400 if kind == "100" else int(kind), headers=headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: names in a bucket."""
        bucket = query.get("audience", "")
        return sorted(name for place, name in self.objects if place == bucket)

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        buckets = sorted({place for place, _ in self.objects})
        return [{"name": b, "count": len(self.members({"audience": b}))} for b in buckets]

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`; there are no rows to refuse one of."""
        del partial
        try:
            self._authorise(request.headers.get("authorization", ""))
            return self._routed(request, body)
        except _Wrong as wrong:
            return _error(wrong.status, wrong.reason)

    def _routed(self, request: Request, body: bytes) -> Response:
        path = request.scope["raw_path"].decode("ascii").partition("?")[0]
        query, method = dict(request.query_params), request.method
        if method == "POST" and (found := _UPLOAD.fullmatch(path)):
            return self._insert(self._bucket(found[1]), query, request.headers, body)
        if found := _OBJECT.fullmatch(path):
            return self._one(method, self._bucket(found[1]), unquote(found[2]), query)
        if method == "GET" and (found := _OBJECTS.fullmatch(path)):
            return self._list(self._bucket(found[1]), query)
        if method == "GET" and (found := _BUCKET.fullmatch(path)):
            self._require("get")
            _only(query)
            location = self.locations.get(self._bucket(found[1]), LOCATION)
            return _fields({"name": found[1], "location": location, "id": found[1]}, query)
        raise _Wrong(status=404)

    def _insert(
        self, bucket: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> Response:
        self._require("create")
        _only(query, "uploadType", "ifGenerationMatch", "kmsKeyName", "name")
        if query.get("uploadType") != "multipart":
            raise _Wrong(status=400)
        about, kind, content = _parts(headers.get("content-type", ""), body)
        name = str(about.get("name", ""))
        if not 1 <= len(name.encode()) <= 1_024 or "\n" in name or "\r" in name:
            raise _Wrong(status=400, reason="required")
        if about.get("md5Hash") not in (None, _md5(content)):
            raise _Wrong(status=400)
        metadata = about.get("metadata", {})
        if not all(isinstance(value, str) for value in metadata.values()):
            raise _Wrong(status=400)
        known = self.objects.get((bucket, name))
        self._precondition(query, known)
        if known is not None:
            self._require("delete")
        kms_key = query.get("kmsKeyName", "")
        if kms_key:
            place = _KEY.fullmatch(kms_key)
            location = self.locations.get(bucket, LOCATION).lower()
            if place is None or place[1] != location:
                raise _Wrong(status=400)
        self._generation += 1
        made = StoredObject(
            content=content,
            generation=self._generation,
            metadata=metadata,
            content_type=str(about.get("contentType", kind)),
            kms_key=f"{kms_key}/cryptoKeyVersions/1" if kms_key else "",
        )
        self.objects[bucket, name] = made
        return _fields(_about(bucket, name, made), query)

    def _one(self, method: str, bucket: str, name: str, query: dict[str, str]) -> Response:
        self._require("delete" if method == "DELETE" else "read")
        _only(query, "generation", "ifGenerationMatch")
        found = self.objects.get((bucket, name))
        if found is None:
            # Without the right to list, one is not told that there is none.
            raise _Wrong(status=403 if "list" in self.no_right else 404)
        if method == "DELETE":
            self._precondition(query, found)
            del self.objects[bucket, name]
            return Response(status_code=204)
        if method != "GET":
            raise _Wrong(status=405)
        if query.get("alt") == "media":
            return Response(found.content, headers={"content-type": found.content_type})
        return _fields(_about(bucket, name, found), query)

    def _list(self, bucket: str, query: dict[str, str]) -> Response:
        self._require("list")
        _only(query, "prefix", "pageToken", "maxResults")
        start, after = query.get("prefix", ""), query.get("pageToken", "")
        names = sorted(
            n for b, n in self.objects if b == bucket and n.startswith(start) and n > after
        )
        page = names[: min(self.page, int(query.get("maxResults", self.page)))]
        items = [_about(bucket, n, self.objects[bucket, n]) for n in page]
        more = {"nextPageToken": page[-1]} if len(page) < len(names) else {}
        return as_json({"kind": "storage#objects", **({"items": items} if items else {}), **more})

    def _precondition(self, query: Mapping[str, str], known: StoredObject | None) -> None:
        wanted = query.get("ifGenerationMatch")
        if wanted is None:
            return
        if not wanted.isdecimal():
            raise _Wrong(status=400)
        if int(wanted) != (0 if known is None else known.generation):
            raise _Wrong(status=412)

    def _bucket(self, name: str) -> str:
        if name in self.absent:
            raise _Wrong(status=404)
        return name

    def _require(self, right: str) -> None:
        if right in self.no_right:
            raise _Wrong(status=403)

    def _authorise(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if scheme != "Bearer" or not token:
            raise _Wrong(status=401, reason="required")
        if token.count(".") == 2 and token.startswith("ey"):
            self._require_statement(token)
        elif self.tokens is not None and token not in self.tokens:
            raise _Wrong(status=401)

    def _require_statement(self, token: str) -> None:
        """A service account's own: signed, for this service, of this hour."""
        signed, _, signature = token.rpartition(".")
        try:
            header, claims = (orjson.loads(_decoded(part)) for part in signed.split("."))
            begins, ends = int(claims["iat"]), int(claims["exp"])
            if self.accounts:
                key = self.accounts[claims["iss"]]
                sealed = _decoded(signature)
                key.verify(sealed, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, KeyError, TypeError, InvalidSignature):
            raise _Wrong(status=401) from None
        now = time.time()
        timely = begins <= now + SKEW_SECONDS and now < ends <= begins + LIFE_SECONDS
        if header.get("alg") != "RS256" or claims.get("aud") != AUDIENCE or not timely:
            raise _Wrong(status=401)


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], str, bytes]:
    """What is said of an object, its media type and content: exactly two parts."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/related" or not boundary:
        raise _Wrong(status=400)
    # The parser reads text; the bytes of the content are cut out by hand.
    pieces = body.split(f"--{boundary}".encode())
    if len(pieces) != 4 or not pieces[3].startswith(b"--"):
        raise _Wrong(status=400)
    (kind, about), (media, content) = (_part(piece) for piece in pieces[1:3])
    if not kind.startswith("application/json"):
        raise _Wrong(status=400)
    try:
        told = orjson.loads(about)
    except orjson.JSONDecodeError:
        raise _Wrong(status=400, reason="parseError") from None
    if not isinstance(told, dict):
        raise _Wrong(status=400)
    return told, media, content


def _part(piece: bytes) -> tuple[str, bytes]:
    head, _, content = piece.partition(b"\r\n\r\n")
    message = BytesParser(policy=HTTP).parsebytes(head.lstrip(b"\r\n") + b"\r\n\r\n")
    return message.get_content_type(), content.removesuffix(b"\r\n")


def _about(bucket: str, name: str, stored: StoredObject) -> dict[str, Any]:
    return {
        "kind": "storage#object",
        "bucket": bucket,
        "name": name,
        "generation": str(stored.generation),
        "metageneration": "1",
        "size": str(len(stored.content)),
        "md5Hash": _md5(stored.content),
        "contentType": stored.content_type,
        "metadata": dict(stored.metadata),
        "timeCreated": stored.created,
        "updated": stored.created,
        **({"kmsKeyName": stored.kms_key} if stored.kms_key else {}),
    }


def _fields(found: dict[str, Any], query: Mapping[str, str]) -> Response:
    wanted = query.get("fields")
    if wanted is None or "(" in wanted:
        return as_json(found)
    return as_json({k: v for k, v in found.items() if k in wanted.split(",")})


def _only(query: Mapping[str, str], *known: str) -> None:
    if set(query) - _ALWAYS - set(known):
        raise _Wrong(status=400, reason="unknownQueryParameter")


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _error(status: int, reason: str = "", headers: Mapping[str, str] | None = None) -> Response:
    told = reason or _REASONS.get(status, "invalid")
    errors = [{"domain": "global", "reason": told, "message": "sandbox"}]
    body = {"error": {"code": status, "message": "sandbox", "errors": errors}}
    return as_json(body, status=status, headers=headers)
