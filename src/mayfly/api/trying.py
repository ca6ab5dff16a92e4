"""A destination tried with people who do not exist: sent as every row is, and taken back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from mayfly.api.permitting import require_approved
from mayfly.api.results import SyncRun
from mayfly.api.running import RunRequest, run_sync
from mayfly.bootstrap import SPECS, App
from mayfly.bootstrap.trial import TABLE, synthetic_warehouse, trial_app
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import UsageError
from mayfly.domain.settings import (
    ConsentBinding,
    ModelSettings,
    Project,
    SourceSettings,
    SyncSettings,
)
from mayfly.services import approve as approvals
from mayfly.services.compiled_sync import first_refusal
from mayfly.services.left_behind import TRIAL
from mayfly.services.synthetic_rows import synthetic_rows

SYNC = TRIAL
_SOURCE = "mayfly_test"
_AGREED = "mayfly_test_agreed"
_TAKES_BACK = (SyncMode.AUDIENCE, SyncMode.MIRROR)


def tried(app: App, destination: str, *, sync: str | None, rows: int) -> dict[str, Any]:
    """Send some synthetic rows and take them back, where the destination can give back.

    Everything but the destination is a copy that is gone afterwards: the model's rows, the state,
    the store. The ledger is the workspace's own: what was sent was sent.

    Args:
        app: of the project.
        destination: its name.
        sync: whose mapping, mode and object are taken; by default the only one that goes there.
        rows: how many are sent.

    Raises:
        UsageError: `unknown_destination`, `unknown_sync`, `no_synthetic_value`.
        PolicyError: the sync is refused, or nobody approved it: the address is part of that.
    """
    chosen = _chosen(app.project, destination, sync)
    compiled = app.compile(chosen, run="test")
    refused = first_refusal(compiled)
    if refused is not None:
        raise refused
    require_approved(app, compiled)
    if compiled.spec is None:
        raise UsageError("not_compiled", "The sync could not be compiled.")
    model = app.project.models[chosen.model]
    columns = app.source(model.source).describe(compiled.spec.model_sql)
    samples = _samples(app.project, chosen)
    now = app.clock.now()
    people = _granted(model, synthetic_rows(columns, model.columns, rows, samples, now=now))
    with _copy(app, chosen, people) as (trial, empty):
        sent = _run(trial, RunRequest())
        back = None
        if SyncMode(trial.project.syncs[SYNC].mode) in _TAKES_BACK and sent.tally.rows_done:
            empty()
            back = _run(trial, RunRequest(accept_removals=rows))
    return _document(destination, chosen.name, sent, back)


def _chosen(project: Project, destination: str, name: str | None) -> SyncSettings:
    if destination not in project.destinations:
        known = ", ".join(sorted(project.destinations)) or "none"
        raise UsageError(
            "unknown_destination",
            f"There is no destination {destination!r}.",
            hint=f"The project has: {known}.",
        )
    there = {n: s for n, s in project.syncs.items() if s.destination == destination}
    if name is None and len(there) == 1:
        return next(iter(there.values()))
    if name not in there:
        raise UsageError(
            "unknown_sync",
            "Expected the name of one sync that goes to the destination.",
            hint=f"Give one with --sync: {', '.join(sorted(there)) or 'there is none'}.",
        )
    return there[name]


def _samples(project: Project, sync: SyncSettings) -> dict[str, str]:
    """What columns have to hold that the destination takes in no other form."""
    spec = SPECS[project.destinations[sync.destination].type]
    declared = ((column, spec.field(name)) for name, column in sync.mapping.items())
    return {column: f.sample for column, f in declared if f is not None and f.sample}


def _granted(model: ModelSettings, people: pa.Table) -> pa.Table:
    """They consent to every purpose that a column tells of."""
    for binding in map(_told_by_column, model.consent.values()):
        value = binding.equals if binding.in_ is None else binding.in_[0]
        if binding.column == _AGREED:
            if _AGREED not in people.column_names:
                people = people.append_column(_AGREED, pa.array([True] * people.num_rows))
            continue
        place = people.schema.get_field_index(binding.column)
        kind = people.schema.field(place).type
        column = pa.array([value] * people.num_rows, kind)
        people = people.set_column(place, binding.column, column)
    return people


def _told_by_column(binding: ConsentBinding) -> ConsentBinding:
    """As a copy has it, which holds no consent table: who does not exist has said nothing."""
    column = binding.column or _AGREED
    equals = True if binding.column is None else binding.equals
    return replace(
        binding, column=column, equals=equals, table=None, withdrawn_at=None, constant=SYNC
    )


@contextmanager
def _copy(
    app: App, sync: SyncSettings, people: pa.Table
) -> Iterator[tuple[App, Callable[[], None]]]:
    """The project with one sync whose source holds these people, and what empties that."""
    with (
        tempfile.TemporaryDirectory(prefix="mayfly-test-") as name,
        synthetic_warehouse(Path(name), people) as (path, empty),
    ):
        spec = SPECS[app.project.destinations[sync.destination].type]
        mode = SyncMode(sync.mode)
        model = app.project.models[sync.model]
        # Rows are taken back by their primary key, which an upsert need not carry.
        carried = {sync.mapping.get(name) for name in sync.key} == set(model.primary_key)
        if mode is SyncMode.UPSERT and SyncMode.MIRROR in spec.modes and carried:
            mode = SyncMode.MIRROR
        consent = {purpose: _told_by_column(b) for purpose, b in model.consent.items()}
        copied = replace(model, source=_SOURCE, table=(None, TABLE), sql=None, consent=consent)
        project = replace(
            app.project,
            root=Path(name),
            workspace=replace(app.project.workspace, approvals="one", people={}),
            sources={_SOURCE: SourceSettings(name=_SOURCE, type="duckdb", path=path)},
            models={sync.model: copied},
            syncs={
                SYNC: replace(
                    sync, name=SYNC, id=SYNC, mode=mode.value, on_outage="replan", trial=True
                )
            },
            anchors={},
            alerts={},
            spool=None,
            dbt=None,
            files=(),
        )
        trial = trial_app(app, project)
        pinned = trial.compile(trial.project.syncs[SYNC], run="test").pinned
        approvals.approve_syncs(
            trial.project,
            trial.store,
            [SYNC],
            actor=SYNC,
            now=trial.clock.now(),
            compiled_of=lambda _: pinned,
        )
        yield trial, empty


def _run(trial: App, request: RunRequest) -> SyncRun:
    return run_sync(trial, trial.project.syncs[SYNC], request)


def _document(destination: str, sync: str, sent: SyncRun, back: SyncRun | None) -> dict[str, Any]:
    runs: Sequence[tuple[str, SyncRun | None]] = (("sent", sent), ("taken_back", back))
    acts = {name: None if run is None else _act(run) for name, run in runs}
    return {
        "schema": "mayfly/test/1",
        "ok": sent.exit_code == 0 and (back is None or back.exit_code == 0),
        "destination": destination,
        "sync": sync,
        **acts,
        "left": _left(sent, back),
    }


def _act(run: SyncRun) -> dict[str, Any]:
    document = run.to_dict()
    return {
        "status": document["status"],
        "rows": document["rows"],
        "seconds": document["seconds"],
        "error": document.get("error"),
    }


def _left(sent: SyncRun, back: SyncRun | None) -> int:
    """Rows that are at the destination still, as far as it told."""
    delivered: Mapping[str, int] = sent.tally.rows()
    if back is not None and back.exit_code == 0:
        return 0
    return delivered["delivered"]
