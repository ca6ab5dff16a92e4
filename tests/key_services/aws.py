"""AWS KMS over HTTP. Unlike moto it refuses keys that are disabled or will be deleted."""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from key_services.http import JsonServer

REGION = "eu-west-1"
_PREFIX = f"arn:aws:kms:{REGION}:111122223333:key/"
_NONCE = bytes(12)


@dataclass
class Key:
    """One key of the fake."""

    arn: str
    kek: bytes = field(default_factory=lambda: AESGCM.generate_key(256))
    state: str = "Enabled"
    origin: str = "AWS_KMS"
    deletion: float | None = None


class FakeAwsKms(JsonServer):
    """Encrypt, Decrypt, DescribeKey and ScheduleKeyDeletion."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, Key] = {}
        self.aliases: dict[str, str] = {}
        self.acts: list[str] = []

    def make_key(self) -> str:
        """The ARN of a new key."""
        arn = _PREFIX + str(uuid.uuid4())
        self.keys[arn] = Key(arn)
        return arn

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """As KMS does; every request is signed."""
        if not str(headers.get("Authorization", "")).startswith("AWS4-HMAC-SHA256 "):
            return 400, {"__type": "MissingAuthenticationTokenException"}
        act = str(headers.get("X-Amz-Target", "")).removeprefix("TrentService.")
        self.acts.append(act)
        try:
            return 200, getattr(self, f"_{act.lower()}")(json.loads(body))
        except _RefusedError as refused:
            return 400, {"__type": refused.args[0], "message": "canary-text"}

    def _encrypt(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self._usable(request["KeyId"])
        sealed = AESGCM(key.kek).encrypt(_NONCE, _bytes(request["Plaintext"]), _aad(request))
        return {
            "KeyId": key.arn,
            "CiphertextBlob": _text(key.arn.removeprefix(_PREFIX).encode() + sealed),
        }

    def _decrypt(self, request: dict[str, Any]) -> dict[str, Any]:
        self._found(request["KeyId"])
        blob = _bytes(request["CiphertextBlob"])
        arn = _PREFIX + blob[:36].decode("ascii", "replace")
        if arn not in self.keys:
            raise _RefusedError("InvalidCiphertextException")
        if request["KeyId"] != arn:
            raise _RefusedError("IncorrectKeyException")
        key = self._usable(arn)
        try:
            plaintext = AESGCM(key.kek).decrypt(_NONCE, blob[36:], _aad(request))
        except InvalidTag:
            raise _RefusedError("InvalidCiphertextException") from None
        return {"KeyId": arn, "Plaintext": _text(plaintext)}

    def _describekey(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self._found(request["KeyId"])
        found = {
            "KeyId": key.arn.removeprefix(_PREFIX),
            "Arn": key.arn,
            "KeyState": key.state,
            "Origin": key.origin,
            "CreationDate": 1_700_000_000.0,
        }
        if key.deletion is not None:
            found["DeletionDate"] = key.deletion
        return {"KeyMetadata": found}

    def _schedulekeydeletion(self, request: dict[str, Any]) -> dict[str, Any]:
        key = self._found(request["KeyId"])
        if key.state == "PendingDeletion" or not 7 <= request["PendingWindowInDays"] <= 30:
            raise _RefusedError("KMSInvalidStateException")
        key.state = "PendingDeletion"
        key.deletion = time.time() + request["PendingWindowInDays"] * 86_400
        return {"KeyId": key.arn, "DeletionDate": key.deletion, "KeyState": key.state}

    def _found(self, name: str) -> Key:
        name = self.aliases.get(name, name)
        arn = name if name.startswith("arn:") else _PREFIX + name
        if arn not in self.keys:
            raise _RefusedError("NotFoundException")
        return self.keys[arn]

    def _usable(self, name: str) -> Key:
        key = self._found(name)
        if key.state == "Disabled":
            raise _RefusedError("DisabledException")
        if key.state != "Enabled":
            raise _RefusedError("KMSInvalidStateException")
        return key


class _RefusedError(Exception):
    """Carries the code of the refusal."""


def _aad(request: dict[str, Any]) -> bytes:
    return json.dumps(request["EncryptionContext"], sort_keys=True).encode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
