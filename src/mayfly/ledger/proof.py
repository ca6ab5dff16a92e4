"""Proofs to hand out: one file, checked without the ledger by `verify.py` beside this module.

A document of schema `mayfly/proof/1` holds signed checkpoints and hashes of the tree; see
docs/specs/ledger.md. Signatures of Ed25519 have no chance in them: the checkpoint over a beginning
of the ledger, signed again, is the one that was signed when the ledger ended there.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mayfly.domain.errors import UsageError
from mayfly.ledger.checkpoint import ListHead, Signer
from mayfly.ledger.merkle import consistency_proof, inclusion_proof, root

SCHEMA = "mayfly/proof/1"


Listed = Mapping[int, ListHead]
"""The suppression list's head from an entry on, by that entry's number."""
_NEVER: Listed = MappingProxyType({})


def prove_consistency(
    leaves: Sequence[bytes], *, old_size: int, signer: Signer, listed: Listed = _NEVER
) -> dict[str, Any]:
    """That the tree over the first `old_size` leaves is the beginning of that over all.

    Raises:
        UsageError: `beyond_ledger`.
    """
    if not 1 <= old_size <= len(leaves):
        raise beyond_ledger("A tree of that size", len(leaves))
    return {
        "schema": SCHEMA,
        "proof": "consistency",
        "old_checkpoint": _checkpoint(leaves[:old_size], signer, listed),
        "checkpoint": _checkpoint(leaves, signer, listed),
        "hashes": _texts(consistency_proof(leaves, old_size)),
    }


def prove_inclusion(
    leaves: Sequence[bytes], *, index: int, line: bytes, signer: Signer, listed: Listed = _NEVER
) -> dict[str, Any]:
    """That a line is number `index`, from 0, of the tree over the leaves.

    Raises:
        UsageError: `beyond_ledger`.
    """
    if not 0 <= index < len(leaves):
        raise beyond_ledger("That entry", len(leaves))
    return {
        "schema": SCHEMA,
        "proof": "inclusion",
        "entry": line.decode("ascii"),
        "index": index,
        "checkpoint": _checkpoint(leaves, signer, listed),
        "hashes": _texts(inclusion_proof(leaves, index)),
    }


def beyond_ledger(what: str, size: int) -> UsageError:
    """Something was asked for that the tree does not have."""
    return UsageError(
        "beyond_ledger",
        f"{what} is not in the tree of {size} entries.",
        hint="Entries count from 0; a tree's size is the second line of its checkpoint.",
    )


def _checkpoint(leaves: Sequence[bytes], signer: Signer, listed: Listed) -> str:
    """As it was signed when the ledger ended there."""
    since = max((n for n in listed if n < len(leaves)), default=None)
    head = None if since is None else listed[since]
    return signer.checkpoint(len(leaves), root(leaves), head)


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(node).decode() for node in hashes]
