"""Opens a project that `mayfly init` has prepared, and prepares one."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from mayfly.adapters.clock import SystemClock
from mayfly.adapters.egress import refused_connections
from mayfly.adapters.event_log import event_log
from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.keys.make import make_key_encryption_key
from mayfly.adapters.processes import close_leaks, refuse_key_log
from mayfly.bootstrap.alerts import open_alerting
from mayfly.bootstrap.app import App
from mayfly.bootstrap.keeping import (
    key_provider,
    make_ledger,
    open_keyring,
    open_ledger,
    open_spool,
    open_store,
    store_of,
)
from mayfly.bootstrap.telemetry import counted, open_telemetry
from mayfly.config.load import load_project
from mayfly.config.stamp import stamp_when_read
from mayfly.domain.errors import EngineError, PolicyError
from mayfly.domain.settings import Project
from mayfly.ports.keys import KeyProvider
from mayfly.privacy.closed_logs import LIBRARIES, close_logs
from mayfly.services.incidents import IncidentWatch
from mayfly.services.measuring import Meter
from mayfly.services.run_log import RunLog


def open_app(
    root: Path, *, target: str = "dev", ending: bool = False, meter: Meter | None = None
) -> App:
    """A project that `mayfly init` has prepared. From here on this process writes no core dump.

    Args:
        root: folder of the project.
        target: one of its targets.
        ending: see `load_project`.
        meter: counts what is told, for a process that opens its project again and again.

    Raises:
        ConfigProblemsError: the project files are faulty.
        ConfigError: `tls_key_log`, `bad_log`.
        PolicyError: `not_initialised`, `key_missing`, `ledger_missing`.
    """
    close_leaks()
    close_logs(*LIBRARIES)
    refuse_key_log(os.environ)
    told = event_log(os.environ)
    began_ns = time.time_ns()
    project = load_project(root, target=target, ending=ending)
    if meter is not None:
        told = counted(meter, project, told)
    stamp = stamp_when_read(project.root, project.files, began_ns)
    store = open_store(project)
    workspace = store.workspace()
    keys = key_provider(project, workspace.workspace_id)
    keyring = open_keyring(project, keys, workspace.workspace_id)
    clock = SystemClock()
    clock.not_before(store.latest_time())
    telemetry = open_telemetry(project, clock.now_ms, told)
    log = RunLog(store=store, now=clock.now, then=telemetry or told)
    incidents = IncidentWatch(
        store=store, target=target, now=clock.now, refused=refused_connections, then=log
    )
    tell = alerting = open_alerting(project, store, clock.now, incidents)
    try:
        ledger = open_ledger(project, store, keyring, workspace.workspace_id, clock.now, tell)
    except EngineError as error:
        # The ledger is signed with a key; to destroy takes none. The next sweep writes it down.
        _destroy_late(project, keys, workspace.workspace_id, clock)
        if store.deletion():
            raise PolicyError(
                "workspace_deleted",
                "This workspace was deleted, and its keys are destroyed or about to be.",
                hint="Finish it with `mayfly workspace delete`, where it has not ended.",
            ) from None
        incidents.not_opened(error.code)
        alerting.not_opened(error.code)
        raise
    clock.not_before(ledger.last_time())
    return App(
        project=project,
        store=store,
        keys=keys,
        keyring=keyring,
        ledger=ledger,
        workspace_id=workspace.workspace_id,
        installation_id=workspace.installation_id,
        clock=clock,
        tell=tell,
        told=told,
        alerting=alerting,
        incidents=incidents,
        telemetry=telemetry,
        stamp=stamp,
    )


def _destroy_late(
    project: Project, keys: KeyProvider, workspace_id: str, clock: SystemClock
) -> None:
    """End what waits sealed past its deadline; what went wrong before is what is told."""
    with suppress(EngineError):
        spool, now_ms = open_spool(project, keys, workspace_id, clock.now_ms), clock.now_ms()
        late = [held.id for held in spool.held() if held.purge_by_ms <= now_ms]
        if late:
            spool.purge(late)


def initialise(root: Path, *, target: str = "dev") -> list[str]:
    """Make what is missing beside the project files: store, keys, ledger. Names what was made."""
    close_logs(*LIBRARIES)
    refuse_key_log(os.environ)
    project = load_project(root, target=target)
    made: list[str] = []
    store = store_of(project)
    clock = SystemClock()
    known = store.exists()
    workspace_id = (
        store.workspace().workspace_id
        if known
        else f"{project.workspace.name}-{secrets.token_hex(8)}"
    )
    provider = key_provider(project, workspace_id)
    keyring = open_keyring(project, provider, workspace_id)
    lost = isinstance(provider, LocalKeyProvider) and not provider.exists()
    if known and (lost or not keyring.exists()):
        # New keys in place of lost ones would change every digest: nothing is made silently.
        raise PolicyError(
            "key_missing",
            "This workspace has a store, but its keys are not on this machine.",
            hint="Restore the workspace's key directory from your backup of the keys.",
        )
    if not known:
        # Keys first: a crash in between leaves keys that nothing uses, and never a store without.
        made += ["key encryption key"] if make_key_encryption_key(provider) else []
        keyring.create_all()
        store.create(
            workspace_id=workspace_id,
            name=project.workspace.name,
            installation_id=secrets.token_hex(16),
            now=clock.now(),
        )
        made += ["workspace keys", "store"]
    ledger = make_ledger(project, store, keyring, workspace_id, clock.now)
    return [*made, ledger] if ledger else made
