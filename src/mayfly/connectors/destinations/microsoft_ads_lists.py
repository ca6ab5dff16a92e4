"""The customer lists of a Microsoft Advertising account: which one is meant, and making one."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mayfly.connectors.audience_lists import the_one
from mayfly.connectors.destinations.microsoft_ads_answers import (
    VENDOR,
    partial_errors,
    require_no_setting,
)
from mayfly.domain.errors import ConfigError, ContractError

DAYS_MAX = 390
"""How long a member stays at most, where membership ends at all."""
FOR_EVER = -1
_KIND = "CustomerList"
_ID = re.compile(r"[1-9][0-9]{0,18}")

Ask = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Posts a body below the API's address and gives the answer's object."""


@dataclass(frozen=True, kw_only=True)
class CustomerList:
    """One list, as far as it matters here.

    Args:
        days: how long a member stays; -1 for ever, None where it is not told.
    """

    list_id: str
    name: str
    days: int | None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> CustomerList:
        """From Microsoft's own object.

        Raises:
            ContractError: `unknown_answer`.
        """
        days = found.get("MembershipDuration")
        return cls(
            list_id=_number(found.get("Id")),
            name=str(found.get("Name", "")),
            days=days if isinstance(days, int) and not isinstance(days, bool) else None,
        )

    def require_lasting(self, days: int) -> None:
        """Refuse to add to a list that lets members go before they are sent again.

        Args:
            days: for which the sync counts on a membership.

        Raises:
            ConfigError: `audience_forgets`.
        """
        if self.days is not None and self.days != FOR_EVER and self.days < days:
            raise ConfigError(
                "audience_forgets",
                f"The audience keeps its members for {self.days} days, and not for {days}.",
                hint=f"Write `membership_days: {self.days}` at the destination, so that they are "
                "sent again in time; or change the audience in Microsoft Advertising.",
            )


class CustomerLists:
    """Lists of one account.

    Args:
        ask: authorised, for the account.
        account_id: of it.
    """

    def __init__(self, ask: Ask, *, account_id: str) -> None:
        self._ask = ask
        self._account_id = account_id

    async def check(self) -> None:
        """Ask for the lists, to see that login and account work."""
        await self._found(None)

    async def by_id(self, list_id: str) -> CustomerList | None:
        """The list of that id, None where there is none."""
        return next((x for x in await self._found(list_id) if x.list_id == list_id), None)

    async def named(self, name: str) -> CustomerList | None:
        """The one list of exactly that name.

        Raises:
            ConfigError: `audience_ambiguous`.
        """
        found = {x.list_id: x for x in await self._found(None) if x.name == name}
        return the_one(
            found,
            of="audiences that the account sees",
            hint="Rename all but one, or configure the id of the one you mean.",
        )

    async def make(self, name: str, days: int) -> CustomerList:
        """A new, empty list of the account.

        Raises:
            ConfigError: `microsoft_refused`, the account or the name does not allow it.
            ContractError: `audience_not_made`, for another reason.
        """
        wanted = {
            "Description": "Kept by Mayfly",
            "MembershipDuration": days,
            "Name": name,
            "ParentId": self._account_id,
            "Scope": "Account",
            "Type": _KIND,
        }
        answered = await self._ask("Audiences", {"Audiences": [wanted]})
        for fault in partial_errors(answered):
            require_no_setting(fault)
            raise ContractError(
                "audience_not_made", f"{VENDOR} does not make the audience ({fault.code})."
            )
        ids = answered.get("AudienceIds")
        if not isinstance(ids, list) or len(ids) != 1:
            raise ContractError("unknown_answer", f"{VENDOR} does not say which list it made.")
        return CustomerList(list_id=_number(ids[0]), name=name, days=days)

    async def _found(self, list_id: str | None) -> list[CustomerList]:
        """One list or all; those of other kinds are not told."""
        body: dict[str, Any] = {"Type": _KIND}
        if list_id is not None:
            body["AudienceIds"] = [list_id]
        answered = await self._ask("Audiences/QueryByIds", body)
        entries = answered.get("Audiences")
        if entries is None and list_id is not None:
            return []
        if not isinstance(entries, list):
            raise ContractError("unknown_answer", f"{VENDOR}'s lists are no list.")
        kept = (x for x in entries if isinstance(x, dict) and x.get("Type") == _KIND)
        return [CustomerList.of(entry) for entry in kept]


def _number(value: object) -> str:
    text = str(value)
    if not _ID.fullmatch(text):
        raise ContractError("unknown_answer", "The id of a list is not a number.")
    return text
