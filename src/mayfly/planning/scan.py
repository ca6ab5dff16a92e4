"""The scan: one statement that reads the model once and finds what changed.

The result is narrow: keys, a class, a fingerprint, and, for rows that may have to go out, the
values an external platform takes (digests). No clear personal value of the model is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mayfly.domain.batch import SyncMode
from mayfly.planning.columns import (
    counted_fields,
    country_of,
    granted_model,
    key_list,
    key_names,
    model_columns,
    model_keys,
    outside_columns,
    pseudonym_fields,
    same_key,
    source_fingerprint,
    total,
    unfit_fields,
    value_fields,
    wide_values,
)
from mayfly.planning.consent import consent_state, consented_model, is_dated, withdrawn_since
from mayfly.planning.names import Names
from mayfly.planning.shared import Shared
from mayfly.planning.spec import PlanField, PlanSpec, RowClass, SuppressionColumn
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.privacy.gate import Form

KEY_DIGEST = "key_digest"
_SENT = (RowClass.ADDED, RowClass.CHANGED, RowClass.RESEND, RowClass.DUE)
# A rejected row is not sent, but what of it was delivered before must still be wanted by it.
NEEDED = (*_SENT, RowClass.REJECTED_BEFORE)
# Those that go out, and those that would if any of their identifiers were one.
_COUNTED = (*_SENT, RowClass.NO_IDENTIFIER)


@dataclass(frozen=True, kw_only=True)
class ScanFlags:
    """What the state says about this scan.

    Args:
        versions_changed: rules, mapping or fingerprint format are not those of the state.
        rejected: whether there are remembered rejections.
        suppression_changed: whether digests of unchanged rows must be compared again.
    """

    versions_changed: bool = False
    rejected: bool = False
    suppression_changed: bool = False


def _if_needed(value: str) -> str:
    return f"CASE WHEN need THEN {value} END"


class ScanSql:
    """Statements that make and check the scan."""

    def __init__(self, spec: PlanSpec, dialect: SqlDialect, names: Names, flags: ScanFlags) -> None:
        self._spec = spec
        self._sql = dialect
        self._names = names
        self._flags = flags
        self._shared = self._parts()

    def create(self) -> str:
        """CREATE TABLE scan AS … : the model is read once."""
        spec, name = self._spec, self._names.of("scan")
        columns = ["c", key_list(spec), "fp", "s_out", "redo", *self._outgoing()]
        if wide_values(spec, self._sql):
            columns.append("w")
        if spec.destination_key:
            columns.append("dk")
        if unfit_fields(spec):
            columns.append("unfit")
        if counted_fields(spec):
            columns.append(f"{self._seen()} AS seen")
        if is_dated(spec):
            columns.append("since")
        shown, rest = ", ".join(columns), f"({self._worked_out()}) AS mf_w"
        query = f"SELECT {shown} FROM {rest}"
        if self._sql.ordinal == "n":
            query = self._sql.numbered("n", shown, rest)
        made = (
            self._sql.create_as(name, query, temporary=True)
            if self._names.temporary
            else self._sql.working_copy(name, query)
        )
        return f"/* mayfly sync={spec.identity.sync} run={spec.run} scan */ {made}"

    def _worked_out(self) -> str:
        """The classified rows, values of rows that need none left out, and what is shared."""
        spec = self._spec
        kept = ["c", *key_names(spec), "redo"]
        if self._flags.suppression_changed:
            kept += [f"s_s{j}" for j in range(len(spec.suppression))]
        if spec.destination_key:
            kept.append("dk")
        if unfit_fields(spec):
            wanted = ", ".join(str(int(c)) for c in (*NEEDED, RowClass.UNCHANGED))
            kept.append(f"CASE WHEN c IN ({wanted}) THEN unfit END AS unfit")
        if is_dated(spec):
            kept.append(f"CASE WHEN c = {int(RowClass.WITHDRAWN)} THEN since END AS since")
        need = f"c IN ({', '.join(str(int(c)) for c in NEEDED)})"
        # Of a row that stays as it is nothing but its key is written.
        narrow = ["fp", "s_out", *(["w"] if wide_values(spec, self._sql) else [])]
        columns = [f"CASE WHEN {need} THEN {name} END AS {name}" for name in narrow]
        # As they come: engines work out a function once for each value of a dictionary, which
        # a CASE would dissolve. Each use asks for `need`.
        columns += [f"x{i}" for i, _ in enumerate(model_columns(spec))]
        return self._shared.over(
            f"SELECT {', '.join([*kept, f'{need} AS need', *columns])} "
            f"FROM ({self._classified()}) AS mf_c WHERE c IS NOT NULL"
        )

    def _parts(self) -> Shared:
        """What digests share, then the digests themselves: several uses may want the same."""
        spec = self._spec
        shared = Shared(self._sql.fence, needed="need")
        digests = [(f.column, f.digest_sql, f.shared_sql) for _, f in value_fields(spec)]
        digests += [(s.column, s.canonical_sql, s.shared_sql) for s in spec.suppression]
        shared.add_parts(
            [part.replace("{column}", self._x(column)) for part in parts]
            for column, _, parts in digests
        )
        shared.add_layer(
            sql.replace("{column}", self._x(column)) for column, sql, _ in digests if sql
        )
        return shared

    def _outgoing(self) -> list[str]:
        """Outgoing values, canonical digests and outside flags, for rows that need them."""
        spec, sql = self._spec, self._sql
        out: list[str] = []
        for i, field in value_fields(spec):
            out.append(f"{self._value(field)} AS v{i}")
        for i, field in pseudonym_fields(spec):
            text = sql.render(self._x(field.column), field.arrow_type)
            out.append(f"{_if_needed(sql.sha256(text))} AS p{i}")
        for j, item in self.kept_apart():
            canonical = self._over_column(item.canonical_sql, item.column)
            if self._flags.suppression_changed:
                canonical = f"CASE WHEN need THEN {canonical} ELSE s_s{j} END"
            out.append(f"{canonical} AS s{j}")
        for o, column in enumerate(outside_columns(spec)):
            out.append(f"{self._outside(column)} AS o{o}")
        return out

    def _seen(self) -> str:
        """How the values of the counted fields came, as one digit each: 0 for none, 1 for a value
        to hash, 2 for a digest.
        """
        digits = []
        for place, (_, field) in enumerate(counted_fields(self._spec)):
            x = self._x(field.column)
            ready = self._over_column(field.ready_sql or "", field.column)
            digits.append(
                f"CASE WHEN {x} IS NULL OR {self._sql.as_text(x)} = '' THEN 0 "
                f"WHEN {ready} THEN 2 ELSE 1 END * {self._bigint(str(3**place))}"
            )
        return f"CASE WHEN need THEN {' + '.join(digits)} END"

    def seen(self) -> str:
        """Rows to be sent, and those of them without a digest per counted field (u0, u1 …), for
        each way that their values came.
        """
        fields = counted_fields(self._spec)
        sums = [f"sum(CASE WHEN v{i} IS NULL THEN 1 ELSE 0 END)" for i, _ in fields]
        missing = "".join(f", {self._bigint(s)} AS u{place}" for place, s in enumerate(sums))
        classes = ", ".join(str(int(c)) for c in _COUNTED)
        return (
            f"SELECT seen, {self._bigint('count(*)')} AS n{missing} "
            f"FROM {self._names.of('scan')} WHERE c IN ({classes}) GROUP BY seen"
        )

    def kept_apart(self) -> list[tuple[int, SuppressionColumn]]:
        """Canonical digests that the scan holds beside the outgoing values.

        Those of unchanged rows are the state's, and a row that stays as it is has no others.
        """
        items = enumerate(self._spec.suppression)
        every = self._flags.suppression_changed
        return [(j, item) for j, item in items if every or item.sent_as is None]

    def _outside(self, column: str) -> str:
        """Whether only the worker can hash a value.

        What SQL made a digest of is inside: the guard is asked for the rest alone.
        """
        spec = self._spec
        checks = [(f.digest_sql, f.inside_sql) for _, f in value_fields(spec) if f.column == column]
        checks += [(s.canonical_sql, s.inside_sql) for s in spec.suppression if s.column == column]
        final = {i: d for d, i in checks if i is not None}
        if not final:
            return "FALSE"
        missing = [f"{self._over_column(d, column)} IS NULL" for d in final.values() if d]
        asked = f" AND ({' OR '.join(missing)})" if len(missing) == len(final) else ""
        inside = " AND ".join(f"({self._over_column(i, column)})" for i in final)
        return f"CASE WHEN need{asked} THEN NOT ({inside}) ELSE FALSE END"

    def _over_column(self, sql: str, column: str) -> str:
        return self._shared.named(sql.replace("{column}", self._x(column)))

    def _value(self, field: PlanField) -> str:
        """Outgoing value of one field as the engine gives it."""
        column = self._x(field.column)
        if field.form is Form.DIGEST and field.digest_sql is not None:
            return self._over_column(field.digest_sql, field.column)
        if field.form is Form.PSEUDONYM or field.unread:
            return self._sql.cast("NULL", self._sql.blob)
        if field.identifier and field.shape is not None:
            text = f"trim({self._sql.cast(column, self._sql.text)})"
            text = text if field.keeps_case else f"lower({text})"
            shaped = f"CASE WHEN need AND {self._sql.matches(text, field.shape)} THEN {text} END"
            return self._sql.utf8(shaped)
        return _if_needed(column)

    def _x(self, column: str) -> str:
        return f"x{model_columns(self._spec).index(column)}"

    def _classified(self) -> str:
        """Model and state side by side, with a class."""
        spec = self._spec
        keys = [
            f"{self._sql.key_value(f'coalesce(m.{k}, s.{k})', key.sql_type)} AS {k}"
            for k, key in zip(key_names(spec), spec.keys, strict=True)
        ]
        columns = [f"{self._class_case()} AS c", *keys, "m.fp AS fp", "s.out AS s_out"]
        columns += ["coalesce(s.redo, FALSE) AS redo"]
        columns += [f"m.x{i} AS x{i}" for i in range(len(model_columns(spec)))]
        if self._flags.suppression_changed:
            columns += [f"s.s{j} AS s_s{j}" for j in range(len(spec.suppression))]
        if spec.destination_key:
            columns.append("m.dk AS dk")
        if unfit_fields(spec):
            columns.append("m.unfit AS unfit")
        if wide_values(spec, self._sql):
            columns.append("m.w AS w")
        if is_dated(spec):
            columns.append("m.since AS since")
        rejected = ""
        if self._flags.rejected:
            rejected = (
                f" LEFT JOIN {self._names.of('rejected')} r ON {same_key(spec, 'm', 'r')} "
                f"AND r.fp = m.fp AND r.versions = {self._sql.literal(spec.versions)}"
            )
        state = f"{self._names.of('state')} s"
        both = f"({self._model()}) m", state, same_key(spec, "m", "s")
        return self._sql.all_of_both(", ".join(columns), *both, beside=rejected, gap="m.here")

    def _model(self) -> str:
        """The model with fingerprint and consent state; `here` tells a row from a gap."""
        spec, sql = self._spec, self._sql
        columns = [*model_keys(spec, sql), f"{source_fingerprint(spec, sql)} AS fp", "TRUE AS here"]
        columns.append(f"{consent_state(spec, sql)} AS g")
        if is_dated(spec):
            columns.append(f"{withdrawn_since(spec, sql)} AS since")
        columns += [f"{sql.quote(c)} AS x{i}" for i, c in enumerate(model_columns(spec))]
        if spec.destination_key:
            types = {f.column: f.arrow_type for f in spec.fields}
            parts = [sql.render(sql.quote(c), types[c]) for c in spec.destination_key]
            columns.append(f"{sql.fingerprint(parts)} AS dk")
        sizes = wide_values(spec, sql)
        if sizes:
            columns.append(f"{total(sizes)} AS w")
        if unfit_fields(spec):
            cases = (f"WHEN {f.unfit_sql} THEN {i}" for i, f in enumerate(unfit_fields(spec)))
            columns.append(f"CASE {' '.join(cases)} END AS unfit")
        limit = f" LIMIT {int(spec.limit)}" if spec.limit is not None else ""
        return f"SELECT {', '.join(columns)} FROM {consented_model(spec, sql)}{limit}"

    def _class_case(self) -> str:
        """The class of a row, from consent, state and fingerprint."""
        resend = self._flags.versions_changed or self._spec.full_refresh
        same = int(RowClass.RESEND if resend else RowClass.UNCHANGED)
        rejected = (
            f"WHEN m.g = 1 AND r.fp IS NOT NULL THEN {int(RowClass.REJECTED_BEFORE)} "
            if self._flags.rejected
            else ""
        )
        renewed = self._spec.renew_before_ms
        due = (
            f"WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.last_at < {int(renewed)} "
            f"THEN {int(RowClass.DUE)} "
            if renewed is not None and not resend
            else ""
        )
        unseen = self._spec.limit is not None or self._spec.mode is SyncMode.APPEND
        left = "NULL" if unseen else str(int(RowClass.LEFT))
        classes = (
            "CASE "
            f"WHEN m.here IS NULL AND s.present THEN {left} "
            "WHEN m.here IS NULL THEN NULL "
            f"{rejected}"
            f"WHEN m.g = 1 AND s.present AND s.fp = m.fp AND s.redo THEN {int(RowClass.RESEND)} "
            f"{due}"
            f"WHEN m.g = 1 AND s.present AND s.fp = m.fp THEN {same} "
            f"WHEN m.g = 1 AND s.present THEN {int(RowClass.CHANGED)} "
            f"WHEN m.g = 1 THEN {int(RowClass.ADDED)} "
            f"WHEN s.present AND m.g = 0 THEN {int(RowClass.WITHDRAWN)} "
            f"WHEN s.present THEN {int(RowClass.UNKNOWN)} "
            f"ELSE {int(RowClass.WITHHELD)} END"
        )
        return self._sql.cast(classes, self._sql.smallint)

    def _bigint(self, value: str) -> str:
        return self._sql.cast(value, self._sql.bigint)

    def null_keys(self) -> str:
        """How many rows have a null in the key."""
        nulls = " OR ".join(f"{k} IS NULL" for k in key_names(self._spec))
        return f"SELECT count(*) AS n FROM {self._names.of('scan')} WHERE {nulls}"

    def duplicate_keys(self) -> str:
        """How many keys stand on more than one row."""
        keys = key_list(self._spec)
        return (
            f"SELECT count(*) AS n FROM (SELECT 1 AS one FROM {self._names.of('scan')} "
            f"GROUP BY {keys} HAVING count(*) > 1) AS mf_d"
        )

    def duplicate_destination_keys(self) -> str:
        """How many destination keys would be written by more than one row."""
        wanted = ", ".join(str(int(c)) for c in (*_SENT, RowClass.UNCHANGED))
        return (
            f"SELECT count(*) AS n FROM (SELECT 1 AS one FROM {self._names.of('scan')} "
            f"WHERE c IN ({wanted}) GROUP BY dk HAVING count(*) > 1) AS mf_d"
        )

    def unfit(self) -> str | None:
        """Rows with a value that cannot be read exactly, by the first field that holds one."""
        if not unfit_fields(self._spec):
            return None
        return (
            f"SELECT {self._bigint('unfit')} AS field, {self._bigint('count(*)')} AS n "
            f"FROM {self._names.of('scan')} WHERE unfit IS NOT NULL GROUP BY unfit ORDER BY unfit"
        )

    def classes(self) -> str:
        """Rows per class, and how many of them were in doubt."""
        return (
            f"SELECT c, count(*) AS n, coalesce(sum(CASE WHEN redo THEN 1 ELSE 0 END), 0) AS redo "
            f"FROM {self._names.of('scan')} GROUP BY c"
        )

    def for_worker(self, offset_classes: Sequence[RowClass], *, suppression: bool) -> str | None:
        """What the worker compares and completes: ordinals and digests, nothing clear.

        Args:
            offset_classes: of the rows.
            suppression: whether canonical digests are to be compared.
        """
        spec = self._spec
        columns = [f"p{i}" for i, _ in pseudonym_fields(spec)]
        if suppression:
            apart = {j for j, _ in self.kept_apart()}
            columns += [
                f"s{j}" if j in apart else f"v{item.sent_as} AS s{j}"
                for j, item in enumerate(spec.suppression)
            ]
        if suppression and spec.suppress_key:
            columns.append(f"{self._sql.sha256(self._key_text())} AS {KEY_DIGEST}")
        if not columns:
            return None
        classes = ", ".join(str(int(c)) for c in offset_classes)
        return (
            f"SELECT {self._sql.ordinal} AS n, {', '.join(columns)} "
            f"FROM {self._names.of('scan')} WHERE c IN ({classes})"
        )

    def _key_text(self) -> str:
        return self._sql.render("k0", self._spec.keys[0].arrow_type)

    def outside(self, position: int, column: str) -> str:
        """Clear values that only the worker can hash, with their ordinal and country."""
        spec, sql = self._spec, self._sql
        country = country_of(spec, column)
        shown = {"x": sql.quote(column), "y": sql.quote(country) if country else "NULL"}
        texts = [f"{sql.cast(value, sql.text)} AS {name}" for name, value in shown.items()]
        model = granted_model(spec, sql, texts)
        return (
            f"/* mayfly sync={spec.identity.sync} run={spec.run} outside {position} */ "
            f"SELECT q.{sql.ordinal} AS n, m.x AS x, m.y AS y "
            f"FROM {self._names.of('scan')} q "
            f"JOIN ({model}) m ON {same_key(spec, 'q', 'm')} WHERE q.o{position}"
        )

    def row_bytes(self) -> str | None:
        """Bytes of a row's outgoing values on average, where they are the model's own."""
        if not wide_values(self._spec, self._sql):
            return None
        return (
            f"SELECT {self._bigint('coalesce(avg(w), 0)')} AS n FROM {self._names.of('scan')} "
            f"WHERE w IS NOT NULL"
        )

    def count_outside(self) -> str | None:
        """Rows with a value outside the repertoire, per model column."""
        sums = [
            f"coalesce(sum(CASE WHEN o{o} THEN 1 ELSE 0 END), 0) AS o{o}"
            for o in range(len(outside_columns(self._spec)))
        ]
        if not sums:
            return None
        return f"SELECT {', '.join(sums)} FROM {self._names.of('scan')}"
