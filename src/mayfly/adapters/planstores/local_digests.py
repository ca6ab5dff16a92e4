"""What of a row may stand in a local state: keyed digests, and sealed identifiers."""

from __future__ import annotations

from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.crypto.keyed import DIGEST_BYTES, derived_key, keyed_digest_one, keyed_digests
from mayfly.crypto.sealed_identifiers import IdentifierSealer

_DIGEST = pa.binary(DIGEST_BYTES)
_HALF = DIGEST_BYTES // 2


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


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
