"""The transit engine of Vault over HTTP, as strict as its source: limits, trimming, types."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from key_services.http import JsonServer

TOKEN = "canary-token"


class FakeVault(JsonServer):
    """Transit, mounted at `transit`; each key made by `make_key`."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, dict[str, Any]] = {}

    def make_key(self, name: str, kind: str = "aes256-gcm96") -> None:
        """A key with one version."""
        self.keys[name] = {
            "type": kind,
            "keks": {1: AESGCM.generate_key(256)},
            "latest_version": 1,
            "min_available_version": 0,
            "min_decryption_version": 1,
            "min_encryption_version": 0,
        }

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
        """As Vault does: 403 for a wrong token, 400 for what it refuses, 404 for what is not."""
        if headers.get("X-Vault-Token") != TOKEN:
            return 403, {"errors": ["permission denied"]}
        parts = path.removeprefix("/v1/transit/").split("/")
        given = json.loads(body) if body else {}
        match method, parts:
            case "POST" | "PUT", ["encrypt" | "decrypt" as act, name]:
                if name not in self.keys:
                    return 400, {"errors": ["canary-text: encryption key not found"]}
                return getattr(self, f"_{act}")(self.keys[name], given)
            case "GET", ["keys", name] if name in self.keys:
                return 200, {"data": self._shown(self.keys[name])}
            case "POST" | "PUT", ["keys", name, act] if name in self.keys:
                return getattr(self, f"_{act}")(self.keys[name], given)
        return 404, {"errors": []}

    def _encrypt(self, key: dict[str, Any], given: dict[str, Any]) -> tuple[int, Any]:
        aad = _bytes(given.get("associated_data", ""))
        if key["type"] != "aes256-gcm96":
            return 400, {"errors": ["associated_data not allowed"]}
        version, nonce = key["latest_version"], os.urandom(12)
        sealed = AESGCM(key["keks"][version]).encrypt(nonce, _bytes(given["plaintext"]), aad)
        return 200, {"data": {"ciphertext": f"vault:v{version}:{_text(nonce + sealed)}"}}

    def _decrypt(self, key: dict[str, Any], given: dict[str, Any]) -> tuple[int, Any]:
        _, number, text = given["ciphertext"].split(":")
        version = int(number[1:])
        if version < key["min_decryption_version"] or version not in key["keks"]:
            return 400, {"errors": ["ciphertext or signature version is disallowed by policy"]}
        sealed, aad = _bytes(text), _bytes(given.get("associated_data", ""))
        try:
            plaintext = AESGCM(key["keks"][version]).decrypt(sealed[:12], sealed[12:], aad)
        except (InvalidTag, ValueError):
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": _text(plaintext)}}

    def _shown(self, key: dict[str, Any]) -> dict[str, Any]:
        shown = {name: value for name, value in key.items() if name != "keks"}
        return shown | {"keys": dict.fromkeys(map(str, key["keks"]), 1_700_000_000)}

    def _rotate(self, key: dict[str, Any], given: dict[str, Any]) -> tuple[int, Any]:
        key["latest_version"] += 1
        key["keks"][key["latest_version"]] = AESGCM.generate_key(256)
        return 200, {"data": self._shown(key)}

    def _config(self, key: dict[str, Any], given: dict[str, Any]) -> tuple[int, Any]:
        for name in ("min_decryption_version", "min_encryption_version"):
            if (given.get(name) or 0) > key["latest_version"]:
                return 400, {"errors": ["cannot set version above the latest"]}
        after = key | {name: value for name, value in given.items() if value is not None}
        if 0 < after["min_encryption_version"] < after["min_decryption_version"]:
            return 400, {"errors": ["cannot encrypt with a version that is not decrypted"]}
        key.update(after)
        return 200, {"data": self._shown(key)}

    def _trim(self, key: dict[str, Any], given: dict[str, Any]) -> tuple[int, Any]:
        least = given["min_available_version"]
        limits = key["min_encryption_version"], key["min_decryption_version"]
        if 0 in limits or least > min(limits) or least < key["min_available_version"]:
            return 400, {"errors": ["minimum available version cannot be set"]}
        key["min_available_version"] = least
        key["keks"] = {n: kek for n, kek in key["keks"].items() if n >= least}
        return 200, {"data": self._shown(key)}


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
