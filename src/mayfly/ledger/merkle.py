"""The Merkle tree of RFC 6962: roots, proofs, and their verification after RFC 9162.

A leaf is hashed with the prefix 0x00 and an inner node with 0x01, so that neither can be passed
off as the other. All hashes are SHA-256, 32 bytes. Functions are pure; proofs cost time linear
in the number of leaves, appending to a frontier costs a logarithm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from mayfly.domain.errors import IntegrityError

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry as a leaf of the tree."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: what is needed to append and to tell the root, and no more.

    Holds one hash per full subtree, largest first, at most 64. Not safe for concurrent use.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._peaks: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        """How many leaves were appended."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        node, carry = leaf, self._size
        while carry & 1:
            node = node_hash(self._peaks.pop(), node)
            carry >>= 1
        self._peaks.append(node)
        self._size += 1

    def root(self) -> bytes:
        """The root over all leaves appended so far."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node

    def copy(self) -> Frontier:
        """An independent frontier of the same tree."""
        twin = Frontier()
        twin._peaks = list(self._peaks)
        twin._size = self._size
        return twin


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, in order."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf in the tree over `leaves`, from the leaf upwards.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise ValueError("the index lies outside the tree")
    path: list[bytes] = []
    start, end = 0, len(leaves)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(leaves[middle:end]))
            end = middle
        else:
            path.append(root(leaves[start:middle]))
            start = middle
    return path[::-1]


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """The proof that the tree over the first `old_size` leaves is a beginning of the whole tree.

    Raises:
        ValueError: `old_size` is not between 1 and the number of leaves.
    """
    if not 1 <= old_size <= len(leaves):
        raise ValueError("the old size lies outside the tree")
    path: list[bytes] = []
    start, end, known = 0, len(leaves), True
    while old_size != end:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(root(leaves[middle:end]))
            end = middle
        else:
            path.append(root(leaves[start:middle]))
            start, known = middle, False
    if not known:
        path.append(root(leaves[start:end]))
    return path[::-1]


def verify_inclusion(
    *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """Check that `leaf` is number `index` of the tree of `size` leaves with this root.

    Raises:
        IntegrityError: `inclusion_invalid`, the proof does not lead to the root.
    """
    if not 0 <= index < size:
        raise _refused("inclusion")
    node, position, last = leaf, index, size - 1
    for sibling in proof:
        if last == 0:
            raise _refused("inclusion")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or node != root_hash:
        raise _refused("inclusion")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree with `old_root` is a beginning of the tree with `new_root`.

    An empty old tree is a beginning of every tree; its proof is empty.

    Raises:
        IntegrityError: `consistency_invalid`, the proof does not lead to both roots.
    """
    if not 0 <= old_size <= new_size:
        raise _refused("consistency")
    if old_size in (0, new_size):
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != expected:
            raise _refused("consistency")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a full subtree: its root is the old root itself
        path.insert(0, old_root)
    if not path or _fold(path, old_size, new_size) != (old_root, new_root):
        raise _refused("consistency")


def _fold(path: Sequence[bytes], old_size: int, new_size: int) -> tuple[bytes, bytes] | None:
    """Both roots that a consistency path leads to; None where its length is wrong."""
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _refused(kind: str) -> IntegrityError:
    return IntegrityError(f"{kind}_invalid", f"The {kind} proof does not lead to the root.")
