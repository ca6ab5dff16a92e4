"""How each field may leave: the one form of an ad platform's field, a closed shape at a third
party, anything at a destination of one's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from mayfly.domain.classes import CLASSES, PERSONAL
from mayfly.domain.names import nearest
from mayfly.domain.settings import ColumnSettings, ModelSettings
from mayfly.planning.lineage import Origins
from mayfly.planning.model_sql import NamesBehind
from mayfly.planning.spec import PlanField
from mayfly.ports.destination import FieldSpec
from mayfly.ports.source import ColumnInfo
from mayfly.privacy.gate import Form
from mayfly.privacy.gate.gate import GateField
from mayfly.privacy.guard import says_phone
from mayfly.privacy.rules import Rule, SqlRule, rule_for, sql_digest
from mayfly.privacy.rules.probe import RuleUse
from mayfly.services.column_class import Judged, Verdicts, judge, verdicts
from mayfly.services.compiled_sync import ColumnPlan, CompileRequest, Refusal
from mayfly.services.suggest_rule import Suggestion, suggest

MADID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_MATCHED = {
    **{c: c for c in ("email", "phone", "first_name", "last_name", "city", "country", "gender")},
    "region": "state",
    "postal_code": "zip",
}
_SHAPES = {"country": "[A-Za-z]{2}", "postal_code": "[0-9A-Za-z -]{2,10}", "device_id": MADID}


def _shown_class(column: ColumnSettings) -> str:
    """A mark without a class is shown as it is, so that the bill does not say `none` of a person's
    data.
    """
    unknown = column.closed and column.cls in (None, "none")
    return (column.mark if unknown else column.cls) or "none"


@dataclass(kw_only=True)
class Found:
    """What a compilation has found so far; refusals are collected, none stops it."""

    refusals: list[Refusal] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)
    countries: dict[str, str] = field(default_factory=dict)
    plans: list[ColumnPlan] = field(default_factory=list)
    in_worker: dict[str, None] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    suggestions: list[Suggestion] = field(default_factory=list)

    def refuse(self, code: str, message: str, column: str | None = None) -> None:
        """Note why the sync may not run."""
        self.refusals.append(Refusal(code=code, column=column, message=message))


@dataclass(frozen=True, kw_only=True)
class FieldTyper:
    """Types the fields of one sync.

    Args:
        r: what is compiled.
        model: of the sync.
        external: whether the destination is a third party.
        differing: rules the source's server does not compute as Python does.
        found: gets refusals, rules and lines of the bill.
        behind: what the model's SQL names.
        lineage: what each column is made of.
    """

    r: CompileRequest
    model: ModelSettings
    external: bool
    differing: frozenset[RuleUse]
    found: Found
    behind: NamesBehind = field(default_factory=NamesBehind)
    lineage: Mapping[str, Origins] = field(default_factory=dict)

    def field(self, name: str, info: ColumnInfo) -> tuple[PlanField, GateField] | None:
        """How a model column leaves as a destination field, and how the gate checks it; None where
        it may not.
        """
        column = self.model.columns[info.name]
        declared = self.r.destination.field(name)
        if self.r.destination.fields and declared is None:
            names = [f.name for f in self.r.destination.fields]
            near = nearest(name, names)
            meant = f" Did you mean {near}?" if near else f" It has {', '.join(names)}."
            self.found.refuse(
                "unknown_field", f"{self.r.destination.name} has no field {name}.{meant}", name
            )
            return None
        judged = judge(column, self._verdicts(info))
        made_of = self.lineage.get(info.name, frozenset())
        self.found.suggestions.append(
            suggest(name, judged, declared, made_of, external=self.external)
        )
        if judged.cls == "special" and self.external:
            self._refuse_special(info, judged)
            return None
        if declared is not None:
            # A platform's field has a form of its own, which a name says nothing against.
            found = declared.form is Form.CLEAR and judged.by == "values"
            return self._declared(declared, info, self._noted(judged) if found else column)
        if self.external:
            # A pseudonym says nothing, whatever it is made of.
            open_ = column.rule != "pseudonym"
            return self._typed(name, info, self._noted(judged) if open_ else judged)
        return self._internal(name, info, judged)

    def _verdicts(self, info: ColumnInfo) -> Verdicts:
        return verdicts(
            info.name,
            self.lineage.get(info.name, frozenset()),
            values=self.r.value_classes.get(info.name),
            yes_or_no=pa.types.is_boolean(info.arrow_type),
        )

    def _noted(self, judged: Judged) -> Judged:
        """An approval pins what was found where it keeps a value from leaving in clear."""
        if judged.by and self.external:
            self.found.classes[judged.name] = judged.cls or PERSONAL
        return judged

    def _refuse_special(self, info: ColumnInfo, judged: Judged) -> None:
        message = "Special categories of personal data never go to a third party."
        if judged.by:
            self._noted(judged)
            message += f" {judged.why} Where it is none, declare its class with a `reason`."
        self.found.refuse("special_category", message, info.name)

    def _declared(
        self, spec: FieldSpec, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField] | None:
        """A field of an external platform leaves in its one form."""
        if column.closed and spec.form is Form.CLEAR and column.cls not in (None, spec.kind):
            self._refuse_closed(info, column)
            return None
        if column.cls not in (None, "none", "hashed", "opaque_id", spec.kind) and spec.form is (
            Form.DIGEST
        ):
            self.found.refuse(
                "class_mismatch",
                f"Field {spec.name} takes {spec.kind}, but column {info.name} is {column.cls}.",
                info.name,
            )
            return None
        if spec.form is Form.PSEUDONYM or column.rule == "pseudonym":
            if spec.form is not Form.PSEUDONYM:
                self.found.refuse(
                    "pseudonym_cannot_match",
                    f"Field {spec.name} cannot match a pseudonym; map it to a match hash.",
                    info.name,
                )
                return None
            if column.rule == "clear":
                self.found.refuse(
                    "clear_identifier",
                    f"Field {spec.name} leaves as a pseudonym; clear identifiers are not sent.",
                    info.name,
                )
                return None
            return self._pseudonym(spec.name, info, column, identifier=spec.identifier)
        if spec.form is Form.CLEAR:
            if self._refuse_wordless(spec.name, info, identifier=spec.identifier):
                return None
            shape = spec.shape or MADID
            return self._shaped(
                spec.name,
                info,
                column,
                shape,
                identifier=spec.identifier,
                keeps_case=spec.keeps_case,
            )
        return self._digest(spec, info, column)

    def _digest(
        self, spec: FieldSpec, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField]:
        rule = rule_for(*(spec.rule or ("", spec.name)))
        self.found.rules[spec.name] = rule
        if column.default_country:
            self.found.countries[spec.name] = column.default_country
            self.found.countries[info.name] = column.default_country
        made = self.sql(rule, info, column.default_country)
        inside = made.in_repertoire
        if column.default_country_column:
            # A number without a country is not settled: the row's own country decides.
            inside = f"({inside}) AND (({made.digest}) IS NOT NULL OR {{column}} IS NULL)"
        self._bill(
            info,
            column.cls or spec.kind,
            f"{rule.platform}.{rule.field}",
            spec.name,
            where="worker" if info.name in self.found.in_worker else "warehouse",
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
                ready_sql=made.ready,
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
        keeps_case: bool = False,
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
                keeps_case=keeps_case,
                read_sql=self.r.source.readable(info),
            ),
            GateField(
                name=name,
                form=Form.CLEAR,
                shape="pattern",
                pattern=pattern,
                identifier=identifier,
                says_phone=self._says_phone(info, column),
            ),
        )

    def _typed(
        self, name: str, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField] | None:
        """A field of a third party's table or file: only closed shapes leave."""
        if column.rule == "pseudonym":
            return self._pseudonym(name, info, column)
        if column.closed:
            self._refuse_closed(info, column)
            return None
        if column.cls in _SHAPES and self._refuse_wordless(name, info):
            return None
        if column.cls in _SHAPES:
            return self._shaped(name, info, column, _SHAPES[column.cls])
        kind = info.arrow_type
        gate: GateField | None = None
        phone = self._says_phone(info, column)
        if column.values:
            gate = GateField(
                name=name, form=Form.CLEAR, shape="list", values=column.values, says_phone=phone
            )
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
                says_phone=phone,
            )
        if gate is None:
            self.found.refuse(
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
    ) -> tuple[PlanField, GateField] | None:
        if column.rule == "pseudonym":
            return self._pseudonym(name, info, column)
        if column.rule == "match":
            return self._hashed(name, info, column)
        self._bill(info, _shown_class(column), "clear", name)
        return self._clear(name, info), GateField(name=name, form=Form.CLEAR, shape="any")

    def _hashed(
        self, name: str, info: ColumnInfo, column: ColumnSettings
    ) -> tuple[PlanField, GateField] | None:
        """A match hash in a table of one's own, as Meta's fields of that class have it."""
        rule = _MATCHED.get(str(column.cls))
        if rule is None:
            self.found.refuse(
                "match_without_class",
                f"Column {info.name} has no class that a match hash is defined for: declare one of "
                f"{', '.join(_MATCHED)}, or use `rule: pseudonym`.",
                info.name,
            )
            return None
        kind = str(column.cls)
        spec = FieldSpec(name=name, kind=kind, form=Form.DIGEST, rule=("meta", rule))
        return self._digest(spec, info, column)

    def _refuse_closed(self, info: ColumnInfo, column: ColumnSettings) -> None:
        if isinstance(column, Judged) and column.by:
            self._refuse_found(info, column)
            return
        cls = column.cls if column.mark in CLASSES else None
        declare = f"`class: {cls}`" if cls else "its class"
        self.found.refuse(
            "marked_in_dbt",
            f"dbt marks column {info.name} as {column.mark}, and the project files declare less. "
            "At a third party it does not leave in clear: use `rule: pseudonym`, or declare "
            f"{declare}.",
            info.name,
        )

    def _refuse_found(self, info: ColumnInfo, column: Judged) -> None:
        declare = f"`class: {column.cls}`" if column.cls in CLASSES else "its class"
        other = (
            "."
            if column.by == "values"
            else ", or where it is something else its class with a `reason`."
        )
        self.found.refuse(
            "class_undeclared",
            f"{column.why} The project files declare less. At a third party it does not leave in "
            f"clear: use `rule: pseudonym`, declare {declare}{other}",
            info.name,
        )

    def _refuse_wordless(self, name: str, info: ColumnInfo, *, identifier: bool = False) -> bool:
        """Refuse a type whose values are no text that could be held against a shape; of an
        identifier the source's server makes one.
        """
        kind = info.arrow_type
        binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        if not pa.types.is_nested(kind) and (identifier or not binary):
            return False
        self.found.refuse(
            "no_text",
            f"Field {name} takes a value of a closed shape, and column {info.name} of type "
            f"{info.sql_type} has none: make a text of it in the model's SQL.",
            info.name,
        )
        return True

    def _says_phone(self, info: ColumnInfo, column: ColumnSettings) -> bool:
        """A class does not outweigh a column's own name, but it does the table's."""
        behind = self.behind.columns.get(info.name.casefold(), frozenset())
        if column.cls == "phone" or any(map(says_phone, (info.name, *behind))):
            return True
        tables = [self.model.table[1]] if self.model.table else self.behind.tables
        declared = column.cls is not None and not column.closed
        return not declared and any(map(says_phone, tables))

    def _clear(self, name: str, info: ColumnInfo) -> PlanField:
        return PlanField(
            name=name,
            column=info.name,
            arrow_type=info.arrow_type,
            form=Form.CLEAR,
            read_sql=self.r.source.readable(info),
            unfit_sql=self.r.source.unfit(info) or "",
            sql_type=info.sql_type,
        )

    def _bill(
        self, info: ColumnInfo, cls: str, rule: str, to: str, *, where: str = "warehouse"
    ) -> None:
        self.found.plans.append(
            ColumnPlan(source=info.name, cls=cls, rule=rule, where=where, to=to)
        )

    def sql(self, rule: Rule, info: ColumnInfo, country: str | None) -> SqlRule:
        """A rule as SQL; where the server computes it otherwise every value is the worker's."""
        text = self.r.dialect.as_text("{column}")
        if RuleUse(rule=rule, default_country=country) not in self.differing:
            return sql_digest(rule, self.r.source.dialect, text, default_country=country)
        self.found.in_worker[info.name] = None
        if self.r.sync.outside_repertoire == "withhold":
            self.found.refuse(
                "server_differs",
                f"The source's server hashes column {info.name} otherwise than the rule, and "
                "outside_repertoire: withhold keeps its values from being hashed by Mayfly.",
                info.name,
            )
        nothing = self.r.dialect.cast("NULL", self.r.dialect.blob)
        return SqlRule(
            digest=nothing, in_repertoire="({column} IS NULL)", canonical=nothing, ready="FALSE"
        )
