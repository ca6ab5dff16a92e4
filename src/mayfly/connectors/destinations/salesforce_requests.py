"""Rows as Salesforce's records, by whole columns: as JSON for collections, as CSV for jobs. Pure.

A null clears the field: `null` in JSON, `#N/A` in CSV, where an empty value would leave it as it
is. A batch with the text `#N/A` itself has no CSV; it goes as JSON. A lookup by the key of another
object is left as it is where it is null.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from mayfly.connectors import json_columns as js
from mayfly.connectors.row_parts import RowPart
from mayfly.connectors.unsendable import (
    doubles,
    held,
    is_bytes,
    is_list,
    not_numbers,
    rows_where,
    unsendable_type,
)
from mayfly.domain.errors import IntegrityError
from mayfly.domain.outcomes import Reason
from mayfly.privacy.gate import ProtectedBatch

ROWS_MAX = 200
"""Of a collection."""
CONSENT = "consent."
"""Begins the name of a mapping's field that is a consent, and no field of the object."""
NULL = "#N/A"
KEY_CHARACTERS_MAX = 255
NULL_BYTE = "\x00"

# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_NOTHING, _BETWEEN, _NULL, _JSON_NULL, _QUOTE, _ZULU = (
    pa.scalar(text, pa.string()) for text in ("", ";", NULL, "null", '"', "Z")
)


class Records:
    """The rows of a batch as Salesforce takes them.

    Args:
        batch: that passed the gate.
        key: field that names a record.
        case_matters: whether keys that differ in case are two.
        texts: fields that hold text, to which numbers and truth values are written as text.

    Raises:
        IntegrityError: `no_key`, the batch does not have that column.
    """

    def __init__(
        self,
        batch: ProtectedBatch,
        key: str,
        *,
        case_matters: bool = False,
        texts: Collection[str] = (),
    ) -> None:
        rows = batch.rendered()
        if key not in rows.column_names:
            raise IntegrityError("no_key", f"A batch has no column {key}, which names its records.")
        self._columns = {
            name: _flat(name, rows.column(name), as_text=name in texts)
            for name in rows.column_names
            if not name.startswith(CONSENT)
        }
        self.key = key
        self.length = rows.num_rows
        self.keys = pc.fill_null(self._columns[key].cast(pa.string()), _NOTHING)
        self.wrong = self._wrong(case_matters)

    def part(self, first: int, most: int = ROWS_MAX) -> RowPart:
        """The request that begins with a row."""
        return RowPart.of(first, min(most, self.length - first), self.wrong)

    def good(self) -> pa.Array:
        """Numbers of the rows that can be sent."""
        numbers = pa.array(range(self.length), pa.int64())
        if not self.wrong:
            return numbers
        return pa.array([n for n in range(self.length) if n not in self.wrong], pa.int64())

    def inputs(self, kind: str) -> pa.Array:
        """Every row as an entry of a collection, as JSON.

        Args:
            kind: name of the object.
        """
        fields: dict[str, js.Shape] = {"attributes": js.Constant({"type": kind})}
        nested: dict[str, dict[str, js.Shape]] = {}
        for name, column in self._columns.items():
            lookup, dot, field = name.partition(".")
            if dot:
                nested.setdefault(lookup, {})[field] = _json(_no_empty(column), with_nulls=False)
            else:
                fields[name] = _json(column, with_nulls=True)
        whole = {name: js.Object(found) for name, found in nested.items()}
        return js.rows_of(js.Object({**fields, **whole}), self.length)

    def has_csv(self) -> bool:
        """Whether no value is the text that CSV has for a null."""
        texts = (c for c in self._columns.values() if pa.types.is_string(c.type))
        return not any(
            pc.any(pc.equal(pc.utf8_trim_whitespace(column), _NULL)).as_py() for column in texts
        )

    def csv(self, rows: pa.Array) -> bytes:
        """Some rows as the file of a job, with a header, ended by line feeds."""
        made = {
            name: _no_empty(column.take(rows)) if "." in name else _csv(column.take(rows))
            for name, column in self._columns.items()
        }
        return as_csv(pa.table(made))

    def _wrong(self, case_matters: bool) -> dict[int, Reason]:
        """Rows that are not sent: without a key, with one that an earlier row has, or with what no
        field can hold.
        """
        found: dict[int, Reason] = {}
        for column in self._columns.values():
            found |= not_numbers(column)
            if pa.types.is_string(column.type):
                empty = pc.match_substring(column, NULL_BYTE)
                found |= dict.fromkeys(rows_where(empty), Reason(code="null_byte"))
        names = self.keys if case_matters else pc.utf8_lower(self.keys)
        names = pc.utf8_trim_whitespace(names)
        long = pc.greater(pc.utf8_length(names), pa.scalar(KEY_CHARACTERS_MAX, pa.int32()))
        found |= dict.fromkeys(rows_where(long), Reason(code="key_too_long"))
        empty = pc.equal(names, _NOTHING)
        found |= dict.fromkeys(rows_where(empty), Reason(code="no_key"))
        return found | doubles(names, found)


def as_csv(table: pa.Table) -> bytes:
    """Columns of text as a file whose every value is quoted, nulls as nothing."""
    made = io.BytesIO()
    options = csv.WriteOptions(include_header=True, delimiter=",", quoting_style="all_valid")
    csv.write_csv(table, made, options)
    return made.getvalue()


def collection(inputs: pa.Array, numbers: Sequence[int]) -> bytes:
    """Some entries as one request, each of which is taken or refused by itself."""
    rows = js.array_of(inputs.take(pa.array(numbers, pa.int64())))
    return b'{"allOrNone":false,"records":%b}' % rows


def require_sendable(name: str, kind: pa.DataType) -> None:
    """Refuse a column that has no form at Salesforce.

    Raises:
        ConfigError: `unsendable_type`.
    """
    inner = held(kind)
    if pa.types.is_nested(inner) or is_bytes(inner) or pa.types.is_duration(inner):
        raise unsendable_type(name, "Salesforce has no field")


def _flat(name: str, column: pa.ChunkedArray, *, as_text: bool) -> pa.Array:
    """A column in Salesforce's own types: text, numbers, truth values. Times are ISO text with
    milliseconds, lists are joined with semicolons.
    """
    kind = column.type
    require_sendable(name, kind)
    flat = column.combine_chunks()
    if is_list(kind):
        return pc.binary_join(flat.cast(pa.list_(pa.string())), _BETWEEN)
    if pa.types.is_timestamp(kind):
        in_utc = flat.cast(pa.timestamp("ms", "UTC"), safe=False)
        return pc.strftime(in_utc, format="%Y-%m-%dT%H:%M:%SZ")
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if (is_number or pa.types.is_boolean(kind)) and not as_text:
        return flat
    if pa.types.is_time(kind):
        return pc.binary_join_element_wise(
            flat.cast(pa.time32("ms"), safe=False).cast(pa.string()), _ZULU, _NOTHING
        )
    return flat.cast(pa.string())


def _json(column: pa.Array, *, with_nulls: bool) -> js.Shape:
    """Cells of a column. A text of nothing is a null at Salesforce as well."""
    text = pa.types.is_string(column.type)
    cell = js.text(column) if text else js.number(column)
    if not with_nulls:
        return cell
    values = cell.column
    if text:
        values = pc.binary_join_element_wise(_QUOTE, values, _QUOTE, _NOTHING)
    return js.raw(pc.fill_null(values, _JSON_NULL))


def _no_empty(column: pa.Array) -> pa.Array:
    """Values of a lookup, none where a text is empty."""
    values = column.cast(pa.string())
    return pc.if_else(pc.equal(values, _NOTHING), pa.scalar(None, pa.string()), values)


def _csv(column: pa.Array) -> pa.Array:
    """Values of a column as text, `#N/A` where there is none."""
    values = column.cast(pa.string())
    return pc.if_else(
        pc.equal(pc.fill_null(values, _NOTHING), _NOTHING), _NULL, pc.fill_null(values, _NULL)
    )
