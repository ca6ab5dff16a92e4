"""Mayfly from Python: `mayfly.load(dir)` gives a `Project`.

Results have `.to_dict()`, equal to what the commands print as JSON. Commands are thin covers of
the calls here.
"""

from __future__ import annotations

import asyncio
import fnmatch
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mayfly.adapters.processes import holder_name, is_alive
from mayfly.bootstrap import SPECS, App, open_app
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.planning.spec import PlanCounts
from mayfly.services import approve as approvals
from mayfly.services.advance_run import Run, RunOptions, advance
from mayfly.services.compile_sync import CompiledSync, Refusal, first_refusal
from mayfly.services.run_tally import RunTally

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """What one sync would do, as a bill."""

    compiled: CompiledSync
    destination: Mapping[str, Any]
    counts: PlanCounts | None
    refusals: tuple[Refusal, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly plan --output json` prints one sync."""
        counts = self.counts or PlanCounts()
        return {
            "sync": self.compiled.sync.name,
            "mode": self.compiled.sync.mode,
            "destination": dict(self.destination),
            "purpose": self.compiled.sync.purpose,
            "columns": [c.to_dict() for c in self.compiled.columns],
            "rows": counts.to_dict(),
            "refusals": [r.to_dict() for r in self.refusals],
        }


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """Plans of some syncs."""

    syncs: tuple[SyncPlan, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is refused."""
        return not any(s.refusals for s in self.syncs)

    @property
    def changes(self) -> bool:
        """Whether a run would send anything."""
        return any(
            s.counts is not None and s.counts.added + s.counts.changed + s.counts.removed
            for s in self.syncs
        )

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly plan --output json` prints it."""
        return {
            "schema": "mayfly/plan/1",
            "ok": self.ok,
            "syncs": [s.to_dict() for s in self.syncs],
        }


@dataclass(frozen=True, kw_only=True)
class SyncRun:
    """How the run of one sync ended."""

    sync: str
    run: str
    tally: RunTally | None
    status: str
    error: EngineError | None = None

    @property
    def exit_code(self) -> int:
        """Exit code that this sync asks for."""
        if self.error is not None and self.status in ("refused", "failed"):
            return type(self.error).exit_code
        return {"succeeded": 0, "no_changes": 0, "partial": 1, "failed": 1}.get(self.status, 4)

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly run --output json` prints one sync."""
        tally = self.tally or RunTally(started_ms=0)
        document: dict[str, Any] = {
            "sync": self.sync,
            "run": self.run,
            "status": self.status,
            "rows": tally.rows(),
            "batches": tally.batches,
            "seconds": max(0.0, (tally.finished_ms - tally.started_ms) / 1000),
            "age_at_purge_seconds": tally.ages(),
        }
        if self.error is not None:
            document["error"] = self.error.to_dict()
        elif tally.error_code:
            document["error"] = {
                "code": tally.error_code,
                "message": tally.error_message,
                "hint": "Run again once it is back; what was in doubt is looked at first.",
            }
        return document


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How some runs ended."""

    syncs: tuple[SyncRun, ...]

    @property
    def ok(self) -> bool:
        """Whether every run is done."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 done; else refusals before what is held, and that before failures."""
        codes = {s.exit_code for s in self.syncs}
        return next((c for c in (2, 3, 4, 1) if c in codes), 0)

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly run --output json` prints it."""
        return {
            "schema": "mayfly/run/1",
            "ok": self.ok,
            "syncs": [s.to_dict() for s in self.syncs],
        }


@dataclass(kw_only=True)
class RunRequest:
    """What a caller asks of a run; see `mayfly run --help`."""

    dry_run: bool = False
    full_refresh: bool = False
    limit: int | None = None
    accept_removals: int = 0
    in_doubt: str | None = None
    progress: Progress | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)


class Project:
    """An initialised project. Calls block; one run at a time per object."""

    def __init__(self, app: App) -> None:
        self.app = app

    def select(self, names: Sequence[str]) -> list[SyncSettings]:
        """Syncs by name, glob or `tag:…`; all without names.

        Raises:
            UsageError: `unknown_sync`, nothing matches one of the names.
        """
        syncs = self.app.project.syncs
        if not names:
            return list(syncs.values())
        found: dict[str, SyncSettings] = {}
        for name in names:
            matched = {n: s for n, s in syncs.items() if _matches(name, n, s)}
            if not matched:
                raise UsageError(
                    "unknown_sync",
                    f"No sync matches {name!r}.",
                    hint=f"The project has: {', '.join(sorted(syncs)) or 'none'}.",
                )
            found |= matched
        return list(found.values())

    def plan(self, *names: str) -> PlanResult:
        """What a run would do now. Counts only; writes nothing."""
        return PlanResult(syncs=tuple(self._plan(sync) for sync in self.select(names)))

    def _plan(self, sync: SyncSettings) -> SyncPlan:
        compiled = self.app.compile(sync, run="plan")
        refusals = list(compiled.refusals)
        counts: PlanCounts | None = None
        if not refusals and compiled.spec is not None:
            try:
                self._require_approved(compiled)
            except EngineError as error:
                refusals.append(_refusal(error))
            plan = self.app.plan_store(compiled).count(compiled.spec, self.app.worker(compiled))
            counts = plan.counts
            refusals += _key_refusals(counts)
        return SyncPlan(
            compiled=compiled,
            destination=self._destination(sync),
            counts=counts,
            refusals=tuple(refusals),
        )

    def _destination(self, sync: SyncSettings) -> dict[str, Any]:
        settings = self.app.project.destinations[sync.destination]
        spec = SPECS[settings.type]
        external = spec.always_external or settings.kind != "internal"
        return {
            "name": settings.name,
            "platform": settings.type,
            "kind": "external" if external else "internal",
            "processor": spec.processor.legal_name if spec.processor else settings.owner,
            "country": ", ".join(sorted(spec.processor.countries)) if spec.processor else None,
            "endpoint": settings.endpoint,
        }

    def _require_approved(self, compiled: CompiledSync) -> None:
        approvals.require_approved(
            self.app.project, self.app.store, compiled.sync.name, compiled.column_types
        )

    def approve(self, *names: str, actor: str) -> dict[str, Any]:
        """Pin columns, classes, mapping, consent and address of some syncs as they are now."""
        syncs = self.select(names)
        types = {s.name: self.app.compile(s, run="approve").column_types for s in syncs}
        result = approvals.approve_syncs(
            self.app.project,
            self.app.store,
            [s.name for s in syncs],
            actor=actor,
            now=self.app.clock.now(),
            types_of=lambda name: types[name],
        )
        return result

    def pending(self, *names: str) -> dict[str, Any]:
        """What waits for approval."""
        syncs = self.select(names)
        types = {s.name: self.app.compile(s, run="approve").column_types for s in syncs}
        found = approvals.pending(
            self.app.project, self.app.store, types_of=lambda name: types.get(name, {})
        )
        return {
            "schema": "mayfly/approve/1",
            "ok": not found,
            "pending": [p.to_dict() for p in found],
        }

    def run(self, *names: str, request: RunRequest | None = None) -> RunResult:
        """Run some syncs, one after the other."""
        asked = request or RunRequest()
        done = []
        for sync in self.select(names):
            done.append(self._run(sync, asked))
            if asked.stop.is_set():
                break
        return RunResult(syncs=tuple(done))

    def _run(self, sync: SyncSettings, asked: RunRequest) -> SyncRun:
        run_id = new_run_id()
        app = self.app
        if not asked.dry_run:
            app.store.start_run(
                run_id=run_id,
                sync=sync.name,
                target=app.project.target,
                mode=sync.mode,
                started_at=app.clock.now(),
            )
        try:
            tally = self._advance(sync, run_id, asked)
            ended = SyncRun(sync=sync.name, run=run_id, tally=tally, status=tally.status)
        except EngineError as error:
            status = "refused" if type(error).exit_code == 3 else "failed"
            if type(error).exit_code == 4:
                status = "held"
            if error.code == "in_doubt":
                status = "in_doubt"
            ended = SyncRun(sync=sync.name, run=run_id, tally=None, status=status, error=error)
        if not asked.dry_run:
            self._finish(ended)
        return ended

    def _finish(self, ended: SyncRun) -> None:
        document = ended.to_dict()
        error = document.get("error") or {}
        self.app.store.finish_run(
            run_id=ended.run,
            status=ended.status,
            finished_at=self.app.clock.now(),
            counts=document["rows"],
            batches=document["batches"],
            seconds=document["seconds"],
            ages=document["age_at_purge_seconds"],
            error_code=error.get("code"),
        )

    def _advance(self, sync: SyncSettings, run_id: str, asked: RunRequest) -> RunTally:
        app = self.app
        compiled = app.compile(
            sync, run=run_id, limit=asked.limit, full_refresh=asked.full_refresh
        )
        refused = first_refusal(compiled)
        if refused is not None:
            raise refused
        self._require_approved(compiled)
        if compiled.spec is None or compiled.policy is None:
            raise UsageError("not_compiled", "The sync could not be compiled.")
        progress = asked.progress
        with app.destination(compiled) as make:

            async def main() -> RunTally:
                destination = make()
                try:
                    run = Run(
                        spec=compiled.spec,  # type: ignore[arg-type]
                        policy=compiled.policy,  # type: ignore[arg-type]
                        store=app.plan_store(compiled),
                        worker=app.worker(compiled),
                        destination=destination,
                        ledger=app.ledger,
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
                        progress=None
                        if progress is None
                        else lambda done, planned: progress(sync.name, done, planned),
                        withheld_share_max=sync.withheld_threshold,
                    )
                    return await advance(run)
                finally:
                    await destination.close()

            return asyncio.run(main())

    def status(self) -> dict[str, Any]:
        """Last run of each sync, and what is held by Mayfly itself (nothing, without a spool)."""
        syncs = []
        for name in self.app.project.syncs:
            last = self.app.store.last_run(name, self.app.project.target)
            syncs.append(
                {
                    "sync": name,
                    "last_run": last.run_id if last else None,
                    "status": last.status if last else None,
                    "next_run": None,
                    "paused": False,
                }
            )
        return {"schema": "mayfly/status/1", "ok": True, "syncs": syncs, "held": []}


def load(project_dir: str | Path, *, target: str = "dev") -> Project:
    """The project in a folder, which `mayfly init` has prepared.

    Raises:
        ConfigProblemsError: the project files are faulty; `.problems` lists them.
        PolicyError: `not_initialised`.
    """
    return Project(open_app(Path(project_dir), target=target))


def new_run_id() -> str:
    """An id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%S}-{secrets.token_hex(3)}"


def _matches(pattern: str, name: str, sync: SyncSettings) -> bool:
    if pattern.startswith("tag:"):
        return pattern.removeprefix("tag:") in sync.tags
    return fnmatch.fnmatchcase(name, pattern)


def _refusal(error: EngineError) -> Refusal:
    return Refusal(code=error.code, column=None, message=error.message)


def _key_refusals(counts: PlanCounts) -> list[Refusal]:
    found = (
        ("key_null", counts.null_keys, "rows have a null in the primary key"),
        ("key_duplicate", counts.duplicate_keys, "primary keys stand on more than one row"),
        (
            "destination_key_duplicate",
            counts.duplicate_destination_keys,
            "destination keys would be written by more than one row",
        ),
    )
    return [
        Refusal(code=code, column=None, message=f"{number} {what}.")
        for code, number, what in found
        if number
    ]
