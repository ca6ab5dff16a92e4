"""Rows as Intercom's contacts, by whole columns. Pure."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.crm_rows import cell, given
from mayfly.connectors.destinations.intercom_api import ATTRIBUTE, NO_MAIL, SUBSCRIPTION

_TRUE, _NULL = pa.scalar("true", pa.string()), pa.scalar("null", pa.string())
_NOBODY = pa.scalar(None, pa.string())
_LEFT_OUT = frozenset({"external_id", "email", "phone"})
"""Fields that a null does not clear: they tell who somebody is."""
_NEW = b'{"role":"user",'


def inputs(table: pa.Table) -> list[bytes]:
    """Every row as what is written to a contact, as JSON.

    Times and days are seconds since 1970. That somebody wants no mail is written, and never that
    they do.
    """
    shape: dict[str, js.Shape] = {}
    own: dict[str, js.Shape] = {}
    for name in table.column_names:
        if name.startswith(SUBSCRIPTION):
            continue
        if name.startswith(ATTRIBUTE):
            own[name.removeprefix(ATTRIBUTE)] = _value(table.column(name))
        else:
            shape[name] = _field(name, table.column(name))
    if own:
        shape["custom_attributes"] = js.Object(own)
    texts = js.rows_of(js.Object(shape), table.num_rows)
    return [text.encode() for text in texts.to_pylist()]


def new_user(text: bytes) -> bytes:
    """A contact that is not there yet, from what would be written to it."""
    return _NEW + text[1:] if len(text) > 2 else b'{"role":"user"}'


def _field(name: str, column: pa.ChunkedArray) -> js.Cell:
    if name in _LEFT_OUT:
        return given(column)
    if name == NO_MAIL:
        flat = column.combine_chunks()
        return js.raw(pc.if_else(pc.fill_null(flat, False), _TRUE, _NOBODY))
    return _value(column)


def _value(column: pa.ChunkedArray) -> js.Cell:
    kind = column.type
    if pa.types.is_timestamp(kind):
        seconds = column.cast(pa.timestamp("s", kind.tz), safe=False).cast(pa.int64())
        return cell(seconds)
    if pa.types.is_date(kind):
        return cell(column.cast(pa.timestamp("s")).cast(pa.int64()))
    if pa.types.is_decimal(kind):
        return js.raw(pc.fill_null(column.combine_chunks().cast(pa.string()), _NULL))
    return cell(column)
