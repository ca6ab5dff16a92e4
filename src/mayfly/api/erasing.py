"""Erasing a person from a project: suppressed first, then what waits, states and destinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pyarrow as pa

from mayfly.adapters.processes import holder_name
from mayfly.bootstrap import SPECS, App, subjects_of, where_state_is
from mayfly.domain.alerts import AlertKind
from mayfly.domain.erasures import (
    ErasureRequest,
    ErasureStep,
    Extension,
    Regulation,
    RequestKind,
    StepStatus,
)
from mayfly.domain.errors import EngineError, TransientError, UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.ledger.entry import EntryType
from mayfly.ports.subjects import Recognise
from mayfly.services import suppress as suppressions
from mayfly.services.compiled_sync import first_refusal
from mayfly.services.erase import Eraser, erase_at, recogniser
from mayfly.services.erasure_limits import out_of_reach
from mayfly.services.erasure_requests import asked_of
from mayfly.services.events import ErasureDue, ErasuresDue

_SCHEMA = "mayfly/erase/1"


def erase(app: App, content: bytes, kind: RequestKind, regulation: Regulation) -> dict[str, Any]:
    """See `Project.erase`. A request that is known goes on where it was.

    Raises:
        ConfigError: as `asked_of`; nothing was changed.
    """
    asked = asked_of(
        content,
        target=app.project.target,
        kind=kind,
        regulation=regulation,
        now=app.clock.now(),
        key=app.keyring.key("suppression"),
        canonical=suppressions.canonical_of,
    )
    suppressions.change(app.store, "add", list(asked.entries), app.clock.now())
    app.recorded_list().settle_if_current()
    known = next((r for r in app.store.erasures() if r.request == asked.request.request), None)
    request = known or asked.request
    if request.ended_at is not None:
        return shown(app, request.request)
    if known is None:
        _record(app, request, "received")
    app.store.add_erasure(request, {digest for _, digest in asked.entries})
    return shown(app, request.request, _advance(app, request))


def erase_everybody(app: App) -> list[dict[str, Any]]:
    """Have each destination asked to forget everybody that it was given, and forget them here.

    Raises:
        EngineError: a destination or a state is away.
        TransientError: `recipient_open`, a destination has not answered, or refused.
    """
    told = []
    for sync in app.project.syncs.values():
        eraser = _eraser(app, sync, "workspace")
        step = _new_step(app, sync)
        if eraser is None:
            step = replace(step, status=StepStatus.NEVER_SENT, forgotten=True)
        else:
            step = erase_at(eraser, _everybody, step, lambda _: None)
        if not step.is_done:
            raise TransientError(
                "recipient_open",
                f"Destination {step.destination} has not forgotten everybody [{step.code}].",
                hint="Repeat it; or leave out --erase-recipients and have it done by hand.",
            )
        told.append(_told(app, step, sync))
    return told


def _everybody(digests: pa.Array) -> pa.Array:
    return pa.repeat(pa.scalar(True, pa.bool_()), len(digests))


def resume(app: App) -> dict[str, Any]:
    """See `Project.resume_erasures`."""
    for request in app.store.erasures():
        if request.ended_at is None and request.target == app.project.target:
            # What is in the way of one keeps neither the others nor a run.
            with suppress(EngineError):
                _advance(app, request)
            _remind(app, request)
    now, target = app.clock.now(), app.project.target
    due = [r for r in app.store.erasures() if r.target == target and r.needs_attention(now)]
    alerted = any(
        o.kind == AlertKind.ERASURE_DUE and o.target == target for o in app.store.alerts()
    )
    if due or alerted:
        app.tell(ErasuresDue(target=target, due=len(due)))
    return listed(app)


def extend(app: App, name: str, why: Extension) -> dict[str, Any]:
    """See `Project.extend_erasure`.

    Raises:
        UsageError: `unknown_request`; `not_extendable`, it has ended, was extended, or is overdue.
    """
    request = _find(app, name)
    late = app.clock.now() > request.due_at
    if request.extension or request.ended_at is not None or late:
        raise UsageError(
            "not_extendable",
            "A request is extended once, while it is open and before it is due.",
            hint="`mayfly erase show` says how far it is.",
        )
    extended = request.extended(why)
    _record(app, extended, f"extended/{why.value}")
    app.store.change_erasure(extended)
    return shown(app, name)


def cancel(app: App, name: str) -> dict[str, Any]:
    """See `Project.cancel_erasure`.

    Raises:
        UsageError: `unknown_request`; `not_cancellable`, it has ended, or somebody was asked.
    """
    request = _find(app, name)
    asked = any(step.was_asked for step in app.store.erasure_steps(name))
    if asked or request.ended_at is not None:
        raise UsageError(
            "not_cancellable",
            "A request is cancelled only while it is open and no destination was asked.",
            hint="`mayfly erase show` says how far it is.",
        )
    _record(app, request, "cancelled")
    app.store.change_erasure(replace(request, ended_at=app.clock.now(), cancelled=True))
    return shown(app, name)


def open_requests(app: App) -> list[dict[str, Any]]:
    """Those that are open, of all targets, as `mayfly status` prints them."""
    names = ("request", "target", "kind", "due_at", "days_left")
    heads = [_head(app, r) for r in app.store.erasures() if r.ended_at is None]
    return [{name: head[name] for name in names} for head in heads]


def listed(app: App) -> dict[str, Any]:
    """See `Project.erasures`."""
    requests = [_head(app, request) for request in app.store.erasures()]
    return {"schema": _SCHEMA, "ok": True, "requests": requests}


def shown(app: App, name: str, left: Sequence[str] = ()) -> dict[str, Any]:
    """See `Project.erasure`; `left` are codes of what that waits could not be ended.

    Raises:
        UsageError: `unknown_request`.
    """
    request = _find(app, name)
    steps = app.store.erasure_steps(name)
    failed = any(step.status is StepStatus.FAILED for step in steps)
    known = {sync.id: sync for sync in app.project.syncs.values()}
    return {
        "schema": _SCHEMA,
        "ok": not failed and not left,
        **_head(app, request),
        "receipt": _receipt(app, name),
        "destinations": [_told(app, step, known.get(step.sync)) for step in steps],
        "left": list(left),
        "out_of_reach": out_of_reach(
            app.project, app.clock.now(), states_beyond(app), asked=_asked_for(steps, known)
        ),
    }


def _asked_for(steps: Sequence[ErasureStep], known: Mapping[str, SyncSettings]) -> Sequence[str]:
    """Names of syncs that have a state."""
    sent = (s.sync for s in steps if s.status is not StepStatus.NEVER_SENT)
    return [known[sync].name for sync in sent if sync in known]


def _advance(app: App, request: ErasureRequest) -> list[str]:
    """Do what is left of a request, as far as it goes now; codes of what waits and could not be
    ended.
    """
    steps = {step.sync: step for step in app.store.erasure_steps(request.request)}
    left: list[str] = []
    if request.kind is RequestKind.ERASURE:
        left = _erase_everywhere(app, request, steps)
    if not left and all(step.is_done for step in steps.values()):
        _record(app, request, "ended", rows=sum(step.rows for step in steps.values()))
        app.store.change_erasure(replace(request, ended_at=app.clock.now()))
    return left


def _erase_everywhere(
    app: App, request: ErasureRequest, steps: dict[str, ErasureStep]
) -> list[str]:
    digests = app.store.erasure_digests(request.request)
    recognise = recogniser(app.keyring.key("suppression"), digests)
    left: set[str] = set()
    for sync in app.project.syncs.values():
        step = steps.get(sync.id) or _new_step(app, sync)
        steps[sync.id] = step if step.is_done else _step(app, request, sync, step, recognise, left)
    return sorted(left)


def _end_waiting(app: App, sync: SyncSettings) -> set[str]:
    """Destroy all that waits of a sync, of which nobody can say who is in it: whoever else was is
    planned anew. Codes of what could not be ended.
    """
    room, target = app.waiting(), app.project.target
    waits = [(copy.sync, copy.target) for copy in room.copies()]
    waits += [(held.sync, held.target) for held in room.sealed()]
    if (sync.id, target) not in waits:
        return set()
    _, left = room.purge([sync.id], target)
    return {item.code for item in left}


def _new_step(app: App, sync: SyncSettings) -> ErasureStep:
    return ErasureStep(
        sync=sync.id,
        destination=sync.destination,
        status=StepStatus.REQUESTED,
        changed_at=app.clock.now(),
    )


def _step(
    app: App,
    request: ErasureRequest,
    sync: SyncSettings,
    step: ErasureStep,
    recognise: Recognise,
    left: set[str],
) -> ErasureStep:
    """One sync's part; what is in the way is noted with it, and keeps no other sync.

    Where the person cannot be looked for in what waits, and waiting does not help, all of that
    sync's is destroyed; `left` gets codes of what could not be.
    """
    before, noted = step.status, [step]

    def note(changed: ErasureStep) -> None:
        noted.append(changed)
        app.store.note_erasure_step(request.request, changed)

    try:
        eraser = _eraser(app, sync, request.request)
        if eraser is None:
            codes = sorted(_end_waiting(app, sync))
            if codes:
                raise TransientError(codes[0], "What waits of the sync could not be ended.")
            never = replace(step, status=StepStatus.NEVER_SENT, forgotten=True)
            note(replace(never, changed_at=app.clock.now()))
        else:
            erase_at(eraser, recognise, step, note)
    except EngineError as error:
        waits = isinstance(error, TransientError)
        last = noted[-1]
        status = StepStatus.REQUESTED if waits else StepStatus.FAILED
        # An answer that came is kept: what failed is forgetting.
        kept = last.status if last.status in _DONE else status
        if kept is StepStatus.FAILED:
            left.update(_end_waiting(app, sync))
        note(replace(last, status=kept, code=error.code, changed_at=app.clock.now()))
    last = noted[-1]
    if last.status is not before or last.forgotten:
        _record(app, request, last.status.value, sync=sync, rows=last.rows)
    return last


_DONE = (StepStatus.ACCEPTED, StepStatus.CONFIRMED, StepStatus.UNSUPPORTED)


def _eraser(app: App, sync: SyncSettings, request: str) -> Eraser | None:
    """What erases a person from a sync; None where it has no state, and so was never sent anybody.

    Raises:
        EngineError: the sync cannot be compiled, or its source is away.
    """
    compiled = app.compile(sync, run=f"erase-{request[:8]}")
    spec, policy = compiled.spec, compiled.policy
    if spec is None or policy is None:
        raise first_refusal(compiled) or UsageError("not_compiled", "The sync cannot be compiled.")
    place = where_state_is(app.project, compiled.model.source)
    if not any(state.info.sid == spec.identity.sid for state in app.states().of(place)):
        return None
    kind, room = SPECS[app.project.destinations[sync.destination].type], app.waiting()
    return Eraser(
        spec=spec,
        policy=policy,
        store=app.plan_store(compiled),
        subjects=subjects_of(app, compiled.model.source, spec),
        worker=app.worker(compiled),
        room=room,
        erasure=kind.erasure,
        confirms=kind.confirms_erasure,
        destination=partial(app.destination, compiled),
        sleep=app.sleep,
        holder=holder_name(),
        alive=app.alive,
        now_ms=app.clock.now_ms,
        now=app.clock.now,
    )


def _record(
    app: App,
    request: ErasureRequest,
    what: str,
    *,
    sync: SyncSettings | None = None,
    rows: int = 0,
) -> None:
    entry = app.workspace_entry(
        EntryType.ERASURE,
        target=request.target,
        sync=sync.id if sync else "",
        destination=sync.destination if sync else "",
        run="",
        rows=rows,
        reason=f"{request.kind.value}/{request.request}/{what}",
    )
    app.ledger.append([entry])


def _receipt(app: App, request: str) -> int | None:
    """Position in the ledger of the entry that ended a request."""
    ends = tuple(f"{kind.value}/{request}/ended" for kind in RequestKind)
    found = (e.seq for e in app.ledger.entries() if e.reason in ends)
    return next(found, None)


def states_beyond(app: App) -> list[str]:
    """States of this workspace's sources that no sync of this target works on; of a source that
    does not answer, its name.
    """
    keeper, target, found = app.states(), app.project.target, []
    for place in keeper.states:
        try:
            known = keeper.of(place)
        except EngineError:
            found.append(place)
            continue
        found += [
            f"{place}/{state.info.sid}"
            for state in known
            if not state.ours or state.used_by is None or state.info.target != target
        ]
    return found


def _find(app: App, name: str) -> ErasureRequest:
    found = next((r for r in app.store.erasures() if r.request == name), None)
    if found is None:
        raise UsageError(
            "unknown_request",
            "There is no request of that id.",
            hint="`mayfly erase list` shows them.",
        )
    return found


def _remind(app: App, request: ErasureRequest) -> None:
    now = app.clock.now()
    request = _find(app, request.request)
    if request.needs_attention(now):
        app.tell(ErasureDue(request=request.request, days_left=request.days_left(now)))


def _head(app: App, request: ErasureRequest) -> dict[str, Any]:
    ended = request.ended_at
    return {
        "request": request.request,
        "target": request.target,
        "kind": request.kind.value,
        "regulation": request.regulation.value,
        "status": _status(request),
        "received_at": request.received_at.isoformat(),
        "due_at": request.due_at.isoformat(),
        "days_left": None if ended else request.days_left(app.clock.now()),
        "extension": request.extension or None,
        "ended_at": ended.isoformat() if ended else None,
    }


def _status(request: ErasureRequest) -> str:
    if request.cancelled:
        return "cancelled"
    return "completed" if request.ended_at else "in_progress"


def _told(app: App, step: ErasureStep, sync: SyncSettings | None) -> dict[str, Any]:
    return {
        "sync": step.sync,
        "destination": step.destination,
        "status": step.status.value,
        "rows": step.rows,
        "code": step.code or None,
        "forgotten": step.forgotten,
        "changed_at": step.changed_at.isoformat(),
        "who_must_act": _who(app, step, sync),
    }


def _who(app: App, step: ErasureStep, sync: SyncSettings | None) -> str | None:
    """Whoever must do by hand what Mayfly cannot."""
    if sync is None and not step.is_done:
        return "whoever took the sync out of the project"
    if step.status is not StepStatus.UNSUPPORTED:
        return None
    settings = app.project.destinations.get(step.destination)
    owner = settings.owner if settings else None
    return owner or f"whoever answers for destination {step.destination}"
