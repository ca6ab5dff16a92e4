"""Places for a store, and the records that its contract keeps in one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mayfly.domain.alerts import Alert, AlertKind
from mayfly.domain.audit import OpenAct
from mayfly.domain.erasures import (
    ErasureRequest,
    ErasureStep,
    Regulation,
    RequestKind,
    StepStatus,
)
from mayfly.domain.incidents import Incident, IncidentKind
from mayfly.domain.runs import (
    ApprovalRecord,
    ColumnVerdict,
    Outage,
    Pause,
    PendingApproval,
    Rejection,
    RunOffer,
    Ticking,
    WorkerBeat,
)
from mayfly.ports.store import Store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WORKER = WorkerBeat(executor="here/1/0", region="eu", beat_ms=0, age_ms=0, ended=False)
FINISHED = {"delivered": 7, "withheld_consent": 2}


@dataclass(frozen=True, kw_only=True)
class StoreWorld:
    """A place without a store.

    Args:
        open: a new `Store` of that place, as another process would open it.
        execute: run one statement on the database behind the store's back.
    """

    open: Callable[[], Store]
    execute: Callable[[str], None]

    def made(self) -> Store:
        """The store, created."""
        store = self.open()
        create(store)
        return store


def open_act(id_: str, **changed: Any) -> OpenAct:
    """An act that goes on."""
    act = OpenAct(
        id=id_,
        action="pause",
        object="sync/vip",
        target="dev",
        actor="a-1",
        before="b" * 64,
        holder="here/1/0",
        rows=2**40,
    )
    return replace(act, **changed)


def incident(id_: str, **changed: Any) -> Incident:
    """An open one."""
    made = Incident(
        id=id_,
        kind=IncidentKind.CLEAR_VALUE_FOUND,
        subject="vip",
        target="dev",
        code="withheld_threshold",
        run="r1",
        known_at=NOW,
        last_at=NOW,
        rows=3,
    )
    return replace(made, **changed)


def create(store: Store) -> None:
    """Create it as `shop-1`."""
    store.create(workspace_id="shop-1", name="shop", installation_id="installation", now=NOW)


def entry(text: str, kind: str = "email") -> tuple[str, bytes]:
    """An entry of the suppression list."""
    return kind, hashlib.sha256(text.encode()).digest()


def approval(mark: str = "a" * 64, sync: str = "vip", target: str = "dev") -> ApprovalRecord:
    """An approval with this fingerprint."""
    return ApprovalRecord(
        sync=sync,
        target=target,
        fingerprint=mark,
        document={"columns": [{"field": "EMAIL", "minimum": None}], "key": ["é"]},
        actor="operator",
        self_approved=True,
        at=NOW,
    )


def start(store: Store, run: str, *, sync: str = "vip", at: datetime = NOW) -> None:
    """Start a run of target `dev`."""
    store.start_run(
        run_id=run, sync=sync, target="dev", mode="audience", started_at=at, holder="here/1/0"
    )


def finish(store: Store, run: str, *, error: str | None = None) -> None:
    """Finish a run one minute after `NOW`."""
    store.finish_run(
        run_id=run,
        status="failed" if error else "succeeded",
        finished_at=NOW + timedelta(minutes=1),
        counts=FINISHED,
        batches=3,
        seconds=1.5,
        ages={"p50": 0.1, "p95": 0.2, "max": 0.3},
        error_code=error,
    )


def pending(sync: str, fingerprint: str = "f", *, at: datetime = NOW) -> PendingApproval:
    """A sync of target `dev` that waits for approval."""
    return PendingApproval(sync=sync, target="dev", fingerprint=fingerprint, since=at)


def rejection(sync: str) -> Rejection:
    """A sync of target `dev` that was rejected."""
    return Rejection(sync=sync, target="dev", fingerprint="f", actor="alice", at=NOW)


def pause(sync: str) -> Pause:
    """A sync of target `dev` that somebody paused."""
    return Pause(sync=sync, target="dev", actor="alice", since=NOW)


def ticking(sync: str) -> Ticking:
    """A schedule under target `dev` that the store does not know yet."""
    return Ticking(sync=sync, target="dev", schedule="every 5 minutes", next_at=NOW)


def run_offer(sync: str, run: str) -> RunOffer:
    """A run of a sync under target `dev` that others may help with."""
    return RunOffer(run=run, sync=sync, target="dev", mark="m" * 64)


def outage(destination: str, *, failures: int = 5, pause: bool = False) -> Outage:
    """A destination of target `dev` that is away."""
    return Outage(
        destination=destination,
        target="dev",
        since=NOW,
        failures=failures,
        code="http_503",
        asked_again_at=NOW + timedelta(hours=1) if pause else None,
    )


def verdict(column: str, cls: str = "email", *, model: str = "people") -> ColumnVerdict:
    """What a column of target `dev` was found to be."""
    return ColumnVerdict(
        target="dev",
        model=model,
        column=column,
        cls=cls,
        counts={"values": 2000, "email": 1},
        basis="b" * 64,
        at=NOW,
    )


ALERT = Alert(kind=AlertKind.FAILED, subject="vip", target="dev")


def erasure(request: str) -> ErasureRequest:
    """A request of that id."""
    return ErasureRequest(
        request=request,
        target="dev",
        kind=RequestKind.ERASURE,
        regulation=Regulation.GDPR,
        received_at=NOW,
        due_at=NOW + timedelta(days=30),
    )


def erasure_step(sync: str, status: StepStatus = StepStatus.REQUESTED) -> ErasureStep:
    """A request's part of that sync."""
    return ErasureStep(sync=sync, destination="meta", status=status, rows=1, changed_at=NOW)
