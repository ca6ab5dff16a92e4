"""Rows as events of TikTok's Events API, a column at a time, and what cannot be sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.connectors import json_columns as js
from mayfly.connectors.event_columns import MOMENT_SHAPE, EventColumns, first_reasons
from mayfly.connectors.event_fields import (
    AGENT,
    AMOUNT,
    NETWORK_ADDRESS,
    PAGE_ADDRESS,
    matched,
    plain,
)
from mayfly.domain.outcomes import Reason
from mayfly.ports.destination import FieldSpec
from mayfly.privacy.gate import Form, ProtectedBatch

AHEAD_SECONDS_MAX = 300
"""How far a clock at the source may be ahead of ours."""
# Read by the SQL of every engine, too.
_ID = "[A-Za-z0-9_.-]{1,250}"


def _digest(name: str, kind: str, rule: str) -> FieldSpec:
    return FieldSpec(name=name, kind=kind, form=Form.DIGEST, rule=("tiktok", rule), identifier=True)


FIELDS = (
    plain("event", "[A-Za-z][A-Za-z0-9_ -]{0,49}", sample="MayflyTest"),
    plain("event_time", MOMENT_SHAPE, sample="{now}"),
    plain("event_id", "[A-Za-z0-9_.:/-]{1,128}", sample="mayfly-test-{now}-{n}"),
    plain("limited_data_use", "true|false|granted|denied", sample="true"),
    _digest("email", "email", "email"),
    _digest("phone", "phone", "events_phone"),
    _digest("external_id", "opaque_id", "external_id"),
    matched("ttclid", "opaque_id", f"{_ID}({_ID})?"),
    matched("ttp", "opaque_id", _ID),
    matched("ip", "ip_address", NETWORK_ADDRESS, keeps_case=False),
    matched("user_agent", "user_agent", AGENT),
    plain("page_url", PAGE_ADDRESS, kind="url_pii"),
    plain("value", AMOUNT, sample="1"),
    plain("currency", "[A-Za-z]{3}", sample="EUR"),
    plain("order_id", "[A-Za-z0-9_.:/-]{1,128}", sample="mayfly-test-{now}-{n}"),
    plain("content_type", "product|product_group", sample="product"),
)
_FORMS = {f.name: f.form for f in FIELDS}
_USER = tuple(f.name for f in FIELDS if f.identifier)
_PROPERTIES = ("value", "currency", "order_id", "content_type")
# An address of a network and a browser's name tell somebody together.
_ALONE = tuple(name for name in _USER if name not in ("ip", "user_agent"))


class Events:
    """The rows of a batch as JSON.

    Args:
        batch: that passed the gate.
        is_limited: whether limited use is asked for in every row.
        now: seconds since 1970.

    Raises:
        ContractError: `columns_mismatch`; IntegrityError: `wrong_form`.
    """

    def __init__(self, batch: ProtectedBatch, *, is_limited: bool, now: float) -> None:
        self._columns = EventColumns(batch, _FORMS)
        self._seconds = self._columns.seconds("event_time")
        self.unsent = self._unsendable(now)
        """Rows that say too little, by number."""
        self.texts = js.rows_of(self._shape(is_limited), len(self))
        """One event a row, as JSON; of rows that are sent."""

    def __len__(self) -> int:
        return self._columns.rows

    def _unsendable(self, now: float) -> dict[int, Reason]:
        """The first reason of each row that has one."""
        columns = self._columns
        ahead = pa.scalar(int(now) + AHEAD_SECONDS_MAX, pa.int64())
        device = pc.and_(columns.has("ip"), columns.has("user_agent"))
        told = pc.or_(columns.has_any(_ALONE), device)
        return first_reasons(
            (
                ("no_event_name", pc.invert(columns.has("event"))),
                ("no_event_time", pc.is_null(self._seconds)),
                ("no_event_id", pc.invert(columns.has("event_id"))),
                ("event_in_future", pc.greater(self._seconds, ahead)),
                ("no_identifier", pc.invert(told)),
            )
        )

    def _shape(self, is_limited: bool) -> js.Object:
        columns = self._columns
        limited = columns.limited("limited_data_use", always=is_limited)
        fields: dict[str, js.Shape] = {
            "event": js.text(columns.text("event")),
            "event_time": js.number(self._seconds),
            "event_id": js.text(columns.text("event_id")),
            "limited_data_use": js.number(limited),
            "user": js.Object({n: js.text(columns.text(n)) for n in _USER if n in columns}),
        }
        if "page_url" in columns:
            fields["page"] = js.Object({"url": js.text(columns.text("page_url"))})
        properties = self._properties()
        if properties:
            fields["properties"] = js.Object(properties)
        return js.Object(fields)

    def _properties(self) -> Mapping[str, js.Shape]:
        made: dict[str, js.Shape] = {}
        for name in _PROPERTIES:
            if name in self._columns:
                text = self._columns.text(name)
                upper = pc.utf8_upper(text) if name == "currency" else text
                made[name] = js.raw(text) if name == "value" else js.plain(upper)
        return made
