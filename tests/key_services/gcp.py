"""Google Cloud KMS over gRPC, for the real client; checks checksums as the service does."""

from __future__ import annotations

import datetime as dt
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1 as kms

from mayfly.adapters.keys.gcp_kms import crc32c

RING = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/"
_SERVICE = "google.cloud.kms.v1.KeyManagementService"
_STATE = kms.CryptoKeyVersion.CryptoKeyVersionState
_CREATED = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
DESTROYED_AT = dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
_METHODS = {
    "Encrypt": (kms.EncryptRequest, kms.EncryptResponse),
    "Decrypt": (kms.DecryptRequest, kms.DecryptResponse),
    "GetCryptoKey": (kms.GetCryptoKeyRequest, kms.CryptoKey),
    "GetCryptoKeyVersion": (kms.GetCryptoKeyVersionRequest, kms.CryptoKeyVersion),
    "ListCryptoKeyVersions": (
        kms.ListCryptoKeyVersionsRequest,
        kms.ListCryptoKeyVersionsResponse,
    ),
    "CreateCryptoKeyVersion": (kms.CreateCryptoKeyVersionRequest, kms.CryptoKeyVersion),
    "UpdateCryptoKeyPrimaryVersion": (kms.UpdateCryptoKeyPrimaryVersionRequest, kms.CryptoKey),
    "DestroyCryptoKeyVersion": (kms.DestroyCryptoKeyVersionRequest, kms.CryptoKeyVersion),
}


class FakeGcpKms:
    """Keys below `RING`; each made by `make_key`."""

    def __init__(self) -> None:
        self.silent = False
        self.corrupt = ""
        """`request`, `ciphertext` or `plaintext`: what is altered on its way."""
        self.wraps_with = ""
        """Number of the version that encrypts while another is the primary one already."""
        self.level = kms.ProtectionLevel.HSM
        self._keks: dict[str, bytes] = {}
        self._versions: dict[str, kms.CryptoKeyVersion] = {}
        self._primaries: dict[str, str] = {}
        self._over = threading.Event()
        self._server = grpc.server(ThreadPoolExecutor(8))
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._handler(name),
                request_deserializer=request.deserialize,
                response_serializer=response.serialize,
            )
            for name, (request, response) in _METHODS.items()
        }
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_SERVICE, handlers)]
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> FakeGcpKms:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.stop(None).wait()

    def make_key(self, name: str) -> str:
        """The full name of a new key with one version, the primary one."""
        key = RING + name
        self._primaries[key] = self._make(key)
        return key

    def disable(self, name: str) -> None:
        """Disable a version."""
        self._versions[name].state = _STATE.DISABLED

    def _make(self, key: str) -> str:
        number = 1 + sum(name.startswith(f"{key}/") for name in self._versions)
        name = f"{key}/cryptoKeyVersions/{number}"
        self._keks[name] = AESGCM.generate_key(256)
        self._versions[name] = kms.CryptoKeyVersion(
            name=name, state=_STATE.ENABLED, protection_level=self.level, create_time=_CREATED
        )
        return name

    def _handler(self, name: str) -> Any:
        def handle(request: Any, context: grpc.ServicerContext) -> Any:
            if self.silent:
                self._over.wait()
            return getattr(self, f"_{name.lower()}")(request, context)

        return handle

    def _encrypt(self, request: Any, context: grpc.ServicerContext) -> Any:
        primary = self._primaries.get(request.name, "")
        if self.wraps_with:
            primary = f"{request.name}/cryptoKeyVersions/{self.wraps_with}"
        primary = self._usable(primary, context)
        aad = request.additional_authenticated_data
        _check(request.plaintext, request.plaintext_crc32c, context)
        _check(aad, request.additional_authenticated_data_crc32c, context)
        nonce = os.urandom(12)
        sealed = nonce + AESGCM(self._keks[primary]).encrypt(nonce, request.plaintext, aad)
        checksum = crc32c(sealed)
        if self.corrupt == "ciphertext":
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        return kms.EncryptResponse(
            name=primary,
            ciphertext=sealed,
            ciphertext_crc32c=checksum,
            verified_plaintext_crc32c=self.corrupt != "request",
            verified_additional_authenticated_data_crc32c=True,
        )

    def _decrypt(self, request: Any, context: grpc.ServicerContext) -> Any:
        aad, sealed = request.additional_authenticated_data, request.ciphertext
        _check(sealed, request.ciphertext_crc32c, context)
        _check(aad, request.additional_authenticated_data_crc32c, context)
        for name in [n for n in self._keks if n.startswith(f"{request.name}/")]:
            try:
                plaintext = AESGCM(self._keks[name]).decrypt(sealed[:12], sealed[12:], aad)
            except (InvalidTag, ValueError):
                continue
            self._usable(name, context)
            checksum = crc32c(plaintext) ^ (self.corrupt == "plaintext")
            return kms.DecryptResponse(plaintext=plaintext, plaintext_crc32c=checksum)
        return context.abort(grpc.StatusCode.INVALID_ARGUMENT, "canary-text")

    def _getcryptokey(self, request: Any, context: grpc.ServicerContext) -> Any:
        primary = self._versions[self._primaries[request.name]]
        return kms.CryptoKey(name=request.name, primary=primary)

    def _getcryptokeyversion(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._versions[request.name]

    def _listcryptokeyversions(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = [v for n, v in self._versions.items() if n.startswith(f"{request.parent}/")]
        return kms.ListCryptoKeyVersionsResponse(crypto_key_versions=found)

    def _createcryptokeyversion(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._versions[self._make(request.parent)]

    def _updatecryptokeyprimaryversion(self, request: Any, context: grpc.ServicerContext) -> Any:
        name = f"{request.name}/cryptoKeyVersions/{request.crypto_key_version_id}"
        self._primaries[request.name] = self._usable(name, context)
        return self._getcryptokey(request, context)

    def _destroycryptokeyversion(self, request: Any, context: grpc.ServicerContext) -> Any:
        version = self._versions[self._usable(request.name, context)]
        version.state, version.destroy_time = _STATE.DESTROY_SCHEDULED, DESTROYED_AT
        return version

    def _usable(self, name: str, context: grpc.ServicerContext) -> str:
        if name not in self._versions:
            context.abort(grpc.StatusCode.NOT_FOUND, "canary-text")
        if self._versions[name].state != _STATE.ENABLED:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "canary-text")
        return name


def _check(data: bytes, checksum: int | None, context: grpc.ServicerContext) -> None:
    if checksum != crc32c(data):
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "canary-text: checksum")
