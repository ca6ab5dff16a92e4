"""`doctor` and `discover`: what can be reached, and what a source holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from mayfly.adapters.clock import SystemClock
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.host import HostFacts, read_host
from mayfly.adapters.keys.make import key_hosts
from mayfly.api.alerts import ALERT_CODES, alert_findings
from mayfly.api.findings import Finding, finding, require_source
from mayfly.api.host import HOST_CODES, host_findings
from mayfly.api.machines import MACHINE_CODES, machine_findings
from mayfly.api.network import NETWORK_CODES, network_findings
from mayfly.api.processors import PROCESSOR_CODES, processor_findings
from mayfly.api.project import Project
from mayfly.api.residency import RESIDENCY_CODES, residency_findings
from mayfly.api.spool_bucket import BUCKET_CODES, bucket_findings
from mayfly.api.telemetry import TELEMETRY_CODES, telemetry_findings
from mayfly.bootstrap import App, open_app, open_source, source_hosts, source_spec
from mayfly.bootstrap.keeping import store_of
from mayfly.config.load import load_project
from mayfly.connectors.drivers import installed, too_old
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.domain.settings import Project as Settings
from mayfly.ports.source import Source
from mayfly.privacy.detect import ShownNames, classify_names, kept_name, shown_name
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.living import SILENT_MS
from mayfly.services.shown_names import kept_document, within_of

CLOCK_TOLERANCE_SECONDS = 60
UNATTENDED = timedelta(hours=24)
WARNINGS = (
    "not_enforced",
    "hashed_in_worker",
    "keys_not_hsm",
    "unanchored",
    "unattended",
    "no_worker",
    "compiled_not_run",
    *ALERT_CODES,
    *TELEMETRY_CODES,
    *BUCKET_CODES,
    *HOST_CODES,
    *MACHINE_CODES,
    *RESIDENCY_CODES,
    *PROCESSOR_CODES,
    *NETWORK_CODES,
)
"""Codes of findings that keep no run from succeeding."""


def examine(
    root: Path,
    *,
    target: str,
    clock: Callable[[], datetime] | None = None,
    host: Callable[[], HostFacts] = read_host,
) -> list[Finding]:
    """What would keep a run from succeeding now, each with its repair; and warnings."""
    now = clock or SystemClock().now
    project = load_project(root, target=target)
    found = [
        finding(w.code, w.message, w.hint, file=w.file, line=w.line, column=w.column)
        for w in project.warnings
    ]
    try:
        app = open_app(root, target=target)
    except EngineError as error:
        return [*found, _of(error)]
    found += _drivers()
    found += _keys(app)
    found += _clock_now(app)
    found += _sources(app, now)
    found += _syncs(app)
    found += _overdue(app)
    found += _unattended(app)
    found += _scheduled(app)
    found += _anchors(app)
    found += alert_findings(app)
    found += telemetry_findings(app.project)
    found += bucket_findings(app.project)
    found += residency_findings(app)
    found += machine_findings(app)
    found += processor_findings(app)
    found += network_findings(app)
    return [*found, *host_findings(host())]


def _clock_now(app: App) -> list[Finding]:
    try:
        app.require_clock()
    except EngineError as error:
        return [_of(error)]
    return []


def _overdue(app: App) -> list[Finding]:
    return [
        finding(
            "overdue",
            f"sync {item.sync} ({item.target}): {what} is past its deadline.",
            "Run `mayfly sweep`, which ends it; let cron run it every hour.",
        )
        for what, items in app.waiting().overdue().items()
        for item in items
    ]


def _unattended(app: App) -> list[Finding]:
    """A deadline is kept by a process: where none runs nothing ends."""
    room, last = app.waiting(), app.store.latest_time()
    if app.clock.now() - last <= UNATTENDED or not (room.copies() or room.sealed()):
        return []
    return [
        finding(
            "unattended",
            f"Working copies or sealed batches wait, and since {last:%Y-%m-%d %H:%M} UTC no "
            "command ran that would end them at their deadline.",
            "Let cron run `mayfly sweep` every hour.",
        )
    ]


def _scheduled(app: App) -> list[Finding]:
    """A schedule is kept by a worker: where none is, nothing runs."""
    names = [s.name for s in app.project.syncs.values() if s.schedule is not None]
    living = [w for w in app.store.workers() if not w.ended and w.age_ms < SILENT_MS]
    if not names or living:
        return []
    return [
        finding(
            "no_worker",
            f"Syncs have a schedule ({', '.join(names)}), and no worker has told of itself lately.",
            "Start `mayfly serve --worker-only`, or `mayfly worker`; or run them by another "
            "scheduler.",
        )
    ]


def _anchors(app: App) -> list[Finding]:
    if not app.project.anchors:
        return [
            finding(
                "unanchored",
                "No checkpoint of the ledger leaves this machine, so that it proves nothing "
                "against whoever runs it.",
                "Name a place under `anchors:` in mayfly.yml: a folder, a source, a webhook or a "
                "bucket.",
            )
        ]
    try:
        states = app.anchoring().to_dict()
    except EngineError as error:
        return [_of(error, where="anchors")]
    return [
        finding(
            "anchor_failed",
            f"anchor {state['name']}: the newest checkpoint did not arrive [{state['code']}].",
            "Repair it there; the next run tries again.",
        )
        for state in states
        if state["code"] not in ("", "never")
    ]


def _drivers() -> list[Finding]:
    return [
        finding(
            "driver_too_old",
            f"A driver is older than Mayfly needs: {line}.",
            "Install Mayfly again: pip install --upgrade mayfly-data.",
        )
        for line in too_old(installed())
    ]


def _keys(app: App) -> list[Finding]:
    settings = app.project.keys
    try:
        with allow_hosts(key_hosts(settings)):
            app.keys.health()
            protection = app.keys.protection()
    except EngineError as error:
        return [_of(error, where="keys")]
    if protection == "hsm":
        return []
    where = "in software" if protection == "software" else "where its provider does not say"
    return [
        finding(
            "keys_not_hsm",
            f"keys: the key encryption key lies {where} (provider {settings.provider}).",
            "Runs work. To have it in a security module, see docs/howto/keys.md.",
        )
    ]


def _sources(app: App, now: Callable[[], datetime]) -> list[Finding]:
    found = []
    for name, settings in app.project.sources.items():
        try:
            source = app.source(name)
            found += _never_asked(app, name)
            with allow_hosts(source_hosts(app.project, name)):
                _check_source(source, write=settings.state == "source")
                found += _clock(source, now)
        except EngineError as error:
            found.append(_of(error, where=f"source {name}"))
    return found


def _never_asked(app: App, name: str) -> list[Finding]:
    engine = source_spec(app.project, name).never_asked
    if not engine:
        return []
    return [
        finding(
            "compiled_not_run",
            f"source {name}: its type is compiled, not run: no statement of it was ever asked of a "
            f"{engine}.",
            "What it computes is compared before each plan; the rest is as its documentation says. "
            "See docs/howto/sources-compiled.md.",
        )
    ]


def _check_source(source: Source, *, write: bool) -> None:
    """As `Source.check`; where only writing is refused, the way without it is named, too."""
    try:
        source.check(write=write)
    except ConfigError as error:
        if not write or error.code not in ("missing_grant", "file_not_accessible"):
            raise
        try:
            source.check(write=False)
        except EngineError:
            raise error from None
        local = (
            f"Or set `state: local` on source {source.name}: then nothing is written to it, and "
            "its syncs may be upsert or append."
        )
        raise ConfigError(error.code, error.message, hint=f"{error.hint} {local}") from None


def _clock(source: Source, now: Callable[[], datetime]) -> list[Finding]:
    """Leases and run times are this machine's; a model may compare with the server's."""
    before = now()
    theirs = source.facts().clock
    if theirs is None:
        return []
    ours = before + (now() - before) / 2
    seconds = round((theirs - ours).total_seconds())
    if abs(seconds) <= CLOCK_TOLERANCE_SECONDS:
        return []
    which = "ahead of" if seconds > 0 else "behind"
    return [
        finding(
            "clock_differs",
            f"source {source.name}: the server's clock is {abs(seconds)} s {which} this machine's.",
            "Let both follow a time server (NTP). Ledger, leases and runs carry this machine's "
            "time, now() in a model the server's.",
        )
    ]


def _syncs(app: App) -> list[Finding]:
    found = []
    project = Project(app)
    for sync in project.select(()):
        try:
            compiled = app.compile(sync, run="doctor")
            refused = first_refusal(compiled)
            if refused is not None:
                raise refused
            found += _worker_columns(compiled)
            with app.destination(compiled) as make:
                asyncio.run(_check(make))
        except EngineError as error:
            found.append(_of(error, where=f"sync {sync.name}"))
    return found


def _worker_columns(compiled: CompiledSync) -> list[Finding]:
    if not compiled.hashed_in_worker:
        return []
    columns = ", ".join(map(compiled.shown.name, compiled.hashed_in_worker))
    return [
        finding(
            "hashed_in_worker",
            f"sync {compiled.sync.name}: the source's server hashes {columns} otherwise than the "
            "rules, so Mayfly reads their values and hashes them itself.",
            "What is sent is right. To have it hashed in the warehouse, use a database in UTF8.",
        )
    ]


async def _check(make: Any) -> None:
    destination = make()
    try:
        await destination.check()
    finally:
        await destination.close()


def _of(error: EngineError, *, where: str = "") -> Finding:
    message = f"{where}: {error.message}" if where else error.message
    return finding(error.code, message, error.hint)


def discover_source(root: Path, name: str, *, target: str) -> dict[str, Any]:
    """Tables, columns and types of a source, what names and types suggest, and where each column
    stands: blocked, where no model names it, pending, or approved with a sync of this target.
    """
    project = load_project(root, target=target)
    require_source(project, name)
    allowed = {
        (m.table[1], column)
        for m in project.models.values()
        if m.source == name and m.table is not None
        for column in m.columns
    }
    approved = _approved(project, name, allowed)
    found, tables = open_source(project, name).tables(), []
    tables_shown = ShownNames(table.name for table in found)
    for table in found:
        suggested = classify_names({c.name: c.arrow_type for c in table.columns})
        names = ShownNames(c.name for c in table.columns)
        columns = [
            {
                "name": names.name(c.name),
                # Of a struct it holds names of keys.
                "type": shown_name(c.sql_type),
                "approved": (table.name, c.name) in allowed,
                "state": _state((table.name, c.name), allowed, approved),
                "class": suggested[c.name].cls,
            }
            for c in table.columns
        ]
        tables.append(
            {"schema": table.schema, "name": tables_shown.name(table.name), "columns": columns}
        )
    return {"schema": "mayfly/discover/1", "ok": True, "source": name, "tables": tables}


def _state(
    column: tuple[str, str], allowed: Set[tuple[str, str]], approved: Set[tuple[str, str]]
) -> str:
    if column not in allowed:
        return "blocked"
    return "approved" if column in approved else "pending"


def _approved(
    project: Settings, source: str, allowed: Set[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Of the columns that models name those that an approval in force pins."""
    store = store_of(project)
    if not store.exists():
        return set()
    found: set[tuple[str, str]] = set()
    for sync in project.syncs.values():
        model = project.models[sync.model]
        record = store.approval(sync.id, project.target)
        if model.source != source or model.table is None or record is None:
            continue
        pinned = _pinned(record.document, model.table)
        if pinned is not None:
            table = model.table[1]
            found |= {(t, c) for t, c in allowed if t == table and pinned(c)}
            found |= {(table, column) for column in model.primary_key}
    return found


def _pinned(
    document: Mapping[str, Any], table: tuple[str | None, str]
) -> Callable[[str], bool] | None:
    """Whether an approval pins a column, by its name; None where it is of another table."""
    keep = partial(kept_name, within=within_of(document))
    kept = kept_document(document)
    if kept.get("table") != [part and keep(part) for part in table]:
        return None
    pinned = {str(c.get("column")) for c in _listed(kept)}
    return lambda column: keep(column) in pinned


def _listed(document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    columns: Sequence[Mapping[str, Any]] = document.get("columns", ())
    return columns
