"""An operator of UID2 and EUID in memory: it maps digests, and forgets with the process.

Strict as the public ones: sealed requests of the last minute, keys that it knows, at most 5,000
digests and 1 MB at a time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

ITEMS_MAX = 5_000
BODY_BYTES_MAX = 1_000_000
DRIFT_SECONDS = 60
CLIENT_SECRET = base64.b64encode(b"the sandbox's secret, 32 bytes..").decode()
API_KEYS = {"UID2-C-I-1-sandbox": "uid2", "EUID-C-I-1-sandbox": "euid"}
"""The keys that it knows, and the scope of each; they come with the one client secret."""
_KINDS = ("email", "email_hash", "phone", "phone_hash")
_BINARY = "application/octet-stream"
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_REFRESH_SECONDS = 30 * 24 * 3600
# Of the identities that are reserved for tests, those that behave as opted out.
_RESERVED = (
    *("optout@example.com", "optout@unifiedid.com", "refresh-optout@example.com"),
    *("+00000000000", "+00000000001", "+00000000002"),
)


class _RefusalError(Exception):
    """An answer other than 200, which is never sealed."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(kw_only=True)
class Uid2Operator:
    """What an operator knows of people: which digests it was asked for, and who opted out.

    Args:
        now: seconds since 1970.
        opted_out: digests of who did, further to the reserved ones.
        asked: digests that came, to tell them from identifiers.
        issued: identifiers that went out, with their scope.
        year: of the salts; one more gives everybody another identifier.
    """

    now: Callable[[], float] = time.time
    opted_out: set[bytes] = field(default_factory=set)
    asked: set[bytes] = field(default_factory=set)
    issued: dict[str, str] = field(default_factory=dict)
    year: int = 0

    def reset(self) -> None:
        """Forget everything."""
        self.opted_out = {hashlib.sha256(text.encode()).digest() for text in _RESERVED}
        self.asked.clear()
        self.issued.clear()
        self.year = 0

    def __post_init__(self) -> None:
        self.reset()

    def raw(self, scope: str, kind: str, digest: bytes, year: int) -> str:
        """The identifier of a digest in a year: 44 signs of base64 of 33 bytes."""
        salt = f"{scope} {kind} {year}".encode()
        first = bytes([0x10 if kind == "email" else 0x20])
        made = base64.b64encode(first + hmac.digest(salt, digest, "sha256")).decode()
        self.issued[made] = scope
        return made

    def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """What `POST /v3/identity/map` answers.

        Args:
            request: as it came.
            body: of it.
            partial: whether the first identity is to be refused.
        """
        try:
            scope = self._scope(request)
            binary = request.headers.get("content-type", "") == _BINARY
            nonce, asked = self._opened(body, binary=binary)
            answered = {"body": self._mapped(scope, asked, partial), "status": "success"}
            return self._sealed(nonce, answered, binary=binary)
        except _RefusalError as error:
            told = {"status": error.code, "message": error.message}
            return as_json(told, status=error.status)

    def refused(self, kind: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`; a 429 has no body."""
        match kind:
            case "429":
                return Response(status_code=429, headers=dict(headers))
            case "503":
                return Response(status_code=503, headers=dict(headers))
            case "401":
                return as_json({"status": "unauthorized"}, status=401, headers=headers)
            case _:
                told = {"status": "client_error", "message": "Required Parameter Missing"}
                return as_json(told, status=400, headers=headers)

    def _scope(self, request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or key not in API_KEYS:
            raise _RefusalError(401, "unauthorized", "Unknown or missing API key.")
        if request.url.path != "/v3/identity/map" or request.method != "POST":
            raise _RefusalError(404, "client_error", "The sandbox maps identities only.")
        return API_KEYS[key]

    def _opened(self, body: bytes, *, binary: bool) -> tuple[bytes, dict[str, Any]]:
        if len(body) > BODY_BYTES_MAX:
            raise _RefusalError(413, "client_error", "The request is too large.")
        try:
            envelope = body if binary else base64.b64decode(body, validate=True)
        except binascii.Error:
            raise _RefusalError(400, "client_error", "Body is not valid base64.") from None
        if len(envelope) < 1 + 12 + 16 + 16 or envelope[0] != 1:
            raise _RefusalError(400, "client_error", "Body is no request envelope.")
        try:
            key = AESGCM(base64.b64decode(CLIENT_SECRET))
            content = key.decrypt(envelope[1:13], envelope[13:], None)
        except InvalidTag:
            raise _RefusalError(400, "client_error", "Check the client secret.") from None
        if abs(int.from_bytes(content[:8], "big") / 1000 - self.now()) > DRIFT_SECONDS:
            raise _RefusalError(400, "client_error", "Request too old or client time drift.")
        try:
            asked = orjson.loads(content[16:])
        except orjson.JSONDecodeError:
            raise _RefusalError(400, "client_error", "Data is not valid json.") from None
        return content[8:16], _checked(asked)

    def _mapped(self, scope: str, asked: Mapping[str, Any], partial: bool) -> dict[str, Any]:
        found: dict[str, Any] = {kind: [] for kind in _KINDS}
        for kind in _KINDS:
            for value in asked.get(kind) or ():
                digest = None if partial else _digest(kind, value)
                partial = False
                found[kind].append(self._one(scope, kind.removesuffix("_hash"), digest))
        return found

    def _one(self, scope: str, kind: str, digest: bytes | None) -> dict[str, Any]:
        if digest is None:
            return {"e": "invalid identifier"}
        self.asked.add(digest)
        if digest in self.opted_out:
            return {"e": "optout"}
        current = self.raw(scope, kind, digest, self.year)
        previous = self.raw(scope, kind, digest, self.year - 1) if self.year else None
        return {"u": current, "p": previous, "r": int(self.now()) + _REFRESH_SECONDS}

    def _sealed(self, nonce: bytes, answered: Any, *, binary: bool) -> Response:
        now_ms = int(self.now() * 1000)
        content = now_ms.to_bytes(8, "big") + nonce + orjson.dumps(answered)
        iv = os.urandom(12)
        sealed = iv + AESGCM(base64.b64decode(CLIENT_SECRET)).encrypt(iv, content, None)
        if binary:
            return Response(sealed, media_type=_BINARY)
        return Response(base64.b64encode(sealed), media_type="text/plain")


def _checked(asked: Any) -> dict[str, Any]:
    """The lists of a request."""
    if not isinstance(asked, dict) or not asked or not set(asked) <= set(_KINDS):
        raise _RefusalError(400, "client_error", "Required Parameter Missing: one of four lists.")
    lists = [value for value in asked.values() if value is not None]
    if any(not isinstance(value, list) for value in lists):
        raise _RefusalError(400, "client_error", "Incorrect request format")
    if sum(map(len, lists)) > ITEMS_MAX:
        raise _RefusalError(400, "client_error", "Too many items.")
    return asked


def _digest(kind: str, value: Any) -> bytes | None:
    """The 32 bytes that a value stands for; None where it is none. Clear values are not taken:
    none may leave Mayfly.
    """
    if not isinstance(value, str) or not kind.endswith("_hash"):
        return None
    if _HEX.fullmatch(value):
        return bytes.fromhex(value)
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest if len(value) == 44 and len(digest) == 32 else None
