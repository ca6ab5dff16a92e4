"""Running one sync: from what a caller asks to what is told of its end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mayfly.adapters.processes import holder_name, is_alive
from mayfly.api.results import SyncRun
from mayfly.bootstrap import SPECS, App
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.services import approve as approvals
from mayfly.services.advance_run import advance
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.run import Run, RunOptions
from mayfly.services.run_tally import RunTally

Progress = Callable[[str, int, int], None]


@dataclass(kw_only=True)
class RunRequest:
    """What a caller asks of a run; see `mayfly run --help`.

    `progress` is told (sync, rows done, rows planned): 0 and 0 as a sync begins to be planned, then
    once it is planned and after each batch.
    """

    dry_run: bool = False
    full_refresh: bool = False
    limit: int | None = None
    accept_removals: int = 0
    in_doubt: str | None = None
    progress: Progress | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


def require_approved(app: App, compiled: CompiledSync) -> None:
    """Refuse a sync that is not what somebody approved."""
    approvals.require_approved(app.project, app.store, compiled.sync.name, compiled.column_types)


def run_sync(app: App, sync: SyncSettings, asked: RunRequest) -> SyncRun:
    """One run of one sync, from its record in the store to the record of its end."""
    run_id = new_run_id()
    if not asked.dry_run:
        app.store.start_run(
            run_id=run_id,
            sync=sync.name,
            target=app.project.target,
            mode=sync.mode,
            started_at=app.clock.now(),
            holder=holder_name(),
        )
    tally = RunTally()
    if asked.progress is not None:
        asked.progress(sync.name, 0, 0)
    try:
        _advance(app, sync, run_id, asked, tally)
        ended = SyncRun(sync=sync.name, run=run_id, tally=tally, status=tally.status)
    except EngineError as error:
        status = "refused" if type(error).exit_code == 3 else "failed"
        if type(error).exit_code == 4:
            status = "held"
        if error.code == "in_doubt":
            status = "in_doubt"
        ended = SyncRun(sync=sync.name, run=run_id, tally=tally, status=status, error=error)
    if not asked.dry_run:
        _finish(app, ended)
    return ended


def _finish(app: App, ended: SyncRun) -> None:
    document = ended.to_dict()
    error = document.get("error") or {}
    app.store.finish_run(
        run_id=ended.run,
        status=ended.status,
        finished_at=app.clock.now(),
        counts=document["rows"],
        batches=document["batches"],
        seconds=document["seconds"],
        ages=document["age_at_purge_seconds"],
        error_code=error.get("code"),
    )


def _advance(app: App, sync: SyncSettings, run_id: str, asked: RunRequest, tally: RunTally) -> None:
    compiled = app.compile(sync, run=run_id, limit=asked.limit, full_refresh=asked.full_refresh)
    refused = first_refusal(compiled)
    if refused is not None:
        raise refused
    require_approved(app, compiled)
    if compiled.spec is None or compiled.policy is None:
        raise UsageError("not_compiled", "The sync could not be compiled.")
    progress = asked.progress
    settings = app.project.destinations[sync.destination]
    with app.destination(compiled) as make:

        async def main() -> None:
            destination = make()
            try:
                run = Run(
                    spec=compiled.spec,  # type: ignore[arg-type]
                    policy=compiled.policy,  # type: ignore[arg-type]
                    store=app.plan_store(compiled),
                    worker=app.worker(compiled),
                    destination=destination,
                    ledger=app.ledger,
                    batch_marker=SPECS[settings.type].batch_marker,
                    concurrency=SPECS[settings.type].concurrency,
                    entry=app.entry(compiled, run_id),
                    now_ms=app.clock.now_ms,
                    holder=holder_name(),
                    alive=is_alive,
                    options=RunOptions(
                        dry=asked.dry_run,
                        accept_removals=asked.accept_removals,
                        in_doubt=asked.in_doubt,
                    ),
                    stop=asked.stop,
                    sleep=app.sleep,
                    progress=None
                    if progress is None
                    else lambda done, planned: progress(sync.name, done, planned),
                    withheld_share_max=sync.withheld_threshold,
                )
                await advance(run, tally)
            finally:
                await destination.close()

        asyncio.run(main())


def new_run_id() -> str:
    """An id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"
