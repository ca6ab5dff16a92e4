"""What a sync goes on from: a state of its own, another's, or what another tool delivered."""

from __future__ import annotations

from mayfly.adapters.processes import holder_name
from mayfly.api.permitting import require_approved
from mayfly.api.running import new_run_id
from mayfly.bootstrap import App, where_state_is
from mayfly.domain.errors import UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.planning.spec import PlanCounts, PlanSpec
from mayfly.services.as_delivered import Taking, take_as_delivered
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.states import KnownState


def adopt(app: App, sync: SyncSettings, state: str | None) -> KnownState:
    """See `Project.adopt_state`."""
    compiled, spec = _compiled(app, sync, "adopt")
    return app.states().adopt(spec, where_state_is(app.project, compiled.model.source), state)


def move(app: App, sync: SyncSettings, state: str) -> KnownState:
    """See `Project.move_state`."""
    compiled, spec = _compiled(app, sync, "move")
    return app.states().move(spec, where_state_is(app.project, compiled.model.source), state)


def countable(app: App, sync: SyncSettings) -> PlanCounts:
    """What `as_delivered` would take, refused like it where it is not approved."""
    compiled, spec = _approved(app, sync, "adopt")
    return app.plan_store(compiled).count(spec, app.worker(compiled)).counts


def as_delivered(app: App, sync: SyncSettings) -> KnownState:
    """See `Project.take_as_delivered`."""
    run = new_run_id()
    compiled, spec = _approved(app, sync, run)
    if compiled.policy is None:
        raise UsageError("not_compiled", "The sync could not be compiled.")
    app.recorded_list().settle()
    take_as_delivered(
        Taking(
            spec=spec,
            policy=compiled.policy,
            store=app.plan_store(compiled),
            worker=app.worker(compiled),
            ledger=app.ledger,
            entry=app.entry(compiled, run),
            now_ms=app.clock.now_ms,
            holder=holder_name(),
            alive=app.alive,
            withheld_share_max=compiled.sync.withheld_threshold,
        )
    )
    return app.states().find(spec.identity.sid)


def _compiled(app: App, sync: SyncSettings, run: str) -> tuple[CompiledSync, PlanSpec]:
    """Raises what the sync is refused for."""
    compiled = app.compile(sync, run=run)
    refused = first_refusal(compiled)
    if refused is not None:
        raise refused
    if compiled.spec is None:
        raise UsageError("not_compiled", "The sync could not be compiled.")
    return compiled, compiled.spec


def _approved(app: App, sync: SyncSettings, run: str) -> tuple[CompiledSync, PlanSpec]:
    """As `_compiled`; the sync is what was approved, and the suppression list is whole."""
    compiled, spec = _compiled(app, sync, run)
    require_approved(app, compiled)
    app.recorded_list().require_current()
    return compiled, spec
