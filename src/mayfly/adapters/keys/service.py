"""What the providers outside this process share: blobs, bounds, circuit, health.

An adapter says how its service encrypts 32 bytes; `ServiceKeyProvider` makes a key provider of it.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from mayfly.adapters.keys.blob import WrappedKey, read_blob, tag_of
from mayfly.adapters.keys.circuit import Circuit, bounded
from mayfly.adapters.keys.refusals import check_aad, unavailable, unwrap_failed
from mayfly.crypto.aead import KEY_BYTES, new_key
from mayfly.domain.errors import ContractError, EngineError
from mayfly.ports.keys import KeyVersion, Protection

CALL_SECONDS = 2.0
OPENING_SECONDS = 15.0
_HEALTH = b"mayfly/health"
T = TypeVar("T")


class KeyService(Protocol):
    """A key of an outside service, as it is: no blobs, no bounds.

    Calls come from several threads. Each raises what `KeyProvider` says every call may raise, and
    nothing of its library's.
    """

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes]:
        """The version used, and the ciphertext bound to `aad`."""
        ...

    def decrypt(self, version: str, ciphertext: bytes, aad: bytes) -> bytes:
        """The plaintext again.

        Raises:
            IntegrityError: `unwrap_failed`.
        """
        ...

    def versions(self) -> Sequence[KeyVersion]:
        """As `KeyProvider.versions`."""
        ...

    def rotate(self) -> str:
        """As `KeyProvider.rotate`."""
        ...

    def destroy(self, version: str) -> datetime | None:
        """As `KeyProvider.destroy`."""
        ...

    def protection(self) -> Protection:
        """As `KeyProvider.protection`."""
        ...

    def region(self) -> str:
        """As `KeyProvider.region`."""
        ...


class ServiceKeyProvider:
    """A key provider over a service; see the port.

    Each call ends within `call_seconds`, the opening of the client within `opening_seconds`, both
    with `keys_unavailable` where the service does not answer. The client is opened at the first
    call and, since none survives a fork, anew in each process. Its `repr` names no key.
    """

    def __init__(
        self,
        name: str,
        open_service: Callable[[], KeyService],
        *,
        call_seconds: float = CALL_SECONDS,
        opening_seconds: float = OPENING_SECONDS,
        circuit: Circuit | None = None,
    ) -> None:
        """Point at a service; nothing is opened yet.

        Args:
            name: the provider's, as the project files have it; part of every blob.
            open_service: makes the client.
            call_seconds: bound of one call.
            opening_seconds: bound of the opening: loading the library, finding credentials.
            circuit: by default one of its own.
        """
        self.name = name
        self._open = open_service
        self._call_seconds = call_seconds
        self._opening_seconds = opening_seconds
        self._circuit = circuit or Circuit(time.monotonic)
        self._opened: tuple[int, KeyService] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"ServiceKeyProvider({self.name})"

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """The data key, sealed and bound to `aad`; see the port.

        Raises:
            ValueError: `aad` is empty, or the data key is not 32 bytes.
        """
        check_aad(aad)
        if len(dek) != KEY_BYTES:
            raise ValueError("a data key is 32 bytes")
        version, ciphertext = self._call(lambda service: service.encrypt(dek, self._context(aad)))
        tag = tag_of(dek, provider=self.name, version=version, ciphertext=ciphertext, aad=aad)
        return WrappedKey(
            provider=self.name, version=version, tag=tag, ciphertext=ciphertext
        ).to_bytes()

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """The data key that `wrap` sealed with the same `aad`; see the port."""
        check_aad(aad)
        key = read_blob(blob)
        if key.provider != self.name:
            raise unwrap_failed("was wrapped by another provider")
        dek = self._call(
            lambda service: service.decrypt(key.version, key.ciphertext, self._context(aad))
        )
        wanted = tag_of(
            dek, provider=self.name, version=key.version, ciphertext=key.ciphertext, aad=aad
        )
        if len(dek) != KEY_BYTES or not hmac.compare_digest(wanted, key.tag):
            raise unwrap_failed("was altered")
        return dek

    def version_of(self, blob: bytes) -> str:
        """See the port."""
        return read_blob(blob).version

    def health(self) -> None:
        """Wrap and unwrap a key of no use; see the port."""
        sample = new_key()
        if self.unwrap(self.wrap(sample, _HEALTH), _HEALTH) != sample:
            raise unwrap_failed("did not come back as it was")

    def versions(self) -> Sequence[KeyVersion]:
        """See the port."""
        return self._call(lambda service: service.versions())

    def rotate(self) -> str:
        """See the port."""
        return self._call(lambda service: service.rotate())

    def destroy(self, version: str) -> datetime | None:
        """See the port."""
        return self._call(lambda service: service.destroy(version))

    def protection(self) -> Protection:
        """See the port."""
        return self._call(lambda service: service.protection())

    def region(self) -> str:
        """See the port."""
        return self._call(lambda service: service.region())

    def _context(self, aad: bytes) -> bytes:
        return b"mayfly/" + self.name.encode() + b"/1\x00" + aad

    def _call(self, act: Callable[[KeyService], T]) -> T:
        def attempt() -> T:
            service = self._service()
            return bounded(lambda: act(service), self._call_seconds)

        try:
            return self._circuit.call(attempt)
        except EngineError:
            raise
        except Exception:
            raise ContractError(
                "keys_answer", "The key provider's answer is not one that its library knows."
            ) from None

    def _service(self) -> KeyService:
        if not self._lock.acquire(timeout=self._opening_seconds):
            raise unavailable()
        try:
            pid = os.getpid()
            if self._opened is None or self._opened[0] != pid:
                self._opened = pid, bounded(self._open, self._opening_seconds)
            return self._opened[1]
        finally:
            self._lock.release()
