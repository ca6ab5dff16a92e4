"""What ends a run at its next batch, seen from the project: its files and its store."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Lock

from mayfly.bootstrap import App
from mayfly.bootstrap.probing import Probes
from mayfly.config.load import load_project
from mayfly.config.stamp import stamp_of
from mayfly.domain.approval import approval_document
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.runs import Signals
from mayfly.domain.settings import Project, SyncSettings
from mayfly.services.approvals_lock import LOCK_FILE, read_lock
from mayfly.services.compiled_sync import CompiledSync, first_refusal
from mayfly.services.pausing import pause_of, refusal_of_pause
from mayfly.services.stopping import StopWatch, shown_stricter, stricter_error
from mayfly.services.sync_worker import SyncWorker
from mayfly.services.two_people import needs_two

_ATTEMPTS = 5
_PAUSE_SECONDS = 0.2


def watch_of(
    app: App,
    compiled: CompiledSync,
    worker: SyncWorker,
    run_id: str,
    started: Signals,
    *,
    withdrawing: bool,
) -> StopWatch:
    """What looks, between the batches of a run, for what ends it.

    Args:
        app: of the project as the run started.
        compiled: the run's sync.
        worker: with the suppression list that the run goes by.
        run_id: of the run.
        started: the store's signals before the sync was compiled.
        withdrawing: see `StopWatch`.
    """
    sync, target = compiled.sync, app.project.target
    files = FilesWatch(app, compiled, started)

    def paused() -> PolicyError:
        pause = pause_of(app.store, sync, target)
        return stricter_error("it was paused") if pause is None else refusal_of_pause(sync, pause)

    return StopWatch(
        store=app.store,
        run=run_id,
        sync=sync.id,
        target=target,
        document=files.document,
        started=started,
        paused=paused,
        suppressed=worker.suppressed_entries,
        files=files.stricter,
        now_ms=app.clock.now_ms,
        withdrawing=withdrawing,
    )


class FilesWatch:
    """Whether the project files, or `approvals.lock`, are stricter than what a run started with.

    They are read, and the sync is compiled, only where they are not the files that were.
    """

    def __init__(self, app: App, compiled: CompiledSync, started: Signals) -> None:
        self.document = approval_document(app.project, compiled.sync.name, compiled.pinned)
        self._app = app
        self._sync = compiled.sync
        self._approved = started.approved
        self._stamp = app.stamp
        self._found: PolicyError | None = None
        self._turn = Lock()

    def stricter(self) -> PolicyError | None:
        """What is, None where nothing is.

        Raises:
            TransientError: the source does not answer, which is asked where the files are others.
        """
        with self._turn:
            # Taken first: what changes while it is read is read again.
            stamp = stamp_of(self._app.project.root, self._app.loaded.files)
            if stamp != self._stamp:
                self._found = self._settled()
                self._stamp = stamp
            return self._found or self._without_approval()

    def _settled(self) -> PolicyError | None:
        """What is said of the files once they are whole: somebody may be writing them now."""
        if not self._app.loaded.files:
            return None
        for _ in range(_ATTEMPTS):
            try:
                return self._read()
            except ConfigError as error:
                refused = error
            time.sleep(_PAUSE_SECONDS)
        return stricter_error(f"the project files are refused now ({refused.code})")

    def _read(self) -> PolicyError | None:
        loaded = self._app.loaded
        project = load_project(loaded.root, target=loaded.target)
        if project == loaded:
            return None
        try:
            return self._compared(project)
        except PolicyError as error:
            return stricter_error(f"the sync is refused now ({error.code})")

    def _without_approval(self) -> PolicyError | None:
        """The file is short, and is locked while it is changed."""
        key = self._sync.id, self._app.project.target
        try:
            locked = read_lock(self._app.project.root).get(key)
        except ConfigError as error:
            return stricter_error(f"{LOCK_FILE} is refused now ({error.code})")
        if locked is not None and locked.fingerprint == self._approved:
            return None
        record = self._app.store.approval(*key)
        if locked is None or record is None or locked.fingerprint != record.fingerprint:
            return stricter_error(f"{LOCK_FILE} does not have its approval any more")
        return None

    def _compared(self, project: Project) -> PolicyError | None:
        sync = project.syncs.get(self._sync.name)
        if sync is None or sync.id != self._sync.id:
            return stricter_error("the project has the sync no more")
        what = _settings(self._app.loaded, project, self._sync, sync)
        if what is None:
            app = replace(self._app, project=project, _sources={}, _probes=Probes())
            compiled = app.compile(sync, run="watch")
            refused = first_refusal(compiled)
            if refused is not None:
                return stricter_error(f"the sync is refused now ({refused.code})")
            document = approval_document(app.project, sync.name, compiled.pinned)
            what = "; ".join(shown_stricter(self.document, document)) or None
        return None if what is None else stricter_error(f"the project files changed: {what}")


def _settings(before: Project, after: Project, old: SyncSettings, new: SyncSettings) -> str | None:
    """What is stricter, or may be, of what no approval pins."""
    if new.withheld_threshold < old.withheld_threshold:
        return "withheld_threshold"
    if needs_two(after) and not needs_two(before):
        return "approvals"
    places = [
        (p.workspace.provider, p.workspace.geography, p.workspace.region) for p in (before, after)
    ]
    return "residency" if places[0] != places[1] else None
