"""`Spool`: key rows, sealed bytes and a key provider, joined in the order that makes a crash safe.

See `docs/specs/spool.md` for the order and the associated data.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mayfly.adapters.spools.blobs import Blobs
from mayfly.adapters.spools.content import compress, decompress
from mayfly.adapters.spools.key_rows import KeyRow, KeyRows
from mayfly.adapters.spools.locks import HoldLock
from mayfly.crypto.aead import associated_data, new_key
from mayfly.crypto.spool_stream import SpoolContext, open_stream, seal_stream
from mayfly.domain.errors import EngineError, IntegrityError, PolicyError, TransientError
from mayfly.domain.held import HeldBatch
from mayfly.ports.keys import KeyProvider, check_wrapped_under
from mayfly.ports.spool import SealedReceipt

KEYS_FILE, LOCK_FILE, FOLDER = "spool.sqlite", "spool.lock", "spool"
"""Names inside the project's `.mayfly`; the folder only where sealed bytes are on this machine."""
_KEY_CONTEXT = "mayfly/spool-key/1"


@dataclass(frozen=True, kw_only=True)
class SpoolParts:
    """What a spool is made of.

    Args:
        keys: the file of wrapped keys.
        blobs: where sealed bytes are put, apart from it.
        lock: tells which holds are alive, on the machine of the file of keys.
        provider: wraps data keys under the key of this workspace and region.
        key_version: name of the version that `provider` wraps under now; an identifier.
        now_ms: the present time, ms since 1970 in UTC.
    """

    keys: KeyRows
    blobs: Blobs
    lock: HoldLock
    provider: KeyProvider
    key_version: Callable[[], str]
    now_ms: Callable[[], int]


class SealedSpool:
    """See `Spool`. Bound to one workspace and region: what others sealed does not open here."""

    def __init__(self, parts: SpoolParts, *, workspace: str, region: str) -> None:
        self._keys = parts.keys
        self._blobs = parts.blobs
        self._lock = parts.lock
        self._provider = parts.provider
        self._key_version = parts.key_version
        self._now_ms = parts.now_ms
        self._workspace = workspace
        self._region = region

    def __repr__(self) -> str:
        return "SealedSpool()"

    def hold(
        self,
        held: HeldBatch,
        content: bytes,
        *,
        announce: Callable[[str], None] | None = None,
    ) -> SealedReceipt:
        """See `Spool.hold`."""
        self._refuse(held)
        told = announce or _tell_nobody
        frame = compress(content)
        with self._lock.shared():
            before = self._keys.get(held.id)
            if before is not None and before.is_held:
                receipt = self._held_before(before, held, content)
                told(receipt.key_version)
                return receipt
            data_key, row = self._wrapped(_earlier(before, held))
            told(row.key_version)
            if not self._keys.write(row, instead_of=before):
                raise _busy()
            try:
                if before is not None:
                    self._leave(before)
                sealed = b"".join(seal_stream(data_key, [frame], self._context(held)))
                return self._written(row, sealed)
            except EngineError:
                is_taken = self._is_taken(row)
                self._abandon(row)
                if is_taken:
                    raise _busy() from None
                raise

    def reseal(
        self,
        batch_id: str,
        content: bytes,
        *,
        rows: int,
        announce: Callable[[str], None] | None = None,
    ) -> HeldBatch:
        """See `Spool.reseal`."""
        told, frame = announce or _tell_nobody, compress(content)
        with self._lock.shared():
            old = self._keys.get(batch_id)
            if old is None or not old.is_held:
                raise _gone()
            self._refuse(old.held)
            # An id of its own: another attempt's may have left a row with another number of rows.
            less = replace(old.held, id=secrets.token_hex(16), rows=rows)
            data_key, row = self._wrapped(less)
            told(row.key_version)
            if not self._keys.write(row, instead_of=None):
                raise _busy()
            try:
                sealed = b"".join(seal_stream(data_key, [frame], self._context(less)))
                self._written(row, sealed, instead_of=old)
            except EngineError:
                if self._is_unfinished(row):
                    self._abandon(row)
                raise
            return less

    def open(self, batch_id: str) -> bytes:
        """See `Spool.open`."""
        self._keys.spool_id(self._blobs.place)
        row = self._keys.get(batch_id)
        if row is None or not row.is_held:
            raise _gone()
        return self._content(row)

    def held(self) -> Sequence[HeldBatch]:
        """See `Spool.held`."""
        self._keys.spool_id(self._blobs.place)
        return [row.held for row in self._keys.all() if row.is_held]

    def remains(self) -> Sequence[HeldBatch]:
        """See `Spool.remains`."""
        self._keys.spool_id(self._blobs.place)
        rows, alone = self._keys.all(), False
        if any(row.wrapped is not None and not row.is_held for row in rows):
            with self._lock.alone() as alone:
                rows = self._keys.all()
        return [row.held for row in rows if not row.is_held and self._is_dead(row, alone=alone)]

    def sizes(self) -> Mapping[str, int]:
        """See `Spool.sizes`."""
        return {row.held.id: row.sealed_bytes or 0 for row in self._keys.all() if row.is_held}

    def key_versions(self, batch_ids: Sequence[str]) -> Mapping[str, str]:
        """See `Spool.key_versions`."""
        return {row.held.id: row.key_version for row in self._keys.some(batch_ids) if row.is_held}

    def purge(self, batch_ids: Sequence[str]) -> Sequence[str]:
        """See `Spool.purge`."""
        self._keys.spool_id(self._blobs.place)
        rows = self._keys.some(batch_ids)
        self._destroy(rows)
        there = {row.held.id for row in rows}
        return [id_ for id_ in dict.fromkeys(batch_ids) if id_ in there]

    def rewrap(self) -> int:
        """See `Spool.rewrap`."""
        version, changed, failed = self._key_version(), 0, None
        for row in self._keys.all():
            if row.wrapped is None or row.key_version == version or not self._is_ours(row.held):
                continue
            aad = self._key_context(row.held)
            try:
                wrapped = self._provider.wrap(self._provider.unwrap(row.wrapped, aad), aad)
            except IntegrityError as error:
                failed = error
                continue
            check_wrapped_under(self._provider, wrapped, version)
            changed += self._keys.replace_key(row, wrapped, version)
        if not self._keys.empty_log():
            raise _kept_by_a_reader()
        if failed is not None:
            raise failed
        return changed

    def sweep(self) -> int:
        """See `Spool.sweep`."""
        spool_id = self._keys.spool_id(self._blobs.place)
        # Names first: a row is always older than its bytes, so that bytes seen now whose row is
        # not there afterwards have none.
        names = set(self._names(spool_id))
        with self._lock.alone() as alone:
            # Attempts have names of their own: what is dead now is not what begins later.
            rows = self._keys.all()
        orphans = [row for row in rows if self._is_orphan(row, names, alone=alone)]
        self._destroy(orphans)
        lost = names - {row.blob for row in rows}
        self._blobs.delete(sorted(lost))
        return len(orphans) + len(lost)

    # -- helpers --------------------------------------------------------------------------------

    def _held_before(self, row: KeyRow, held: HeldBatch, content: bytes) -> SealedReceipt:
        is_other = _at(held, row.held) != row.held or held.purge_by_ms < row.held.purge_by_ms
        if is_other or self._content(row) != content:
            raise _conflict()
        return _receipt(row)

    def _wrapped(self, held: HeldBatch) -> tuple[bytes, KeyRow]:
        """A new data key, and its row; nothing is written where the provider is away."""
        spool_id = self._keys.spool_id(self._blobs.place)
        data_key = new_key()
        wrapped = self._provider.wrap(data_key, self._key_context(held))
        version = self._provider.version_of(wrapped)
        spool_id = spool_id or self._keys.create(self._blobs.place)
        blob = f"{spool_id}-{secrets.token_hex(16)}.spool"
        return data_key, KeyRow(held=held, blob=blob, wrapped=wrapped, key_version=version)

    def _written(
        self, row: KeyRow, sealed: bytes, *, instead_of: KeyRow | None = None
    ) -> SealedReceipt:
        self._blobs.put(row.blob, sealed)
        digest = hashlib.sha256(sealed).hexdigest()
        row = replace(row, sealed_sha256=digest, sealed_bytes=len(sealed))
        if not self._keys.finish(row, instead_of=instead_of):
            raise _busy()  # purged, or held by another process, while it was written
        return _receipt(row)

    def _content(self, row: KeyRow) -> bytes:
        self._refuse(row.held)
        if row.wrapped is None:
            raise _gone()
        data_key = self._provider.unwrap(row.wrapped, self._key_context(row.held))
        sealed = self._blobs.get(row.blob)
        if sealed is None:
            raise _gone()
        return decompress(open_stream(data_key, [sealed], self._context(row.held)))

    def _destroy(self, rows: Sequence[KeyRow]) -> None:
        """Keys first. Sealed bytes go even where a reader keeps the keys' old pages."""
        if not rows:
            return
        blobs = [row.blob for row in rows]
        self._keys.drop_keys(blobs)
        if not self._keys.empty_log():
            # That goes before whatever else is in the way: the keys are not destroyed yet.
            with suppress(EngineError):
                self._blobs.delete(blobs)
            raise _kept_by_a_reader()
        self._blobs.delete(blobs)
        self._keys.forget(blobs)

    def _abandon(self, row: KeyRow) -> None:
        """A hold failed: its key first, and each step though another fails; sweep does the rest."""
        with suppress(EngineError):
            self._keys.drop_keys([row.blob])
            self._keys.empty_log()
        with suppress(EngineError):
            self._blobs.delete([row.blob])
            self._keys.forget([row.blob])

    def _is_unfinished(self, row: KeyRow) -> bool:
        """Whether it is known not to be held; if it is, whatever it took the place of is not."""
        with suppress(EngineError):
            now = self._keys.get(row.held.id)
            return now is None or not now.is_held
        return False

    def _is_taken(self, row: KeyRow) -> bool:
        """Whether another attempt took the row's place, and its unfinished bytes away with it."""
        with suppress(EngineError):
            now = self._keys.get(row.held.id)
            return now is None or now.blob != row.blob
        return False

    def _leave(self, before: KeyRow) -> None:
        """Bytes of an unfinished attempt whose row another one took."""
        with suppress(EngineError):
            self._keys.empty_log()
        with suppress(EngineError):
            self._blobs.delete([before.blob])

    def _names(self, spool_id: str | None) -> Sequence[str]:
        """Sealed bytes that are this spool's; in a place of its own all are."""
        if not self._blobs.is_shared:
            return list(self._blobs.names(""))
        return list(self._blobs.names(f"{spool_id}-")) if spool_id else []

    def _is_orphan(self, row: KeyRow, names: set[str], *, alone: bool) -> bool:
        if row.is_held:
            # Held after the names were listed, or lost.
            return row.blob not in names and self._blobs.get(row.blob) is None
        return self._is_dead(row, alone=alone)

    def _is_dead(self, row: KeyRow, *, alone: bool) -> bool:
        """Whether nobody goes on with a row that is not held."""
        return row.wrapped is None or alone or row.held.purge_by_ms <= self._now_ms()

    def _refuse(self, held: HeldBatch) -> None:
        if not self._is_ours(held):
            raise PolicyError(
                "spool_elsewhere",
                "A held batch is of another workspace or region than this worker.",
                hint="Only a worker of that workspace and region may hold or open it.",
            )
        if held.purge_by_ms <= self._now_ms():
            raise PolicyError(
                "spool_expired",
                "A batch is past its deadline; it is neither held nor opened.",
                hint="Purge it; its rows are planned again where their source still has them.",
            )

    def _is_ours(self, held: HeldBatch) -> bool:
        return held.workspace == self._workspace and held.region == self._region

    def _context(self, held: HeldBatch) -> SpoolContext:
        """Workspace and region are this worker's own, whatever a row says."""
        return SpoolContext(
            workspace=self._workspace, region=self._region, sync=held.sync, batch=held.id
        )

    def _key_context(self, held: HeldBatch) -> bytes:
        return associated_data(
            _KEY_CONTEXT,
            self._workspace,
            self._region,
            held.sync,
            held.id,
            held.target,
            held.run,
            str(held.batch),
            held.operation,
            held.identifier or "",
            str(held.rows),
            held.cls.value,
            held.exception.value if held.exception else "",
            str(held.read_at_ms),
            str(held.purge_by_ms),
        )


def _earlier(before: KeyRow | None, held: HeldBatch) -> HeldBatch:
    """The batch as an unfinished attempt told it, whose deadline stays unless this one is earlier.

    Raises:
        IntegrityError: `spool_conflict`, it is another batch.
    """
    if before is None:
        return held
    if _at(held, before.held) != before.held:
        raise _conflict()
    return min(held, before.held, key=lambda told: told.purge_by_ms)


def _at(held: HeldBatch, times: HeldBatch) -> HeldBatch:
    """A batch with the times of another."""
    return replace(held, read_at_ms=times.read_at_ms, purge_by_ms=times.purge_by_ms)


def _tell_nobody(version: str, /) -> None:
    """Of a hold that nobody records."""


def _receipt(row: KeyRow) -> SealedReceipt:
    if row.sealed_sha256 is None or row.sealed_bytes is None:
        raise _gone()
    return SealedReceipt(
        ciphertext_sha256=row.sealed_sha256, bytes=row.sealed_bytes, key_version=row.key_version
    )


def _gone() -> IntegrityError:
    return IntegrityError(
        "spool_gone",
        "The batch is not held: it was purged, or its sealed bytes are gone.",
        hint="Run the sync again; its rows are planned anew where their source still has them.",
    )


def _conflict() -> IntegrityError:
    return IntegrityError(
        "spool_conflict",
        "The spool holds something else under this id, or with a later deadline.",
        hint="Each batch of each run has an id of its own.",
    )


def _kept_by_a_reader() -> TransientError:
    return TransientError(
        "spool_busy",
        "Keys were destroyed or changed, but a reader of their file keeps its old pages.",
        hint="End what reads the spool's file of keys, then repeat.",
    )


def _busy() -> TransientError:
    return TransientError(
        "spool_busy",
        "Another process holds or purges the same batch at this moment.",
        hint="Repeat; one of the two is done by then.",
    )
