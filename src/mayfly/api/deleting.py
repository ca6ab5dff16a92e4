"""Deleting a workspace: everything of it here, in its sources, and its keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from mayfly.adapters.clock import SystemClock
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.files import destroy_private
from mayfly.adapters.keys.local import LocalKeyProvider, keys_directory
from mayfly.adapters.keys.make import key_hosts
from mayfly.api import erasing
from mayfly.bootstrap import SPECS, App, key_provider, open_app, open_store
from mayfly.bootstrap.exporting import export_project_ledger
from mayfly.config.load import load_project
from mayfly.domain.errors import EngineError, PolicyError, UsageError
from mayfly.domain.settings import Project
from mayfly.ledger.entry import EntryType, format_time, identifier_of
from mayfly.ports.keys import KeyProvider
from mayfly.ports.store import Store
from mayfly.services.delete_workspace import (
    BEGAN,
    KEY_VERSION,
    KEYS,
    RECEIPT,
    Step,
    carry_out,
    destroy_versions,
    end_all_waiting,
    remaining,
)
from mayfly.services.erasure_limits import out_of_reach

_OWNER = "whoever owns the project's folder and its store"


def delete_workspace(
    root: Path, *, target: str, confirmed: str, receipt: Path, erase_recipients: bool = False
) -> dict[str, Any]:
    """Delete a workspace, or go on with it.

    Args:
        root: folder of the project.
        target: one of its targets: states in the sources of others are not reached.
        confirmed: the name of the workspace, as whoever does it wrote it.
        receipt: new folder for the ledger with its last signed checkpoint.
        erase_recipients: have every destination asked first to forget everybody.

    Raises:
        UsageError: `not_confirmed`, that is not its name; `export_not_empty`.
        EngineError: what is in the way of a step; repeat the call.
    """
    project = load_project(root, target=target)
    store = open_store(project)
    if confirmed != project.workspace.name:
        raise UsageError(
            "not_confirmed",
            "The name given is not that of the workspace; nothing was changed.",
            hint="Write the name under `workspace` in mayfly.yml.",
        )
    if receipt.exists() and any(receipt.iterdir()):
        raise UsageError(
            "export_not_empty",
            "The folder of the receipt is not empty; nothing was changed.",
            hint="Name a folder that is not there yet.",
        )
    workspace = store.workspace().workspace_id
    deletion = _Deletion(project, store, workspace, receipt, erase_recipients=erase_recipients)
    deletion.carry_out(_opened(root, target, store))
    return deletion.document()


def _opened(root: Path, target: str, store: Store) -> App | None:
    """The project; None once its keys are going, without which nothing can be signed."""
    try:
        return open_app(root, target=target)
    except EngineError:
        if KEY_VERSION in store.deletion():
            return None
        raise


class _Deletion:
    """One deletion, and what is told of it."""

    def __init__(
        self,
        project: Project,
        store: Store,
        workspace: str,
        receipt: Path,
        *,
        erase_recipients: bool,
    ) -> None:
        self._project = project
        self._store = store
        self._workspace = workspace
        self._receipt = receipt
        self._erase_recipients = erase_recipients
        self._keys = key_provider(project, workspace)
        self._destroyed: list[dict[str, str | None]] = []
        self._recipients: list[dict[str, Any]] = []
        self._beyond: Sequence[str] = ()
        self._entries = 0

    def carry_out(self, app: App | None) -> None:
        """What is not done yet."""
        if app is not None:
            app.require_clock()
            with suppress(EngineError):
                # A source that is away is in the way of its own step.
                self._beyond = erasing.states_beyond(app)
        steps = [] if app is None else self._steps(app)
        steps += [
            Step(name=KEYS, act=partial(self._destroy_keys, app)),
            Step(name=RECEIPT, act=self._export),
        ]
        now = self._clock(app)
        carry_out(steps, self._store, now=now, record=partial(self._record, app))
        if app is not None:
            app.flush()

    def _clock(self, app: App | None) -> Callable[[], datetime]:
        if app is not None:
            return app.clock.now
        clock = SystemClock()
        clock.not_before(self._store.latest_time())
        return clock.now

    def _steps(self, app: App) -> list[Step]:
        asked = [Step(name="recipients", act=partial(self._erase_at_recipients, app))]
        return [
            Step(name="schedules", act=partial(_end_schedules, app)),
            *(asked if self._erase_recipients else []),
            Step(name="waiting", act=lambda: end_all_waiting(app.waiting())),
            Step(name="states", act=partial(_drop_states, app)),
            Step(name="credentials", act=partial(_forget_credentials, app)),
            Step(name="store", act=app.store.empty),
            Step(name=KEY_VERSION, act=self._make_last_version),
        ]

    def _record(self, app: App | None, step: str, count: int) -> None:
        if app is None or step == RECEIPT:
            return
        entry = app.workspace_entry(
            EntryType.DELETION, sync="", run="", rows=count, reason=f"workspace/{step}"
        )
        app.ledger.append([entry])

    def _erase_at_recipients(self, app: App) -> int:
        self._recipients = erasing.erase_everybody(app)
        return sum(int(step["rows"]) for step in self._recipients)

    def _make_last_version(self) -> int:
        """A version that wraps nothing: no provider destroys its newest."""
        if isinstance(self._keys, LocalKeyProvider):
            return 0
        with allow_hosts(key_hosts(self._project.keys)):
            try:
                self._keys.rotate()
            except PolicyError as error:
                if error.code != "rotate_elsewhere":
                    raise
                return 0
        return 1

    def _destroy_keys(self, app: App | None) -> int:
        """The workspace's own keys, wrapped as they are, then what wraps them."""
        files = sorted(keys_directory(self._workspace, os.environ).glob("*"))
        if not isinstance(self._keys, LocalKeyProvider):
            with allow_hosts(key_hosts(self._project.keys)):
                self._destroyed = destroy_versions(self._keys)
            _record_destroyed(app, self._destroyed)
        for file in files:
            if file.is_file():
                destroy_private(file)
        return len(files) + len(self._destroyed)

    def _export(self) -> int:
        root, target = self._project.root, self._project.target
        self._entries = export_project_ledger(root, self._receipt, target=target)
        return self._entries

    def document(self) -> dict[str, Any]:
        """As `mayfly workspace delete` prints it."""
        done = self._store.deletion()
        return {
            "schema": "mayfly/workspace/1",
            "ok": True,
            "act": "delete",
            "workspace": self._project.workspace.name,
            "target": self._project.target,
            "steps": [
                {"step": name, "done_at": at.isoformat()}
                for name, at in done.items()
                if name != BEGAN
            ],
            "recipients": self._recipients,
            "keys": {
                "provider": self._project.keys.provider,
                "destroyed": self._destroyed,
                "left": _left(self._project, self._keys),
            },
            "entries": self._entries,
            "remains": self._remains(),
        }

    def _remains(self) -> list[dict[str, Any]]:
        project = self._project
        found = out_of_reach(project, self._store.latest_time(), self._beyond)
        for name, settings in project.destinations.items():
            if not self._erase_recipients:
                who = settings.owner or f"whoever answers for destination {name}"
                found.append(remaining(what="rows", where=name, who=who))
            if SPECS[settings.type].oauth is not None:
                who = "whoever logged in revokes it at the vendor"
                found.append(remaining(what="oauth_grant", where=name, who=who))
        found += [
            remaining(what="checkpoints", where=name, who="whoever answers for the anchor")
            for name in project.anchors
        ]
        found.append(remaining(what="ledger", where="store or .mayfly/ledger", who=_OWNER))
        if _left(project, self._keys) is not None:
            who = "whoever administers the key provider"
            found.append(remaining(what="key", where=project.keys.provider, who=who))
        return found


def _left(project: Project, keys: KeyProvider) -> str | None:
    """The provider's newest version, which wraps nothing of ours any more."""
    if isinstance(keys, LocalKeyProvider):
        return None
    with allow_hosts(key_hosts(project.keys)), suppress(EngineError):
        return next((v.id for v in reversed(keys.versions()) if v.state == "enabled"), None)
    return "unknown"


def _record_destroyed(app: App | None, destroyed: Sequence[dict[str, str | None]]) -> None:
    if app is None or not destroyed:
        return
    now = app.clock.now()
    app.ledger.append(
        [
            app.workspace_entry(
                EntryType.KEK_DESTROYED,
                sync="",
                run="",
                reason=identifier_of(str(one["version"])),
                final_at=_final(one["final_at"]) or format_time(now),
            )
            for one in destroyed
        ]
    )


def _final(text: str | None) -> str:
    return format_time(datetime.fromisoformat(text)) if text else ""


def _end_schedules(app: App) -> int:
    ticks = app.store.ticks(app.project.target)
    for tick in ticks:
        app.store.end_tick(tick.sync, tick.target)
    return len(ticks)


def _drop_states(app: App) -> int:
    """Everything of ours in each source; where something in it is not ours, our states alone."""
    count = 0
    for name in app.project.sources:
        uninstaller = app.uninstaller(name)
        found = uninstaller.look()
        if found.nothing:
            continue
        try:
            count += len(uninstaller.uninstall(force=True).states)
        except PolicyError:
            for state in found.states:
                if state.ours:
                    app.states().drop(f"{uninstaller.place}/{state.info.sid}")
                    count += 1
    return count


def _forget_credentials(app: App) -> int:
    keys = sorted({one.key for one in app.store.credentials()})
    return sum(app.connections.vault.forget(key) for key in keys)
