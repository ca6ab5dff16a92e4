"""Keys in a PKCS#11 token (an HSM, or SoftHSM): AES keys that cannot be taken out of it.

All AES keys with the configured label are versions of one key; CKA_ID, read as a number, is the
version, and the highest wraps. A token makes a key on no condition, so that two machines that
rotate at the same moment may make two keys of one number: both are that version.

Data keys are encrypted (C_Encrypt, AES-GCM), since wrapping them
(C_WrapKey) takes no associated data, and SoftHSM does not wrap with AES-GCM.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
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
from mayfly.domain.errors import EngineError, IntegrityError
from mayfly.ports.keys import KeyVersion, Protection

_NONCE_BYTES = 12
_AES_BITS = 256
_AWAY = (
    "DeviceError",
    "DeviceRemoved",
    "DeviceMemory",
    "HostMemory",
    "NoSuchToken",
    "SessionClosed",
    "SessionCount",
    "SessionHandleInvalid",
    "TokenNotPresent",
    "UserNotLoggedIn",
)
# A module and a login belong to the process, whoever uses them: the session that logged in logs
# everyone out as it closes, and a fork leaves the child with neither. The library tells the module
# that only one thread at a time will call it, so only one does.
_LOADED: dict[tuple[int, str], Any] = {}
_LOGINS: dict[tuple[int, str, str], Any] = {}
# Tokens lock themselves after a few wrong PINs, so that a wrong one is tried once a process.
_REFUSED: set[tuple[int, str, str]] = set()
_LOCK = threading.RLock()


class Pkcs11Service:
    """One key of a token; see `KeyService`. Its `repr` holds no PIN."""

    def __init__(self, *, module: str, token: str, key_label: str, pin: Callable[[], str]) -> None:
        """Load the module and log in.

        Args:
            module: path of the token's library.
            token: label of the token.
            key_label: label of the keys.
            pin: gives the user's PIN; called once for each process.

        Raises:
            ConfigError: `driver_missing`, `keys_setting`.
            TransientError: `keys_unavailable`, the token is not there.
            PolicyError: `keys_denied`, the PIN is refused.
        """
        self._library = driver("pkcs11", extra="pkcs11")
        self._errors = driver("pkcs11.exceptions", extra="pkcs11")
        self._module, self._token, self._label, self._pin = module, token, key_label, pin
        with self._session():
            pass

    def __repr__(self) -> str:
        return "Pkcs11Service()"

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes]:
        """See `KeyService`."""
        with self._session() as session:
            number, key = self._newest(session)
            return str(number), self._seal(key, plaintext, aad)

    def decrypt(self, version: str, ciphertext: bytes, aad: bytes) -> bytes:
        """See `KeyService`."""
        with self._session() as session:
            keys = self._keys(session).get(int(version) if version.isdigit() else -1)
            if not keys:
                raise denied("the version that wrapped this key is not in the token")
            if not all(map(self._works, keys)):
                raise denied("the version that wrapped this key is disabled")
            for key in keys[1:]:
                with suppress(IntegrityError):
                    return self._opened(key, ciphertext, aad)
            return self._opened(keys[0], ciphertext, aad)

    def versions(self) -> Sequence[KeyVersion]:
        """The keys in the token; one that was destroyed left no trace, and none has a time."""
        with self._session() as session:
            keys = sorted(self._keys(session).items())
            return [
                KeyVersion(
                    id=str(number), state="enabled" if all(map(self._works, found)) else "disabled"
                )
                for number, found in keys
            ]

    def rotate(self) -> str:
        """Generate a key in the token, with the next number."""
        attribute = self._library.Attribute
        with self._session(write=True) as session:
            number = max(self._keys(session), default=0) + 1
            session.generate_key(
                self._library.KeyType.AES,
                _AES_BITS,
                id=number.to_bytes(8, "big"),
                label=self._label,
                store=True,
                template={
                    attribute.SENSITIVE: True,
                    attribute.EXTRACTABLE: False,
                    attribute.PRIVATE: True,
                    attribute.ENCRYPT: True,
                    attribute.DECRYPT: True,
                },
            )
            return str(number)

    def destroy(self, version: str) -> datetime | None:
        """Remove the key from the token; final at once."""
        with self._session(write=True) as session:
            keys = self._keys(session)
            number = int(version) if version.isdigit() else -1
            if number == max(keys, default=0):
                raise current_version()
            if number not in keys:
                if 0 < number < max(keys, default=0):
                    return None
                raise unknown_version()
            for key in keys[number]:
                key.destroy()
            return None

    def protection(self) -> Protection:
        """`hsm` where the module says of its slot that it is hardware, else `software`."""
        with self._translated():
            flags = self._found_token().slot.flags
            return "hsm" if flags & self._library.SlotFlag.HW_SLOT else "software"

    def region(self) -> str:
        """Empty: no token says where it is."""
        return ""

    def _seal(self, key: Any, plaintext: bytes, aad: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed: bytes = key.encrypt(plaintext, **self._gcm(nonce, aad))
        return nonce + sealed

    def _open(self, key: Any, ciphertext: bytes, aad: bytes) -> bytes:
        nonce, sealed = ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:]
        plaintext: bytes = key.decrypt(sealed, **self._gcm(nonce, aad))
        return plaintext

    def _opened(self, key: Any, ciphertext: bytes, aad: bytes) -> bytes:
        try:
            return self._open(key, ciphertext, aad)
        except self._errors.PKCS11Error as error:
            if type(error).__name__ in _AWAY:
                raise
            # Tokens say anything from EncryptedDataInvalid to GeneralError here; whether the key
            # works at all tells a wrong ciphertext from a broken token.
            self._open(key, self._seal(key, plaintext=b"probe", aad=aad), aad)
            raise unwrap_failed("was altered, or wrapped for another use") from None

    def _gcm(self, nonce: bytes, aad: bytes) -> dict[str, Any]:
        return {
            "mechanism": self._library.Mechanism.AES_GCM,
            "mechanism_param": self._library.GCMParams(nonce, aad, 128),
        }

    def _newest(self, session: Any) -> tuple[int, Any]:
        keys = self._keys(session)
        if not keys:
            raise denied("there is no AES key of the configured label in the token")
        number = max(keys)
        attribute = self._library.Attribute
        if not all(map(self._works, keys[number])):
            raise denied("the newest version of the key is disabled")
        if any(key[attribute.EXTRACTABLE] or not key[attribute.SENSITIVE] for key in keys[number]):
            raise denied("the key could be taken out of the token; it must be made otherwise")
        return number, keys[number][0]

    def _keys(self, session: Any) -> dict[int, list[Any]]:
        """By number; of one there may be several."""
        attribute = self._library.Attribute
        wanted = {
            attribute.CLASS: self._library.ObjectClass.SECRET_KEY,
            attribute.KEY_TYPE: self._library.KeyType.AES,
            attribute.LABEL: self._label,
        }
        keys: dict[int, list[Any]] = {}
        for key in list(session.get_objects(wanted)):
            keys.setdefault(int.from_bytes(key[attribute.ID] or b"", "big"), []).append(key)
        return keys

    def _works(self, key: Any) -> bool:
        attribute = self._library.Attribute
        return bool(key[attribute.ENCRYPT] and key[attribute.DECRYPT])

    @contextmanager
    def _session(self, *, write: bool = False) -> Iterator[Any]:
        """A session of this call alone, logged in; the library's errors become ours."""
        with self._translated():
            self._log_in()
            session = self._found_token().open(rw=write)
            try:
                yield session
            finally:
                with suppress(self._errors.PKCS11Error):
                    session.close()

    def _log_in(self) -> None:
        """Open the session that keeps this process logged in."""
        name = (os.getpid(), self._module, self._token)
        if name in _REFUSED:
            raise _pin_refused()
        if name not in _LOGINS:
            token = self._found_token()
            try:
                _LOGINS[name] = token.open(user_pin=self._pin())
            except self._errors.UserAlreadyLoggedIn:
                _LOGINS[name] = token.open()
            except (self._errors.PinIncorrect, self._errors.PinLocked):
                _REFUSED.add(name)
                raise _pin_refused() from None

    def _found_token(self) -> Any:
        return self._loaded().get_token(token_label=self._token)

    def _loaded(self) -> Any:
        name = (os.getpid(), self._module)
        if name not in _LOADED:
            try:
                library = self._library.lib(self._module)
            except self._errors.PKCS11Error:
                raise bad_setting(
                    "The PKCS#11 module cannot be loaded.",
                    "Give the path of the token's library as `module`.",
                ) from None
            if any(module == self._module for _, module in _LOADED):
                library.reinitialize()  # loaded before a fork
            _LOADED[name] = library
        return _LOADED[name]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with _LOCK:
                yield
        except self._errors.PKCS11Error as error:
            raise self._refusal(type(error).__name__) from None

    def _refusal(self, name: str) -> EngineError:
        if name in _AWAY:
            _LOGINS.pop((os.getpid(), self._module, self._token), None)
            return unavailable()
        if name == "ObjectHandleInvalid":
            return unavailable()  # another process removed a key between our look and its use
        if name.startswith("Pin"):
            return _pin_refused()
        return denied("the token answered with an error")


def _pin_refused() -> EngineError:
    return denied("the token does not take the PIN")
