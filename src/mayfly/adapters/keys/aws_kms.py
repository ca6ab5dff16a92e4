"""Keys in AWS KMS. The associated data is the encryption context.

A version is a KMS key of its own: AWS rotates the material behind one key unseen, and neither
lists nor destroys the old. A new version is therefore a new key, set as `key_id`, and the old one
moves to `earlier_key_ids` until everything is rewrapped.
"""

from __future__ import annotations

import base64
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
from mayfly.domain.aws_hosts import credential_hosts, service_host
from mayfly.domain.errors import EngineError, PolicyError
from mayfly.ports.keys import KeyState, KeyVersion, Protection
from mayfly.privacy.closed_logs import close_logs

TIMEOUT_SECONDS = 2
PENDING_DAYS = 7
_CONTEXT = "mayfly"
_AWAY = {
    "DependencyTimeoutException",
    "InternalFailure",
    "KeyUnavailableException",
    "KMSInternalException",
    "LimitExceededException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Throttling",
    "ThrottlingException",
    "RequestTimeout",
}
_WRONG = {"IncorrectKeyException", "InvalidCiphertextException"}
_STATES: dict[str, KeyState] = {
    "Enabled": "enabled",
    "PendingDeletion": "pending",
    "PendingReplicaDeletion": "pending",
}
_ATTESTED = ("AWS_KMS", "AWS_CLOUDHSM", "EXTERNAL")


def hosts(region: str) -> frozenset[str]:
    """Hosts it needs: KMS, and where credentials come from."""
    return credential_hosts(region) | {service_host("kms", region)}


class AwsKmsService:
    """One key, and those before it; see `KeyService`."""

    def __init__(
        self,
        *,
        key_id: str,
        region: str,
        earlier_key_ids: Sequence[str] = (),
        endpoint: str | None = None,
    ) -> None:
        """Make a client; credentials are found as AWS's own tools find them.

        Args:
            key_id: id, ARN or alias of the key that wraps.
            region: of the key.
            earlier_key_ids: keys that may still unwrap.
            endpoint: another address, for tests; its credentials come from the environment, too.

        Raises:
            ConfigError: `driver_missing`, `keys_setting`.
        """
        self._errors = driver("botocore.exceptions", extra="aws")
        # At DEBUG they write whole requests, and the key with them.
        close_logs("boto3", "botocore", "urllib3")
        config = driver("botocore.config", extra="aws").Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            proxies={},
            # an address from AWS's own files or variables would be another host than the declared
            ignore_configured_endpoint_urls=True,
        )
        with self._translated():
            session = driver("boto3.session", extra="aws").Session(region_name=region)
            self._client: Any = session.client(
                "kms",
                config=config,
                endpoint_url=endpoint or f"https://{service_host('kms', region)}",
            )
        self._key_id, self._earlier = key_id, tuple(earlier_key_ids)
        self._arns: dict[str, str] = {}

    def __repr__(self) -> str:
        return "AwsKmsService()"

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes]:
        """See `KeyService`."""
        with self._translated():
            answer = self._client.encrypt(
                KeyId=self._key_id, Plaintext=plaintext, EncryptionContext=_context(aad)
            )
            return str(answer["KeyId"]), bytes(answer["CiphertextBlob"])

    def decrypt(self, version: str, ciphertext: bytes, aad: bytes) -> bytes:
        """See `KeyService`. Only keys of the settings are asked, whatever the blob names."""
        if not self._is_ours(version):
            raise unwrap_failed("was wrapped under a key that the settings do not name")
        with self._translated():
            answer = self._client.decrypt(
                KeyId=version, CiphertextBlob=ciphertext, EncryptionContext=_context(aad)
            )
            return bytes(answer["Plaintext"])

    def versions(self) -> Sequence[KeyVersion]:
        """The earlier keys and the one that wraps, by their ARN where there still is one."""
        keys = [self._found(key) or key for key in self._earlier]
        return [
            KeyVersion(id=key, state="destroyed") if isinstance(key, str) else _shown(key)
            for key in (*keys, self._current())
        ]

    def rotate(self) -> str:
        """Refused: making keys and granting rights on them is not Mayfly's to do."""
        raise PolicyError(
            "rotate_elsewhere",
            "A new version in AWS KMS is a new key, which Mayfly does not make.",
            hint="Make one, name it as `key_id`, and add the old one to `earlier_key_ids`.",
        )

    def destroy(self, version: str) -> datetime | None:
        """Schedule the key's deletion; AWS waits at least 7 days. Gives the day.

        Only by its ARN, which blobs and the ledger have: an alias may name another key tomorrow.
        """
        if not self._is_ours(version):
            raise unknown_version()
        with self._translated():
            found = self._describe(version)
        # An earlier key may be the one that wraps, as where the alias has not moved yet.
        if found["Arn"] == self._current()["Arn"]:
            raise current_version()
        if found["Arn"] != version:
            raise unknown_version()
        with self._translated():
            if found["KeyState"] != "PendingDeletion":
                own_id = version.rpartition("/")[2]  # another account's key cannot be deleted
                self._client.schedule_key_deletion(KeyId=own_id, PendingWindowInDays=PENDING_DAYS)
            at: datetime = self._describe(version)["DeletionDate"]
        return at.astimezone(UTC)

    def protection(self) -> Protection:
        """`hsm`, since AWS keeps keys in HSMs; `unknown` for keys of an external key store."""
        return "hsm" if self._current()["Origin"] in _ATTESTED else "unknown"

    def region(self) -> str:
        """As the key's own name (ARN) says."""
        return str(self._current()["Arn"]).split(":")[3]

    def _describe(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self._client.describe_key(KeyId=key)["KeyMetadata"]
        self._arns[key] = str(found["Arn"])
        return found

    def _current(self) -> dict[str, Any]:
        with self._translated():
            return self._describe(self._key_id)

    def _found(self, key: str) -> dict[str, Any] | None:
        """As `_describe`; None for a key that was deleted."""
        with self._translated():
            try:
                return self._describe(key)
            except self._client.exceptions.NotFoundException:
                return None

    def _is_ours(self, arn: str) -> bool:
        """An alias may have moved since it was looked up, so a miss is looked up again."""
        if arn in (*self._earlier, *self._arns.values()):
            return True
        found = map(self._found, (self._key_id, *self._earlier))
        return any(key is not None and key["Arn"] == arn for key in found)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors.ClientError as error:
            raise self._refusal(error) from None
        except (
            self._errors.NoCredentialsError,
            self._errors.PartialCredentialsError,
            self._errors.CredentialRetrievalError,
            self._errors.ProfileNotFound,
        ):
            raise bad_setting(
                "There are no AWS credentials.",
                "Give them as for AWS's own tools: a role, a profile, or variables.",
            ) from None
        except (self._errors.HTTPClientError, self._errors.ConnectionError):
            raise unavailable() from None
        except (self._errors.BotoCoreError, ValueError):
            raise bad_setting(
                "AWS's client refuses the settings.", "Check `key_id` and `region`."
            ) from None

    def _refusal(self, error: Any) -> EngineError:
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _AWAY or status >= 500 or status == 429:
            return unavailable()
        if code in _WRONG:
            return unwrap_failed("was altered, or wrapped under another key or for another use")
        if code in ("DisabledException", "KMSInvalidStateException"):
            return denied("the key is disabled or will be deleted")
        if code == "NotFoundException":
            return denied("there is no such key")
        return denied("this account has no right to it, or the request is refused")


def _shown(key: dict[str, Any]) -> KeyVersion:
    return KeyVersion(
        id=str(key["Arn"]),
        state=_STATES.get(str(key["KeyState"]), "disabled"),
        created=key["CreationDate"].astimezone(UTC),
    )


def _context(aad: bytes) -> dict[str, str]:
    """Text only is allowed, and up to 8192 characters of it."""
    return {_CONTEXT: base64.b64encode(aad).decode()}
