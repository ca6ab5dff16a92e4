"""The gate: one function that everything leaving passes, whatever started it.

At an external destination a column leaves only in the shape its field declares: 32 bytes of a
digest, or a value of a closed shape. What does not fit is withheld row by row and counted. At an
internal destination a column leaves as it was approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.batch import Batch
from mayfly.domain.errors import IntegrityError
from mayfly.domain.outcomes import Reason
from mayfly.privacy.detect import shown_name
from mayfly.privacy.gate.protected import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.privacy.guard import guard_column

EMPTY_SHA256 = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

_DIGEST_BYTES = pa.scalar(32, pa.int32())
_OF_NOTHING = pa.scalar(EMPTY_SHA256, pa.binary())
_FALSE = pa.scalar(False, pa.bool_())

Shape = Literal["digest", "pattern", "number", "boolean", "time", "list", "any"]


@dataclass(frozen=True, kw_only=True)
class GateField:
    """What one field may hold when it leaves.

    Args:
        name: destination field.
        form: digest, pseudonym or clear.
        shape: `any` only at internal destinations, or where an approver named field and reason.
        pattern: anchored by the gate, for `pattern`.
        values: for `list`.
        minimum, maximum: for `number`.
        identifier: a row needs at least one identifier, where the destination has any.
        says_phone: class, column or table speak of telephones: 8 to 15 digits are then a number.
    """

    name: str
    form: Form
    shape: Shape
    pattern: str = ""
    values: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    identifier: bool = False
    says_phone: bool = False


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """The approved way out of one sync."""

    external: bool
    fields: tuple[GateField, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Gated:
    """A batch after the gate.

    Args:
        batch: what may leave.
        positions: int32, its rows' numbers in the planned batch.
        withheld: row number in the planned batch to reason, for rows that may not.
    """

    batch: ProtectedBatch
    positions: pa.Array
    withheld: Mapping[int, Reason] = field(default_factory=dict)


def pass_gate(batch: Batch, policy: GatePolicy) -> Gated:
    """Let through what may leave, withhold the rest.

    Raises:
        IntegrityError: a column that the policy does not know, or of another type than its form.
    """
    known = {f.name: f for f in policy.fields}
    unknown = [name for name in batch.rows.column_names if name not in known]
    if unknown:
        raise IntegrityError(
            "unknown_column", f"Column {shown_name(unknown[0])} was not approved to leave."
        )
    fields = [known[name] for name in batch.rows.column_names]
    withheld = _withheld(batch, fields) if policy.external else {}
    rows, positions = batch.rows, batch.positions
    if withheld:
        keep = pc.invert(pc.is_in(positions, value_set=pa.array(list(withheld), pa.int32())))
        rows, positions = rows.filter(keep), positions.filter(keep)
    forms = {f.name: f.form for f in fields}
    protected = ProtectedBatch(batch.head, rows, forms, seal=THE_SEAL)
    return Gated(batch=protected, positions=positions, withheld=withheld)


def _withheld(batch: Batch, fields: list[GateField]) -> dict[int, Reason]:
    """Row numbers that may not leave, with the first reason found."""
    found: dict[int, Reason] = {}
    for item in fields:
        column = batch.rows.column(item.name).combine_chunks()
        for bad, code in _checks(item, column):
            if pc.any(bad).as_py():
                for position in batch.positions.filter(bad).to_pylist():
                    found.setdefault(position, Reason(code=code))
    return found


def _checks(item: GateField, column: pa.Array) -> list[tuple[pa.Array, str]]:
    """Masks of rows that do not fit, with their codes; no mask is ever null."""
    if item.form is not Form.CLEAR:
        return [(_bad_digest(item, column), "not_a_digest")]
    return [
        (_bad_shape(item, column), "wrong_shape"),
        (guard_column(column, phone=item.says_phone), "clear_value"),
    ]


def _bad_digest(item: GateField, column: pa.Array) -> pa.Array:
    binary = pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type)
    if not binary:
        raise IntegrityError("not_a_digest", f"Field {item.name} must hold digests as bytes.")
    plain = column.cast(pa.binary())
    wrong = pc.or_(
        pc.not_equal(pc.binary_length(plain), _DIGEST_BYTES), pc.equal(plain, _OF_NOTHING)
    )
    return pc.fill_null(wrong, _FALSE)


def _bad_shape(item: GateField, column: pa.Array) -> pa.Array:
    kind = column.type
    if item.shape == "pattern":
        text = pl.Series(column.cast(pa.string()))
        fits = text.str.contains(f"^(?:{item.pattern})$") & ~text.str.contains("\n")
        return (~fits).fill_null(False).to_arrow()
    if item.shape == "list":
        return pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, pa.array(item.values))))
    if item.shape == "number" and not pa.types.is_boolean(kind):
        return _out_of_bounds(item, column)
    fits_type = (
        item.shape == "any"
        or (item.shape == "boolean" and pa.types.is_boolean(kind))
        or (item.shape == "time" and pa.types.is_temporal(kind))
    )
    return pc.is_valid(column) if not fits_type else pa.repeat(pa.scalar(False), len(column))


def _out_of_bounds(item: GateField, column: pa.Array) -> pa.Array:
    """Numbers outside their bounds, NaN included; anything that is no number does not fit."""
    numeric = (
        pa.types.is_integer(column.type)
        or pa.types.is_floating(column.type)
        or pa.types.is_decimal(column.type)
    )
    if not numeric or item.minimum is None or item.maximum is None:
        return pc.is_valid(column)
    values = column.cast(pa.float64(), safe=False)
    inside = pc.and_(pc.greater_equal(values, item.minimum), pc.less_equal(values, item.maximum))
    return pc.fill_null(pc.invert(inside), False)
