"""What a run would do, seen from the project: counts, and why it may not."""

from __future__ import annotations

import asyncio
from typing import Any

from mayfly.api.permitting import require_approved
from mayfly.api.results import SyncPlan, key_refusals, refusal_of
from mayfly.bootstrap import SPECS, App, source_spec
from mayfly.domain.errors import ConfigError, EngineError, PolicyError
from mayfly.domain.settings import SyncSettings
from mayfly.planning.spec import PlanCounts, SampleCell
from mayfly.ports.destination import Destination
from mayfly.ports.planstore import PlanStore
from mayfly.ports.source import bytes_scanned
from mayfly.services.check_plan import refuse_constant_consent
from mayfly.services.compiled_sync import CompiledSync, Refusal
from mayfly.services.find_object import ObjectFound, find_object, unasked
from mayfly.services.mapped_no_more import MappedNoMore, mapped_no_more
from mayfly.services.transfers import transfers_to


def planned(app: App, sync: SyncSettings, sample: int) -> SyncPlan:
    """What a run of a sync would do now. Counts only; writes nothing.

    Args:
        app: of the project.
        sync: with all its columns.
        sample: rows that go out to show masked, at most.
    """
    compiled = app.compile(sync, run="plan")
    refusals = list(compiled.refusals)
    counts: PlanCounts | None = None
    rows: tuple[tuple[SampleCell, ...], ...] = ()
    found = ObjectFound()
    scanned, left = None, MappedNoMore()
    if not refusals and compiled.spec is not None:
        scanned = bytes_scanned(app.source(compiled.model.source), compiled.spec.model_sql)
        try:
            require_approved(app, compiled)
            app.recorded_list().require_current()
        except EngineError as error:
            refusals.append(refusal_of(error))
        first = app.store.approval(sync.id, app.project.target) is None
        store = app.plan_store(compiled)
        # An address that nobody approved is not asked: the question carries the token.
        if not refusals:
            try:
                found = _find_object(app, compiled, store)
            except EngineError as error:
                refusals.append(refusal_of(error))
        if not first:
            # Before the first approval no row is read.
            counts, rows = _counted(app, compiled, store, found, sample, refusals)
        if counts is not None and not found.forgotten:
            kind = SPECS[app.project.destinations[sync.destination].type]
            left = mapped_no_more(compiled, store, kind, state_rows=counts.state_rows)
    return SyncPlan(
        compiled=compiled,
        destination=_destination(app, sync),
        counts=counts,
        refusals=tuple(refusals),
        found=found,
        sample=rows,
        bytes_scanned=scanned,
        mapped_no_more=left,
        never_asked=source_spec(app.project, compiled.model.source).never_asked,
    )


def _counted(
    app: App,
    compiled: CompiledSync,
    store: PlanStore,
    found: ObjectFound,
    sample: int,
    refusals: list[Refusal],
) -> tuple[PlanCounts | None, tuple[tuple[SampleCell, ...], ...]]:
    if compiled.spec is None:
        return None, ()
    counts: PlanCounts | None = None
    rows: tuple[tuple[SampleCell, ...], ...] = ()
    try:
        plan = store.count(
            compiled.spec,
            app.worker(compiled),
            forgotten=found.forgotten > 0,
            sampled=sample,
        )
        counts, rows = plan.counts, plan.sample
        refusals += key_refusals(counts)
        refuse_constant_consent(counts, compiled.spec)
    except PolicyError as error:
        refusals.append(refusal_of(error))
    return counts, rows


def _find_object(app: App, compiled: CompiledSync, store: PlanStore) -> ObjectFound:
    """See `find_object`; where a secret is not at hand, nobody is asked."""
    settings = app.project.destinations[compiled.sync.destination]
    if not SPECS[settings.type].locates:
        return ObjectFound()

    async def ask(destination: Destination) -> ObjectFound:
        try:
            return await find_object(store, destination)
        finally:
            await destination.close()

    async def main() -> ObjectFound:
        try:
            destination = make()
        except ConfigError as error:
            return unasked(error)
        return await ask(destination)

    with app.destination(compiled) as make:
        return asyncio.run(main())


def _destination(app: App, sync: SyncSettings) -> dict[str, Any]:
    settings = app.project.destinations[sync.destination]
    spec = SPECS[settings.type]
    external = spec.always_external or settings.kind != "internal"
    return {
        "name": settings.name,
        "platform": settings.type,
        "kind": "external" if external else "internal",
        "processor": spec.processor.legal_name if spec.processor else settings.owner,
        "country": ", ".join(sorted(spec.processor.countries)) if spec.processor else None,
        "transfers": [t.to_dict() for t in transfers_to(app.project.workspace, spec, settings)],
        "endpoint": settings.endpoint,
    }
