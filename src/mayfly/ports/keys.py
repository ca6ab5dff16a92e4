"""Keys as services see them: who wraps them, and which of them a workspace has."""

from __future__ import annotations

from typing import Literal, Protocol

KeyPurpose = Literal["pseudonym", "suppression", "local_state", "ledger_signing"]


class KeyProvider(Protocol):
    """Holds a key encryption key that never leaves it, and wraps data keys under it.

    Calls block, may be repeated and may run concurrently. Associated data is required: a key
    wrapped for one use cannot be unwrapped for another.
    """

    def wrap(self, dek: bytes, aad: bytes) -> bytes:
        """The data key, sealed under the key encryption key and bound to `aad`.

        Raises:
            PolicyError: the key encryption key is missing or open to others.
            TransientError: the provider is away.
        """
        ...

    def unwrap(self, blob: bytes, aad: bytes) -> bytes:
        """The data key that `wrap` sealed with the same `aad`.

        Raises:
            IntegrityError: `unwrap_failed`, the blob was altered, or wrapped under another key
                or for another use.
            PolicyError, TransientError: as for `wrap`.
        """
        ...

    def health(self) -> None:
        """Raise what `wrap` and `unwrap` would raise now; return where both would work."""
        ...


class Keyring(Protocol):
    """The secret keys of one workspace, 32 random bytes each, by purpose and scope.

    Raw keys are handed out only here. Nothing is made silently: asking for a key that does not
    exist is an error, since a new key in place of a lost one would change every digest.
    """

    def key(self, purpose: KeyPurpose, scope: str = "") -> bytes:
        """The key for a purpose; `scope` parts it further, such as pseudonyms by destination.

        Raises:
            PolicyError: `key_missing`, with what to do.
            IntegrityError: `unwrap_failed`.
        """
        ...

    def ensure(self, purpose: KeyPurpose, scope: str) -> None:
        """Make the key of a new scope at random; do nothing where it exists.

        Raises:
            PolicyError: `key_missing`, the keyring itself was never made.
        """
        ...
