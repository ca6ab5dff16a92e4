"""Keys in the transit engine of HashiCorp Vault or OpenBao.

The data key is made here and encrypted there: transit's own data keys take no associated data.
Destroying a version destroys all before it, too, since transit trims from the oldest.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
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

TIMEOUT_SECONDS = 2
_CIPHERTEXT = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+=*)")
_WITH_AAD = ("aes128-gcm96", "aes256-gcm96", "chacha20-poly1305")
_AWAY = {408, 412, 429, 472, 473}


class VaultService:
    """One transit key; see `KeyService`. Its `repr` holds no token."""

    def __init__(
        self, *, address: str, mount: str, key: str, token: Callable[[], str], verify: str | None
    ) -> None:
        """Make a client.

        Args:
            address: `https://HOST[:PORT]`, or plain HTTP on loopback.
            mount: path of the engine.
            key: name of the key.
            token: gives the token; called once.
            verify: path of a certificate authority's file; by default those of the system.

        Raises:
            ConfigError: `driver_missing`, `secret_missing`.
        """
        library = driver("hvac", extra="vault")
        requests = driver("requests", extra="vault")
        self._errors = driver("hvac.exceptions", extra="vault")
        self._transport_error = requests.exceptions.RequestException
        # At DEBUG they write whole requests, and the key with them.
        close_logs("hvac", "urllib3")
        session = requests.Session()
        session.trust_env = False  # neither proxies nor .netrc of the environment
        session.verify = verify or True
        self._transit: Any = library.Client(
            url=address,
            token=token(),
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            session=session,
            verify=verify or True,
        ).secrets.transit
        self._at = {"name": key, "mount_point": mount}

    def __repr__(self) -> str:
        return "VaultService()"

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes]:
        """See `KeyService`."""
        with self._translated():
            answer = self._transit.encrypt_data(
                plaintext=_text(plaintext), associated_data=_text(aad), **self._at
            )
            match = _CIPHERTEXT.fullmatch(answer["data"]["ciphertext"])
        if match is None:
            raise denied("it answered with no ciphertext; is the key one for encryption?")
        return match[1], base64.b64decode(match[2])

    def decrypt(self, version: str, ciphertext: bytes, aad: bytes) -> bytes:
        """See `KeyService`."""
        text = f"vault:v{version}:{_text(ciphertext)}"
        if not _CIPHERTEXT.fullmatch(text):
            raise unwrap_failed("is none of this provider")
        with self._translated():
            try:
                answer = self._transit.decrypt_data(
                    ciphertext=text, associated_data=_text(aad), **self._at
                )
                return base64.b64decode(answer["data"]["plaintext"], validate=True)
            except self._errors.InvalidRequest:
                pass  # the same status for a wrong ciphertext and for a version that is gone
        raise self._why(int(version))

    def versions(self) -> Sequence[KeyVersion]:
        """All versions; those before the oldest kept were destroyed."""
        key = self._read()
        oldest, decrypting = _oldest(key), int(key.get("min_decryption_version") or 1)
        found = []
        for number in range(1, int(key["latest_version"]) + 1):
            state: KeyState = "disabled" if number < decrypting else "enabled"
            state = "destroyed" if number < oldest else state
            created = _time(key["keys"].get(str(number)))
            found.append(KeyVersion(id=str(number), state=state, created=created))
        return found

    def rotate(self) -> str:
        """Have the engine make a version."""
        with self._translated():
            self._transit.rotate_key(**self._at)
        return str(self._read()["latest_version"])

    def destroy(self, version: str) -> datetime | None:
        """Trim the key to what comes after the version; final at once."""
        key = self._read()
        number = int(version) if re.fullmatch(r"[1-9][0-9]{0,8}", version) else 0
        latest = int(key["latest_version"])
        if number == latest:
            raise current_version()
        if not 0 < number < latest:
            raise unknown_version()
        if number < _oldest(key):
            return None
        least = number + 1
        with self._translated():
            # A key is trimmed only below both limits, and they are 0 where nobody set them. They
            # are set one by one: hvac refuses to set both to the same.
            for limit in ("min_encryption_version", "min_decryption_version"):
                if int(key.get(limit) or 0) < least:
                    self._transit.update_key_configuration(**{limit: least}, **self._at)
            self._transit.trim_key(min_version=least, **self._at)
        return None

    def protection(self) -> Protection:
        """`software`; `unknown` for a managed key, of which Vault says nothing more."""
        return "software" if self._read()["type"] in _WITH_AAD else "unknown"

    def region(self) -> str:
        """Empty: Vault does not say where it runs."""
        return ""

    def _read(self) -> dict[str, Any]:
        with self._translated():
            found: dict[str, Any] = self._transit.read_key(**self._at)["data"]
            return found

    def _why(self, version: int) -> EngineError:
        known = self.versions()
        if any(v.id == str(version) and v.state != "enabled" for v in known):
            return denied("the version that wrapped this key is disabled or destroyed")
        return unwrap_failed("was altered, or wrapped under another key or for another use")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors.InvalidRequest:
            raise denied(
                "the request; a transit key must be of a type with associated data"
            ) from None
        except (self._errors.Forbidden, self._errors.Unauthorized):
            raise denied("the token has no right to this key") from None
        except self._errors.InvalidPath:
            raise denied("there is no such key or engine") from None
        except (self._errors.VaultError, self._transport_error):
            raise unavailable() from None
        except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
            raise bad_setting(
                "What answers at the address of `keys` is no transit engine.",
                "Check `address` and `mount`.",
            ) from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _oldest(key: dict[str, Any]) -> int:
    return int(key.get("min_available_version") or 1)


def _time(given: object) -> datetime | None:
    """Symmetric keys have Unix seconds here."""
    return datetime.fromtimestamp(given, UTC) if isinstance(given, int | float) else None
