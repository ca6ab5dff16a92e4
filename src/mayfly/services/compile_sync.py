"""From a sync in the project files to what the planner, the gate and the connector need.

Here every field is typed: what a column may hold when it leaves is decided before any row is
read, and what does not fit is a refusal with its reason, not a surprise during the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa

from mayfly.domain.approval import Compiled
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.settings import ConsentBinding, ModelSettings, Project, SyncSettings
from mayfly.planning.consent import told_model
from mayfly.planning.lineage import Origins, is_constant, lineage_of, tables_in
from mayfly.planning.model_sql import (
    NamesBehind,
    check_model_sql,
    check_where,
    names_behind,
    parsed,
)
from mayfly.planning.spec import (
    Consent,
    KeyColumn,
    PlanField,
    PlanSpec,
    StateIdentity,
    SuppressionColumn,
)
from mayfly.planning.sql.dialect import SqlDialect, refuse_key_type
from mayfly.ports.destination import DestinationContext, Erasure
from mayfly.ports.source import ColumnInfo, Source
from mayfly.privacy.detect import ShownNames, shown_name
from mayfly.privacy.gate import Form
from mayfly.privacy.gate.gate import GateField, GatePolicy
from mayfly.privacy.rules import (
    CANONICAL_KINDS,
    CanonicalKind,
    Rule,
    SqlRule,
    canonical_rule,
    rule_for,
    version_text,
)
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.bind_consent import bind_consent
from mayfly.services.compiled_sync import CompiledSync, CompileRequest
from mayfly.services.find_views import ViewsFound, find_views
from mayfly.services.shown_names import shown_names
from mayfly.services.type_fields import FieldTyper, Found

FINGERPRINT_FORMAT = 3
_ABOUT_QUERY = frozenset({
    "table_missing", "schema_missing", "column_missing", "column_ambiguous", "function_missing",
    "query_syntax", "query_invalid", "access_refused", "missing_grant",
    "row_security",
})  # fmt: skip


class _Compiler:
    """One compilation; collects refusals instead of stopping at the first."""

    def __init__(self, request: CompileRequest) -> None:
        self.r = request
        self.sync = request.sync
        self.model = request.project.models[request.sync.model]
        settings = request.project.destinations[request.sync.destination]
        self.external = request.destination.always_external or settings.kind != "internal"
        self.mode = SyncMode(request.sync.mode)
        self.found = Found(refusals=list(request.refusals))

    def model_sql(self) -> str:
        """One SELECT over the allowed columns only."""
        names = self._read()
        columns = ", ".join(self.r.dialect.quote(n) for n in names)
        relation = _relation(self.model, self.r.source)
        where = self._where()
        rows = f" WHERE {where}" if where else ""
        return self.r.dialect.model(f"SELECT {columns} FROM {relation}{rows}")

    def _read(self) -> list[str]:
        """Columns that are read."""
        return list(dict.fromkeys([*self.model.read_columns, *self._bound()]))

    def _with_told(self, sql: str, infos: dict[str, ColumnInfo]) -> str:
        """The model with what consent to some purposes is, which its columns do not have: the text
        `granted` or `denied`.
        """
        names = [self.r.dialect.quote(n) for n in self._read()]
        for name, column in self.model.columns.items():
            if column.tells is None or name not in self.sync.mapping.values():
                continue
            consent = bind_consent(self.r, self.model.consent[column.tells], infos, self.found)
            sql = told_model(sql, names, self.r.dialect, consent, name=name, now_ms=self.r.now_ms)
            names.append(self.r.dialect.quote(name))
            infos[name] = ColumnInfo(name=name, sql_type="consent", arrow_type=pa.string())
        return sql

    def _where(self) -> str | None:
        """The filter of the model's rows."""
        text = self.model.where
        return None if text is None else check_where(text, self.r.source.dialect)

    def _bound(self) -> Sequence[str]:
        """Columns of the model that say whose consent is granted, or lead to it."""
        return list(dict.fromkeys(c for b in self.model.consent.values() for c in b.columns))

    def _names_behind(self) -> NamesBehind:
        written = self.model.sql
        return names_behind(written, self.r.source.dialect) if written else NamesBehind()

    def _behind(self) -> tuple[ViewsFound, Mapping[str, Origins]]:
        """The views below the model, and what each of its columns is made of."""
        names, written = self._read(), self.model.sql
        told = [b.table.name for b in self.model.consent.values() if b.table is not None]
        if self.model.table is not None:
            views = find_views(self.r.source, [self.model.table, *told])
            return views, lineage_of(self.model.table, names, views.queries)
        query = parsed(written or "", self.r.source.dialect)
        views = find_views(self.r.source, [*tables_in(query), *told])
        return views, lineage_of(query, names, views.queries)

    def _pinned(
        self,
        infos: Mapping[str, ColumnInfo],
        views: ViewsFound,
        lineage: Mapping[str, Origins],
    ) -> Compiled:
        """What an approval pins of all this; of a plain table nothing is behind a column."""
        written, dialect = self.model.sql, self.r.source.dialect
        plain = written is None and not views.pinned
        return Compiled(
            types={n: i.sql_type for n, i in infos.items()},
            query=check_model_sql(written, dialect) if written else None,
            lineage={} if plain else {n: sorted(map(str, o)) for n, o in lineage.items()},
            views=views.pinned,
            where=self._where(),
            found=self.found.classes,
            rules={n: r.version for n, r in self.found.rules.items() if r.version != 1},
            transfers=[transfer.to_dict() for transfer in self.r.transfers],
        )

    def _shown(self, pinned: Compiled, lineage: Mapping[str, Origins]) -> ShownNames:
        """Every name that a line, a reason or a refusal of this sync may have."""
        origins = sorted(origin for made_of in lineage.values() for origin in made_of)
        bindings = self.model.consent.values()
        told = [column for b in bindings if b.table is not None for column in b.table.columns]
        tables = [b.table.name[1] for b in bindings if b.table is not None]
        behind = [part for origin in origins for part in (origin.column, origin.table)]
        names = [*self.model.columns, *self.sync.mapping, *told, *tables, *behind]
        if self.model.table is not None:
            names.append(self.model.table[1])
        return shown_names(pinned, names=names, made=map(str, origins))

    def run(self) -> CompiledSync:
        """Describe the model's columns, type every field, build the plan's specification."""
        self._mode()
        with _named(self.sync.model):
            sql = self.model_sql()
        infos = self._described(sql)
        sql = self._with_told(sql, infos)
        views, lineage = self._behind()
        typer = FieldTyper(
            r=self.r,
            model=self.model,
            external=self.external,
            differing=self.r.differing(self._uses(infos)),
            found=self.found,
            behind=self._names_behind(),
            lineage=lineage,
        )
        consent = self._consent(infos)
        fields, gate = self._fields(typer, infos)
        keys = tuple(self._key(infos[k]) for k in self.model.primary_key)
        by_identifier = any(f.identifier for f in fields)
        most = self.r.destination.batch_rows
        if self.r.destination.fields and not by_identifier:
            self.found.refuse(
                "no_identifier", "No mapped field identifies a person at the destination."
            )
        suppression = self._suppression(typer, infos, fields)
        spec = PlanSpec(
            identity=state_identity(
                self.r.project, self.sync, self.r.destination.name, self.r.address
            ),
            run=self.r.run,
            mode=self.mode,
            external=self.external,
            # What was appended is told by its key alone: of events none is taken back by a person.
            by_identifier=by_identifier and self.mode is not SyncMode.APPEND,
            model_sql=sql,
            keys=keys,
            fields=fields,
            consent=consent,
            suppression=suppression,
            suppress_key=len(keys) == 1,
            destination_key=self._destination_key(),
            erase_withdrawn=self.external and self.r.destination.erasure is not Erasure.NONE,
            outside=self.sync.outside_repertoire,
            versions=self._versions(fields, suppression),
            suppression_version=self.r.suppression_version,
            batch_rows=min(self.sync.batch_rows or most, most),
            limit=self.r.limit,
            full_refresh=self.r.full_refresh,
            renew_before_ms=self.r.renew_before_ms,
            now_ms=self.r.now_ms,
        )
        pinned = self._pinned(infos, views, lineage)
        shown = self._shown(pinned, lineage)
        return CompiledSync(
            sync=self.sync,
            model=self.model,
            external=self.external,
            columns=tuple(self.found.plans),
            refusals=tuple(refusal.shown(shown) for refusal in self.found.refusals),
            suggestions=tuple(self.found.suggestions),
            shown=shown,
            pinned=pinned,
            spec=spec,
            policy=GatePolicy(external=self.external, fields=gate),
            context=self._context(fields),
            rules=self.found.rules,
            default_countries=self.found.countries,
            hashed_in_worker=tuple(self.found.in_worker),
        )

    def _fields(
        self, typer: FieldTyper, infos: Mapping[str, ColumnInfo]
    ) -> tuple[tuple[PlanField, ...], tuple[GateField, ...]]:
        """Those that can be typed, as the plan has them and as the gate does."""
        typed = (typer.field(name, infos[column]) for name, column in self.sync.mapping.items())
        made = [both for both in typed if both is not None]
        return tuple(plan for plan, _ in made), tuple(gate for _, gate in made)

    def _described(self, sql: str) -> dict[str, ColumnInfo]:
        """The model's columns by name; an error says which model it is about."""
        with _named(self.sync.model):
            try:
                return {c.name: c for c in self.r.source.describe(sql)}
            except ConfigError as error:
                missing = self.missing() if error.code == "column_missing" else []
                if self.model.table is None or not missing:
                    raise
                raise ConfigError(
                    error.code,
                    f"Table {shown_name(self.model.table[1])} has no column "
                    f"{', '.join(map(shown_name, missing[:10]))}.",
                    hint=error.hint,
                ) from None

    def missing(self) -> list[str]:
        """Columns that the model's table lacks; empty for a model of SQL."""
        if self.model.table is None:
            return []
        relation = self.r.source.relation(*self.model.table)
        has = {c.name.casefold() for c in self.r.source.describe(f"SELECT * FROM {relation}")}
        return [name for name in self._read() if name.casefold() not in has]

    def _uses(self, infos: Mapping[str, ColumnInfo]) -> list[RuleUse]:
        """Every rule this sync would have the source's server compute."""
        columns = self.model.columns
        found = []
        for name, column in self.sync.mapping.items():
            spec = self.r.destination.field(name)
            if spec is not None and spec.form is Form.DIGEST:
                rule = rule_for(*(spec.rule or ("", spec.name)))
                country = columns[column].default_country
                found.append(RuleUse(rule=rule, default_country=country))
        for kind in CANONICAL_KINDS:
            for name, settings in columns.items():
                if settings.cls == kind and name in infos:
                    country = settings.default_country
                    rules = self._canonical(kind)
                    found += [RuleUse(rule=rule, default_country=country) for rule in rules]
        return found

    def _canonical(self, kind: CanonicalKind) -> list[Rule]:
        """The newest canonical form, and each that the list has entries of."""
        listed = self.r.suppression_forms.get(kind, frozenset())
        rules = {r.version: r for r in (canonical_rule(kind, v) for v in sorted(listed))}
        newest = canonical_rule(kind)
        return [newest, *(r for v, r in rules.items() if v != newest.version)]

    def _mode(self) -> None:
        modes = self.r.destination.modes
        if self.mode not in modes:
            allowed = ", ".join(sorted(m.value for m in modes))
            self.found.refuse(
                "mode_not_supported",
                f"{self.r.destination.name} supports the modes {allowed}, not {self.mode.value}.",
            )
        if self.r.project.sources[self.model.source].state == "local":
            self._local_state()

    def _local_state(self) -> None:
        """What a plan whose rows are gone with its run cannot do."""
        if self.mode is SyncMode.APPEND and not self.r.destination.batch_marker:
            self.found.refuse(
                "local_state_append",
                f"{self.r.destination.name} cannot tell whether a batch was appended, and beside a "
                "source that is not written no batch can be repeated as it was. Use upsert, or "
                "`state: source` with a source that may be written.",
            )

    def _consent(self, infos: Mapping[str, ColumnInfo]) -> Consent | None:
        purpose = self.sync.purpose
        binding = self.model.consent.get(purpose) if purpose else None
        if binding is None:
            if self.external:
                self.found.refuse(
                    "consent_not_bound",
                    f"Sync {self.sync.name} goes to a third party and needs a purpose that the "
                    f"model binds to a consent column or table.",
                )
            return None
        self._refuse_constant(binding)
        return bind_consent(self.r, binding, infos, self.found)

    def _refuse_constant(self, binding: ConsentBinding) -> None:
        """Where the model's SQL writes the answer itself, of however few rows."""
        written = self.model.sql
        bound = binding.constant is not None or binding.table is not None
        if not self.external or written is None or binding.column is None or bound:
            return
        if is_constant(parsed(written, self.r.source.dialect), binding.column):
            self.found.refuse(
                "consent_constant",
                "The model's SQL writes one value into every row of the column that states "
                "consent. Bind what people answered; or say why it may, under `constant` of the "
                "binding.",
                binding.column,
            )

    def _key(self, info: ColumnInfo) -> KeyColumn:
        try:
            if "json" in info.sql_type.lower() or info.sql_type.startswith("_"):
                refuse_key_type(info.name, pa.list_(pa.null()))
            refuse_key_type(info.name, info.arrow_type)
        except PolicyError as error:
            self.found.refuse(error.code, error.message, info.name)
        return KeyColumn(name=info.name, sql_type=info.sql_type, arrow_type=info.arrow_type)

    def _suppression(
        self, typer: FieldTyper, infos: Mapping[str, ColumnInfo], fields: Sequence[PlanField]
    ) -> tuple[SuppressionColumn, ...]:
        """Every e-mail and phone column of the model, mapped or not."""
        # The list holds a phone's digits, too: what is hashed for Meta anyway is compared as it is.
        sent = {self.sync.mapping[n] for n in self._sent_by("meta", "phone")}
        found = []
        for kind in CANONICAL_KINDS:
            for name, column in self.model.columns.items():
                if column.cls != kind or name not in infos:
                    continue
                if column.default_country:
                    self.found.countries[name] = column.default_country
                for rule in self._canonical(kind):
                    made = typer.sql(rule, infos[name], column.default_country)
                    item = _compared(made, kind, name, rule.version, column.default_country_column)
                    if name in sent:
                        item = replace(item, canonical_sql=made.digest)
                    found.append(self._kept_once(item, fields))
        return tuple(found)

    def _kept_once(self, item: SuppressionColumn, fields: Sequence[PlanField]) -> SuppressionColumn:
        """With the field that leaves as the same digest, where there is one."""
        same = (item.column, item.canonical_sql, item.inside_sql)
        found = (
            i
            for i, f in enumerate(fields)
            if f.form is Form.DIGEST and (f.column, f.digest_sql, f.inside_sql) == same
        )
        return replace(item, sent_as=next(found, None)) if self.external else item

    def _sent_by(self, platform: str, kind: str) -> list[str]:
        """Mapped fields that leave hashed by one rule."""
        specs = {n: self.r.destination.field(n) for n in self.sync.mapping}
        return [
            name
            for name, spec in specs.items()
            if spec is not None and spec.form is Form.DIGEST and spec.rule == (platform, kind)
        ]

    def _destination_key(self) -> tuple[str, ...]:
        """Model columns behind the destination's key, where they are not the primary key."""
        mapped = [self.sync.mapping[k] for k in self.sync.key if k in self.sync.mapping]
        self._erasable()
        if self.r.destination.fields or self.mode is SyncMode.APPEND or not mapped:
            return ()
        if set(mapped) == set(self.model.primary_key):
            return ()
        if self.mode in (SyncMode.MIRROR, SyncMode.AUDIENCE):
            self.found.refuse(
                "mirror_key",
                "A mirror or audience takes rows back by their primary key: `key` must be the "
                "fields that carry the model's primary key.",
            )
        return tuple(mapped)

    def _erasable(self) -> None:
        """Who withdraws is taken out of a third party's table by what names the row there."""
        by_key = self.r.destination.erasure is Erasure.BY_KEY and not self.r.destination.fields
        if self.mode is not SyncMode.UPSERT or not self.external or not by_key:
            return
        missing = [k for k in self.model.primary_key if k not in self.sync.mapping.values()]
        if missing:
            self.found.refuse(
                "erasure_key",
                "Rows without consent are removed at a third party by their primary key, and the "
                f"mapping does not carry {', '.join(missing)}. Map it, as a pseudonym if need be.",
            )

    def _versions(
        self, fields: Sequence[PlanField], suppression: Sequence[SuppressionColumn]
    ) -> str:
        """Changes when a rule, mapping or fingerprint format does."""
        columns = self.model.columns
        used = {version_text(rule) for rule in self.found.rules.values()}
        canonical = [
            [
                item.column,
                columns[item.column].default_country,
                item.country_column,
                version_text(canonical_rule(item.kind, item.version)),
            ]
            for item in suppression
        ]
        parts = [FINGERPRINT_FORMAT, sorted(used), canonical]
        mapping = [
            [
                f.name,
                f.column,
                f.form.value,
                columns[f.column].default_country,
                columns[f.column].default_country_column,
            ]
            for f in sorted(fields, key=lambda f: f.name)
        ]
        text = json.dumps([parts, mapping, self.sync.outside_repertoire])
        return hashlib.sha256(text.encode()).hexdigest()

    def _context(self, fields: Sequence[PlanField]) -> DestinationContext:
        columns = {f.name: f.arrow_type if f.form is Form.CLEAR else pa.binary() for f in fields}
        return DestinationContext(
            workspace=self.r.project.workspace.name,
            sync=self.sync.id,
            mode=self.mode,
            object_name=self.sync.audience or self.sync.table or self.sync.id,
            key=self.sync.key,
            columns=columns,
            forms={f.name: f.form for f in fields},
        )


def _compared(
    made: SqlRule, kind: CanonicalKind, column: str, version: int, country_column: str | None
) -> SuppressionColumn:
    inside = made.in_repertoire
    if country_column:
        # Without a country SQL reads international numbers only.
        inside = f"({inside}) AND (({made.canonical}) IS NOT NULL OR {{column}} IS NULL)"
    return SuppressionColumn(
        kind=kind,
        version=version,
        column=column,
        canonical_sql=made.canonical,
        inside_sql=inside,
        shared_sql=made.shared,
        country_column=country_column,
    )


@contextmanager
def _named(model: str) -> Iterator[None]:
    """Errors about a model's query say whose it is."""
    try:
        yield
    except (ConfigError, PolicyError) as error:
        if error.code not in _ABOUT_QUERY and not error.code.startswith("model_sql_"):
            raise
        raise type(error)(error.code, f"Model {model}: {error.message}", hint=error.hint) from None


def state_identity(
    project: Project, sync: SyncSettings, platform: str, address: Sequence[str]
) -> StateIdentity:
    """Which state a sync works on; see `StateIdentity`.

    Args:
        project: under one target.
        sync: of the project.
        platform: type of its destination.
        address: of the destination and its object.
    """
    parts = json.dumps([platform, *address])
    return StateIdentity(
        workspace=project.workspace.name,
        target=project.target,
        sync=sync.id,
        destination=hashlib.sha256(parts.encode()).hexdigest(),
    )


def _relation(model: ModelSettings, source: Source) -> str:
    if model.table is not None:
        return source.relation(*model.table)
    return f"({check_model_sql(model.sql or '', source.dialect)}) AS mf_query"


def every_column(model: ModelSettings, source: Source, sql: SqlDialect) -> str:
    """A query of all that a model's table or query has, to be described.

    Raises:
        PolicyError: the model's SQL is not one harmless query.
    """
    with _named(model.name):
        return sql.model(f"SELECT * FROM {_relation(model, source)}")


def model_query(request: CompileRequest) -> str:
    """The query of a sync's model: one SELECT over the allowed columns only.

    Raises:
        PolicyError: the model's SQL is not one harmless query.
    """
    with _named(request.sync.model):
        return _Compiler(request).model_sql()


def absent_columns(request: CompileRequest) -> list[str]:
    """Columns of a sync's model that its table lacks; empty for a model of SQL.

    Raises:
        ConfigError: the table is missing, or a right.
        TransientError: the source is away.
    """
    with _named(request.sync.model):
        return _Compiler(request).missing()


def compile_sync(request: CompileRequest) -> CompiledSync:
    """Type every field of a sync and build what planner, gate and connector need.

    Raises:
        ConfigError: the model's table or column does not exist; `dbt_not_read`.
        PolicyError: the model's SQL is not one harmless query.
        TransientError: the source is away.
    """
    dbt = request.project.dbt
    if dbt is not None and not dbt.read:
        raise ConfigError(
            "dbt_not_read",
            "The project was opened to end what waits, without dbt's manifest.",
            hint="Open it anew for anything else.",
        )
    return _Compiler(request).run()
