"""The customer lists of a Snap ad account, which its API calls segments: finding and making one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from mayfly.connectors.audience_lists import JsonCall, the_one
from mayfly.connectors.destinations.snap_answers import VENDOR, entries, is_gone, single
from mayfly.domain.errors import ConfigError, ContractError, EngineError

LIFETIME_DAYS = 9_999
"""As Snap writes that it keeps somebody for good."""
_PAGES_MAX = 100
_PAGE_SIZE = "1000"
_ID = re.compile(r"[0-9]{1,20}")
_CURSOR_MAX = 2_000


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment, as far as it matters here."""

    segment_id: str
    account: str
    name: str
    source: str
    days: int | None
    upload_status: str

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Segment:
        """From Snap's own object.

        Raises:
            ContractError: `unknown_answer`.
        """
        segment_id, days = str(found.get("id", "")), found.get("retention_in_days")
        if not _ID.fullmatch(segment_id):
            raise ContractError("unknown_answer", "The id of a segment is not a number.")
        return cls(
            segment_id=segment_id,
            account=str(found.get("ad_account_id", "")),
            name=str(found.get("name", "")),
            source=str(found.get("source_type", "")),
            days=days if isinstance(days, int) and not isinstance(days, bool) else None,
            upload_status=str(found.get("upload_status", "")),
        )

    @property
    def is_customer_list(self) -> bool:
        """Whether people can be added to it by their identifiers."""
        return self.source == "FIRST_PARTY"

    def require(self, days: int) -> None:
        """Refuse a segment that is no customer list, or lets people go before they are sent again.

        Args:
            days: for which the sync counts on a membership.

        Raises:
            ConfigError: `audience_of_other_kind`, `audience_forgets`.
        """
        if not self.is_customer_list:
            raise ConfigError(
                "audience_of_other_kind",
                f"The audience is no customer list of {VENDOR}'s.",
                hint="Use one that was made as a customer list, or another name.",
            )
        if self.days is not None and self.days < days:
            raise ConfigError(
                "audience_forgets",
                f"The audience keeps its members for {self.days} days, and not for {days}.",
                hint=f"Write `retention_days: {self.days}` at the destination, so that they are "
                "sent again in time.",
            )


class Segments:
    """Segments of one ad account.

    Args:
        call: authorised.
        account: id of the ad account.
    """

    def __init__(self, call: JsonCall, *, account: str) -> None:
        self._call = call
        self._account = account
        self._path = f"adaccounts/{account}/segments"

    async def check(self) -> None:
        """Ask for the ad account, to see that login and account work."""
        found = single(await self._call("GET", f"adaccounts/{self._account}"), *_ACCOUNTS)
        if found.get("id") != self._account:
            raise ContractError("unknown_answer", "The ad account's answer has another id.")

    async def by_id(self, segment_id: str) -> Segment | None:
        """The segment of that id, None where the ad account has none."""
        try:
            found = single(await self._call("GET", f"segments/{segment_id}"), *_SEGMENTS)
        except EngineError as error:
            if is_gone(error):
                return None
            raise
        segment = Segment.of(found)
        return segment if segment.account == self._account else None

    async def named(self, name: str) -> Segment | None:
        """The one segment of exactly that name; a customer list before one of another kind.

        Raises:
            ConfigError: `audience_ambiguous`.
        """
        found: dict[str, Segment] = {}
        params = {"limit": _PAGE_SIZE}
        for _ in range(_PAGES_MAX):
            page = await self._call("GET", self._path, params=params)
            segments = [Segment.of(entry) for entry in entries(page, *_SEGMENTS)]
            found.update({x.segment_id: x for x in segments if x.name == name})
            cursor = _next_cursor(page)
            if cursor is None:
                break
            params["cursor"] = cursor
        else:
            raise ContractError("too_many_pages", "The segments of the ad account do not end.")
        return the_one(
            {key: x for key, x in found.items() if x.is_customer_list} or found,
            of="audiences of the ad account",
            hint="Rename all but one in Ads Manager, or configure the id of the one you mean.",
        )

    async def make(self, name: str, days: int) -> Segment:
        """A new customer list."""
        wanted = {
            "name": name,
            "description": "Kept by Mayfly",
            "source_type": "FIRST_PARTY",
            "retention_in_days": days,
            "ad_account_id": self._account,
        }
        body = orjson.dumps({"segments": [wanted]})
        return Segment.of(single(await self._call("POST", self._path, content=body), *_SEGMENTS))


_SEGMENTS, _ACCOUNTS = ("segments", "segment"), ("adaccounts", "adaccount")


def _next_cursor(page: Mapping[str, Any]) -> str | None:
    """The cursor of the next page. Its address is not followed: it could lead anywhere."""
    paging = page.get("paging")
    link = paging.get("next_link") if isinstance(paging, dict) else None
    if not link:
        return None
    try:
        found = parse_qs(urlsplit(str(link)).query).get("cursor", [])
    except ValueError:
        found = []
    if len(found) != 1 or not 1 <= len(found[0]) <= _CURSOR_MAX:
        raise ContractError("unknown_answer", "A page of segments names no cursor.")
    return found[0]
