"""The spool: sealed batches that must wait outside the warehouse, each with a date to be gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mayfly.domain.errors import EngineError
from mayfly.domain.held import HeldBatch


@dataclass(frozen=True, kw_only=True)
class SealedReceipt:
    """What the ledger may say of a sealed batch.

    Args:
        ciphertext_sha256: SHA-256 of the sealed bytes, 64 hexadecimal digits.
        bytes: how many they are.
        key_version: name of the key encryption key's version that wraps its data key.
    """

    ciphertext_sha256: str
    bytes: int
    key_version: str


class Spool(Protocol):
    """The sealed batches of one workspace in one region.

    Calls block, for as long as the disk, the bucket and the key provider take. Each may be
    repeated, also after a crash in the middle of it. Any may come from several threads and
    processes at once. None changes the deadline of a batch that is there.

    Every call may raise TransientError `spool_unavailable` (the place or the file of keys does
    not answer) or `spool_busy` (another process is at it; repeat), ConfigError `spool_denied` or
    `spool_unwritable` (rights are missing), `spool_place_missing`, `spool_place_changed`,
    `spool_newer`, and IntegrityError `spool_rows_damaged` (the file of keys is not one that
    Mayfly made).
    """

    def hold(
        self,
        held: HeldBatch,
        content: bytes,
        *,
        announce: Callable[[str], None] | None = None,
    ) -> SealedReceipt:
        """Seal a batch under a key of its own; it is durable when this returns.

        Where it raises, nothing is held that was not held before, and nothing of the content can
        be read: what may be left of it is unreadable and goes with `sweep`. A batch that is held
        already stays as it is, with its key and its deadline, and its receipt comes back.

        Args:
            held: what is known of it.
            content: an Arrow IPC stream of its rows, at most 1 GiB.
            announce: told, before anything of the batch is written, the version of the key
                encryption key that wraps its data key; where it raises nothing is held.

        Raises:
            ValueError: the content is larger.
            PolicyError: `spool_elsewhere`, it is of another workspace or region;
                `spool_expired`, its deadline is past.
            IntegrityError: `spool_conflict`, another batch, an earlier deadline or other content
                is held under this id; `spool_gone`, `spool_damaged`, `unwrap_failed`, what is held
                under it cannot be read: purge it first.
            TransientError: `disk_full`; what the key provider raises, before anything is written.
        """
        ...

    def reseal(
        self,
        batch_id: str,
        content: bytes,
        *,
        rows: int,
        announce: Callable[[str], None] | None = None,
    ) -> HeldBatch:
        """Seal other content in the place of a held batch; what is held then, durably.

        It has an id and a key of its own. All else that is known of it is as it was, its deadline
        before all. At each moment one of the two is held and never both, so that a crash loses
        neither; the other is one of `remains`, and `purge` by its id removes it.

        Where it raises the old one is held as it was, unless the file of keys failed at the very
        last step: then one of the two is, and `held` says which.

        Args:
            batch_id: of what is held.
            content: an Arrow IPC stream of the rows that stay, at most 1 GiB.
            rows: how many they are.
            announce: as of `hold`.

        Raises:
            ValueError: the content is larger.
            PolicyError: as `hold`.
            IntegrityError: `spool_gone`, the batch is not held.
            TransientError: as `hold`; `spool_busy`, it was purged meanwhile.
        """
        ...

    def open(self, batch_id: str) -> bytes:
        """The content of a held batch, whole.

        Raises:
            IntegrityError: `spool_gone`, it is not held, or its bytes are gone; `spool_damaged`,
                they were altered; `unwrap_failed`, its key or label was, or it belongs elsewhere.
            PolicyError: `spool_elsewhere`, `spool_expired`; what the key provider raises.
            TransientError: the key provider is away.
        """
        ...

    def held(self) -> Sequence[HeldBatch]:
        """Every batch that is held, those past their deadline included, by deadline."""
        ...

    def remains(self) -> Sequence[HeldBatch]:
        """Batches that are not held and of which sealed bytes may be there, by deadline: their key
        was destroyed and their place did not answer then, others were sealed in their place, or
        their hold was cut off.

        The place is not asked. A hold under way is none of them before its deadline. `purge`
        removes what is left; a batch that is neither held nor one of these is gone.
        """
        ...

    def sizes(self) -> Mapping[str, int]:
        """Of each batch that is held, by id: how many sealed bytes it is. No place is asked."""
        ...

    def key_versions(self, batch_ids: Sequence[str]) -> Mapping[str, str]:
        """Of each of the batches that is held, by id: the version that wraps its data key."""
        ...

    def purge(self, batch_ids: Sequence[str]) -> Sequence[str]:
        """Destroy the key of each, then its sealed bytes; ids of those that were there.

        Past the first step no content can be read. Where it raises, repeat it: a batch counts as
        there until all of it is gone. One call for many batches is much cheaper than many calls.

        Raises:
            TransientError: `spool_busy`, keys are deleted but a reader keeps their old pages;
                `disk_full`, nothing is purged, since even that needs a little room for keys.
        """
        ...

    def rewrap(self) -> int:
        """Wrap the data keys under the newest key encryption key; how many were changed.

        Sealed bytes are not touched. A key that cannot be unwrapped does not keep the others.

        Raises:
            IntegrityError: `unwrap_failed`, once all others are done.
            PolicyError, TransientError: what the key provider raises; those done stay done.
        """
        ...

    def sweep(self) -> int:
        """Remove what a crash left: sealed bytes without a key, keys without bytes, unfinished
        holds; how many there were.

        An unfinished hold stays while any hold is under way, but not beyond its deadline.
        """
        ...


def keyless_of(spool: Spool, batches: Sequence[HeldBatch], error: EngineError) -> list[HeldBatch]:
    """Of the held batches that a purge was to end, when it failed: those whose key is destroyed.

    None where the spool does not tell, or where a reader keeps the keys' old pages (`spool_busy`).
    """
    if error.code == "spool_busy":
        return []
    try:
        remains = {held.id for held in spool.remains()}
    except EngineError:
        return []
    return [held for held in batches if held.id in remains]
