"""The DMP segments of a LinkedIn ad account: which one is meant, and making one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from mayfly.connectors.audience_lists import the_one
from mayfly.connectors.destinations.linkedin_ads_answers import (
    REFUSED,
    SEGMENT_GONE,
    answer,
    require_done,
)
from mayfly.domain.errors import ConfigError, ContractError
from mayfly.ports.http import HttpReply

PAGE_SIZE = 100
_PAGES_MAX = 100
_USER = "USER"
_UNUSABLE = frozenset({"EXPIRED", "FAILED", "ERROR"})
_ID = re.compile(r"[1-9][0-9]{0,18}")
_ID_HEADERS = ("x-restli-id", "x-linkedin-id")


class Call(Protocol):
    """Sends one request below the API's address and gives the answer."""

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> HttpReply:
        """Raises EngineError where there is none."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment, as far as it matters here.

    Args:
        status: at LinkedIn's own destination; empty where it is not told.
    """

    segment_id: str
    name: str
    kind: str
    account: str
    status: str = ""

    @classmethod
    def of(cls, found: object) -> Segment:
        """From LinkedIn's own object.

        Raises:
            ContractError: `unknown_answer`.
        """
        fields: Mapping[str, Any] = found if isinstance(found, dict) else {}
        return cls(
            segment_id=_number(fields.get("id")),
            name=str(fields.get("name", "")),
            kind=str(fields.get("type", "")),
            account=str(fields.get("account", "")),
            status=_status(fields),
        )

    def require(self, account: str) -> None:
        """Refuse a segment that people cannot be written to.

        Raises:
            ConfigError: `audience_of_other_kind`, `audience_elsewhere`.
        """
        if self.kind != _USER:
            raise ConfigError(
                "audience_of_other_kind",
                "The audience is not a segment that people are streamed to (type USER).",
                hint="Configure another name: the segment is made by Mayfly then.",
            )
        if self.account and self.account != account:
            raise ConfigError(
                "audience_elsewhere",
                "The audience of the configured id belongs to another ad account.",
                hint="Correct account_id or audience.",
            )

    def require_usable(self) -> None:
        """Refuse to add to a segment that LinkedIn does not show ads to any more.

        Raises:
            ConfigError: `audience_unusable`.
        """
        if self.status in _UNUSABLE:
            raise ConfigError(
                "audience_unusable",
                f"LinkedIn gives the audience the status {self.status}.",
                hint="Delete it in Campaign Manager, or configure another name, and run again: it "
                "is made anew, and everything is sent to it.",
            )


class Segments:
    """Segments of one account.

    Args:
        call: authorised.
        account: as a URN.
        source: name of the platform that segments are said to come from.
    """

    def __init__(self, call: Call, *, account: str, source: str) -> None:
        self._call = call
        self._account = account
        self._source = source

    async def check(self) -> None:
        """Ask for one segment, to see that login and account work."""
        await self._page(start=0, count=1)

    async def by_id(self, segment_id: str) -> Segment | None:
        """The segment of that id, None where there is none."""
        try:
            return Segment.of(answer(await self._call("GET", f"dmpSegments/{segment_id}")))
        except ContractError as error:
            if error.code == SEGMENT_GONE:
                return None
            raise

    async def named(self, name: str) -> Segment | None:
        """The one segment of exactly that name.

        Raises:
            ConfigError: `audience_ambiguous`.
        """
        found: dict[str, Segment] = {}
        for page in range(_PAGES_MAX):
            entries = await self._page(start=page * PAGE_SIZE, count=PAGE_SIZE)
            found.update({x.segment_id: x for x in map(Segment.of, entries) if x.name == name})
            if len(entries) < PAGE_SIZE:
                break
        else:
            raise ContractError("too_many_pages", "The segments of the account do not end.")
        return the_one(
            found,
            of="audiences of the ad account",
            hint="Rename all but one, or configure the id of the one you mean.",
        )

    async def make(self, name: str) -> Segment:
        """A new segment of people.

        Raises:
            ConfigError: `audience_refused`.
        """
        wanted = {
            "name": name,
            "account": self._account,
            "accessPolicy": "PRIVATE",
            "type": _USER,
            "sourcePlatform": self._source,
            "sourceSegmentId": _source_id(name),
            "destinations": [{"destination": "LINKEDIN"}],
        }
        reply = await self._call("POST", "dmpSegments", content=orjson.dumps(wanted))
        try:
            require_done(reply)
        except ContractError as error:
            if error.code != REFUSED:
                raise
            raise ConfigError(
                "audience_refused",
                f"{error.message} It was to make the audience.",
                hint="Give it another name; where LinkedIn has given your app a name as a source "
                "of segments, write that as `source_platform` of the destination.",
            ) from None
        given = next((reply.headers[h] for h in _ID_HEADERS if h in reply.headers), None)
        return Segment(
            segment_id=_number(given), name=name, kind=_USER, account=self._account, status=""
        )

    async def _page(self, *, start: int, count: int) -> list[Any]:
        params = {
            "q": "account",
            "account": self._account,
            "start": str(start),
            "count": str(count),
        }
        entries = answer(await self._call("GET", "dmpSegments", params=params)).get("elements")
        if not isinstance(entries, list):
            raise ContractError("unknown_answer", "The segments of an account are no list.")
        return entries


def _number(value: object) -> str:
    text = str(value)
    if not _ID.fullmatch(text):
        raise ContractError("unknown_answer", "The id of a segment is not a number.")
    return text


def _status(fields: Mapping[str, Any]) -> str:
    destinations = fields.get("destinations")
    for entry in destinations if isinstance(destinations, list) else ():
        if isinstance(entry, dict) and entry.get("destination") == "LINKEDIN":
            return str(entry.get("status", ""))
    return ""


def _source_id(name: str) -> str:
    """The same for the same name, without saying it."""
    return f"mayfly-{hashlib.sha256(name.encode()).hexdigest()[:24]}"
