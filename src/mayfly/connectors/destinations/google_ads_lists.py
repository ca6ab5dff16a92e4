"""The Customer Match lists of a Google Ads account: which one is meant, and making one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from mayfly.connectors.audience_lists import JsonCall, the_one
from mayfly.connectors.destinations.google_ads_answers import is_gone
from mayfly.connectors.destinations.google_ads_requests import Kind
from mayfly.domain.errors import ConfigError, ContractError, EngineError

_PAGES_MAX = 100
_PAGE_SIZE = "1000"
_FIRST_PARTY = {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}
_INFOS = {Kind.CONTACT: "contactIdInfo", Kind.USER: "userIdInfo"}
_DAY_SECONDS = 86_400
DAYS_MAX = 540
"""How long Google keeps a member at most, and by default."""
_ID = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True, kw_only=True)
class UserList:
    """One list, as far as it matters here."""

    list_id: str
    name: str
    kinds: frozenset[str]
    is_open: bool
    read_only: bool
    days: int | None

    @classmethod
    def of(cls, found: object) -> UserList:
        """From Google's own object.

        Raises:
            ContractError: `unknown_answer`.
        """
        fields: Mapping[str, Any] = found if isinstance(found, dict) else {}
        list_id = str(fields.get("id", ""))
        if not _ID.fullmatch(list_id):
            raise ContractError("unknown_answer", "The id of a list is not a number.")
        info = fields.get("ingestedUserListInfo")
        kinds = info.get("uploadKeyTypes") if isinstance(info, dict) else None
        return cls(
            list_id=list_id,
            name=str(fields.get("displayName", "")),
            kinds=frozenset(map(str, kinds)) if isinstance(kinds, list) else frozenset(),
            is_open=fields.get("membershipStatus", "OPEN") == "OPEN",
            read_only=fields.get("readOnly") is True,
            days=_days(fields.get("membershipDuration")),
        )

    def require(self, kind: Kind) -> None:
        """Refuse a list that does not hold the sync's kind of identifiers.

        Raises:
            ConfigError: `audience_of_other_kind`, `audience_read_only`.
        """
        if kind.value not in self.kinds:
            raise ConfigError(
                "audience_of_other_kind",
                f"The audience is not one of {kind.value}, which the mapped fields are.",
                hint="Use an audience that was made for them; its kind cannot be changed.",
            )
        if self.read_only:
            raise ConfigError(
                "audience_read_only",
                "Google does not let this account change the audience.",
                hint="Use an audience that the account owns.",
            )

    def require_ready(self, days: int) -> None:
        """Refuse to add to a list that takes nobody any more, or lets members go before they are
        sent again.

        Args:
            days: for which the sync counts on a membership.

        Raises:
            ConfigError: `audience_closed`, `audience_forgets`.
        """
        if not self.is_open:
            raise ConfigError(
                "audience_closed",
                "Google has closed the audience: it takes no members.",
                hint="Open it again in Google Ads; Google closes lists that are long unused.",
            )
        if self.days is not None and self.days < days:
            raise ConfigError(
                "audience_forgets",
                f"The audience keeps its members for {self.days} days, and not for {days}.",
                hint=f"Write `membership_days: {self.days}` at the destination, so that they are "
                "sent again in time; or change the audience in Google Ads.",
            )


class UserLists:
    """Lists of one account.

    Args:
        call: authorised, for the account.
        account: its id.
        kind: of the sync.
    """

    def __init__(self, call: JsonCall, *, account: str, kind: Kind) -> None:
        self._call = call
        self._path = f"accountTypes/GOOGLE_ADS/accounts/{account}/userLists"
        self._kind = kind

    async def check(self) -> None:
        """Ask for one list, to see that login and account work."""
        await self._call("GET", self._path, params={"pageSize": "1"})

    async def by_id(self, list_id: str) -> UserList | None:
        """The list of that id, None where there is none."""
        try:
            return UserList.of(await self._call("GET", f"{self._path}/{list_id}"))
        except EngineError as error:
            if is_gone(error):
                return None
            raise

    async def named(self, name: str) -> UserList | None:
        """The one list of exactly that name.

        Raises:
            ConfigError: `audience_ambiguous`.
        """
        found: dict[str, UserList] = {}
        params = {"filter": f"display_name = {_quoted(name)}", "pageSize": _PAGE_SIZE}
        for _ in range(_PAGES_MAX):
            page = await self._call("GET", self._path, params=params)
            entries = page.get("userLists", [])
            if not isinstance(entries, list):
                raise ContractError("unknown_answer", "The lists of an account are no list.")
            found.update({x.list_id: x for x in map(UserList.of, entries) if x.name == name})
            token = page.get("nextPageToken")
            if not token:
                break
            params["pageToken"] = str(token)
        else:
            raise ContractError("too_many_pages", "The lists of the account do not end.")
        return the_one(
            found,
            of="audiences of the account",
            hint="Rename all but one in Google Ads, or configure the id of the one you mean.",
        )

    async def make(self, name: str, membership_days: int | None) -> UserList:
        """A new list of the sync's kind.

        Raises:
            ConfigError: `audience_missing`, one of mobile ids belongs to an app.
        """
        info = _INFOS.get(self._kind)
        if info is None:
            raise ConfigError(
                "audience_missing",
                "The account has no audience of the configured name.",
                hint="Make it in Google Ads: an audience of mobile ids belongs to one app.",
            )
        days = membership_days or 0
        life = {"membershipDuration": f"{days * _DAY_SECONDS}s"}
        wanted = {
            "displayName": name,
            "description": "Kept by Mayfly",
            **(life if days else {}),
            "ingestedUserListInfo": {"uploadKeyTypes": [self._kind.value], info: _FIRST_PARTY},
        }
        return UserList.of(await self._call("POST", self._path, content=orjson.dumps(wanted)))


def _days(duration: object) -> int | None:
    """Whole days of seconds as Google writes them; None where there are none."""
    found = re.fullmatch(r"([0-9]{1,12})(?:\.[0-9]{1,9})?s", str(duration))
    return int(found[1]) // _DAY_SECONDS if found else None


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
