"""What Intercom answers, as our outcomes and errors. Pure; its own text gets no further."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from mayfly.connectors.http_replies import json_object, refused, try_json, vendor_code
from mayfly.domain.errors import ContractError, RequestRefusedError, TransientError
from mayfly.ports.http import HttpReply

VENDOR = "Intercom"
WINDOW_SECONDS, PAUSE_SECONDS_MAX = 10.0, 3_600.0

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# As in "An archived contact matching those details already exists with id=6762f0dd1bb69f9f".
_THERE = re.compile(r"already exists with id=([A-Za-z0-9]{8,64})")


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A contact that is there.

    Args:
        record: Intercom's own id.
        is_archived: whether it is archived.
        wants_no_mail: whether it is unsubscribed from all e-mail; None where that is not known.
    """

    record: str
    is_archived: bool = False
    wants_no_mail: bool | None = None


class TakenError(Exception):
    """Somebody of that key is there already; it travels no further than the connector."""

    def __init__(self, contact: Contact) -> None:
        super().__init__("taken")
        self.contact = contact


class GoneError(Exception):
    """What was written to is not there any more; it travels no further than the connector.

    Args:
        reason: why.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def answer(reply: HttpReply, fields: Collection[str] = ()) -> Mapping[str, Any]:
    """The reply's JSON object, an empty one of an empty reply.

    Args:
        reply: of any status.
        fields: of the mapping: only these are repeated beside a code.

    Raises:
        TakenError, GoneError: as the statuses 409, 404 and 410 say.
        RequestRefusedError: something in the request is not as Intercom takes it.
        EngineError: any other; the kind says what to do.
    """
    if 200 <= reply.status < 300:
        return json_object(reply, VENDOR) if reply.body.strip() else {}
    raise _refusal(reply, fields)


def _refusal(reply: HttpReply, fields: Collection[str]) -> Exception:
    error = _first(reply)
    code = vendor_code(error.get("code"))
    if reply.status == 409:
        return _conflict(str(error.get("message", "")), code)
    if reply.status in (404, 410) and error:
        return GoneError("contact_merged" if reply.status == 410 else "record_missing")
    if reply.status == 429:
        return TransientError(
            "rate_limited",
            f"{VENDOR} counts too many calls (HTTP 429).",
            retry_after_seconds=_pause_seconds(reply),
        )
    if reply.status in (400, 413, 422) and error:
        named = str(error.get("field") or "")
        whole = f"{code}.{named}" if named in fields and vendor_code(f"{code}.{named}") else code
        return RequestRefusedError(
            whole or f"intercom_{reply.status}", f"{VENDOR} refuses a request ({reply.status})."
        )
    return refused(reply, VENDOR, code)


def _conflict(message: str, code: str) -> Exception:
    """Intercom names who is there in words alone."""
    found = _THERE.search(message)
    if found is None:
        return RequestRefusedError(
            code or "conflict", f"{VENDOR} refuses a request for a conflict (HTTP 409)."
        )
    return TakenError(Contact(record=found[1], is_archived="archived" in message.lower()))


def _first(reply: HttpReply) -> Mapping[str, Any]:
    body = try_json(reply)
    errors = body.get("errors") if isinstance(body, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else {}


def _pause_seconds(reply: HttpReply) -> float:
    """To the end of the window that calls are counted by, by Intercom's own clock."""
    reset = reply.headers.get("x-ratelimit-reset", "")
    try:
        now = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
    except ValueError:
        return WINDOW_SECONDS
    if not re.fullmatch("[0-9]{1,11}", reset):
        return WINDOW_SECONDS
    return min(max(1.0, int(reset) - now), PAUSE_SECONDS_MAX)


def contact(entry: Mapping[str, Any]) -> Contact:
    """One contact of an answer.

    Raises:
        ContractError: `unknown_answer`.
    """
    if entry.get("type") != "contact":
        raise unfit("has something else than a contact")
    mail = entry.get("unsubscribed_from_emails")
    return Contact(
        record=record_id(entry),
        is_archived=entry.get("archived") is True,
        wants_no_mail=mail if isinstance(mail, bool) else None,
    )


def record_id(entry: Mapping[str, Any]) -> str:
    """Intercom's own id of something.

    Raises:
        ContractError: `unknown_answer`.
    """
    found = entry.get("id")
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise unfit("has something without an id")
    return found


def entries(reply: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What a list holds.

    Raises:
        ContractError: `unknown_answer`.
    """
    found = reply.get("data")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise unfit("has no list")
    return found


def found(
    pages: Sequence[Mapping[str, Any]], keys: Mapping[int, str], key: str
) -> dict[int, list[Contact]]:
    """Contacts by the row that names them.

    Raises:
        ContractError: `unknown_answer`, a contact is nobody's that was asked for.
    """
    rows = {name.casefold(): row for row, name in keys.items()}
    there: dict[int, list[Contact]] = {}
    for entry in (entry for page in pages for entry in entries(page)):
        row = rows.get(str(entry.get(key, "")).strip().casefold())
        if row is None:
            raise unfit("has a contact that was not asked for")
        there.setdefault(row, []).append(contact(entry))
    return there


def next_page(reply: Mapping[str, Any]) -> str:
    """Where a list goes on; empty where it ends."""
    pages = reply.get("pages")
    following = pages.get("next") if isinstance(pages, dict) else None
    place = following.get("starting_after") if isinstance(following, dict) else None
    return place if isinstance(place, str) else ""


def unfit(what: str) -> ContractError:
    """An answer that Intercom's own documentation does not have."""
    return ContractError("unknown_answer", f"{VENDOR}'s answer {what}.")
