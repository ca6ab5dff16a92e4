"""Meta's datasets in memory: events that the Conversions API takes, all of a request or none."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from mayfly.sandbox.meta_rows import GraphError

EVENTS_MAX = 1_000
DAY_SECONDS = 24 * 3600
_AHEAD_SECONDS = 600
_SOURCES = frozenset(
    {
        *("website", "app", "email", "phone_call", "chat", "physical_store"),
        *("system_generated", "business_messaging", "other"),
    }
)
_MEMBERS = frozenset(
    {
        *("event_name", "event_time", "event_id", "event_source_url", "opt_out", "action_source"),
        *("user_data", "custom_data", "app_data", "referrer_url", "messaging_channel"),
        *("original_event_data", "attribution_data", "advanced_measurement_table"),
        *("data_processing_options", "data_processing_options_country"),
        "data_processing_options_state",
    }
)
_HASHED = frozenset({"em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country"})
_HASHED_ALSO = frozenset({"f5first", "f5last", "fi", "dobd", "dobm", "doby"})
_CLEAR = frozenset(
    {
        *("client_ip_address", "client_user_agent", "fbc", "fbp", "subscription_id"),
        *("fb_login_id", "lead_id", "anon_id", "page_id", "page_scoped_user_id", "ctwa_clid"),
        *("ig_account_id", "ig_sid", "madid"),
    }
)
_TOO_WEAK = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
_DIGEST = re.compile("[0-9a-f]{64}")


class Datasets:
    """Events by dataset; one of the same name and id is taken once.

    Attributes:
        bad: name and id of events that are refused though nothing is wrong with them.
        gone: ids of datasets that do not exist, or that nobody may write to.
        tests: events that came with a `test_event_code`; they count as nothing else.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.events: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
        self.tests: dict[str, list[dict[str, Any]]] = {}
        self.gone: set[str] = set()
        self.bad: set[tuple[str, str]] = set()

    def receive(
        self, dataset: str, given: Mapping[str, Any], *, refuse_first: bool
    ) -> dict[str, Any]:
        """Take a request's events, all or none.

        Args:
            dataset: its id.
            given: the request's parameters.
            refuse_first: from now on the first event is one that is refused.

        Raises:
            GraphError: one is wrong.
        """
        if dataset in self.gone:
            raise GraphError(
                100, "Unsupported request. The object does not exist or cannot be read.", subcode=33
            )
        events = _listed(given.get("data"))
        for event in events:
            _check(event, self._now())
        names = [(event["event_name"], str(event.get("event_id"))) for event in events]
        self.bad.update(names[:1] if refuse_first else ())
        if not self.bad.isdisjoint(names):
            raise _wrong("an event is invalid")
        code = given.get("test_event_code")
        if code is not None:
            if not isinstance(code, str) or not re.fullmatch("[A-Za-z0-9_-]{1,64}", code):
                raise _wrong("test_event_code")
            self.tests.setdefault(dataset, []).extend(events)
        else:
            kept = self.events.setdefault(dataset, {})
            for number, event in enumerate(events):
                told = str(event.get("event_id") or f"none-{len(kept)}-{number}")
                kept.setdefault((event["event_name"], told), event)
        return {"events_received": len(events), "messages": [], "fbtrace_id": "Asandbox"}


def _listed(data: Any) -> list[dict[str, Any]]:
    """The events of a request: objects, or texts of such, as Meta's own client sends them."""
    if isinstance(data, str):
        data = _decoded(data)
    if not isinstance(data, list) or not data:
        raise _wrong("data must be a non-empty array")
    if len(data) > EVENTS_MAX:
        raise _wrong(f"data must hold at most {EVENTS_MAX} events")
    events = [_decoded(entry) if isinstance(entry, str) else entry for entry in data]
    if not all(isinstance(event, dict) for event in events):
        raise _wrong("data must be an array of objects")
    return events


def _decoded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _wrong("data must be JSON") from None


def _check(event: Mapping[str, Any], now: float) -> None:
    if unknown := set(event) - _MEMBERS:
        raise _wrong(f"an event has {len(unknown)} unknown members")
    name, moment, source = (event.get(k) for k in ("event_name", "event_time", "action_source"))
    if not isinstance(name, str) or not name.strip():
        raise _wrong("event_name is required")
    if type(moment) is not int:
        raise _wrong("event_time must be whole seconds")
    if source not in _SOURCES:
        raise _wrong("action_source must be one of the listed values")
    days = 62 if source == "physical_store" else 7
    if not now - days * DAY_SECONDS <= moment <= now + _AHEAD_SECONDS:
        raise GraphError(100, "Invalid parameter", subcode=2804003)
    if not isinstance(event.get("event_id", ""), str):
        raise _wrong("event_id must be a string")
    if not isinstance(event.get("opt_out", False), bool):
        raise _wrong("opt_out must be a boolean")
    url = event.get("event_source_url")
    if url is not None and not re.match("https?://", str(url)):
        raise _wrong("event_source_url must begin with http:// or https://")
    user = _checked_user(event.get("user_data"))
    if source == "website" and (url is None or not user.get("client_user_agent")):
        raise _wrong("a website's event needs event_source_url and client_user_agent")
    _check_data_use(event)
    _check_custom(event.get("custom_data", {}), is_purchase=name == "Purchase")


def _checked_user(user: Any) -> dict[str, Any]:
    if not isinstance(user, dict):
        raise _wrong("user_data is required")
    if set(user) - _HASHED - _HASHED_ALSO - _CLEAR - {"external_id"}:
        raise _wrong("user_data holds an unknown key")
    for name, value in user.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, str) and v for v in values):
            raise _wrong(f"user_data[{name}] must be text")
        digests = [bool(_DIGEST.fullmatch(v)) for v in values]
        if name in _HASHED | _HASHED_ALSO and not all(digests):
            raise _wrong(f"user_data[{name}] must be hashed")
        if name in _CLEAR and any(digests):
            raise _wrong(f"user_data[{name}] must not be hashed")
    if any(set(user) <= few for few in _TOO_WEAK):
        raise GraphError(100, "Invalid parameter", subcode=2804050)
    return user


def _check_data_use(event: Mapping[str, Any]) -> None:
    options = event.get("data_processing_options", [])
    country, state = (event.get(f"data_processing_options_{k}") for k in ("country", "state"))
    if options not in ([], ["LDU"]):
        raise _wrong("data_processing_options must be [] or [LDU]")
    if country not in (None, 0, 1) or (country is not None and type(state) is not int):
        raise _wrong("a country of data_processing_options needs a state")


def _check_custom(custom: Any, *, is_purchase: bool) -> None:
    if not isinstance(custom, dict):
        raise _wrong("custom_data must be an object")
    for name in ("value", "predicted_ltv", "num_items"):
        if name in custom and type(custom[name]) not in (int, float):
            raise _wrong(f"custom_data[{name}] must be a number")
    currency = custom.get("currency")
    if currency is not None and not re.fullmatch("[A-Za-z]{3}", str(currency)):
        raise _wrong("custom_data[currency] must be a code of ISO 4217")
    if not _is_texts(custom.get("content_ids", [])):
        raise _wrong("custom_data[content_ids] must be an array of texts")
    if is_purchase and (currency is None or "value" not in custom):
        raise _wrong("a purchase needs value and currency")


def _is_texts(value: Any) -> bool:
    return isinstance(value, Collection) and all(isinstance(v, str) for v in value)


def _wrong(what: str) -> GraphError:
    return GraphError(100, f"(#100) {what}.")
