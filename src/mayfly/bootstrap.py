"""The one place that joins ports to adapters: plain calls, no globals."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from mayfly.adapters.anchors.folder import FolderAnchor
from mayfly.adapters.anchors.source import SourceAnchor
from mayfly.adapters.anchors.webhook import WebhookAnchor
from mayfly.adapters.clock import SystemClock
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.http import HttpxClient
from mayfly.adapters.keys.keyring import FileKeyring
from mayfly.adapters.keys.local import LocalKeyProvider, keys_directory
from mayfly.adapters.keys.make import (
    check_store,
    key_hosts,
    make_key_encryption_key,
    make_key_provider,
)
from mayfly.adapters.ledgers.folder import CLOCK_TOLERANCE, FolderLedger
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.local import LocalDatabases, LocalPlanStore
from mayfly.adapters.planstores.local_states import LocalStates
from mayfly.adapters.planstores.states import SourceStates
from mayfly.adapters.processes import close_leaks, is_alive
from mayfly.adapters.spools.folder import FolderBlobs
from mayfly.adapters.spools.key_rows import KeyRows
from mayfly.adapters.spools.locks import HoldLock
from mayfly.adapters.spools.spool import (
    FOLDER,
    KEYS_FILE,
    LOCK_FILE,
    SealedSpool,
    SpoolParts,
)
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.config.load import load_project
from mayfly.config.secrets import Secret, resolve, resolve_store_url
from mayfly.connectors.destinations import (
    database_duckdb,
    database_postgres,
    database_sqlite,
    meta_ads,
)
from mayfly.connectors.destinations import (
    files as files_destination,
)
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.files import FilesSource
from mayfly.connectors.sources.local_state import LocalStateDatabase, make_database
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.settings import (
    AnchorSettings,
    DestinationSettings,
    Project,
    SecretRef,
    SyncSettings,
)
from mayfly.domain.version import VERSION
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.planning.sql.postgres import PostgresDialect
from mayfly.ports.anchor import Anchor
from mayfly.ports.destination import Destination, DestinationContext, DestinationSpec
from mayfly.ports.keys import KeyProvider, newest_version
from mayfly.ports.planstore import PlanStore
from mayfly.ports.source import Source
from mayfly.ports.states import States
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.anchor import Anchoring
from mayfly.services.compile_sync import compile_sync, state_identity
from mayfly.services.compiled_sync import CompiledSync, CompileRequest
from mayfly.services.deliver import Sleep
from mayfly.services.probe_source import probe_source
from mayfly.services.states import StateKeeper
from mayfly.services.suppress import listed_forms
from mayfly.services.sync_worker import SyncWorker
from mayfly.services.waiting import WaitingRoom

SPECS: dict[str, DestinationSpec] = {
    "meta_ads": meta_ads.SPEC,
    "postgres": database_postgres.SPEC_POSTGRES,
    "duckdb": database_duckdb.SPEC_DUCKDB,
    "sqlite": database_sqlite.SPEC_SQLITE,
    "files": files_destination.SPEC,
}
_DIALECTS: dict[str, Callable[[], SqlDialect]] = {
    "duckdb": DuckdbDialect,
    "postgres": PostgresDialect,
}


LOCAL_STATES = "local"
"""Name of the place of states beside sources that are not written."""


@dataclass(kw_only=True)
class App:
    """A project with its store, keys and ledger."""

    project: Project
    store: SqlStore
    keys: KeyProvider
    keyring: FileKeyring
    ledger: FolderLedger
    workspace_id: str
    installation_id: str
    clock: SystemClock = field(default_factory=SystemClock)
    sleep: Sleep = asyncio.sleep
    _probed: dict[str, dict[RuleUse, bool]] = field(default_factory=dict)

    def source(self, name: str) -> Source:
        """The source of that name."""
        return open_source(self.project, name)

    def dialect(self, source: Source) -> SqlDialect:
        """The dialect of a source."""
        return _DIALECTS[source.dialect]()

    def compile(
        self, sync: SyncSettings, *, run: str, limit: int | None = None, full_refresh: bool = False
    ) -> CompiledSync:
        """Type and plan one sync; see `compile_sync`."""
        source = self.source(self.project.models[sync.model].source)
        settings = self.project.destinations[sync.destination]
        return compile_sync(
            CompileRequest(
                project=self.project,
                sync=sync,
                source=source,
                dialect=self.dialect(source),
                destination=SPECS[settings.type],
                address=address(settings, sync),
                run=run,
                differing=lambda uses: self._differing(source, uses),
                suppression_version=self.store.suppression_version(),
                suppression_forms=listed_forms(self.store),
                limit=limit,
                full_refresh=full_refresh,
            )
        )

    def _differing(self, source: Source, uses: Sequence[RuleUse]) -> frozenset[RuleUse]:
        """See `probe_source`; each rule is asked once for as long as the project is open."""
        known = self._probed.get(source.name)
        new = [use for use in uses if known is None or use not in known]
        if known is None or new:
            wrong = probe_source(source, self.dialect(source), new)
            known = self._probed.setdefault(source.name, {})
            known.update({use: use in wrong for use in new})
        return frozenset(use for use in uses if known[use])

    def plan_store(self, compiled: CompiledSync) -> PlanStore:
        """Where the sync's plan waits."""
        if compiled.spec is None:
            raise PolicyError("refused", "The sync is refused; see `mayfly plan`.")
        name = compiled.model.source
        settings = self.project.sources[name]
        source = self.source(name)
        if settings.state == "local":
            return LocalPlanStore(
                source,
                self.dialect(source),
                compiled.spec.identity,
                owner=self.installation_id,
                clock_ms=self.clock.now_ms,
                databases=local_databases(self.project),
                key=lambda: self.keyring.key("local_state"),
            )
        return SourcePlanStore(
            source,
            self.dialect(source),
            compiled.spec.identity,
            owner=self.installation_id,
            clock_ms=self.clock.now_ms,
            schema=settings.state_schema,
        )

    def states(self) -> StateKeeper:
        """The states in all sources that keep them."""
        project = self.project
        identities = {}
        for name, sync in project.syncs.items():
            settings = project.destinations[sync.destination]
            found = state_identity(
                project, sync, SPECS[settings.type].name, address(settings, sync)
            )
            source_name = project.models[sync.model].source
            identities[where_state_is(project, source_name), found.sid] = name
        kept: dict[str, States] = {LOCAL_STATES: LocalStates(local_databases(project))}
        for name, source_settings in project.sources.items():
            if source_settings.type != "files" and source_settings.state == "source":
                source = self.source(name)
                kept[name] = SourceStates(
                    source, self.dialect(source), schema=source_settings.state_schema
                )

        def entry(type_: EntryType, **fields: object) -> Entry:
            known: dict[str, object] = {
                "workspace": self.workspace_id,
                "region": project.workspace.region or "",
                "software": f"mayfly/{VERSION}",
            }
            return Entry(type=type_, **(known | fields))  # type: ignore[arg-type]

        return StateKeeper(
            states=kept,
            identities=identities,
            ledger=self.ledger,
            entry=entry,
            owner=self.installation_id,
            now_ms=self.clock.now_ms,
            alive=is_alive,
        )

    def spool(self) -> SealedSpool:
        """Where batches wait sealed."""
        folder = self.project.root / ".mayfly"
        parts = SpoolParts(
            keys=KeyRows(folder / KEYS_FILE),
            blobs=FolderBlobs(folder / FOLDER),
            lock=HoldLock(folder / LOCK_FILE),
            provider=self.keys,
            key_version=lambda: newest_version(self.keys),
            now_ms=self.clock.now_ms,
        )
        region = self.project.workspace.region or ""
        return SealedSpool(parts, workspace=self.workspace_id, region=region)

    def waiting(self) -> WaitingRoom:
        """What waits in this workspace, under any target."""
        return WaitingRoom(states=self.states(), spool=self.spool(), now=self.clock.now)

    def anchoring(self) -> Anchoring:
        """Where the ledger's checkpoints go."""
        anchors = {
            name: open_anchor(self.project, settings, self.workspace_id)
            for name, settings in self.project.anchors.items()
        }
        hosts = frozenset().union(
            *(anchor_hosts(self.project, settings) for settings in self.project.anchors.values())
        )
        return Anchoring(anchors=anchors, store=self.store, network=lambda: allow_hosts(hosts))

    def require_clock(self) -> None:
        """Refuse an act while the machine's clock stands before what is on record.

        Raises:
            PolicyError: `clock_backwards`.
        """
        behind = self.clock.behind_seconds()
        if behind > CLOCK_TOLERANCE.total_seconds():
            raise PolicyError(
                "clock_backwards",
                f"The machine's clock stands {behind:.0f} s before the latest time on record.",
                hint="Set the machine's clock right; times on record never go back.",
            )

    def worker(self, compiled: CompiledSync) -> SyncWorker:
        """What needs a key."""
        scope = compiled.sync.destination

        def pseudonym_key() -> bytes:
            self.keyring.ensure("pseudonym", scope)
            return self.keyring.key("pseudonym", scope)

        return SyncWorker(
            pseudonym_key=pseudonym_key,
            suppression_key=lambda: self.keyring.key("suppression"),
            suppressed_entries=self.store.suppression_digests(),
            rules=compiled.rules,
            default_countries=compiled.default_countries,
        )

    def entry(self, compiled: CompiledSync, run: str) -> Callable[..., Entry]:
        """Ledger entries of one run."""
        workspace = self.project.workspace

        def make(type_: EntryType, **fields: object) -> Entry:
            known: dict[str, object] = {
                "workspace": self.workspace_id,
                "region": workspace.region or "",
                "target": self.project.target,
                "sync": compiled.sync.id,
                "run": run,
                "destination": compiled.sync.destination,
                "software": f"mayfly/{VERSION}",
            }
            return Entry(type=type_, **(known | fields))  # type: ignore[arg-type]

        return make

    @contextmanager
    def destination(self, compiled: CompiledSync) -> Iterator[Callable[[], Destination]]:
        """A factory for the sync's connector, to be called on the loop that uses it.

        Within, this process connects only to the hosts of source, keys and destination.
        """
        settings = self.project.destinations[compiled.sync.destination]
        if compiled.context is None:
            raise PolicyError("refused", "The sync is refused; see `mayfly plan`.")
        context = compiled.context
        hosts = destination_hosts(settings) | source_hosts(self.project, compiled.model.source)
        with allow_hosts(hosts | key_hosts(self.project.keys)):
            yield lambda: make_destination(self.project, settings, context, compiled.sync)


def open_anchor(project: Project, settings: AnchorSettings, workspace_id: str) -> Anchor:
    """A place for checkpoints.

    Raises:
        PolicyError: `anchor_inside`.
        ConfigError: `secret_missing`.
    """
    if settings.path is not None:
        return FolderAnchor(settings.path, workspace_id=workspace_id, project=project.root)
    if settings.source is not None:
        source = open_source(project, settings.source)
        schema = project.sources[settings.source].state_schema
        return SourceAnchor(source, _DIALECTS[source.dialect](), schema=schema)
    secret = settings.secret
    if settings.url is None or secret is None:
        raise ConfigError("bad_anchor", f"Anchor {settings.name} has no address.")
    return WebhookAnchor(settings.url, secret=lambda: resolve(secret, os.environ).reveal())


def anchor_hosts(project: Project, settings: AnchorSettings) -> frozenset[str]:
    """Hosts that an anchor is reached at."""
    if settings.source is not None:
        return frozenset(source_hosts(project, settings.source))
    host = urlsplit(settings.url).hostname if settings.url else None
    return frozenset({host} if host else ())


def open_app(root: Path, *, target: str = "dev") -> App:
    """A project that `mayfly init` has prepared. From here on this process writes no core dump.

    Raises:
        ConfigProblemsError: the project files are faulty.
        PolicyError: `not_initialised`, `key_missing`, `ledger_missing`.
    """
    close_leaks()
    project = load_project(root, target=target)
    store = open_store(project)
    workspace = store.workspace()
    keys = key_provider(project, workspace.workspace_id)
    keyring = open_keyring(project, keys, workspace.workspace_id)
    clock = SystemClock()
    clock.not_before(store.latest_time())
    ledger = open_ledger(project, keyring, workspace.workspace_id, clock.now)
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
    )


def initialise(root: Path, *, target: str = "dev") -> list[str]:
    """Make what is missing beside the project files: store, keys, ledger. Names what was made."""
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
    path = ledger_path(project)
    if not (path / "checkpoint").exists():
        signer = Signer.from_seed(workspace=workspace_id, seed=keyring.key("ledger_signing"))
        FolderLedger.create(path, signer, clock.now)
        made.append("ledger")
    return made


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
        reveal=lambda reference: resolve(reference, os.environ).reveal(),
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
    project: Project, keyring: FileKeyring, workspace_id: str, now: Callable[[], datetime]
) -> FolderLedger:
    """The workspace's ledger."""
    seed = keyring.key("ledger_signing")
    return FolderLedger(
        ledger_path(project), Signer.from_seed(workspace=workspace_id, seed=seed), now
    )


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


def open_source(project: Project, name: str) -> Source:
    """A source by its settings."""
    settings = project.sources[name]
    if settings.type == "postgres":
        if settings.dsn is None:
            raise ConfigError("dsn_missing", f"Source {name} needs a dsn.")
        return PostgresSource(
            name,
            resolve(settings.dsn, os.environ),
            schema=settings.schema,
            state_schema=settings.state_schema,
        )
    if settings.path is None:
        raise ConfigError("path_missing", f"Source {name} needs a path.")
    path = project.root / settings.path
    if settings.type == "files":
        return FilesSource(name, path, memory_limit=settings.memory_limit or "2GB")
    return DuckdbSource(name, path, memory_limit=settings.memory_limit or "2GB")


def address(settings: DestinationSettings, sync: SyncSettings) -> tuple[str, ...]:
    """What tells one destination from another; part of the state's identity and the approval."""
    options = settings.options
    parts = [settings.endpoint or ""]
    parts += [str(options.get(k, "")) for k in ("account_id", "dsn", "schema", "path", "format")]
    return (*parts, sync.audience or sync.table or "")


def _secret(reference: object) -> Secret:
    """The secret behind a reference of a destination's options."""
    if not isinstance(reference, SecretRef):
        raise ConfigError("secret_missing", "A destination needs a secret that is not set.")
    return resolve(reference, os.environ)


def destination_hosts(settings: DestinationSettings) -> frozenset[str]:
    """Hosts a destination needs."""
    if settings.endpoint:
        return frozenset({"127.0.0.1"})
    spec = SPECS[settings.type]
    if settings.type == "postgres":
        return database_postgres.hosts_of(_secret(settings.options["dsn"]))
    return spec.hosts


def source_hosts(project: Project, name: str) -> frozenset[str]:
    """Hosts a source needs."""
    settings = project.sources[name]
    if settings.type != "postgres" or settings.dsn is None:
        return frozenset()
    return database_postgres.hosts_of(resolve(settings.dsn, os.environ))


def make_destination(
    project: Project,
    settings: DestinationSettings,
    context: DestinationContext,
    sync: SyncSettings,
) -> Destination:
    """A connector, on the running loop."""
    options = settings.options
    match settings.type:
        case "meta_ads":
            secret = options.get("app_secret")
            endpoint = settings.endpoint or f"https://{meta_ads.HOST}"
            return meta_ads.MetaAds(
                meta_ads.MetaAdsSettings(
                    account_id=str(options["account_id"]),
                    access_token=_secret(options["access_token"]),
                    app_secret=_secret(secret) if secret else None,
                    audience=sync.audience or "",
                    api_version=str(options.get("api_version") or meta_ads.API_VERSION),
                    endpoint=endpoint,
                ),
                HttpxClient(destination_hosts(settings)),
                context,
            )
        case "postgres":
            return database_postgres.make(
                dsn=_secret(options["dsn"]),
                schema=str(options.get("schema") or "public"),
                context=context,
            )
        case "duckdb":
            return database_duckdb.make(path=project.root / str(options["path"]), context=context)
        case "sqlite":
            return database_sqlite.make(path=project.root / str(options["path"]), context=context)
        case "files":
            return files_destination.make(
                path=project.root / str(options["path"]),
                file_format=str(options.get("format") or "parquet"),
                context=context,
            )
        case other:
            raise ConfigError("destination_type", f"There is no connector for {other}.")
