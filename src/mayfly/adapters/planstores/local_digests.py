"""What of a row may stand in a local state: keyed digests, and sealed identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.crypto.keyed import DIGEST_BYTES, derived_key, keyed_digest_one, keyed_digests
from mayfly.crypto.sealed_identifiers import IdentifierSealer

_DIGEST = pa.binary(DIGEST_BYTES)
_HALF = DIGEST_BYTES // 2
_KEY = "primary key"  # no destination field has a blank in its name


class LocalDigests:
    """Computed in the worker, under one key of the workspace.

    Whoever holds the state without the key can neither find a person in it nor try out keys.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._rows = derived_key(key, "local state/rows")
        self._values = derived_key(key, "local state/values")
        self._mark = derived_key(key, "local state/mark")
        self._sealing = derived_key(key, "local state/identifiers")

    def __repr__(self) -> str:
        return "LocalDigests()"

    @property
    def mark(self) -> str:
        """Tells whether a state was made with this key: 16 hex digits."""
        return keyed_digest_one(self._mark, bytes(DIGEST_BYTES)).hex()[:16]

    def rows(self, keys: pa.Array) -> pa.Array:
        """Keyed digests of primary keys.

        Args:
            keys: SHA-256 of each key.
        """
        return keyed_digests(self._rows, _flat(keys).cast(_DIGEST)).cast(pa.binary())

    def values(self, fingerprints: pa.Array, keys: pa.Array) -> pa.Array:
        """Keyed digests of fingerprints, each bound to its row: equal rows do not look equal.

        Args:
            fingerprints: 16 bytes each.
            keys: SHA-256 of each row's key.
        """
        half = pc.binary_slice(_flat(keys).cast(pa.binary()), 0, _HALF)
        empty = pa.scalar(b"", pa.binary())
        joined = pc.binary_join_element_wise(
            _flat(fingerprints).cast(pa.binary()), half, empty, null_handling="emit_null"
        )
        return keyed_digests(self._values, joined.cast(_DIGEST)).cast(pa.binary())

    @cached_property
    def sealer(self) -> IdentifierSealer:
        """For identifiers, which a removal must be able to hand back."""
        return IdentifierSealer(self._sealing)

    def seal_keys(self, texts: Sequence[pa.ChunkedArray]) -> pa.Array:
        """Primary keys, which a removal from a table must be able to name.

        Sealed as a whole: equal parts of two keys do not look equal.

        Args:
            texts: of each column of the key, none of them null.
        """
        empty = pa.scalar(b"", pa.binary())
        parts: list[pa.Array] = []
        for column in texts:
            text = _flat(column).cast(pa.binary())
            size = pc.binary_length(text).cast(pa.string()).cast(pa.binary())
            parts += [size, pa.scalar(b":", pa.binary()), text]
        joined = pc.binary_join_element_wise(*parts, empty, null_handling="emit_null")
        return self.sealer.seal(joined, _KEY)

    def unseal_keys(self, sealed: pa.Array, columns: int) -> list[pa.Array]:
        """The texts that `seal_keys` sealed, by column of the key.

        Raises:
            IntegrityError: `unseal_failed`.
        """
        keys = [_parts(key) for key in self.sealer.unseal(sealed, _KEY).to_pylist()]
        return [pa.array([key[i] for key in keys], pa.string()) for i in range(columns)]


def _parts(key: bytes) -> list[str]:
    found: list[str] = []
    while key:
        size, _, rest = key.partition(b":")
        found.append(rest[: int(size)].decode())
        key = rest[int(size) :]
    return found


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
