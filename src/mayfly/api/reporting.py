"""Reports on a project: facts gathered live, the report made of them, its files signed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from mayfly.adapters.egress import allow_hosts, refuses
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.processes import writes_no_dump
from mayfly.api.keys import where_keys_lie
from mayfly.api.permitting import require_approved
from mayfly.api.residency import rows_of
from mayfly.bootstrap import SPECS, App
from mayfly.bootstrap.keeping import ledger_signer
from mayfly.domain.errors import ConfigError, EngineError, PolicyError, UsageError
from mayfly.domain.settings import SyncSettings
from mayfly.domain.version import VERSION
from mayfly.ledger.checkpoint import parse_checkpoint
from mayfly.ledger.entry import EntryType
from mayfly.ledger.report_note import sign_report
from mayfly.privacy.closed_logs import logs_are_closed
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.durable import write_private
from mayfly.services.register import register_of
from mayfly.services.render_csv import report_csv
from mayfly.services.render_html import report_html
from mayfly.services.report_document import Report, content_digest
from mayfly.services.report_facts import Facts, Missing
from mayfly.services.report_record import record
from mayfly.services.report_retention import Period
from mayfly.services.report_security import security_report

Kind = Literal["security", "record", "recipients"]
_RUNS_MAX = 1_000_000
_FORMS: dict[str, Callable[[Report], str]] = {
    "html": report_html,
    "json": lambda report: json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n",
    "csv": report_csv,
}
_T = TypeVar("_T")


def make_report(app: App, kind: Kind, *, since: datetime | None, until: datetime | None) -> Report:
    """One report. A record whose content is new is another version: it is noted on the ledger.

    Raises:
        EngineError: as reading store and ledger.
    """
    facts = facts_of(app, Period(since=since, until=until))
    if kind == "security":
        return security_report(facts)
    made = record(facts, "30.2" if kind == "record" else "30.1")
    return replace(made, version=_version(app, facts, made))


def _version(app: App, facts: Facts, made: Report) -> int:
    """Of a record; the one on the ledger where its content is that of the newest."""
    before = [
        e
        for e in facts.entries
        if e.type is EntryType.REPORTED and e.reason.startswith(f"{made.kind}/")
    ]
    reason = f"{made.kind}/{made.content_sha256}"
    if before and before[-1].reason == reason:
        return before[-1].rows
    number = before[-1].rows + 1 if before else 1
    target = app.project.target
    app.ledger.append(
        [
            app.workspace_entry(
                EntryType.REPORTED, target=target, sync="", run="", rows=number, reason=reason
            )
        ]
    )
    return number


def write_report(app: App, report: Report, folder: Path) -> dict[str, Any]:
    """Write a report in all its forms into a folder, each with its signature beside it.

    Raises:
        UsageError: `report_exists`, files of that name are there; they stay as they are.
        ConfigError: `report_unwritable`.
    """
    note = app.ledger.checkpoint()
    signer = ledger_signer(app.keyring, app.workspace_id)
    name = f"mayfly-{report.kind}-{app.clock.now():%Y%m%dT%H%M%SZ}"
    files = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for form, make in _FORMS.items():
            content = make(report).encode()
            path = folder / f"{name}.{form}"
            signature = sign_report(
                signer,
                kind=report.kind,
                file=content,
                content_sha256=report.content_sha256,
                checkpoint=note,
            )
            for file, data in ((path, content), (Path(f"{path}.sig"), signature.encode())):
                if file.exists():
                    raise UsageError(
                        "report_exists",
                        "A report of this moment is in the folder; it stays as it is.",
                        hint="Run again, or name another folder.",
                    )
                write_private(file, data)
            files.append({"path": str(path), "sha256": hashlib.sha256(content).hexdigest()})
    except OSError:
        raise unwritable() from None
    return {
        "schema": "mayfly/report-files/1",
        "ok": True,
        "report": report.kind,
        "version": report.version,
        "content_sha256": report.content_sha256,
        "key": signer.verifier_key.to_line(),
        "files": files,
    }


def unwritable() -> ConfigError:
    """What is raised where a file cannot be made."""
    return ConfigError(
        "report_unwritable",
        "The folder for the report cannot be written to.",
        hint="Name a folder that this user may write to, with room on its disk.",
    )


def facts_of(app: App, period: Period) -> Facts:
    """Everything that reports are made from, as it is now; what is away is missing, by its code."""
    note = app.ledger.checkpoint()
    head = parse_checkpoint(note)
    entries = tuple(islice(app.ledger.entries(), head.size))
    compiled = {s.name: _tried(partial(app.compile, s, run="report")) for s in _syncs(app)}
    with allow_hosts(key_hosts(app.project.keys)):
        versions = _tried(app.keys.versions)
    anchoring, project, store = app.anchoring(), app.project, app.store
    signer = ledger_signer(app.keyring, app.workspace_id)
    return Facts(
        project=project,
        specs={d.type: SPECS[d.type] for d in project.destinations.values()},
        config_sha256=_config_digest(app),
        workspace_id=app.workspace_id,
        software=f"mayfly/{VERSION}",
        now=app.clock.now(),
        period=period,
        entries=entries,
        checkpoint=note,
        root=base64.b64encode(head.root).decode(),
        key_line=signer.verifier_key.to_line(),
        anchored=anchoring.anchored(head.size),
        anchors=anchoring.to_dict(),
        keys=where_keys_lie(app),
        key_versions=versions,
        compiled=compiled,
        approved={
            name: isinstance(found, CompiledSync) and _is_approved(app, found)
            for name, found in compiled.items()
        },
        approvals={s.name: store.approval(s.id, project.target) for s in project.syncs.values()},
        runs=store.runs(_RUNS_MAX),
        requests=[(r, store.erasure_steps(r.request)) for r in store.erasures()],
        suppressed=store.suppression_counts(),
        list_current=_is_held(app.recorded_list().require_current),
        held=_tried(lambda: app.spool().held()),
        held_bytes=_held_bytes(app),
        credentials=store.credentials(),
        packages=sorted({(d.name, d.version) for d in distributions()}),
        places=_tried(lambda: rows_of(app)),
        register=register_of(project, SPECS),
        notices=store.notices(),
        objections=store.objections(),
        incidents=store.incidents(),
        probes={"egress": _egress_holds(), "logs": logs_are_closed(), "dumps": writes_no_dump()},
    )


def _syncs(app: App) -> Iterable[SyncSettings]:
    """As they are before any of them is compiled: that may make the project another."""
    return list(app.project.syncs.values())


def _tried(ask: Callable[[], _T]) -> _T | Missing:
    try:
        return ask()
    except EngineError as error:
        return Missing(code=error.code)


def _is_approved(app: App, compiled: CompiledSync) -> bool:
    return _is_held(lambda: require_approved(app, compiled))


def _is_held(require: Callable[[], object]) -> bool:
    try:
        require()
    except PolicyError:
        return False
    return True


def _config_digest(app: App) -> str:
    root = app.project.root
    files = {
        str(f.relative_to(root) if f.is_relative_to(root) else f): hashlib.sha256(
            f.read_bytes()
        ).hexdigest()
        for f in app.project.files
    }
    return content_digest(files)


def _held_bytes(app: App) -> int | Missing:
    if app.project.spool is not None:
        return Missing(code="bytes in a bucket are not counted")
    return sum(_size(f) for f in (app.project.root / ".mayfly/spool").glob("*.spool"))


def _size(file: Path) -> int:
    with suppress(OSError):  # it went meanwhile
        return file.stat().st_size
    return 0


def _egress_holds() -> bool:
    """Whether a host that no list names would be refused; nothing is tried."""
    with allow_hosts(()):
        return refuses("probe.invalid")
