"""What the statements of a plan say of its columns: names, values and conditions."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from mayfly.planning.consent import consent_state, consented_model
from mayfly.planning.spec import PlanField, PlanSpec
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.privacy.gate import Form


def key_names(spec: PlanSpec) -> list[str]:
    """Our own names of the key columns: k0, k1 and so on."""
    return [f"k{i}" for i in range(len(spec.keys))]


def model_keys(spec: PlanSpec, sql: SqlDialect) -> list[str]:
    """The key columns of the model under our names."""
    columns = (sql.key(sql.quote(k.name), k.sql_type, k.arrow_type) for k in spec.keys)
    return [f"{column} AS k{i}" for i, column in enumerate(columns)]


def no_key(spec: PlanSpec, sql: SqlDialect) -> list[str]:
    """Nulls of the types that our key columns have."""
    return [sql.cast("NULL", sql.key_type(k.sql_type)) for k in spec.keys]


def same_key(spec: PlanSpec, left: str, right: str) -> str:
    """Join condition over the key columns."""
    return " AND ".join(f"{left}.{k} = {right}.{k}" for k in key_names(spec))


def key_list(spec: PlanSpec, alias: str = "") -> str:
    """The key columns, comma-separated, with an alias in front."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + k for k in key_names(spec))


def canonical_columns(spec: PlanSpec) -> list[str]:
    """Columns of a plan that hold the canonical digests, one for each column of suppression."""
    return [
        f"s{j}" if item.sent_as is None else f"v{item.sent_as}"
        for j, item in enumerate(spec.suppression)
    ]


def value_fields(spec: PlanSpec) -> list[tuple[int, PlanField]]:
    """Fields whose outgoing values stand in the plan: all of an external destination."""
    return list(enumerate(spec.fields)) if spec.external else []


def pseudonym_fields(spec: PlanSpec) -> list[tuple[int, PlanField]]:
    """Fields whose outgoing value the worker makes from a canonical digest."""
    pseudonyms = [(i, f) for i, f in value_fields(spec) if f.form is Form.PSEUDONYM]
    return [(i, f) for i, f in pseudonyms if not f.unread]


def unfit_fields(spec: PlanSpec) -> list[PlanField]:
    """Fields of columns that may hold a value which cannot be read exactly."""
    return [f for f in spec.fields if f.unfit_sql]


def counted_fields(spec: PlanSpec) -> list[tuple[int, PlanField]]:
    """Fields of which it is counted how their values came."""
    return [(i, f) for i, f in value_fields(spec) if f.ready_sql is not None]


def wide_values(spec: PlanSpec, sql: SqlDialect) -> list[str]:
    """Sizes in bytes of the values of an internal destination, over the model's columns.

    Numbers and times are not counted: none is wide. Nor are digests.
    """
    sizes = []
    for field in () if spec.external else spec.fields:
        column, kind = sql.quote(field.column), field.arrow_type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            sizes.append(sql.size(column))
        elif pa.types.is_string(kind) or pa.types.is_nested(kind):
            sizes.append(sql.octets(sql.render(column, kind)))
    return [f"coalesce({sql.cast(size, sql.bigint)}, 0)" for size in sizes]


def total(parts: Sequence[str]) -> str:
    """The sum, in halves: 2,000 terms one after the other are deeper than an engine goes."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({total(parts[:half])} + {total(parts[half:])})"


def outside_columns(spec: PlanSpec) -> list[str]:
    """Model columns that may hold values outside the repertoire SQL may hash."""
    digests = [f for _, f in value_fields(spec) if f.form is Form.DIGEST]
    columns = [f.column for f in digests if not f.unread]
    columns += [s.column for s in spec.suppression]
    return list(dict.fromkeys(columns))


def country_of(spec: PlanSpec, column: str) -> str | None:
    """The model column that gives a phone column's default country, row by row."""
    found = [f.country_column for f in spec.fields if f.column == column]
    found += [s.country_column for s in spec.suppression if s.column == column]
    return next((c for c in found if c), None)


def model_columns(spec: PlanSpec) -> list[str]:
    """Model columns whose values the scan looks at beyond their fingerprint.

    Those of an internal destination are not: carried along, 2,000 of them take minutes to plan.
    """
    columns = [f.column for _, f in value_fields(spec)] + [s.column for s in spec.suppression]
    return list(dict.fromkeys(columns))


def granted_model(spec: PlanSpec, sql: SqlDialect, columns: Sequence[str]) -> str:
    """The model's rows whose consent is granted now, with key columns k0… and some columns."""
    wanted = ", ".join([*model_keys(spec, sql), *columns])
    where = f" WHERE ({consent_state(spec, sql)}) = 1" if spec.consent is not None else ""
    return f"SELECT {wanted} FROM {consented_model(spec, sql)}{where}"


def source_fingerprint(spec: PlanSpec, sql: SqlDialect) -> str:
    """Fingerprint of the source values that a row is judged by, over the model's columns.

    Those of its fields, and beside them what its digests depend on: identifiers that do not leave
    but may be on the suppression list, and each row's own country.
    """
    fields = sorted(spec.fields, key=lambda f: f.name)
    mapped = [sql.render(_compared(f, sql), f.arrow_type) for f in fields]
    return sql.fingerprint([*mapped, *(sql.as_text(sql.quote(c)) for c in _beside(spec))])


def _beside(spec: PlanSpec) -> list[str]:
    columns = {s.column for s in spec.suppression}
    columns |= {f.country_column for f in spec.fields if f.country_column}
    columns |= {s.country_column for s in spec.suppression if s.country_column}
    return sorted(columns - {f.column for f in spec.fields})


def _compared(field: PlanField, sql: SqlDialect) -> str:
    """What leaves as text is compared as that text: an engine's own text of a union, for one, does
    not tell the number 1 from the text '1'.
    """
    as_text = field.form is Form.CLEAR and pa.types.is_string(field.arrow_type)
    return field.read_sql if as_text and field.read_sql else sql.quote(field.column)
