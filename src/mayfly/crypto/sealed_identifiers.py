"""Identifiers sealed so that equal ones stay equal: AES-SIV (RFC 5297).

For identifiers that must be found again by equality and yet handed back as they were: a keyed
digest could not be handed back, a random nonce could not be found.
"""

from __future__ import annotations

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mayfly.crypto.keyed import derived_key
from mayfly.domain.errors import IntegrityError


class IdentifierSealer:
    """Seals digests of identifiers, 16 bytes longer each, bound to the name of their field.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(derived_key(key, "siv/mac") + derived_key(key, "siv/ctr"))

    def __repr__(self) -> str:
        return "IdentifierSealer()"

    def seal(self, digests: pa.Array, name: str) -> pa.Array:
        """A column of bytes, none of them empty, sealed; nulls stay null. They may come as text,
        of an engine that has one type for both.
        """
        bound = [name.encode()]
        sealed = [
            None if d is None else self._cipher.encrypt(d, bound)
            for d in digests.cast(pa.binary()).to_pylist()
        ]
        return pa.array(sealed, pa.binary())

    def unseal(self, sealed: pa.Array, name: str) -> pa.Array:
        """The values that `seal` sealed under the same key and name; nulls stay null.

        Raises:
            IntegrityError: `unseal_failed`.
        """
        bound = [name.encode()]
        try:
            digests = [
                None if s is None else self._cipher.decrypt(s, bound) for s in sealed.to_pylist()
            ]
        except (InvalidTag, ValueError):
            raise IntegrityError(
                "unseal_failed",
                "A sealed identifier of the local state is damaged, or of another workspace.",
                hint="Restore the state or the workspace's keys from a backup, or forget the state "
                "with `mayfly state drop`: then everything is sent anew.",
            ) from None
        return pa.array(digests, pa.binary())
