"""What a project keeps: store, keys, ledger and its anchors, local states, the spool."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from mayfly.adapters.anchors.bucket import BucketAnchor
from mayfly.adapters.anchors.folder import FolderAnchor
from mayfly.adapters.anchors.source import SourceAnchor
from mayfly.adapters.anchors.webhook import WebhookAnchor
from mayfly.adapters.buckets import bucket_hosts, open_bucket
from mayfly.adapters.keys.keyring import FileKeyring
from mayfly.adapters.keys.local import keys_directory
from mayfly.adapters.keys.make import (
    check_store,
    make_key_provider,
)
from mayfly.adapters.ledgers.folder import FolderLedger, folder_ledger
from mayfly.adapters.ledgers.form import refuse_newer_ledger
from mayfly.adapters.ledgers.in_store import StoreLedger, stored_ledger
from mayfly.adapters.ledgers.tree import TreeLedger
from mayfly.adapters.planstores.local import LocalDatabases
from mayfly.adapters.spools.blobs import Blobs
from mayfly.adapters.spools.folder import FolderBlobs
from mayfly.adapters.spools.key_rows import KeyRows
from mayfly.adapters.spools.locks import HoldLock
from mayfly.adapters.spools.objects import ObjectBlobs
from mayfly.adapters.spools.spool import (
    FOLDER,
    KEYS_FILE,
    LOCK_FILE,
    SealedSpool,
    SpoolParts,
)
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.bootstrap.connectors import dialect_of, open_source, source_hosts
from mayfly.config.secrets import resolve, resolve_store_url
from mayfly.connectors.sources.local_state import LocalStateDatabase, make_database
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import (
    AnchorSettings,
    Project,
    SecretRef,
)
from mayfly.ledger.checkpoint import Signer
from mayfly.ports.anchor import Anchor
from mayfly.ports.keys import KeyProvider, newest_version
from mayfly.services.events import Tell, tell_entries

LOCAL_STATES = "local"
"""Name of the place of states beside sources that are not written."""


def store_of(project: Project) -> SqlStore:
    """The store of a project, which may not exist yet.

    Raises:
        PolicyError: `local_keys_shared_store`.
    """
    url = resolve_store_url(project.store.url, os.environ)
    check_store(project.keys, url)
    return SqlStore(url, project.root / ".mayfly")


def open_store(project: Project) -> SqlStore:
    """The store of a project.

    Raises:
        PolicyError: `not_initialised`.
    """
    store = store_of(project)
    store.workspace()
    return store


def key_provider(project: Project, workspace_id: str) -> KeyProvider:
    """Who wraps the workspace's keys; see `make_key_provider`.

    Raises:
        PolicyError: `keys_beside_data`.
        ConfigError: the key directory is not known.
    """
    return make_key_provider(
        project.keys,
        directory=keys_directory(workspace_id, os.environ),
        project_directory=project.root,
        reveal=reveal,
    )


def open_keyring(project: Project, provider: KeyProvider, workspace_id: str) -> FileKeyring:
    """The workspace's keys, bound to it and to its region."""
    return FileKeyring(
        provider,
        keys_directory(workspace_id, os.environ),
        workspace=workspace_id,
        region=project.workspace.region or "",
    )


def ledger_path(project: Project) -> Path:
    """Folder of the ledger."""
    return project.root / ".mayfly" / "ledger"


def open_ledger(
    project: Project,
    store: SqlStore,
    keyring: FileKeyring,
    workspace_id: str,
    now: Callable[[], datetime],
    tell: Tell,
) -> TreeLedger:
    """The workspace's ledger, which tells of what it takes: in the store's database where machines
    share that, else in a folder.

    Raises:
        PolicyError: `ledger_missing`.
        EngineError: as opening it.
    """
    signer = ledger_signer(keyring, workspace_id)
    if store.is_shared:
        return StoreLedger(store, signer, now, told=tell_entries(tell))
    refuse_newer_ledger(ledger_path(project))
    return FolderLedger(ledger_path(project), signer, now, told=tell_entries(tell))


def ledger_signer(keyring: FileKeyring, workspace_id: str) -> Signer:
    """What signs the workspace's checkpoints, wherever the ledger lies."""
    return Signer.from_seed(workspace=workspace_id, seed=keyring.key("ledger_signing"))


def make_ledger(
    project: Project,
    store: SqlStore,
    keyring: FileKeyring,
    workspace_id: str,
    now: Callable[[], datetime],
) -> str:
    """Make the workspace's ledger where there is none; what was made, empty where it was there.

    A ledger that lies in the folder although the store is shared, as earlier releases kept it, is
    taken over whole, once it verifies. Its files are left as they are.
    """
    path = ledger_path(project)
    if not store.is_shared:
        if (path / "checkpoint").exists():
            return ""
        FolderLedger.create(path, ledger_signer(keyring, workspace_id), now)
        return "ledger"
    if stored_ledger(store) is not None:
        return ""
    signer = ledger_signer(keyring, workspace_id)
    if not (path / "checkpoint").exists():
        StoreLedger.create(store, signer, now)
        return "ledger"
    FolderLedger(path, signer, now)  # finishes what a killed process left there
    with folder_ledger(path) as taken:
        StoreLedger.create(store, signer, now, taken=taken)
    return "ledger, with the entries of .mayfly/ledger"


def where_state_is(project: Project, source: str) -> str:
    """The name under which `App.states` has the states of a source's syncs."""
    return LOCAL_STATES if project.sources[source].state == "local" else source


def local_databases(project: Project) -> LocalDatabases:
    """States of syncs whose source is not written."""
    return LocalDatabases(
        folder=project.root / ".mayfly" / "state",
        make=make_database,
        open=LocalStateDatabase,
    )


def open_spool(
    project: Project, keys: KeyProvider, workspace_id: str, now_ms: Callable[[], int]
) -> SealedSpool:
    """Where batches of a workspace and region wait sealed; keys always stay with the project."""
    parts = SpoolParts(
        keys=spool_keys(project),
        blobs=_blobs(project),
        lock=HoldLock(project.root / ".mayfly" / LOCK_FILE),
        provider=keys,
        # Asked once: for a service it is a request. An older name only means to rewrap once more.
        key_version=cache(lambda: newest_version(keys)),
        now_ms=now_ms,
    )
    return SealedSpool(parts, workspace=workspace_id, region=project.workspace.region or "")


def spool_keys(project: Project) -> KeyRows:
    """The file of keys of the spool, which may not exist yet."""
    return KeyRows(project.root / ".mayfly" / KEYS_FILE)


def _blobs(project: Project) -> Blobs:
    if project.spool is None:
        return FolderBlobs(project.root / ".mayfly" / FOLDER)
    return ObjectBlobs(open_bucket(project.spool, reveal))


def reveal(reference: SecretRef) -> str:
    """The secret that a reference names; see `resolve`."""
    return resolve(reference, os.environ).reveal()


def spool_hosts(project: Project) -> frozenset[str]:
    """Hosts that sealed batches are put at."""
    return frozenset() if project.spool is None else bucket_hosts(project.spool)


def open_anchor(project: Project, settings: AnchorSettings, workspace_id: str) -> Anchor:
    """A place for checkpoints.

    Raises:
        PolicyError: `anchor_inside`.
        ConfigError: `secret_missing`.
    """
    if settings.bucket is not None:
        return BucketAnchor(open_bucket(settings.bucket, reveal), workspace_id=workspace_id)
    if settings.path is not None:
        return FolderAnchor(settings.path, workspace_id=workspace_id, project=project.root)
    if settings.source is not None:
        source = open_source(project, settings.source)
        schema = project.sources[settings.source].state_schema
        return SourceAnchor(source, dialect_of(project, settings.source), schema=schema)
    secret = settings.secret
    if settings.url is None or secret is None:
        raise ConfigError("bad_anchor", f"Anchor {settings.name} has no address.")
    return WebhookAnchor(settings.url, secret=lambda: reveal(secret))


def anchor_hosts(project: Project, settings: AnchorSettings) -> frozenset[str]:
    """Hosts that an anchor is reached at."""
    if settings.bucket is not None:
        return bucket_hosts(settings.bucket)
    if settings.source is not None:
        return frozenset(source_hosts(project, settings.source))
    host = urlsplit(settings.url).hostname if settings.url else None
    return frozenset({host} if host else ())
