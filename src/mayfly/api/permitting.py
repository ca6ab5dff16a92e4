"""What of a sync may go: all of it, who withdrew alone, or nothing."""

from __future__ import annotations

from mayfly.bootstrap import SPECS, App
from mayfly.bootstrap.keeping import where_state_is
from mayfly.domain.errors import ConfigError, EngineError, PolicyError
from mayfly.domain.settings import SyncSettings
from mayfly.services import approve as approvals
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.withdraw_unapproved import withdrawing


def require_approved(app: App, compiled: CompiledSync, *, note: bool = False) -> None:
    """Refuse a sync that is not what somebody approved; see `services.approve`."""
    name, pinned = compiled.sync.name, compiled.pinned
    approvals.require_approved(app.project, app.store, name, pinned, note=note)


def permitted(
    app: App, sync: SyncSettings, *, run: str, limit: int | None, full_refresh: bool, dry: bool
) -> tuple[CompiledSync, EngineError | None]:
    """The sync as a run goes by it, and why nothing but withdrawals may go: something is refused,
    or a column is not there any more; None where everything may.

    Args:
        app: of the project.
        sync: to be run.
        run: its id.
        limit: as many rows alone; None for all.
        full_refresh: whether everything is sent.
        dry: whether nothing is sent, so that nobody is taken out either.

    Raises:
        EngineError: what is in the way, where nobody can be taken out.
    """
    try:
        compiled = app.compile(sync, run=run, limit=limit, full_refresh=full_refresh)
    except ConfigError as error:
        if dry or error.code != "column_missing":
            raise
        present = app.compile_present(sync, run=run, limit=limit, full_refresh=full_refresh)
        if present is None:
            raise
        return _reduced(app, present, error)
    return _permitted(app, compiled, dry=dry)


def _permitted(
    app: App, compiled: CompiledSync, *, dry: bool
) -> tuple[CompiledSync, EngineError | None]:
    """The sync, where nothing is refused; or by what it takes out who withdrew, where that may go
    all the same, and what is refused. What the sync was compiled to comes first: nobody could
    approve that.
    """
    refused = first_refusal(compiled)
    if refused is None:
        refused = _unapproved(app, compiled, dry=dry)
    if refused is None:
        return compiled, None
    if dry:
        raise refused
    return _reduced(app, compiled, refused)


def _reduced(
    app: App, compiled: CompiledSync, refused: EngineError
) -> tuple[CompiledSync, EngineError]:
    """By what a refused sync takes out who withdrew.

    Raises:
        EngineError: what was refused, where it may not, or has delivered nobody.
    """
    kind = SPECS[app.project.destinations[compiled.sync.destination].type]
    reduced = withdrawing(app.project, app.store, compiled, kind)
    if reduced is None or not _has_state(app, compiled):
        raise refused
    return reduced, refused


def _has_state(app: App, compiled: CompiledSync) -> bool:
    """Whether a sync may have delivered anybody: to look who withdrew makes a state where there is
    none. What is in the way of telling is for the run to say.
    """
    if compiled.spec is None:
        return True
    place = where_state_is(app.project, app.project.models[compiled.sync.model].source)
    try:
        known = app.states().of(place)
    except EngineError:
        return True
    return any(state.info.sid == compiled.spec.identity.sid for state in known)


def _unapproved(app: App, compiled: CompiledSync, *, dry: bool) -> PolicyError | None:
    """What is missing; it is noted, so that its 30 days begin once."""
    name, pinned = compiled.sync.name, compiled.pinned
    try:
        require_approved(app, compiled, note=not dry)
    except PolicyError as error:
        if not dry and error.code != "approval_rejected":
            approvals.note_pending(app.project, app.store, name, pinned, app.clock.now())
        return error
    if not dry:
        app.store.end_pending_approval(compiled.sync.id, app.project.target)
    return None
