"""Rows as events of Meta's Conversions API, a column at a time, and what cannot be sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence

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
from mayfly.connectors.event_columns import EventColumns, first_reasons, is_text
from mayfly.domain.outcomes import Reason
from mayfly.ports.destination import FieldSpec
from mayfly.privacy.gate import ProtectedBatch

DAY_SECONDS = 24 * 3600
AGE_DAYS_MAX, STORE_AGE_DAYS_MAX = 7, 62
AHEAD_SECONDS_MAX = 300
"""How far a clock at the source may be ahead of ours."""
_FORMS = {f.name: f.form for f in FIELDS}
_NUMBERS = frozenset({"value", "num_items", "predicted_ltv"})
_FALSE = pa.scalar(False, pa.bool_())
_EMPTY, _LDU, _FULL, _OPEN, _CLOSE = (
    pa.scalar(t, pa.string()) for t in ("", '["LDU"]', "[]", '["', '"]')
)
_ZERO = pa.scalar(0, pa.int64())


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
        self._columns = EventColumns(batch, _FORMS)
        self._seconds = self._columns.seconds("event_time")
        self._source = self._columns.text("action_source")
        if action_source is not None:
            self._source = pc.fill_null(self._source, pa.scalar(action_source, pa.string()))
        self._is_limited = is_limited
        self.unsent = self._unsendable(now)
        """Rows that Meta would refuse, by number."""
        self.texts = js.rows_of(self._shape(), len(self))
        """One event a row, as JSON; of rows that are sent."""

    def __len__(self) -> int:
        return self._columns.rows

    def _unsendable(self, now: float) -> dict[int, Reason]:
        """The first reason of each row that has one."""
        columns, seconds = self._columns, self._seconds
        website, store = (is_text(self._source, source) for source in (WEBSITE, STORE))
        purchase = is_text(columns.text("event_name"), PURCHASE)
        oldest, store_oldest = (
            pa.scalar(int(now) - days * DAY_SECONDS, pa.int64())
            for days in (AGE_DAYS_MAX, STORE_AGE_DAYS_MAX)
        )
        ahead = pa.scalar(int(now) + AHEAD_SECONDS_MAX, pa.int64())

        def lacks(name: str) -> pa.Array:
            return pc.invert(columns.has(name))

        return first_reasons(
            (
                ("no_event_name", lacks("event_name")),
                ("no_event_time", pc.is_null(seconds)),
                ("no_event_id", lacks("event_id")),
                ("no_action_source", pc.is_null(self._source)),
                ("event_too_old", pc.less(seconds, pc.if_else(store, store_oldest, oldest))),
                ("event_in_future", pc.greater(seconds, ahead)),
                ("no_source_url", pc.and_(website, lacks("event_source_url"))),
                ("no_user_agent", pc.and_(website, lacks("client_user_agent"))),
                ("no_value", pc.and_(purchase, lacks("value"))),
                ("no_currency", pc.and_(purchase, lacks("currency"))),
                ("no_identifier", self._too_weak()),
            )
        )

    def _too_weak(self) -> pa.Array:
        """Whom nothing tells, or only what many have in common."""
        weak = pa.repeat(_FALSE, len(self))
        for few in TOO_WEAK:
            beyond = [f.name for f in USER if f.name not in few]
            weak = pc.or_(weak, pc.invert(self._columns.has_any(beyond)))
        return weak

    def _shape(self) -> js.Object:
        columns = self._columns
        limited = columns.limited("limited_data_use", always=self._is_limited)
        fields: dict[str, js.Shape] = {
            "event_name": js.text(columns.text("event_name")),
            "event_time": js.number(self._seconds),
            "event_id": js.text(columns.text("event_id")),
            "action_source": js.plain(self._source),
            "event_source_url": js.text(columns.text("event_source_url")),
            "data_processing_options": js.raw(pc.if_else(limited, _LDU, _FULL)),
            "data_processing_options_country": js.number(pc.if_else(limited, _ZERO, None)),
            "data_processing_options_state": js.number(pc.if_else(limited, _ZERO, None)),
        }
        if "opt_out" in columns:
            fields["opt_out"] = js.number(columns.flag("opt_out"))
        fields["user_data"] = js.Object({f.name: self._of_user(f.name) for f in self._there(USER)})
        custom = {f.name: self._of_custom(f.name) for f in self._there(CUSTOM)}
        if custom:
            fields["custom_data"] = js.Object(custom)
        return js.Object(fields)

    def _there(self, fields: Sequence[FieldSpec]) -> list[FieldSpec]:
        return [f for f in fields if f.name in self._columns]

    def _of_user(self, name: str) -> js.Shape:
        cell = js.text(self._columns.text(name))
        return js.Items([cell]) if name in LISTED else cell

    def _of_custom(self, name: str) -> js.Shape:
        text = self._columns.text(name)
        if name in _NUMBERS:
            return js.raw(text)
        if name == "content_ids":
            listed = pc.replace_substring(text, pattern=",", replacement='","')
            return js.raw(pc.binary_join_element_wise(_OPEN, listed, _CLOSE, _EMPTY))
        return js.plain(pc.utf8_upper(text) if name == "currency" else text)
