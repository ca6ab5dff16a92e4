"""Rows as Braze's attribute objects, by whole columns. Pure.

A null removes the attribute.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.destinations.braze_api import STATES
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
from mayfly.domain.errors import ConfigError, IntegrityError
from mayfly.domain.outcomes import Reason
from mayfly.privacy.gate import ProtectedBatch

KEY = "external_id"
SUBSCRIPTION = "subscription."
"""Begins the name of a mapping's field that is a subscription, and no attribute."""
PROFILE = (
    *("country", "date_of_first_session", "date_of_last_session", "dob", "email", "first_name"),
    *("gender", "home_city", "image_url", "language", "last_name", "phone", "time_zone"),
)
"""Attributes that Braze has itself, as far as text goes; any other is one of the workspace."""
_RESERVED = (
    *("alias_label", "alias_name", "braze_id", "current_location", "marked_email_as_spam_at"),
    *("push_token_import", "push_tokens", "subscription_groups", "user_alias"),
)
ID_CHARACTERS_MAX = 512
LIST_ITEMS_MAX = 25
_PHONE = r"^\+[1-9][0-9]{6,14}$"
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$"

# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_NOTHING, _JSON_NULL, _QUOTE = (pa.scalar(text, pa.string()) for text in ("", "null", '"'))


class People:
    """The rows of a batch as Braze takes them.

    Args:
        batch: that passed the gate.

    Raises:
        IntegrityError: `no_key`, the batch does not have `external_id`.
    """

    def __init__(self, batch: ProtectedBatch) -> None:
        rows = batch.rendered()
        if KEY not in rows.column_names:
            raise IntegrityError("no_key", f"A batch has no column {KEY}, which names its people.")
        self._columns = {
            name: rows.column(name).combine_chunks()
            for name in rows.column_names
            if not name.startswith(SUBSCRIPTION)
        }
        self.length = rows.num_rows
        self.ids = pc.fill_null(self._columns[KEY].cast(pa.string()), _NOTHING)
        self._wrong = self._refusals()

    def part(self, first: int, most: int) -> RowPart:
        """The request that begins with a row."""
        return RowPart.of(first, min(most, self.length - first), self._wrong)

    def objects(self) -> pa.Array:
        """Every row as an attributes object, as JSON."""
        fields: dict[str, js.Shape] = {KEY: js.text(self.ids)}
        fields |= {n: _json(n, c) for n, c in self._columns.items() if n != KEY}
        return js.rows_of(js.Object(fields), self.length)

    def addresses(self) -> list[str]:
        """Each row's e-mail address as Braze has it; empty where it has none, or none is mapped."""
        if "email" not in self._columns:
            return [""] * self.length
        folded = pc.utf8_lower(pc.utf8_trim_whitespace(self._columns["email"].cast(pa.string())))
        return list(pc.fill_null(folded, _NOTHING).to_pylist())

    def _refusals(self) -> dict[int, Reason]:
        """Rows that are not sent: without a key, with one that an earlier row has, or with what
        Braze would drop without a word.
        """
        found: dict[int, Reason] = {}
        for name, column in self._columns.items():
            found |= not_numbers(column)
            if is_list(column.type):
                long = pc.greater(
                    pc.list_value_length(column), pa.scalar(LIST_ITEMS_MAX, pa.int32())
                )
                found |= dict.fromkeys(rows_where(long), Reason(code="list_too_long"))
            if name in ("phone", "email"):
                pattern, code = (_PHONE, "not_e164") if name == "phone" else (_EMAIL, "no_address")
                texts = pl.Series(column.cast(pa.string()))
                fits = texts.str.strip_chars().str.contains(pattern)
                found |= dict.fromkeys(rows_where(pc.invert(fits.to_arrow())), Reason(code=code))
        long = pc.greater(pc.utf8_length(self.ids), pa.scalar(ID_CHARACTERS_MAX, pa.int32()))
        found |= dict.fromkeys(rows_where(long), Reason(code="key_too_long"))
        empty = pc.equal(pc.utf8_trim_whitespace(self.ids), _NOTHING)
        found |= dict.fromkeys(rows_where(empty), Reason(code="no_key"))
        return found | doubles(self.ids, found)


def track_body(objects: pa.Array, numbers: Sequence[int]) -> bytes:
    """The attributes of some rows as a request."""
    return b'{"attributes":%b}' % js.array_of(objects.take(pa.array(numbers, pa.int64())))


def require_attribute(name: str, kind: pa.DataType) -> None:
    """Refuse what is no attribute of a person, or none that a mapping may write.

    Raises:
        ConfigError: `reserved_field`, `subscription_field`, `unknown_field`, `unsendable_type`.
    """
    if name in STATES:
        raise ConfigError(
            "subscription_field",
            f"{name} holds refusals of Braze's own, which a mapping would write over.",
            hint=f"Declare it under `subscriptions` with `state: {name}`, and map "
            f"{SUBSCRIPTION}NAME: true where the person agreed.",
        )
    if name in _RESERVED or name.startswith(("$", "_")):
        raise ConfigError("reserved_field", f"{name} is none of the attributes that Mayfly writes.")
    own = {_plain(known): known for known in (KEY, *PROFILE)}
    meant = own.get(_plain(name))
    if meant is not None and meant != name:
        # Braze would make an attribute of that name without a word.
        raise ConfigError(
            "unknown_field",
            f"The mapping names {name}, and Braze's own field is {meant}.",
            hint=f"Write {meant}.",
        )
    inner = held(kind)
    if pa.types.is_nested(inner) or is_bytes(inner) or pa.types.is_duration(inner):
        raise unsendable_type(name, "Braze has no attribute")


def _json(name: str, column: pa.Array) -> js.Shape:
    """Cells of a column, `null` where there is no value."""
    kind = column.type
    if is_list(kind):
        values = pa.array(
            [None if v is None else orjson.dumps(v).decode() for v in column.to_pylist()],
            pa.string(),
        )
        return js.raw(pc.fill_null(values, _JSON_NULL))
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if (is_number or pa.types.is_boolean(kind)) and name not in PROFILE:
        return js.raw(pc.fill_null(js.number(column).column, _JSON_NULL))
    if pa.types.is_timestamp(kind):
        in_utc = column.cast(pa.timestamp("ms", "UTC"), safe=False)
        column = pc.strftime(in_utc, format="%Y-%m-%dT%H:%M:%SZ")
    elif pa.types.is_time(kind):
        column = column.cast(pa.time32("ms"), safe=False).cast(pa.string())
    elif name in ("email", "phone"):
        column = pc.utf8_trim_whitespace(column.cast(pa.string()))
        column = pc.utf8_lower(column) if name == "email" else column
    text = js.text(column).column
    return js.raw(
        pc.fill_null(pc.binary_join_element_wise(_QUOTE, text, _QUOTE, _NOTHING), _JSON_NULL)
    )


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(" ", "").lower()
