"""Google's token endpoint for service accounts: a signed statement is answered with a token."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/datamanager"
LIFE_SECONDS, SKEW_SECONDS = 3_600, 300


class GoogleTokens:
    """Gives tokens for statements.

    Attributes:
        keys: public key of each service account that is known; where there is none, the signature
            of a statement is not checked.
        given: the tokens that were given.
    """

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPublicKey] = {}
        self.given: set[str] = set()

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a request."""
        if form.get("grant_type") != GRANT:
            return 400, {"error": "unsupported_grant_type"}
        claims = self._claims(form.get("assertion", ""))
        if claims is None or not _is_good(claims):
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT."}
        token = f"ya29.{secrets.token_urlsafe(24)}"
        self.given.add(token)
        return 200, {"access_token": token, "expires_in": LIFE_SECONDS - 1, "token_type": "Bearer"}

    def _claims(self, statement: str) -> dict[str, Any] | None:
        parts = statement.split(".")
        try:
            header, claims, signature = (_decoded(part) for part in parts)
            algorithm = orjson.loads(header).get("alg")
            found = orjson.loads(claims)
        except (ValueError, AttributeError):
            return None
        if algorithm != "RS256" or not isinstance(found, dict):
            return None
        key = self.keys.get(str(found.get("iss")))
        if key is None:
            return None if self.keys else found
        signed = ".".join(parts[:2]).encode("ascii")
        try:
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return None
        return found


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        raise ValueError("no base64") from None


def _is_good(claims: dict[str, Any]) -> bool:
    begins, ends, now = claims.get("iat"), claims.get("exp"), time.time()
    if not isinstance(begins, int) or not isinstance(ends, int):
        return False
    timely = begins <= now + SKEW_SECONDS and now < ends <= begins + LIFE_SECONDS
    scopes = str(claims.get("scope", "")).split()
    return timely and claims.get("aud") == AUDIENCE and SCOPE in scopes
