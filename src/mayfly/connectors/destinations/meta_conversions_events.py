"""Rows as events of Meta's Conversions API, a column at a time, and what cannot be sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.destinations.meta_conversions_fields import (
    CUSTOM,
    FIELDS,
    LISTED,
    PURCHASE,
    STORE,
    TOO_WEAK,
    USER,
    WEBSITE,
)
from mayfly.domain.errors import ConfigError, ContractError, IntegrityError
from mayfly.domain.outcomes import Reason
from mayfly.ports.destination import FieldSpec
from mayfly.privacy.gate import ProtectedBatch

DAY_SECONDS = 24 * 3600
AGE_DAYS_MAX, STORE_AGE_DAYS_MAX = 7, 62
AHEAD_SECONDS_MAX = 300
"""How far a clock at the source may be ahead of ours."""
_FORMS = {f.name: f.form for f in FIELDS}
_NUMBERS = frozenset({"value", "num_items", "predicted_ltv"})
_TRUE, _FALSE = (pa.scalar(v, pa.bool_()) for v in (True, False))
_EMPTY, _LDU, _FULL, _OPEN, _CLOSE, _NO = (
    pa.scalar(t, pa.string()) for t in ("", '["LDU"]', "[]", '["', '"]', "false")
)
_ZERO = pa.scalar(0, pa.int64())


def require_moment(kind: pa.DataType | None) -> None:
    """`event_time` is a time, a day, or whole seconds since 1970.

    Raises:
        ConfigError: `unsendable_type`.
    """
    if kind is None or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return
    if not pa.types.is_integer(kind):
        raise ConfigError(
            "unsendable_type",
            "event_time must be a time, a day, or whole seconds since 1970, not text.",
            hint="Cast it in the model's SQL.",
        )


class Events:
    """The rows of a batch as JSON.

    Args:
        batch: that passed the gate.
        action_source: of rows that have none of their own.
        is_limited: whether Limited Data Use is asked for in every row.
        now: seconds since 1970.

    Raises:
        ContractError: `columns_mismatch`; IntegrityError: `wrong_form`.
    """

    def __init__(
        self, batch: ProtectedBatch, *, action_source: str | None, is_limited: bool, now: float
    ) -> None:
        for name, form in batch.forms.items():
            if name not in _FORMS:
                raise ContractError("columns_mismatch", "A batch has a column that is no field.")
            if _FORMS[name] is not form:
                raise IntegrityError("wrong_form", f"{name} is not in the form its field takes.")
        rows = batch.rendered()
        self._rows = int(rows.num_rows)
        self._columns: dict[str, pa.Array] = {
            name: rows.column(name).combine_chunks() for name in rows.column_names
        }
        self._seconds = _seconds(self._columns.get("event_time"), self._rows)
        self._source = self._of_source(action_source)
        self._is_limited = is_limited
        self.unsent = self._unsendable(now)
        """Rows that Meta would refuse, by number."""
        self.texts = js.rows_of(self._shape(), self._rows)
        """One event a row, as JSON; of rows that are sent."""

    def __len__(self) -> int:
        return self._rows

    def _of_source(self, default: str | None) -> pa.Array:
        given = self._text("action_source")
        return given if default is None else pc.fill_null(given, pa.scalar(default, pa.string()))

    def _text(self, name: str) -> pa.Array:
        """A column as text; nothing where it is empty or not mapped."""
        if name not in self._columns:
            return pa.nulls(self._rows, pa.string())
        text = self._columns[name].cast(pa.string())
        return pc.if_else(pc.equal(text, _EMPTY), None, text)

    def _has(self, name: str) -> pa.Array:
        return pc.is_valid(self._text(name))

    # -- what is wrong -------------------------------------------------------------------------

    def _unsendable(self, now: float) -> dict[int, Reason]:
        """The first reason of each row that has one."""
        source, seconds = self._source, self._seconds
        website, store = (_is(source, pa.scalar(s, pa.string())) for s in (WEBSITE, STORE))
        purchase = _is(self._text("event_name"), pa.scalar(PURCHASE, pa.string()))
        oldest, store_oldest = (
            pa.scalar(int(now) - days * DAY_SECONDS, pa.int64())
            for days in (AGE_DAYS_MAX, STORE_AGE_DAYS_MAX)
        )
        ahead = pa.scalar(int(now) + AHEAD_SECONDS_MAX, pa.int64())
        checks: Sequence[tuple[str, pa.Array]] = (
            ("no_event_name", pc.invert(self._has("event_name"))),
            ("no_event_time", pc.is_null(seconds)),
            ("no_event_id", pc.invert(self._has("event_id"))),
            ("no_action_source", pc.is_null(source)),
            ("event_too_old", pc.less(seconds, pc.if_else(store, store_oldest, oldest))),
            ("event_in_future", pc.greater(seconds, ahead)),
            ("no_source_url", pc.and_(website, pc.invert(self._has("event_source_url")))),
            ("no_user_agent", pc.and_(website, pc.invert(self._has("client_user_agent")))),
            ("no_value", pc.and_(purchase, pc.invert(self._has("value")))),
            ("no_currency", pc.and_(purchase, pc.invert(self._has("currency")))),
            ("no_identifier", self._too_weak()),
        )
        found: dict[int, Reason] = {}
        for code, wrong in reversed(checks):
            rows = pc.indices_nonzero(pc.fill_null(wrong, _FALSE)).to_pylist()
            found |= dict.fromkeys(rows, Reason(code=code))
        return found

    def _too_weak(self) -> pa.Array:
        """Whom nothing tells, or only what many have in common."""
        there = {f.name: self._has(f.name) for f in USER if f.name in self._columns}
        weak = pa.repeat(_FALSE, self._rows)
        for few in TOO_WEAK:
            beyond = pa.repeat(_FALSE, self._rows)
            for name, has in there.items():
                beyond = beyond if name in few else pc.or_(beyond, has)
            weak = pc.or_(weak, pc.invert(beyond))
        return weak

    # -- as JSON -------------------------------------------------------------------------------

    def _shape(self) -> js.Object:
        limited = self._limited()
        fields: dict[str, js.Shape] = {
            "event_name": js.text(self._text("event_name")),
            "event_time": js.number(self._seconds),
            "event_id": js.text(self._text("event_id")),
            "action_source": js.plain(self._source),
            "event_source_url": js.text(self._text("event_source_url")),
            "data_processing_options": js.raw(pc.if_else(limited, _LDU, _FULL)),
            "data_processing_options_country": js.number(pc.if_else(limited, _ZERO, None)),
            "data_processing_options_state": js.number(pc.if_else(limited, _ZERO, None)),
        }
        if "opt_out" in self._columns:
            fields["opt_out"] = js.number(self._flag("opt_out"))
        fields["user_data"] = js.Object({f.name: self._of_user(f.name) for f in self._there(USER)})
        custom = {f.name: self._of_custom(f.name) for f in self._there(CUSTOM)}
        if custom:
            fields["custom_data"] = js.Object(custom)
        return js.Object(fields)

    def _there(self, fields: Sequence[FieldSpec]) -> list[FieldSpec]:
        return [f for f in fields if f.name in self._columns]

    def _limited(self) -> pa.Array:
        """Whoever did not plainly say no to it, where rows tell; everybody, where the sync does."""
        if self._is_limited:
            return pa.repeat(_TRUE, self._rows)
        if "limited_data_use" not in self._columns:
            return pa.repeat(_FALSE, self._rows)
        return self._flag("limited_data_use")

    def _flag(self, name: str) -> pa.Array:
        """What keeps Meta from using an event; unknown is yes."""
        return pc.fill_null(pc.not_equal(self._text(name), _NO), _TRUE)

    def _of_user(self, name: str) -> js.Shape:
        cell = js.text(self._text(name))
        return js.Items([cell]) if name in LISTED else cell

    def _of_custom(self, name: str) -> js.Shape:
        text = self._text(name)
        if name in _NUMBERS:
            return js.raw(text)
        if name == "content_ids":
            listed = pc.replace_substring(text, pattern=",", replacement='","')
            return js.raw(pc.binary_join_element_wise(_OPEN, listed, _CLOSE, _EMPTY))
        return js.plain(pc.utf8_upper(text) if name == "currency" else text)


def _is(column: pa.Array, value: pa.Scalar) -> pa.Array:
    return pc.fill_null(pc.equal(column, value), _FALSE)


def _seconds(column: pa.Array | None, rows: int) -> pa.Array:
    """Whole seconds since 1970; a time without a zone, and a day's beginning, are of UTC."""
    if column is None:
        return pa.nulls(rows, pa.int64())
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    whole = pc.floor_temporal(column, unit="second")
    return whole.cast(pa.timestamp("s", column.type.tz), safe=False).cast(pa.int64())


def body(events: pa.Array, rows: Sequence[int], more: Mapping[str, str]) -> bytes:
    """One request.

    Args:
        events: of a batch, as JSON.
        rows: numbers of those that are sent.
        more: members beside `data`.
    """
    listed = js.array_of(events.take(pa.array(rows, pa.int64())))
    return b"".join([b'{"data":', listed, b"," if more else b"", orjson.dumps(dict(more))[1:]])
