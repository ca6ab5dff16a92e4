"""A key provider in memory, with versions and an outage, for tests of what uses one."""

from __future__ import annotations

from mayfly.crypto.aead import new_key, seal, unseal
from mayfly.domain.errors import IntegrityError, TransientError


class FakeKeyProvider:
    """A `KeyProvider` whose key encryption key has versions.

    A blob is one byte, the number of its version, and the data key sealed under that version.
    `is_away` makes every call raise TransientError `keys_unavailable`; `given` has every blob that
    it ever gave, to be looked for where none may be.
    """

    def __init__(self) -> None:
        self.is_away = False
        self.given: list[bytes] = []
        self._versions: dict[int, bytes] = {1: new_key()}

    def version(self) -> str:
        """Name of the version that wraps now."""
        self.health()
        return f"v{max(self._versions)}"

    def rotate(self) -> None:
        """Begin a new version; earlier ones still unwrap."""
        self._versions[max(self._versions) + 1] = new_key()

    def destroy(self, version: str) -> None:
        """What a version wrapped cannot be unwrapped any more."""
        self._versions[int(version[1:])] = b""

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """See the port."""
        self.health()
        number = max(self._versions)
        self.given.append(bytes((number,)) + seal(self._versions[number], dek, aad))
        return self.given[-1]

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """See the port."""
        self.health()
        kek = self._versions.get(blob[0], b"") if blob else b""
        if not kek:
            raise IntegrityError("unwrap_failed", "A wrapped key has no version that is there.")
        try:
            return unseal(kek, blob[1:], aad)
        except IntegrityError:
            raise IntegrityError("unwrap_failed", "A wrapped key was altered.") from None

    def version_of(self, blob: bytes) -> str:
        """See the port."""
        return f"v{blob[0]}"

    def health(self) -> None:
        """See the port."""
        if self.is_away:
            raise TransientError("keys_unavailable", "The key provider is away.")
