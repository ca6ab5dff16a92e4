"""Keys in Google Cloud KMS. Checksums (CRC32C) are checked in both directions.

The client's own retries would go on for most of a minute whatever the time limit says: they are
off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from mayfly.adapters.keys.refusals import (
    bad_setting,
    current_version,
    denied,
    driver,
    unavailable,
    unknown_version,
    unwrap_failed,
)
from mayfly.domain.errors import EngineError
from mayfly.ports.keys import KeyState, KeyVersion, Protection
from mayfly.privacy.closed_logs import close_logs

TIMEOUT_SECONDS = 2.0
HOSTS = frozenset(
    {
        "cloudkms.googleapis.com",
        "oauth2.googleapis.com",
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
        "metadata.google.internal",
        "169.254.169.254",
    }
)
_LIMITS: dict[str, Any] = {"retry": None, "timeout": TIMEOUT_SECONDS}
_STATES: dict[str, KeyState] = {
    "ENABLED": "enabled",
    "DESTROYED": "destroyed",
    "DESTROY_SCHEDULED": "pending",
}
_PROTECTIONS: dict[str, Protection] = {
    "HSM": "hsm",
    "HSM_SINGLE_TENANT": "hsm",
    "SOFTWARE": "software",
}
_REFUSED = {
    "FailedPrecondition": "the version is disabled or destroyed",
    "Forbidden": "this account has no right to it",
    "InvalidArgument": "the request",
    "NotFound": "there is no such key",
    "PermissionDenied": "this account has no right to it",
    "Unauthenticated": "this account is not known",
    "Unauthorized": "this account is not known",
}


class GcpKmsService:
    """One key of Cloud KMS; see `KeyService`."""

    def __init__(self, *, key_name: str, endpoint: str | None = None) -> None:
        """Make a client; credentials are the application's default ones.

        Args:
            key_name: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
            endpoint: HOST:PORT of a server on loopback, for tests; no TLS, no credentials.

        Raises:
            ConfigError: `driver_missing`, `keys_setting`.
        """
        kms = driver("google.cloud.kms_v1", extra="gcp")
        self._errors = driver("google.api_core.exceptions", extra="gcp")
        self._auth_errors = driver("google.auth.exceptions", extra="gcp")
        grpc = driver("grpc", extra="gcp")
        # At DEBUG they write whole requests, and the key with them.
        close_logs("google", "grpc", "urllib3")
        transport = kms.KeyManagementServiceClient.get_transport_class("grpc")

        def channel(host: str, **settings: Any) -> Any:
            options = [*settings.pop("options", ()), ("grpc.enable_http_proxy", 0)]
            if endpoint is not None:
                return grpc.insecure_channel(endpoint, options=options)
            return transport.create_channel(host, options=options, **settings)

        with self._translated():
            credentials = None
            if endpoint is not None:
                credentials = driver("google.auth.credentials", extra="gcp").AnonymousCredentials()
            self._client: Any = kms.KeyManagementServiceClient(
                transport=transport(channel=channel, credentials=credentials)
            )
        self._name = key_name

    def __repr__(self) -> str:
        return "GcpKmsService()"

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes]:
        """See `KeyService`."""
        with self._translated():
            answer = self._client.encrypt(
                request={
                    "name": self._name,
                    "plaintext": plaintext,
                    "plaintext_crc32c": crc32c(plaintext),
                    "additional_authenticated_data": aad,
                    "additional_authenticated_data_crc32c": crc32c(aad),
                },
                **_LIMITS,
            )
        received = (
            answer.verified_plaintext_crc32c
            and answer.verified_additional_authenticated_data_crc32c
        )
        if not received or answer.ciphertext_crc32c != crc32c(answer.ciphertext):
            raise unavailable()  # altered on its way, as Google's documents put it: try again
        return _version(answer.name), bytes(answer.ciphertext)

    def decrypt(self, version: str, ciphertext: bytes, aad: bytes) -> bytes:  # noqa: ARG002
        """See `KeyService`. The service finds the version in the ciphertext."""
        with self._translated():
            try:
                answer = self._client.decrypt(
                    request={
                        "name": self._name,
                        "ciphertext": ciphertext,
                        "ciphertext_crc32c": crc32c(ciphertext),
                        "additional_authenticated_data": aad,
                        "additional_authenticated_data_crc32c": crc32c(aad),
                    },
                    **_LIMITS,
                )
            except self._errors.InvalidArgument:
                raise unwrap_failed(
                    "was altered, or wrapped under another key or for another use"
                ) from None
        if answer.plaintext_crc32c != crc32c(answer.plaintext):
            raise unavailable()
        return bytes(answer.plaintext)

    def versions(self) -> Sequence[KeyVersion]:
        """All versions of the key."""
        with self._translated():
            found = list(
                self._client.list_crypto_key_versions(request={"parent": self._name}, **_LIMITS)
            )
        versions = [
            KeyVersion(
                id=_version(version.name),
                state=_STATES.get(version.state.name, "disabled"),
                created=_utc(version.create_time),
            )
            for version in found
        ]
        return sorted(versions, key=lambda version: int(version.id))

    def rotate(self) -> str:
        """Make a version and let it be the primary one."""
        with self._translated():
            made = self._client.create_crypto_key_version(
                request={"parent": self._name, "crypto_key_version": {}}, **_LIMITS
            )
            number = _version(made.name)
            self._client.update_crypto_key_primary_version(
                request={"name": self._name, "crypto_key_version_id": number}, **_LIMITS
            )
            return number

    def destroy(self, version: str) -> datetime | None:
        """Schedule the version's destruction; Google waits 30 days by default. Gives the time."""
        known = {found.id: found.state for found in self.versions()}
        if version not in known:
            raise unknown_version()
        if version == _version(self._primary().name):
            raise current_version()
        request = {"name": f"{self._name}/cryptoKeyVersions/{version}"}
        with self._translated():
            if known[version] in ("destroyed", "pending"):
                found = self._client.get_crypto_key_version(request=request, **_LIMITS)
            else:
                found = self._client.destroy_crypto_key_version(request=request, **_LIMITS)
        return _utc(found.destroy_time)

    def protection(self) -> Protection:
        """As the primary version's protection level says."""
        return _PROTECTIONS.get(self._primary().protection_level.name, "unknown")

    def region(self) -> str:
        """As the key's own name says."""
        return str(self._key().name).split("/")[3]

    def _primary(self) -> Any:
        return self._key().primary

    def _key(self) -> Any:
        with self._translated():
            return self._client.get_crypto_key(request={"name": self._name}, **_LIMITS)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors.GoogleAPICallError as error:
            raise _refusal(type(error).__name__) from None
        except (self._errors.RetryError, self._auth_errors.TransportError):
            raise unavailable() from None
        except self._auth_errors.RefreshError:
            raise denied("this account's credentials are not taken") from None
        except self._auth_errors.GoogleAuthError:
            raise bad_setting(
                "There are no Google credentials.",
                "Give them as application default credentials.",
            ) from None


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def _refusal(name: str) -> EngineError:
    return denied(_REFUSED[name]) if name in _REFUSED else unavailable()


def _version(name: str) -> str:
    """The last part of a version's name, a number."""
    return name.rpartition("/")[2]


def _utc(time: Any) -> datetime | None:
    return datetime.fromtimestamp(time.timestamp(), UTC) if time else None
