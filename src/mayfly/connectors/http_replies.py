"""What connectors of HTTP platforms share: where they may call, and what a status means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpReply

_PAUSE_SECONDS_MAX = 10**6
_VENDOR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_endpoint(endpoint: str, host: str) -> None:
    """A vendor's own host over TLS, or a literal loopback address over plain HTTP, nothing else.

    Raises:
        ConfigError: `bad_endpoint`.
    """
    if endpoint == f"https://{host}":
        return
    loopback = re.fullmatch(r"http://(127(?:\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?", endpoint)
    if loopback is None or not _is_loopback(loopback[1].strip("[]")):
        raise ConfigError(
            "bad_endpoint",
            f"endpoint must be https://{host} or a literal loopback address over http.",
        )


def json_object(reply: HttpReply, vendor: str) -> Mapping[str, Any]:
    """The JSON object of a 2xx reply; of any other status see `refused`. Pure.

    Raises:
        EngineError: as `refused`; TransientError `garbage_answer`, it is something else.
    """
    body = try_json(reply)
    if not 200 <= reply.status < 300:
        raise refused(reply, vendor)
    if not isinstance(body, dict):
        raise TransientError("garbage_answer", f"{vendor} answered with something else than JSON.")
    return body


def try_json(reply: HttpReply) -> Any:
    """The reply's JSON, None where it is none."""
    try:
        return orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return None


def refused(reply: HttpReply, vendor: str, code: str = "") -> EngineError:
    """A status other than 2xx as our error; the kind says what to do. Pure.

    Args:
        reply: of that status.
        vendor: name for messages.
        code: the vendor's own, as `vendor_code` gave it.
    """
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    match reply.status:
        case 401 | 403:
            return ConfigError(
                "reauthorise",
                f"{vendor} refuses the credentials ({shown}).",
                hint="Check that they are current, and that they have the rights that the "
                "destination's page names.",
            )
        case 429:
            return TransientError(
                "rate_limited",
                f"{vendor} counts too many calls ({shown}).",
                retry_after_seconds=retry_after(reply),
            )
        case 408 | 425:
            return _busy(reply, vendor, shown)
        case status if status >= 500:
            return _busy(reply, vendor, shown)
        case status if 300 <= status < 400:
            return ContractError("redirected", f"{vendor} answered with a redirect ({shown}).")
        case _ if isinstance(try_json(reply), dict | list):
            return ContractError("unknown_answer", f"{vendor} gave no documented answer ({shown}).")
        case _:
            return ContractError("garbage_answer", f"{vendor} gave no documented answer ({shown}).")


def _busy(reply: HttpReply, vendor: str, shown: str) -> TransientError:
    return TransientError(
        "destination_busy",
        f"{vendor} cannot answer now ({shown}).",
        retry_after_seconds=retry_after(reply),
    )


def retry_after(reply: HttpReply, header: str = "retry-after") -> float | None:
    """Seconds that a header asks to wait: a number or a date; None where it says neither."""
    text = reply.headers.get(header, "").strip()
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # By the server's own clock where it tells it: ours may differ.
    try:
        now = parsedate_to_datetime(reply.headers.get("date", ""))
    except ValueError:
        return None
    seconds = (_aware(moment) - _aware(now)).total_seconds()
    return min(max(seconds, 0.0), float(_PAUSE_SECONDS_MAX))


def vendor_code(value: object) -> str:
    """A vendor's code as it may stand in a message or an outcome; empty where it is none."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if _VENDOR_CODE.fullmatch(text) else ""


def whole_number(answer: Mapping[str, Any], name: str, vendor: str) -> int:
    """A count of an answer.

    Raises:
        ContractError: `unknown_answer`, there is none.
    """
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContractError("unknown_answer", f"{vendor}'s answer has no {name}.")
    return value


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
