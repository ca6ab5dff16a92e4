"""The project as a whole, with its ports joined to adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from mayfly.adapters.clock import CLOCK_TOLERANCE, SystemClock
from mayfly.adapters.egress import allow_hosts
from mayfly.adapters.keys.keyring import FileKeyring
from mayfly.adapters.keys.make import key_hosts
from mayfly.adapters.ledgers.tree import TreeLedger
from mayfly.adapters.planstores.in_source import SourcePlanStore
from mayfly.adapters.planstores.local import LocalPlanStore
from mayfly.adapters.planstores.local_states import LocalStates
from mayfly.adapters.planstores.schema import SourceSchema
from mayfly.adapters.planstores.shared import SharedSourcePlanStore
from mayfly.adapters.planstores.states import SourceStates
from mayfly.adapters.processes import is_alive
from mayfly.adapters.spools.spool import SealedSpool
from mayfly.adapters.stores.sql_limits import SqlLimits
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.bootstrap.connections import Connections, token_hosts
from mayfly.bootstrap.connectors import (
    account_digest,
    address,
    destination_hosts,
    dialect_of,
    make_destination,
    open_source,
    refusals,
    renew_before_ms,
    source_hosts,
)
from mayfly.bootstrap.free_text import free_text_of
from mayfly.bootstrap.keeping import (
    LOCAL_STATES,
    anchor_hosts,
    local_databases,
    open_anchor,
    open_spool,
    spool_hosts,
    where_state_is,
)
from mayfly.bootstrap.probing import Probes
from mayfly.bootstrap.register import operator_hosts
from mayfly.bootstrap.registry import SPECS
from mayfly.config.stamp import Stamp
from mayfly.domain.approval import approval_document, fingerprint
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import ColumnSettings, Project, SyncSettings
from mayfly.domain.telemetry import Point
from mayfly.domain.version import VERSION
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.anchor import Anchor
from mayfly.ports.destination import Destination, DestinationContext
from mayfly.ports.keys import KeyProvider
from mayfly.ports.planstore import PlanStore
from mayfly.ports.source import Source
from mayfly.ports.states import States
from mayfly.services.ai_transfer import ai_stopped
from mayfly.services.alerting import Alerting
from mayfly.services.anchor import Anchoring
from mayfly.services.classify_table import free_text_models, looks_of, rows_of_query
from mayfly.services.compile_sync import compile_sync, every_column, model_query, state_identity
from mayfly.services.compiled_sync import CompiledSync, CompileRequest, Refusal
from mayfly.services.credentials import CredentialVault
from mayfly.services.deliver import Sleep
from mayfly.services.events import Tell, ignore
from mayfly.services.figures import Figures
from mayfly.services.incidents import IncidentWatch
from mayfly.services.limited import AccountGate
from mayfly.services.living import alive_by_beats
from mayfly.services.notify_processors import not_told
from mayfly.services.present_columns import of_present_columns
from mayfly.services.register import uncovered
from mayfly.services.settle_list import RecordedList
from mayfly.services.shared_keys import shared_key
from mayfly.services.states import StateKeeper
from mayfly.services.suppress import listed_forms
from mayfly.services.sync_worker import SyncWorker
from mayfly.services.telemetry import Telemetry
from mayfly.services.transfers import transfer_refusals, transfers_to
from mayfly.services.uninstall import Uninstaller
from mayfly.services.value_classes import look_at, value_classes
from mayfly.services.waiting import WaitingRoom

APPROVING = "approve"
"""What `compile` is told in place of a run's id."""
_LOOKS = ("counts", "values")


@dataclass(kw_only=True)
class App:
    """A project with its store, keys and ledger."""

    project: Project
    store: SqlStore
    keys: KeyProvider
    keyring: FileKeyring
    ledger: TreeLedger
    workspace_id: str
    installation_id: str
    clock: SystemClock = field(default_factory=SystemClock)
    sleep: Sleep = asyncio.sleep
    tell: Tell = ignore
    told: Tell = ignore
    alerting: Alerting | None = None
    incidents: IncidentWatch | None = None
    telemetry: Telemetry | None = None
    stamp: Stamp | None = None
    residency: tuple[datetime, PolicyError | None] | None = None
    _sources: dict[str, Source] = field(default_factory=dict)
    _probes: Probes = field(default_factory=Probes)

    def __post_init__(self) -> None:
        """One for as long as the project is open: access tokens are in its memory only."""
        vault = CredentialVault(
            self.store,
            self.keys,
            workspace=self.workspace_id,
            region=self.project.workspace.region or "",
            now=self.clock.now,
        )
        self.alive = alive_by_beats(self.store, is_alive)
        self.loaded = self.project
        self.connections = Connections(project=self.project, vault=vault, clock=self.clock)

    def flush(self) -> None:
        """Wait, for some seconds at most, until what operators are to know is told."""
        if self.incidents is not None:
            self.incidents.note_refused()
        if self.alerting is not None:
            self.alerting.flush()
        if self.telemetry is not None:
            self.telemetry.flush(self.figures)

    def tell_figures(self) -> None:
        """Have telemetry tell what waits and what is open, and do not wait for that."""
        if self.telemetry is not None:
            self.telemetry.flush(self.figures, seconds=0.0)

    def figures(self) -> Sequence[Point]:
        """What waits and what is open, from store, ledger and spool."""
        return Figures(
            store=self.store,
            room=self.waiting(),
            target=self.project.target,
            syncs={s.id: s.name for s in self.project.syncs.values()},
            now=self.clock.now(),
        ).points()

    def source(self, name: str) -> Source:
        """The source of that name. What reads files is one for as long as the project is open: its
        engine is not started for every act. What logs in is made anew: its secret may be another.
        """
        if self.project.sources[name].path is None:
            return open_source(self.project, name)
        if name not in self._sources:
            self._sources[name] = open_source(self.project, name)
        return self._sources[name]

    def dialect(self, source: Source) -> SqlDialect:
        """The dialect of a source."""
        return dialect_of(self.project, source.name)

    def compile(
        self, sync: SyncSettings, *, run: str, limit: int | None = None, full_refresh: bool = False
    ) -> CompiledSync:
        """Type and plan one sync; see `compile_sync`.

        For an approval the values of its model are looked at first, where the source says so; where
        it says nothing, once the sync was approved and is another now.
        """
        sync = self.with_all_columns(sync)
        request = self._request(sync, run, limit=limit, full_refresh=full_refresh)
        setting = request.project.sources[request.source.name].classify
        looks = setting in _LOOKS or bool(free_text_models(setting))
        if run == APPROVING and (looks or (setting is None and self._drifted(request))):
            self._look(request)
        return compile_sync(self._with_values(request))

    def compile_present(
        self, sync: SyncSettings, *, run: str, limit: int | None, full_refresh: bool
    ) -> CompiledSync | None:
        """One sync without columns that its model's table lacks, as far as it can do without; from
        which nothing but withdrawals may go.
        """
        sync = self.with_all_columns(sync)
        request = self._request(sync, run, limit=limit, full_refresh=full_refresh)
        reduced = of_present_columns(request)
        return None if reduced is None else compile_sync(self._with_values(reduced))

    def _with_values(self, request: CompileRequest) -> CompileRequest:
        model = request.sync.model
        columns = request.project.models[model].columns
        found = value_classes(self.store, self.project.target, model, columns)
        return replace(request, value_classes=found)

    def _drifted(self, request: CompileRequest) -> bool:
        """Whether a sync that was approved is another now. What never was is not read."""
        sync, project = request.sync, self.project
        record = self.store.approval(sync.id, project.target)
        if record is None or sync.name not in project.syncs:
            return False
        pinned = compile_sync(self._with_values(request)).pinned
        return record.fingerprint != fingerprint(approval_document(project, sync.name, pinned))

    def with_all_columns(self, sync: SyncSettings) -> SyncSettings:
        """The sync with every column that its model's policy lets out under its own name, as the
        source has them now. The project knows them from then on.

        Raises:
            ConfigError: the table is missing, or a right.
            TransientError: the source is away.
        """
        project, model = self.project, self.project.models[sync.model]
        if model.policy != "allow_all":
            return sync
        source = self.source(model.source)
        query = every_column(model, source, self.dialect(source))
        open_ = [c.name for c in source.describe(query) if c.name not in model.blocked]
        columns = {c: ColumnSettings(name=c) for c in open_} | dict(model.columns)
        mapped = {*sync.mapping, *sync.mapping.values()}
        mapping = {**sync.mapping, **{c: c for c in open_ if c not in mapped}}
        sync = replace(sync, mapping=mapping)
        self.project = replace(
            project,
            models={**project.models, sync.model: replace(model, columns=columns)},
            syncs={**project.syncs, sync.name: replace(project.syncs[sync.name], mapping=mapping)}
            if sync.name in project.syncs
            else project.syncs,
        )
        return sync

    def _request(
        self, sync: SyncSettings, run: str, *, limit: int | None, full_refresh: bool
    ) -> CompileRequest:
        source = self.source(self.project.models[sync.model].source)
        settings = self.project.destinations[sync.destination]
        workspace, spec = self.project.workspace, SPECS[settings.type]
        transfers = transfers_to(workspace, spec, settings)
        carried = transfer_refusals(workspace, transfers, self.clock.now().date())
        return CompileRequest(
            project=self.project,
            sync=sync,
            source=source,
            dialect=self.dialect(source),
            destination=spec,
            address=address(settings, sync),
            run=run,
            differing=partial(self._probes.differing, source, self.dialect(source)),
            suppression_version=self.store.suppression_version(),
            suppression_forms=listed_forms(self.store),
            limit=limit,
            full_refresh=full_refresh,
            renew_before_ms=renew_before_ms(settings, self.clock.now_ms()),
            now_ms=self.clock.now_ms(),
            refusals=(*refusals(settings, sync), *carried, *self.not_engaged()),
            transfers=transfers,
        )

    def stopped(self) -> dict[str, str]:
        """Sub-processors that may not be used whatever their terms, and why."""
        if not self.project.processors:
            return {}
        late = not_told(self.store, self.project, self.clock.now())
        late |= ai_stopped(self.project, self.store)
        return late | {o.processor: "the workspace objected to it" for o in self.store.objections()}

    def not_engaged(self) -> list[Refusal]:
        """Sub-processors that a run would use and may not; see `uncovered`."""
        today = self.clock.now().date()
        return uncovered(self.project, operator_hosts(self.project), self.stopped(), today)

    def _look(self, request: CompileRequest) -> None:
        """Have the values of a sync's model looked at, as far as its source lets them."""
        model, source = request.sync.model, request.source
        rows = rows_of_query(source, request.dialect, model_query(request), model)
        looks = looks_of(self.project.sources[source.name].classify)
        reader = partial(free_text_of, self.project, source.name)
        look_at(self.store, self.project.target, rows, looks, self.clock.now(), reader)

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
                holds=compiled.sync.on_outage == "hold",
            )
        sql = self.dialect(source)
        kind = SourcePlanStore if sql.brief is None else SharedSourcePlanStore
        return kind(
            source,
            sql,
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
        written = [n for n, s in project.sources.items() if s.state == "source"]
        kept = {n: partial(self._states_in, n) for n in written}
        return StateKeeper(
            states={LOCAL_STATES: lambda: LocalStates(local_databases(project)), **kept},
            identities=identities,
            ledger=self.ledger,
            entry=self.workspace_entry,
            owner=self.installation_id,
            now_ms=self.clock.now_ms,
            alive=self.alive,
        )

    def uninstaller(self, name: str) -> Uninstaller:
        """Takes everything of ours out of a source."""
        project = self.project
        settings = project.sources[name]
        models = {n for n, model in project.models.items() if model.source == name}
        return Uninstaller(
            source=name,
            place=where_state_is(project, name),
            syncs={s.id for s in project.syncs.values() if s.model in models},
            schema=partial(self._schema_in, name) if settings.state == "source" else None,
            room=self.waiting(),
        )

    def _schema_in(self, name: str) -> SourceSchema:
        schema = self.project.sources[name].state_schema
        source = self.source(name)
        return SourceSchema(source, self.dialect(source), schema=schema)

    def _states_in(self, name: str) -> States:
        source = self.source(name)
        schema = self.project.sources[name].state_schema
        return SourceStates(source, self.dialect(source), schema=schema)

    def workspace_entry(self, type_: EntryType, **fields: Any) -> Entry:
        """A ledger entry of this workspace; what it is about is to be given."""
        return Entry(
            type=type_,
            workspace=self.workspace_id,
            region=self.project.workspace.region or "",
            software=f"mayfly/{VERSION}",
            **fields,
        )

    def spool(self) -> SealedSpool:
        """Where batches wait sealed."""
        return open_spool(self.project, self.keys, self.workspace_id, self.clock.now_ms)

    def waiting(self) -> WaitingRoom:
        """What waits in this workspace, under any target."""
        return WaitingRoom(states=self.states(), spool=self.spool(), now=self.clock.now)

    def anchoring(self) -> Anchoring:
        """Where the ledger's checkpoints go."""
        return Anchoring(names=tuple(self.project.anchors), open=self._anchor, store=self.store)

    @contextmanager
    def _anchor(self, name: str) -> Iterator[Anchor]:
        """Within, this process connects only to the hosts of that anchor."""
        settings = self.project.anchors[name]
        with allow_hosts(anchor_hosts(self.project, settings)):
            yield open_anchor(self.project, settings, self.workspace_id)

    def recorded_list(self) -> RecordedList:
        """The suppression list, in store and ledger."""
        return RecordedList(store=self.store, ledger=self.ledger, entry=self.workspace_entry)

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

        return SyncWorker(
            pseudonym_key=lambda: shared_key(self.keyring, self.store, "pseudonym", scope),
            suppression_key=lambda: self.keyring.key("suppression"),
            suppressed_entries=self.store.suppression_digests(),
            rules=compiled.rules,
            default_countries=compiled.default_countries,
        )

    def entry(self, compiled: CompiledSync, run: str) -> Callable[..., Entry]:
        """Ledger entries of one run."""
        known = {
            "target": self.project.target,
            "sync": compiled.sync.id,
            "run": run,
            "destination": compiled.sync.destination,
        }

        def make(type_: EntryType, **fields: Any) -> Entry:
            return self.workspace_entry(type_, **(known | fields))

        return make

    @contextmanager
    def destination(self, compiled: CompiledSync) -> Iterator[Callable[[], Destination]]:
        """A factory for the sync's connector, to be called on the loop that uses it.

        Within, this process connects only to the hosts of source, keys, spool and destination.
        """
        context = compiled.context
        if context is None:
            raise PolicyError("refused", "The sync is refused; see `mayfly plan`.")
        with self._connector(compiled.sync, context) as make:
            yield make

    @contextmanager
    def unplanned_destination(self, sync: SyncSettings) -> Iterator[Callable[[], Destination]]:
        """As `destination`, of a sync that may not be complete yet: to look, not to write."""
        context = DestinationContext(
            workspace=self.project.workspace.name,
            sync=sync.name,
            mode=SyncMode(sync.mode),
            object_name=sync.audience or sync.table or "",
            key=sync.key,
            columns={},
            forms={},
        )
        with self._connector(sync, context) as make:
            yield make

    @contextmanager
    def _connector(
        self, sync: SyncSettings, context: DestinationContext
    ) -> Iterator[Callable[[], Destination]]:
        settings = self.project.destinations[sync.destination]
        source = self.project.models[sync.model].source
        opened = self.connections.opened(settings)
        with allow_hosts(key_hosts(self.project.keys)):
            hosts = destination_hosts(opened) | source_hosts(self.project, source)
        hosts |= token_hosts(settings) | key_hosts(self.project.keys) | spool_hosts(self.project)
        with allow_hosts(hosts):
            gate = self.gate(sync)
            yield lambda: make_destination(self.project, opened, context, sync, gate)

    def gate(self, sync: SyncSettings) -> AccountGate | None:
        """What keeps a sync to the limits of its destination's account; None where it has none."""
        settings = self.project.destinations[sync.destination]
        if settings.limits is None:
            return None
        limits, account = SqlLimits(self.store), account_digest(settings)
        return AccountGate(limits=limits, account=account, of=settings.limits, sleep=self.sleep)
