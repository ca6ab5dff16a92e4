"""From a sync in the project files to what the planner, the gate and the connector need.

Here every field is typed: what a column may hold when it leaves is decided before any row is
read, and what does not fit is a refusal with its reason, not a surprise during the run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import EngineError, PolicyError
from mayfly.domain.settings import ColumnSettings, ModelSettings, Project, SyncSettings
from mayfly.planning.model_sql import check_model_sql
from mayfly.planning.spec import (
    Consent,
    KeyColumn,
    PlanField,
    PlanSpec,
    StateIdentity,
    SuppressionColumn,
)
from mayfly.planning.sql.dialect import SqlDialect, quote, refuse_key_type
from mayfly.ports.destination import (
    DestinationContext,
    DestinationSpec,
    Erasure,
    FieldSpec,
)
from mayfly.ports.source import ColumnInfo, Source
from mayfly.privacy.gate import Form
from mayfly.privacy.gate.gate import GateField, GatePolicy
from mayfly.privacy.rules import RULES_VERSION, Rule, SqlRule, rule_for, sql_digest
from mayfly.privacy.rules.probe import RuleUse

FINGERPRINT_FORMAT = 2
MADID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SHAPES = {"country": "[A-Za-z]{2}", "postal_code": "[0-9A-Za-z -]{2,10}", "device_id": MADID}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a sync may not run."""

    code: str
    column: str | None
    message: str

    def to_dict(self) -> dict[str, str | None]:
        """As `mayfly plan` prints it."""
        return {"code": self.code, "column": self.column, "message": self.message}


@dataclass(frozen=True, kw_only=True)
class ColumnPlan:
    """One line of the bill: which column leaves as what, and where it is changed."""

    source: str
    cls: str
    rule: str
    where: str
    to: str

    def to_dict(self) -> dict[str, str]:
        """As `mayfly plan` prints it."""
        return {
            "from": self.source,
            "class": self.cls,
            "rule": self.rule,
            "where": self.where,
            "to": self.to,
        }


@dataclass(frozen=True, kw_only=True)
class CompiledSync:
    """A sync, ready to be planned where `refusals` is empty."""

    sync: SyncSettings
    model: ModelSettings
    external: bool
    columns: tuple[ColumnPlan, ...]
    refusals: tuple[Refusal, ...]
    column_types: Mapping[str, str]
    spec: PlanSpec | None = None
    policy: GatePolicy | None = None
    context: DestinationContext | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    default_countries: Mapping[str, str] = field(default_factory=dict)
    hashed_in_worker: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompileRequest:
    """What the caller knows: the project, the ports, the address of the destination.

    `differing` tells which rules the source's server does not compute as Python does.
    """

    project: Project
    sync: SyncSettings
    source: Source
    dialect: SqlDialect
    destination: DestinationSpec
    address: Sequence[str]
    run: str
    differing: Callable[[Sequence[RuleUse]], frozenset[RuleUse]]
    suppression_version: int = 0
    limit: int | None = None
    full_refresh: bool = False


class _Compiler:
    """One compilation; collects refusals instead of stopping at the first."""

    def __init__(self, request: CompileRequest) -> None:
        self.r = request
        self.sync = request.sync
        self.model = request.project.models[request.sync.model]
        settings = request.project.destinations[request.sync.destination]
        self.external = request.destination.always_external or settings.kind != "internal"
        self.mode = SyncMode(request.sync.mode)
        self.refusals: list[Refusal] = []
        self.rules: dict[str, Rule] = {}
        self.countries: dict[str, str] = {}
        self.plans: list[ColumnPlan] = []
        self.differing: frozenset[RuleUse] = frozenset()
        self.in_worker: dict[str, None] = {}

    def refuse(self, code: str, message: str, column: str | None = None) -> None:
        self.refusals.append(Refusal(code=code, column=column, message=message))

    def model_sql(self) -> str:
        """One SELECT over the allowed columns only."""
        names = list(self.model.columns)
        for binding in self.model.consent.values():
            if binding.column not in names:
                names.append(binding.column)
        columns = ", ".join(quote(n) for n in names)
        if self.model.table is not None:
            return f"SELECT {columns} FROM {self.r.source.relation(*self.model.table)}"
        query = check_model_sql(self.model.sql or "", self.r.source.dialect)
        return f"SELECT {columns} FROM ({query}) AS mf_query"

    def run(self) -> CompiledSync:
        """Describe the model's columns, type every field, build the plan's specification."""
        self._mode()
        sql = self.model_sql()
        infos = {c.name: c for c in self.r.source.describe(sql)}
        self.differing = self.r.differing(self._uses(infos))
        consent = self._consent()
        fields, gate = [], []
        for name, column in self.sync.mapping.items():
            made = self._field(name, infos[column])
            if made is not None:
                fields.append(made[0])
                gate.append(made[1])
        keys = tuple(self._key(infos[k]) for k in self.model.primary_key)
        by_identifier = any(f.identifier for f in fields)
        if self.r.destination.fields and not by_identifier:
            self.refuse("no_identifier", "No mapped field identifies a person at the destination.")
        spec = PlanSpec(
            identity=state_identity(
                self.r.project, self.sync, self.r.destination.name, self.r.address
            ),
            run=self.r.run,
            mode=self.mode,
            external=self.external,
            by_identifier=by_identifier,
            model_sql=sql,
            keys=keys,
            fields=tuple(fields),
            consent=consent,
            suppression=self._suppression(infos),
            destination_key=self._destination_key(),
            erase_withdrawn=self.external and self.r.destination.erasure is not Erasure.NONE,
            outside=self.sync.outside_repertoire,
            versions=self._versions(fields),
            suppression_version=self.r.suppression_version,
            batch_rows=self.sync.batch_rows or 50_000,
            limit=self.r.limit,
            full_refresh=self.r.full_refresh,
        )
        return CompiledSync(
            sync=self.sync,
            model=self.model,
            external=self.external,
            columns=tuple(self.plans),
            refusals=tuple(self.refusals),
            column_types={n: i.sql_type for n, i in infos.items()},
            spec=spec,
            policy=GatePolicy(external=self.external, fields=tuple(gate)),
            context=self._context(fields),
            rules=self.rules,
            default_countries=self.countries,
            hashed_in_worker=tuple(self.in_worker),
        )

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
        for name, settings in columns.items():
            if settings.cls in ("email", "phone") and name in infos:
                rule = rule_for("meta", settings.cls)
                found.append(RuleUse(rule=rule, default_country=settings.default_country))
        return found

    def _sql(self, rule: Rule, info: ColumnInfo, country: str | None) -> SqlRule:
        """A rule as SQL; where the server computes it otherwise every value is the worker's."""
        text = self.r.dialect.as_text("{column}")
        if RuleUse(rule=rule, default_country=country) not in self.differing:
            return sql_digest(rule, self.r.source.dialect, text, default_country=country)
        self.in_worker[info.name] = None
        if self.sync.outside_repertoire == "withhold":
            self.refuse(
                "server_differs",
                f"The source's server hashes column {info.name} otherwise than the rule, and "
                "outside_repertoire: withhold keeps its values from being hashed by Mayfly.",
                info.name,
            )
        nothing = f"CAST(NULL AS {self.r.dialect.blob})"
        return SqlRule(digest=nothing, in_repertoire="({column} IS NULL)", canonical=nothing)

    def _mode(self) -> None:
        modes = self.r.destination.modes
        if self.mode not in modes:
            allowed = ", ".join(sorted(m.value for m in modes))
            self.refuse(
                "mode_not_supported",
                f"{self.r.destination.name} supports the modes {allowed}, not {self.mode.value}.",
            )
        settings = self.r.project.sources[self.model.source]
        if settings.state == "local" and self.mode in (SyncMode.MIRROR, SyncMode.AUDIENCE):
            self.refuse(
                "local_state_mode",
                f"Mode {self.mode.value} must know what was delivered; beside a source that is "
                "not written only keyed digests are kept. Use upsert, or `state: source`.",
            )
        if self.sync.on_outage == "hold":
            self.refuse("hold_not_available", "on_outage: hold needs the spool; use replan.")

    def _consent(self) -> Consent | None:
        purpose = self.sync.purpose
        binding = self.model.consent.get(purpose) if purpose else None
        if binding is None:
            if self.external:
                self.refuse(
                    "consent_not_bound",
                    f"Sync {self.sync.name} goes to a third party and needs a purpose that the "
                    f"model binds to a consent column.",
                )
            return None
        values = binding.in_ if binding.in_ else (binding.equals,)
        return Consent(column=binding.column, values=tuple(v for v in values if v is not None))

    def _key(self, info: ColumnInfo) -> KeyColumn:
        try:
            if "json" in info.sql_type.lower():
                refuse_key_type(info.name, pa.list_(pa.null()))
            refuse_key_type(info.name, info.arrow_type)
        except PolicyError as error:
            self.refuse(error.code, error.message, info.name)
        return KeyColumn(name=info.name, sql_type=info.sql_type, arrow_type=info.arrow_type)

    def _field(self, name: str, info: ColumnInfo) -> tuple[PlanField, GateField] | None:
        column = self.model.columns[info.name]
        declared = self.r.destination.field(name)
        if self.r.destination.fields and declared is None:
            self.refuse("unknown_field", f"{self.r.destination.name} has no field {name}.", name)
            return None
        if column.cls == "special" and self.external:
            self.refuse(
                "special_category",
                "Special categories of personal data never go to a third party.",
                info.name,
            )
            return None
        if declared is not None:
            return self._declared(declared, info, column)
        if self.external:
            return self._typed(name, info, column)
        return self._internal(name, info, column)

    def _declared(
        self, spec: FieldSpec, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField] | None:
        """A field of an external platform leaves in its one form."""
        if column.cls not in (None, "none", "hashed", "opaque_id", spec.kind) and spec.form is (
            Form.DIGEST
        ):
            self.refuse(
                "class_mismatch",
                f"Field {spec.name} takes {spec.kind}, but column {info.name} is {column.cls}.",
                info.name,
            )
            return None
        if spec.form is Form.PSEUDONYM or column.rule == "pseudonym":
            if spec.form is not Form.PSEUDONYM:
                self.refuse(
                    "pseudonym_cannot_match",
                    f"Field {spec.name} cannot match a pseudonym; map it to a match hash.",
                    info.name,
                )
                return None
            if column.rule == "clear":
                self.refuse(
                    "clear_identifier",
                    f"Field {spec.name} leaves as a pseudonym; clear identifiers are not sent.",
                    info.name,
                )
                return None
            return self._pseudonym(spec.name, info, column, identifier=spec.identifier)
        if spec.form is Form.CLEAR:
            return self._shaped(spec.name, info, column, MADID, identifier=spec.identifier)
        return self._digest(spec, info, column)

    def _digest(
        self, spec: FieldSpec, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField]:
        rule = rule_for(*(spec.rule or ("", spec.name)))
        self.rules[spec.name] = rule
        if column.default_country:
            self.countries[spec.name] = column.default_country
            self.countries[info.name] = column.default_country
        made = self._sql(rule, info, column.default_country)
        inside = made.in_repertoire
        if column.default_country_column:
            # A number without a country is not settled: the row's own country decides.
            inside = f"({inside}) AND (({made.digest}) IS NOT NULL OR {{column}} IS NULL)"
        self._bill(
            info,
            column.cls or spec.kind,
            f"{rule.platform}.{rule.field}",
            spec.name,
            where="worker" if info.name in self.in_worker else "warehouse",
        )
        return (
            PlanField(
                name=spec.name,
                column=info.name,
                arrow_type=info.arrow_type,
                form=Form.DIGEST,
                identifier=spec.identifier,
                digest_sql=made.digest,
                inside_sql=inside,
                shared_sql=made.shared,
                read_sql=self.r.source.readable(info),
                country_column=column.default_country_column,
            ),
            GateField(name=spec.name, form=Form.DIGEST, shape="digest", identifier=spec.identifier),
        )

    def _pseudonym(
        self, name: str, info: ColumnInfo, column: ColumnSettings, *, identifier: bool = False
    ) -> tuple[PlanField, GateField]:
        self._bill(info, column.cls or "opaque_id", "pseudonym", name, where="worker")
        return (
            PlanField(
                name=name,
                column=info.name,
                arrow_type=info.arrow_type,
                form=Form.PSEUDONYM,
                identifier=identifier,
                read_sql=self.r.source.readable(info),
            ),
            GateField(name=name, form=Form.PSEUDONYM, shape="digest", identifier=identifier),
        )

    def _shaped(
        self,
        name: str,
        info: ColumnInfo,
        column: ColumnSettings,
        pattern: str,
        *,
        identifier: bool = False,
    ) -> tuple[PlanField, GateField]:
        self._bill(info, column.cls or "none", "clear", name)
        return (
            PlanField(
                name=name,
                column=info.name,
                arrow_type=info.arrow_type,
                form=Form.CLEAR,
                identifier=identifier,
                shape=pattern,
                read_sql=self.r.source.readable(info),
            ),
            GateField(
                name=name, form=Form.CLEAR, shape="pattern", pattern=pattern, identifier=identifier
            ),
        )

    def _typed(
        self, name: str, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField] | None:
        """A field of a third party's table or file: only closed shapes leave."""
        if column.rule == "pseudonym":
            return self._pseudonym(name, info, column)
        if column.cls in _SHAPES:
            return self._shaped(name, info, column, _SHAPES[column.cls])
        kind = info.arrow_type
        gate: GateField | None = None
        if column.values:
            gate = GateField(name=name, form=Form.CLEAR, shape="list", values=column.values)
        elif pa.types.is_boolean(kind):
            gate = GateField(name=name, form=Form.CLEAR, shape="boolean")
        elif pa.types.is_temporal(kind) and column.cls in (None, "none"):
            gate = GateField(name=name, form=Form.CLEAR, shape="time")
        elif column.minimum is not None and column.maximum is not None:
            gate = GateField(
                name=name,
                form=Form.CLEAR,
                shape="number",
                minimum=float(column.minimum),
                maximum=float(column.maximum),
            )
        if gate is None:
            self.refuse(
                "free_form",
                f"Column {info.name} has no closed shape. At a third party it needs `rule: "
                "pseudonym`, `values`, `minimum` and `maximum`, or a class that has a shape.",
                info.name,
            )
            return None
        self._bill(info, column.cls or "none", "clear", name)
        return self._clear(name, info), gate

    def _internal(
        self, name: str, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField]:
        if column.rule == "pseudonym":
            return self._pseudonym(name, info, column)
        self._bill(info, column.cls or "none", "clear", name)
        return self._clear(name, info), GateField(name=name, form=Form.CLEAR, shape="any")

    def _clear(self, name: str, info: ColumnInfo) -> PlanField:
        return PlanField(
            name=name,
            column=info.name,
            arrow_type=info.arrow_type,
            form=Form.CLEAR,
            read_sql=self.r.source.readable(info),
        )

    def _bill(
        self, info: ColumnInfo, cls: str, rule: str, to: str, *, where: str = "warehouse"
    ) -> None:
        self.plans.append(ColumnPlan(source=info.name, cls=cls, rule=rule, where=where, to=to))

    def _suppression(self, infos: Mapping[str, ColumnInfo]) -> tuple[SuppressionColumn, ...]:
        """Every e-mail and phone column of the model, mapped or not, and a single key."""
        found = []
        for kind in ("email", "phone"):
            for name, column in self.model.columns.items():
                if column.cls != kind or name not in infos:
                    continue
                made = self._sql(rule_for("meta", kind), infos[name], column.default_country)
                inside = made.in_repertoire
                if column.default_country_column:
                    inside = (
                        f"({inside}) AND (({made.canonical}) IS NOT NULL OR {{column}} IS NULL)"
                    )
                if column.default_country:
                    self.countries[name] = column.default_country
                found.append(
                    SuppressionColumn(
                        kind="email" if kind == "email" else "phone",
                        column=name,
                        canonical_sql=made.canonical,
                        inside_sql=inside,
                        shared_sql=made.shared,
                        country_column=column.default_country_column,
                    )
                )
        if len(self.model.primary_key) == 1 and self.model.primary_key[0] in infos:
            info = infos[self.model.primary_key[0]]
            dialect = self.r.dialect
            found.append(
                SuppressionColumn(
                    kind="primary_key",
                    column=info.name,
                    canonical_sql=dialect.sha256(dialect.render("{column}", info.arrow_type)),
                    inside_sql="TRUE",
                )
            )
        return tuple(found)

    def _destination_key(self) -> tuple[str, ...]:
        """Model columns behind the destination's key, where they are not the primary key."""
        mapped = [self.sync.mapping[k] for k in self.sync.key if k in self.sync.mapping]
        if self.r.destination.fields or self.mode is SyncMode.APPEND or not mapped:
            return ()
        if set(mapped) == set(self.model.primary_key):
            return ()
        if self.mode is SyncMode.MIRROR:
            self.refuse(
                "mirror_key",
                "A mirror takes rows back by their primary key: `key` must be the fields that "
                "carry the model's primary key.",
            )
        return tuple(mapped)

    def _versions(self, fields: Sequence[PlanField]) -> str:
        """Changes when rule, mapping or fingerprint format do."""
        columns = self.model.columns
        parts = [FINGERPRINT_FORMAT, RULES_VERSION]
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


def compile_sync(request: CompileRequest) -> CompiledSync:
    """Type every field of a sync and build what planner, gate and connector need.

    Raises:
        ConfigError: the model's table or column does not exist.
        PolicyError: the model's SQL is not one harmless query.
        TransientError: the source is away.
    """
    return _Compiler(request).run()


def first_refusal(compiled: CompiledSync) -> EngineError | None:
    """The first refusal as an error, None where there is none."""
    if not compiled.refusals:
        return None
    first = compiled.refusals[0]
    more = len(compiled.refusals) - 1
    also = f" (and {more} more: see `mayfly plan`)" if more else ""
    return PolicyError(first.code, first.message + also)
