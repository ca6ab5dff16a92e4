"""What waits: working copies whose run has not ended them, their deadlines, and their end.

A deadline counts from when the copy was recorded, and nothing moves it: neither a retry, nor a
warehouse that is away, nor a clock that was set back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from mayfly.domain.errors import EngineError
from mayfly.domain.held import HeldBatch, HoldException, limit_seconds
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.ledger.entry import BYTES_REMOVED, KEY_DESTROYED, Entry, EntryType, identifier_of
from mayfly.ports.ledger import OpenBatch, OpenCopy
from mayfly.ports.spool import Spool, keyless_of
from mayfly.ports.states import LeftPlan
from mayfly.services.states import StateKeeper

ERASED = "erased"
"""Reason of `purged`: a person was, or may have been, in it."""
CAP = timedelta(seconds=LIMITS[RetentionClass.CUSTOMER_DATA].cap_seconds or 0)


def deadline(copy: OpenCopy, *, sealed: bool) -> datetime:
    """When a working copy is dropped: only an outage lets it wait for longer than its target. What
    of it is sealed waits for one.
    """
    reason = HoldException.DESTINATION_OUTAGE.value if sealed else copy.reason
    return copy.created_at + timedelta(seconds=limit_seconds(RetentionClass.TEMPORARY, reason))


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One working copy in a warehouse, or beside the project where that is not written.

    Args:
        copy: as the ledger has it.
        source: where it is, None where no state says that it has it.
        plan: that it belongs to, None there, too.
        purge_by: when it is dropped, whatever happens.
    """

    copy: OpenCopy
    source: str | None
    plan: LeftPlan | None
    purge_by: datetime


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A working copy that was dropped before its run could end it.

    Args:
        sync, target, run: whose it was.
        batches, rows: that no answer came for.
        in_doubt: of the rows, those that were sent.
        reason: `expired` or `purged`; `not_there` where nothing was found; `bytes_removed` where
            it could not be opened any more, and what was left of it is gone now.
    """

    sync: str
    target: str
    run: str
    batches: int
    rows: int
    in_doubt: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """What should be gone and is not, with the code of what is in the way.

    Args:
        what: it is; of the spool, that what a crash may have left there was not looked for.
        sync, target, run: whose it is; None where that is not known.
        code: of what is in the way.
    """

    what: Literal["copy", "sealed", "spool"]
    sync: str | None = None
    target: str | None = None
    run: str | None = None
    code: str


@dataclass(kw_only=True)
class WaitingRoom:
    """All that waits in one workspace.

    Args:
        states: of its sources, with the ledger.
        spool: with what waits sealed.
        now: the latest of all clocks that are known.
    """

    states: StateKeeper
    spool: Spool
    now: Callable[[], datetime]

    def copies(self) -> Sequence[OpenCopy]:
        """The ledger's word alone, without a connection."""
        return self.states.ledger.open_copies()

    def overdue(self) -> Mapping[str, Sequence[OpenCopy | OpenBatch]]:
        """What is past its deadline by the ledger's word, by what it is."""
        return {"a working copy": self._late_copies(), "a sealed batch": self._late_batches()}

    def _late_copies(self) -> Sequence[OpenCopy]:
        now = self.now()
        return [copy for copy, at in self.deadlines() if now > at]

    def deadlines(self) -> Sequence[tuple[OpenCopy, datetime]]:
        """Each copy with when it is dropped, by the ledger's word alone."""
        sealed = {b.run for b in self.states.ledger.open_batches()}
        return [(c, deadline(c, sealed=c.run in sealed)) for c in self.copies()]

    def _late_batches(self) -> Sequence[OpenBatch]:
        now = self.now()
        return [b for b in self.states.ledger.open_batches() if now - b.held_at > CAP]

    def all(self) -> Sequence[Waiting]:
        """Each copy with what its warehouse says; sources are asked only where there is one."""
        copies = self.deadlines()
        found, _ = self._places() if copies else ({}, [])
        return [
            Waiting(copy=c, source=source, plan=plan, purge_by=at)
            for c, at in copies
            for source, plan in [found.get(c.run, (None, None))]
        ]

    def elsewhere(self) -> Collection[str] | None:
        """Runs whose plan is open in any state of the project; None where a source did not say."""
        found, away = self._places()
        return None if away else list(found)

    def sealed(self) -> Sequence[HeldBatch]:
        """What waits sealed, by deadline."""
        return self.spool.held()

    def remains(self) -> Sequence[HeldBatch]:
        """What cannot be opened any more, and is not gone yet, by deadline."""
        return self.spool.remains()

    def sweep(self) -> tuple[Sequence[Ended], Sequence[Left]]:
        """Drop what is past its deadline; what could not be dropped, and why. Neither a key
        provider nor a destination can be in the way of what waits sealed, and a spool that is away
        is not in the way of working copies.
        """
        sealed, left = self._sweep_sealed()
        ended, more = self._end(self._late_copies(), "expired")
        return [*sealed, *ended], [*left, *more]

    def _sweep_sealed(self) -> tuple[Sequence[Ended], Sequence[Left]]:
        """The ledger says that a batch is gone once its bytes are, not when its key is."""
        now_ms = self.now().timestamp() * 1000
        ended: list[Ended] = []
        left: Sequence[HeldBatch] = []
        try:
            # In this order: what one of them was sealed in the place of is among what remains.
            held, remains = self.spool.held(), self.spool.remains()
            late = [h for h in held if h.purge_by_ms <= now_ms]
            left = [*late, *remains]
            ended += self._destroy(late, EntryType.EXPIRED, "expired")
            left = remains
            ended += self._finish(remains)
            left = []
            self._note_resealed(held)
            self.spool.sweep()
            self._note_gone()
        except EngineError as error:
            return ended, _left_sealed([*left, *self._late_batches()], error.code)
        return ended, []

    def purge(self, syncs: Sequence[str], target: str) -> tuple[Sequence[Ended], Sequence[Left]]:
        """Drop what waits of some syncs under one target, now."""
        remains = [h for h in self.spool.remains() if h.sync in syncs and h.target == target]
        mine = [h for h in self.spool.held() if h.sync in syncs and h.target == target]
        sealed: list[Ended] = []
        left: Sequence[Left] = []
        try:
            sealed += self._destroy(mine, EntryType.PURGED, "purged")
            mine = []
            sealed += self._finish(remains)
        except EngineError as error:
            left = _left_sealed([*mine, *remains], error.code)
        copies = [c for c in self.copies() if c.sync in syncs and c.target == target]
        ended, more = self._end(copies, "purged")
        return [*sealed, *ended], [*left, *more]

    def destroy(self, held: HeldBatch) -> None:
        """Destroy one sealed batch whole, because of a person who may be in it.

        Raises:
            EngineError: it is not gone yet; repeat it.
        """
        self._destroy([held], EntryType.PURGED, ERASED)

    def seal_again(self, held: HeldBatch, content: bytes, rows: int) -> None:
        """Put other content in the place of what is sealed: under a new data key, with the old
        deadline. The old content goes once the new one is held, and is never held beside it.

        Args:
            held: the batch, as it is held.
            content: what is left of its rows.
            rows: how many they are.

        Raises:
            EngineError: the old content is held still, or cannot be opened any more and is not gone
                yet; `end_remains` ends that.
        """
        found = (b for b in self.states.ledger.open_batches() if _key(b) == _key(held))
        read = datetime.fromtimestamp(held.read_at_ms / 1000, UTC)
        since = next((b.held_at for b in found), read)
        old_version = self.spool.key_versions([held.id]).get(held.id, "")

        def announce(version: str) -> None:
            less = replace(held, rows=rows)
            self.states.ledger.append([self._held_again(less, since, version)])

        now_held = self.spool.reseal(held.id, content, rows=rows, announce=announce)
        self.spool.purge([held.id])
        self._note_resealed([now_held], old_version)

    def end_remains(self, sync: str, target: str) -> None:
        """End what an erasure that was cut off has left of a sync's sealed batches.

        Raises:
            EngineError: it is not gone yet; repeat it.
        """
        held = [h for h in self.spool.held() if (h.sync, h.target) == (sync, target)]
        remains = [h for h in self.spool.remains() if (h.sync, h.target) == (sync, target)]
        self._finish(remains)
        self._note_resealed(held)

    def _held_again(self, held: HeldBatch, since: datetime, version: str) -> Entry:
        return self._entry_of(
            EntryType.HELD,
            held,
            reason=HoldException.DESTINATION_OUTAGE.value,
            kek_version=identifier_of(version),
            age_ms=max(0, round((self.now() - since).total_seconds() * 1000)),
        )

    def _note_resealed(self, held: Sequence[HeldBatch], old_version: str = "") -> None:
        """Record of batches that were sealed again that what they took the place of is gone: it
        had more rows, and was announced before.

        Args:
            held: batches, of which nothing else is there any more.
            old_version: what wrapped the old data key; empty where nobody knows it any more.
        """
        before = {_key(b): b for b in self.states.ledger.open_batches()} if held else {}
        again = [(h, before[_key(h)]) for h in held if _key(h) in before]
        less = [(h, known) for h, known in again if h.rows < known.rows]
        versions = self.spool.key_versions([h.id for h, _ in less]) if less else {}
        entries = []
        for now_held, known in less:
            old = replace(now_held, rows=known.rows)
            name, version = identifier_of(old_version), versions.get(now_held.id, "")
            entries += [
                self._entry_of(EntryType.PURGED, old, reason=ERASED, kek_version=name),
                self._held_again(now_held, known.held_at, version),
            ]
        if entries:
            self.states.ledger.append(entries)

    def _note_gone(self) -> None:
        """End in the ledger what is past its cap and not there: a process died between purging
        and saying so. Before that day it may be a run that is just about to seal.
        """
        late = self._late_batches()
        found = (*self.spool.held(), *self.spool.remains()) if late else ()
        there = {_key(h) for h in found}
        gone = [b for b in late if _key(b) not in there]
        if not gone:
            return
        self.states.ledger.append(
            [
                self.states.entry(
                    EntryType.EXPIRED,
                    sync=b.sync,
                    target=b.target,
                    run=b.run,
                    batch=b.batch,
                    rows=b.rows,
                    reason="not_there",
                )
                for b in gone
            ]
        )

    def _destroy(
        self, batches: Sequence[HeldBatch], kind: EntryType, reason: str
    ) -> Sequence[Ended]:
        if not batches:
            return []
        versions = self.spool.key_versions([h.id for h in batches])

        def entry(type_: EntryType, held: HeldBatch, **other: object) -> Entry:
            name = identifier_of(versions.get(held.id, ""))
            return self._entry_of(type_, held, kek_version=name, **other)

        try:
            self.spool.purge([h.id for h in batches])
        except EngineError as error:
            keyless = keyless_of(self.spool, batches, error)
            self.states.ledger.append(
                [entry(EntryType.HELD, h, reason=KEY_DESTROYED) for h in keyless]
            )
            raise
        self.states.ledger.append(
            [entry(kind, h, reason=reason, age_ms=self._age_ms(h)) for h in batches]
        )
        return [_ended(h, reason) for h in batches]

    def _finish(self, remains: Sequence[HeldBatch]) -> Sequence[Ended]:
        """Remove what cannot be opened any more; what the ledger still has open ends with it,
        unless it is held under another id.
        """
        if not remains:
            return []
        self.spool.purge([h.id for h in remains])
        open_ = {_key(b) for b in self.states.ledger.open_batches()}
        open_ -= {_key(h) for h in self.spool.held()}
        mine = list({_key(h): h for h in remains if _key(h) in open_}.values())
        now_ms = self.now().timestamp() * 1000
        self.states.ledger.append(
            [
                self._entry_of(
                    EntryType.EXPIRED if h.purge_by_ms <= now_ms else EntryType.PURGED,
                    h,
                    reason=BYTES_REMOVED,
                    age_ms=self._age_ms(h),
                )
                for h in mine
            ]
        )
        return [_ended(h, BYTES_REMOVED) for h in mine]

    def _age_ms(self, held: HeldBatch) -> int:
        return max(0, round(self.now().timestamp() * 1000) - held.read_at_ms)

    def _entry_of(self, type_: EntryType, held: HeldBatch, **other: object) -> Entry:
        known = {"sync": held.sync, "target": held.target, "run": held.run}
        return self.states.entry(type_, **known, batch=held.batch, rows=held.rows, **other)

    def _end(
        self, copies: Sequence[OpenCopy], reason: str
    ) -> tuple[Sequence[Ended], Sequence[Left]]:
        ended: list[Ended] = []
        left: list[Left] = []
        found, away = self._places() if copies else ({}, [])
        for copy in copies:
            if copy.run not in found and away:
                left.append(_left_copy(copy, away[0]))
                continue
            if reason == "expired" and self._may_be_there(copy, found):
                left.append(_left_copy(copy, "in_doubt"))
                continue
            try:
                ended.append(self._end_one(copy, found, reason))
            except EngineError as error:
                left.append(_left_copy(copy, error.code))
        return ended, left

    def _may_be_there(self, copy: OpenCopy, found: Mapping[str, tuple[str, LeftPlan]]) -> bool:
        """Whether the sync's next run is to ask the destination what came of an append first. Past
        the cap nobody is asked any more.
        """
        doubtful = copy.run in found and found[copy.run][1].in_doubt > 0
        return doubtful and self.now() - copy.created_at <= CAP

    def _end_one(
        self, copy: OpenCopy, found: dict[str, tuple[str, LeftPlan]], reason: str
    ) -> Ended:
        batches = rows = in_doubt = 0
        if copy.run in found:
            source, plan = found[copy.run]
            was, report = self.states.states[source]().end_plan(
                plan.sid, now_ms=self.states.now_ms(), alive=self.states.alive
            )
            batches, rows, in_doubt = was.waiting_batches, was.waiting_rows, report.in_doubt
        else:
            reason = "not_there"
        # After a crash before this line, the next sweep finds that the copy is gone.
        self.states.ledger.append(
            [
                self.states.entry(
                    EntryType.DROPPED,
                    sync=copy.sync,
                    target=copy.target,
                    run=copy.run,
                    rows=rows,
                    reason=reason,
                )
            ]
        )
        return Ended(
            sync=copy.sync,
            target=copy.target,
            run=copy.run,
            batches=batches,
            rows=rows,
            in_doubt=in_doubt,
            reason=reason,
        )

    def _places(self) -> tuple[dict[str, tuple[str, LeftPlan]], list[str]]:
        """Where each open run's copy is, and codes of what kept a source from saying."""
        found: dict[str, tuple[str, LeftPlan]] = {}
        away: list[str] = []
        for source, states in self.states.states.items():
            try:
                for plan in states().open_plans():
                    found[plan.run] = (source, plan)
            except EngineError as error:
                away.append(error.code)
        return found, away


def _key(batch: HeldBatch | OpenBatch) -> tuple[str, int]:
    """What names a batch to the ledger."""
    return batch.run, batch.batch


def _ended(held: HeldBatch, reason: str) -> Ended:
    return Ended(
        sync=held.sync,
        target=held.target,
        run=held.run,
        batches=1,
        rows=held.rows,
        in_doubt=0,
        reason=reason,
    )


def _left_copy(copy: OpenCopy, code: str) -> Left:
    return Left(what="copy", sync=copy.sync, target=copy.target, run=copy.run, code=code)


def _left_sealed(batches: Sequence[HeldBatch | OpenBatch], code: str) -> Sequence[Left]:
    """One for each run of which sealed batches are left; the spool itself where none is known."""
    runs = dict.fromkeys((b.sync, b.target, b.run) for b in batches)
    if not runs:
        return [Left(what="spool", code=code)]
    return [Left(what="sealed", sync=s, target=t, run=r, code=code) for s, t, r in runs]
