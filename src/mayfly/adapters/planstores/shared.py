"""A plan store whose open plan several workers send batches of.

Who does stands in the layout of the open plan, in the state's line: that is locked by every
transaction that writes to the plan, so that each sees what all before it wrote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.registry import LEASE_MS, fenced_out, is_held, number, run_active
from mayfly.domain.errors import IntegrityError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.planning.spec import PlanSpec
from mayfly.ports.planstore import Joined
from mayfly.ports.source import SqlSession


@dataclass(frozen=True, kw_only=True)
class _Helper:
    """A worker that joined.

    Args:
        until_ms: it counts as sending for so long, unless it is known to be gone.
        lane: whether it was given one, without which it sends nothing.
    """

    until_ms: int
    lane: bool


@dataclass(frozen=True, kw_only=True)
class _Sharing:
    """What the layout says of the helpers of its plan.

    Args:
        opened: whether batches may be begun by helpers.
        row_bytes, reads_at_once: of the plan.
        oldest_seconds: of rows that helpers have sent.
        helpers: by name.
    """

    opened: bool
    row_bytes: int
    reads_at_once: int
    oldest_seconds: float = 0.0
    helpers: Mapping[str, _Helper] = field(default_factory=dict)

    def may_send(self, now_ms: int, alive: Callable[[str], bool]) -> frozenset[str]:
        """Helpers that may send, or have sent and not told the answer. Without a lane one has begun
        nothing.
        """
        return frozenset(
            name
            for name, of in self.helpers.items()
            if of.lane and of.until_ms > now_ms and alive(name)
        )

    def with_helper(self, name: str, helper: _Helper) -> _Sharing:
        """With another helper, or one as it is now."""
        return replace(self, helpers={**self.helpers, name: helper})


class SharedSourcePlanStore(SourcePlanStore):
    """See `SharedPlanStore`. One that joined a plan holds no lease of the state: it only writes
    intents and outcomes, while the plan is open under the fence it joined by, and it is a helper.
    """

    _name: str | None = None
    _run = ""
    _waiting: Sequence[str] = ()

    # -- by the holder of the lease ---------------------------------------------------------------

    def offer(self, *, row_bytes: int, reads_at_once: int) -> None:
        """See `SharedPlanStore.offer`."""
        with self._fenced() as (session, row):
            offered = _Sharing(opened=True, row_bytes=row_bytes, reads_at_once=reads_at_once)
            self._write(session, row, offered)

    def waiting(self) -> Sequence[str]:
        """See `SharedPlanStore.waiting`."""
        return self._waiting

    def give_lane(self, name: str) -> bool:
        """See `SharedPlanStore.give_lane`."""
        with self._fenced() as (session, row):
            sharing = _sharing_of(row)
            found = sharing.helpers.get(name) if sharing is not None else None
            if sharing is None or found is None or found.lane:
                return False
            self._write(session, row, sharing.with_helper(name, replace(found, lane=True)))
            self._waiting = [other for other in self._waiting if other != name]
            return True

    def end_offer(self, alive: Callable[[str], bool]) -> bool:
        """See `SharedPlanStore.end_offer`."""
        with self._source.session(write=False) as session:
            sharing = _sharing_of(self._require_fence(session))
        # Asked before the line is locked: who is gone stays so.
        gone = {name for name in sharing.helpers if not alive(name)} if sharing else set()
        with self._fenced() as (session, row):
            sharing = _sharing_of(row)
            if sharing is None:
                return True
            sending = sharing.may_send(self._clock_ms(), lambda name: name not in gone)
            left = {name: sharing.helpers[name] for name in sending}
            self._write(session, row, replace(sharing, opened=False, helpers=left))
        return not left

    def oldest_seconds(self) -> float:
        """See `SharedPlanStore.oldest_seconds`."""
        with self._source.session(write=False) as session:
            sharing = _sharing_of(self._require_fence(session))
        return sharing.oldest_seconds if sharing is not None else 0.0

    def answers(self) -> Mapping[int, Outcomes]:
        """See `SharedPlanStore.answers`."""
        with self._source.session(write=False) as session:
            names = self._copies(self._require_fence(session))
            sizes = session.table(
                f"SELECT b.batch, {self._sql.cast('b.size', self._sql.bigint)} AS size "
                f"FROM {names.of('batches')} b JOIN (SELECT DISTINCT batch FROM "
                f"{names.of('acks')}) a ON a.batch = b.batch"
            ).to_pylist()
            codes = session.table(
                f"SELECT batch, pos, code, reason, vendor FROM {names.of('codes')}"
            ).to_pylist()
        found = {r["batch"]: [int(OutcomeCode.ACCEPTED)] * r["size"] for r in sizes}
        reasons: dict[int, dict[int, Reason]] = {batch: {} for batch in found}
        for r in codes:
            if r["batch"] in found:
                found[r["batch"]][r["pos"]] = r["code"]
                if r["reason"] is not None:
                    why = Reason(code=r["reason"], vendor_code=r["vendor"] or "")
                    reasons[r["batch"]][r["pos"]] = why
        return {
            batch: Outcomes(codes=pa.array(of, pa.uint8()), reasons=reasons[batch])
            for batch, of in found.items()
        }

    # -- by whoever sends -------------------------------------------------------------------------

    def begun(self) -> frozenset[int]:
        """See `SharedPlanStore.begun`."""
        with self._source.session(write=False) as session:
            intents = self._copies(self._require_fence(session)).of("intents")
            found = session.table(f"SELECT DISTINCT batch FROM {intents}")
            return frozenset(found.column("batch").to_pylist())

    def claim(self, batch: int, unsent: Outcomes | None = None) -> bool:
        """See `SharedPlanStore.claim`."""
        with self._fenced(batch=batch, codes=unsent) as (session, row):
            sharing = _sharing_of(row)
            if self._name is not None:
                _require_lane(sharing, self._name)
            elif sharing is not None:
                self._waiting = [name for name, of in sharing.helpers.items() if not of.lane]
            intents = self._copies(row).of("intents")
            known = f"SELECT count(*) AS n FROM {intents} WHERE batch = {int(batch)}"
            if number(session, known):
                return False
            self._insert_intent(session, row, batch, unsent)
            return True

    # -- by a helper ------------------------------------------------------------------------------

    def join(self, spec: PlanSpec, *, run: str, name: str) -> Joined:
        """See `SharedPlanStore.join`."""
        with self._source.session(write=True) as session:
            self._lock(session)
            row = self._line.known(session)
            sharing = _sharing_of(row) if row is not None and row["plan_run"] == run else None
            if row is None or sharing is None or not sharing.opened or name in sharing.helpers:
                raise _over()
            self._line.refuse_foreign(row)
            self._fence, self._name, self._run = int(row["fence"]), name, run
            until_ms = self._clock_ms() + LEASE_MS
            joined = sharing.with_helper(name, _Helper(until_ms=until_ms, lane=False))
            self._write(session, row, joined)
            session.commit()
        plan = self.open_plan()
        if plan is None or plan.run != run or plan.versions != spec.versions:
            raise _over()
        return Joined(plan=plan, row_bytes=sharing.row_bytes, reads_at_once=sharing.reads_at_once)

    def has_lane(self) -> bool:
        """See `SharedPlanStore.has_lane`."""
        with self._fenced() as (_, row):
            sharing = _sharing_of(row)
            if sharing is None or not sharing.opened:
                raise _over()
            return sharing.helpers[self._name or ""].lane

    def leave(self, *, oldest_seconds: float) -> None:
        """See `SharedPlanStore.leave`."""
        name, self._name = self._name, None
        fence, self._fence = self._fence, None
        if name is None or fence is None:
            return
        with self._source.session(write=True) as session:
            self._lock(session)
            row = self._line.get(session)
            if row is None or int(row["fence"]) != fence or row["plan_run"] != self._run:
                return
            sharing = _sharing_of(row)
            if sharing is None or name not in sharing.helpers:
                return
            left = {other: of for other, of in sharing.helpers.items() if other != name}
            oldest = max(sharing.oldest_seconds, oldest_seconds)
            self._write(session, row, replace(sharing, helpers=left, oldest_seconds=oldest))
            session.commit()

    def release(self) -> None:
        """See `PlanStore.release`. A helper has no lease to give back."""
        if self._name is None:
            super().release()

    # -- helpers ----------------------------------------------------------------------------------

    def _end_helping(
        self, session: SqlSession, spec: PlanSpec, now_ms: int, alive: Callable[[str], bool]
    ) -> None:
        """The line stays locked, and nobody joins the plan of the earlier holder any more."""
        session.execute(self._line.change({"fence": "fence"}))
        row = self._line.get(session)
        if row is None or (sharing := _sharing_of(row)) is None:
            return
        if sharing.may_send(now_ms, alive):
            raise run_active(spec)
        self._write(session, row, replace(sharing, opened=False, helpers={}))

    def _renew(self, session: SqlSession, fence: int, *, begins: bool, idle_ms: int) -> None:
        """A helper renews its own time, and not that of the lease."""
        if self._name is None:
            super()._renew(session, fence, begins=begins, idle_ms=idle_ms)
            return
        self._lock(session)
        row = self._require_fence(session)
        sharing = _sharing_of(row)
        if sharing is not None:
            until_ms = self._clock_ms() + LEASE_MS + idle_ms
            known = replace(sharing.helpers[self._name], until_ms=until_ms)
            self._write(session, row, sharing.with_helper(self._name, known))

    def _require_fence(self, session: SqlSession) -> Mapping[str, Any]:
        """As a helper: its plan is open, and nobody has given it up."""
        row = super()._require_fence(session)
        if self._name is not None:
            sharing = _sharing_of(row) if row["plan_run"] == self._run else None
            if sharing is None or self._name not in sharing.helpers:
                raise fenced_out()
        return row

    def _lock(self, session: SqlSession) -> None:
        """Begin a transaction that has the line, and that the server ends where this process
        hangs: the holder of the lease would wait for it.
        """
        session.begin()
        session.execute(self._sql.brief or "")
        session.execute(self._line.change({"fence": "fence"}))

    def _write(self, session: SqlSession, row: Mapping[str, Any], sharing: _Sharing) -> None:
        layout = json.loads(str(row["plan_layout"]))
        layout["shared"] = {
            "opened": sharing.opened,
            "row_bytes": sharing.row_bytes,
            "reads_at_once": sharing.reads_at_once,
            "oldest_seconds": sharing.oldest_seconds,
            "helpers": {name: [of.until_ms, of.lane] for name, of in sharing.helpers.items()},
        }
        text = self._sql.literal(json.dumps(layout))
        session.execute(self._line.change({"plan_layout": text}))


def is_busy(row: Mapping[str, Any], now_ms: int, alive: Callable[[str], bool]) -> bool:
    """Whether a run works on a state, or helpers on what it left open."""
    sharing = _sharing_of(row)
    helped = sharing is not None and sharing.may_send(now_ms, alive)
    return bool(helped) or is_held(row, now_ms, alive)


def _sharing_of(row: Mapping[str, Any] | None) -> _Sharing | None:
    """What a state's line says; None where its plan, if it has one, was never offered."""
    layout = json.loads(str((row or {}).get("plan_layout") or "{}"))
    known = layout.get("shared")
    if known is None:
        return None
    helpers = {name: _Helper(until_ms=u, lane=lane) for name, (u, lane) in known["helpers"].items()}
    return _Sharing(
        opened=known["opened"],
        row_bytes=known["row_bytes"],
        reads_at_once=known["reads_at_once"],
        oldest_seconds=known["oldest_seconds"],
        helpers=helpers,
    )


def _require_lane(sharing: _Sharing | None, name: str) -> None:
    if sharing is None or not sharing.opened:
        raise _over()
    if not sharing.helpers[name].lane:
        raise IntegrityError("no_lane", "A helper begins a batch without a lane.")


def _over() -> TransientError:
    return TransientError("sharing_over", "The run does not share its batches any more.")
