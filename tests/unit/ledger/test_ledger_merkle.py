"""The Merkle tree, against a reference that follows the definition word for word."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.errors import IntegrityError
from mayfly.ledger.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)


def reference(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, by recursion over the entries themselves."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    return hashlib.sha256(b"\1" + reference(entries[:k]) + reference(entries[k:])).digest()


ENTRIES = [b"entry %d" % n for n in range(70)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def test_frontier_roots_equal_the_reference() -> None:
    """A frontier gives, at every size, the root of the recursive definition."""
    frontier = Frontier()
    assert frontier.root() == reference([])
    for size, leaf in enumerate(LEAVES, start=1):
        frontier.append(leaf)
        assert frontier.size == size
        assert frontier.root() == reference(ENTRIES[:size])


def test_known_roots() -> None:
    """The published roots of the empty tree and of one empty leaf come out."""
    assert root([]).hex().startswith("e3b0c44298fc1c14")
    assert root([leaf_hash(b"")]).hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


def test_a_copied_frontier_is_independent() -> None:
    """Appending to a copy leaves the original as it was."""
    frontier = Frontier()
    for leaf in LEAVES[:3]:
        frontier.append(leaf)
    before = frontier.root()
    frontier.copy().append(LEAVES[3])
    assert (frontier.size, frontier.root()) == (3, before)


def test_every_inclusion_proof_verifies_and_no_other_leaf_does() -> None:
    """Each leaf of each tree up to 40 leaves is proven; its neighbour's hash is refused."""
    for size in range(1, 41):
        top = reference(ENTRIES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            facts = {"index": index, "size": size, "proof": proof, "root_hash": top}
            verify_inclusion(leaf=LEAVES[index], **facts)
            with pytest.raises(IntegrityError, match="inclusion_invalid"):
                verify_inclusion(leaf=LEAVES[index + 1], **facts)


def test_every_consistency_proof_verifies_and_no_other_root_does() -> None:
    """Each pair of sizes up to 40 is proven; a wrong old or new root is refused."""
    roots = [reference(ENTRIES[:size]) for size in range(42)]
    for new in range(1, 41):
        for old in range(1, new + 1):
            proof = consistency_proof(LEAVES[:new], old)
            sizes = {"old_size": old, "new_size": new, "proof": proof}
            verify_consistency(old_root=roots[old], new_root=roots[new], **sizes)
            for wrong_old, wrong_new in ((roots[old - 1], roots[new]), (roots[old], roots[41])):
                with pytest.raises(IntegrityError, match="consistency_invalid"):
                    verify_consistency(old_root=wrong_old, new_root=wrong_new, **sizes)


def test_an_empty_tree_begins_every_tree() -> None:
    """Size 0 is consistent with an empty proof, and only under the empty root."""
    verify_consistency(
        old_size=0, new_size=3, old_root=root([]), new_root=root(LEAVES[:3]), proof=[]
    )
    with pytest.raises(IntegrityError):
        verify_consistency(
            old_size=0, new_size=3, old_root=LEAVES[0], new_root=root(LEAVES[:3]), proof=[]
        )


@given(size=st.integers(2, 64), data=st.data(), flip=st.integers(0, 31), longer=st.booleans())
def test_an_altered_proof_is_refused(
    size: int, data: st.DataObject, flip: int, longer: bool
) -> None:
    """A proof with one byte changed, one hash too many or too few proves nothing."""
    old = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(LEAVES[:size], old)
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = bytearray(proof[at])
    changed[flip] ^= 1
    for bad in (
        [*proof[:at], bytes(changed), *proof[at + 1 :]],
        [*proof, LEAVES[0]] if longer else proof[:-1],
    ):
        with pytest.raises(IntegrityError):
            verify_consistency(
                old_size=old,
                new_size=size,
                old_root=root(LEAVES[:old]),
                new_root=root(LEAVES[:size]),
                proof=bad,
            )


def test_numbers_outside_the_tree_are_refused() -> None:
    """There is no proof for a leaf or a size that the tree does not have."""
    for index in (-1, 3):
        with pytest.raises(ValueError, match="outside"):
            inclusion_proof(LEAVES[:3], index)
    for size in (0, 4):
        with pytest.raises(ValueError, match="outside"):
            consistency_proof(LEAVES[:3], size)
    with pytest.raises(IntegrityError):
        verify_inclusion(leaf=LEAVES[0], index=1, size=1, proof=[], root_hash=LEAVES[0])
    with pytest.raises(IntegrityError):
        verify_consistency(old_size=2, new_size=1, old_root=LEAVES[0], new_root=LEAVES[0], proof=[])


def test_roots_differ_at_every_size() -> None:
    """No tree shares its root with the tree one leaf larger."""
    roots = [root(LEAVES[:size]) for size in range(len(LEAVES))]
    assert all(a != b for a, b in pairwise(roots))


def test_a_proof_for_another_size_is_refused() -> None:
    """A true path of a smaller or larger tree does not pass under a size that it is not of."""
    for size in (16, 2):
        with pytest.raises(IntegrityError, match="inclusion_invalid"):
            verify_inclusion(
                leaf=LEAVES[0],
                index=0,
                size=size,
                proof=inclusion_proof(LEAVES[:8], 0),
                root_hash=root(LEAVES[:8]),
            )
    for size in (16, 4):
        with pytest.raises(IntegrityError, match="consistency_invalid"):
            verify_consistency(
                old_size=4,
                new_size=size,
                old_root=root(LEAVES[:4]),
                new_root=root(LEAVES[:8]),
                proof=consistency_proof(LEAVES[:8], 4),
            )
