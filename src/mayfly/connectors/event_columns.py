"""Rows of events as columns of text, numbers and flags, for connectors that append them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.domain.errors import ConfigError, ContractError, IntegrityError
from mayfly.domain.outcomes import Reason
from mayfly.privacy.gate import Form, ProtectedBatch

_TRUE, _FALSE = (pa.scalar(v, pa.bool_()) for v in (True, False))
_EMPTY = pa.scalar("", pa.string())
_UNLIMITED = pa.array(["false", "granted"], pa.string())
MOMENT_SHAPE = r"[0-9]{9,10}|[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.]{8,18}(Z|[+-][0-9:]{4,6})?)?"
"""What a gate sees of a time, a day, or whole seconds since 1970."""


def require_moment(name: str, kind: pa.DataType | None) -> None:
    """A field of a time holds a time, a day, or whole seconds since 1970.

    Args:
        name: of the field.
        kind: of its column, None where it is not mapped.

    Raises:
        ConfigError: `unsendable_type`.
    """
    if kind is None or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return
    if not pa.types.is_integer(kind):
        raise ConfigError(
            "unsendable_type",
            f"{name} must be a time, a day, or whole seconds since 1970, not text.",
            hint="Cast it in the model's SQL.",
        )


class EventColumns:
    """The columns of a batch by their fields; one that is not mapped holds nothing.

    Args:
        batch: that passed the gate.
        forms: the one form of each field that there is.

    Raises:
        ContractError: `columns_mismatch`; IntegrityError: `wrong_form`.
    """

    def __init__(self, batch: ProtectedBatch, forms: Mapping[str, Form]) -> None:
        for name, form in batch.forms.items():
            if name not in forms:
                raise ContractError("columns_mismatch", "A batch has a column that is no field.")
            if forms[name] is not form:
                raise IntegrityError("wrong_form", f"{name} is not in the form its field takes.")
        rows = batch.rendered()
        self.rows = int(rows.num_rows)
        self._columns: dict[str, pa.Array] = {
            name: rows.column(name).combine_chunks() for name in rows.column_names
        }

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def text(self, name: str) -> pa.Array:
        """As text; null where it is empty."""
        if name not in self._columns:
            return pa.nulls(self.rows, pa.string())
        text = self._columns[name].cast(pa.string())
        return pc.if_else(pc.equal(text, _EMPTY), None, text)

    def has(self, name: str) -> pa.Array:
        """Whether there is any."""
        return pc.is_valid(self.text(name))

    def has_any(self, names: Iterable[str]) -> pa.Array:
        """Whether there is one of these."""
        found = pa.repeat(_FALSE, self.rows)
        for name in names:
            found = pc.or_(found, self.has(name)) if name in self else found
        return found

    def flag(self, name: str) -> pa.Array:
        """What limits the use of an event: true, unless it plainly says false, or that consent to
        its full use is granted.
        """
        return pc.invert(pc.is_in(self.text(name), value_set=_UNLIMITED))

    def limited(self, name: str, *, always: bool) -> pa.Array:
        """Whether the use of each event is limited: by the sync, or by the row where one tells."""
        if always:
            return pa.repeat(_TRUE, self.rows)
        return self.flag(name) if name in self else pa.repeat(_FALSE, self.rows)

    def seconds(self, name: str) -> pa.Array:
        """Whole seconds since 1970; a time without a zone, and a day's beginning, are of UTC."""
        column = self._columns.get(name)
        if column is None:
            return pa.nulls(self.rows, pa.int64())
        if pa.types.is_integer(column.type):
            return column.cast(pa.int64())
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("ms"))
        whole = pc.floor_temporal(column, unit="second")
        return whole.cast(pa.timestamp("s", column.type.tz), safe=False).cast(pa.int64())


def is_text(column: pa.Array, value: str) -> pa.Array:
    """Where a column says this; never null."""
    return pc.fill_null(pc.equal(column, pa.scalar(value, pa.string())), _FALSE)


def first_reasons(checks: Sequence[tuple[str, pa.Array]]) -> dict[int, Reason]:
    """Of each row the first check that it does not pass, by number; null passes."""
    found: dict[int, Reason] = {}
    for code, wrong in reversed(checks):
        rows = pc.indices_nonzero(pc.fill_null(wrong, _FALSE)).to_pylist()
        found |= dict.fromkeys(rows, Reason(code=code))
    return found


def events_body(events: pa.Array, rows: Sequence[int], head: Mapping[str, object]) -> bytes:
    """One request with some events as its `data`.

    Args:
        events: of a batch, as JSON.
        rows: numbers of those that are sent.
        head: members beside `data`.
    """
    listed = js.array_of(events.take(pa.array(rows, pa.int64())))
    return b"".join([b'{"data":', listed, b"," if head else b"", orjson.dumps(dict(head))[1:]])
