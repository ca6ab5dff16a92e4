"""A list of HubSpot whose members a sync keeps: found by its name, made where it is not there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from mayfly.connectors.destinations.hubspot_answers import VENDOR, missing_members
from mayfly.connectors.destinations.hubspot_api import HubspotApi, path_part
from mayfly.domain.errors import ConfigError, ContractError

_KEPT_BY_HAND = ("MANUAL", "SNAPSHOT")


class MemberList:
    """One list. Calls may run concurrently; it is looked up or made once."""

    def __init__(self, api: HubspotApi) -> None:
        self._api = api
        self._list_id: str | None = None
        self._finding = asyncio.Lock()

    async def find(self, *, create: bool) -> str | None:
        """Its id, None where there is none of the name.

        Raises:
            ConfigError: `list_is_dynamic`, HubSpot decides by itself who is in it.
        """
        async with self._finding:
            if self._list_id is None:
                self._list_id = await self._named()
            if self._list_id is None and create:
                made = await self._api.ask(
                    "POST",
                    self._api.settings.path("lists", "").rstrip("/"),
                    {
                        "name": self._api.settings.list_name,
                        "objectTypeId": self._api.settings.list_type,
                        "processingType": "MANUAL",
                    },
                )
                self._list_id = _id_of(made)
            return self._list_id

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`.

        Raises:
            ConfigError: `list_renamed`.
        """
        found = await self.find(create=False)
        if known is not None and found != known and await self._exists(known):
            raise ConfigError(
                "list_renamed",
                "The list that this sync has filled so far has another name now.",
                hint="Give it its name again, or configure the new one and adopt the state; see "
                "`mayfly state list`. To begin with another list, use `mayfly state drop`.",
            )
        return found

    async def add(self, records: Sequence[str]) -> frozenset[str]:
        """Make records members; those that HubSpot does not have."""
        return await self._change("add", records, create=True)

    async def remove(self, records: Sequence[str]) -> None:
        """Take records out; who is not in it is out already."""
        await self._change("remove", records, create=False)

    async def _change(self, what: str, records: Sequence[str], *, create: bool) -> frozenset[str]:
        if not records:
            return frozenset()
        list_id = await self.find(create=create)
        if list_id is None:
            return frozenset()
        path = self._api.settings.path("lists", f"{list_id}/memberships/{what}")
        try:
            reply = await self._api.call("PUT", path, orjson.dumps(list(records)))
        except ContractError as error:
            if error.code != "not_found":
                raise
            raise ContractError(
                "list_gone",
                "The list does not exist any more.",
                hint="Run again: it is made anew, and everybody is sent to it.",
            ) from None
        return missing_members(reply)

    async def _named(self) -> str | None:
        settings = self._api.settings
        name = path_part(settings.list_name)
        path = settings.path("lists", f"object-type-id/{settings.list_type}/name/{name}")
        try:
            found = await self._api.ask("GET", path)
        except ContractError as error:
            if error.code == "not_found":
                return None
            raise
        made = _list_of(found)
        if made.get("processingType") not in _KEPT_BY_HAND:
            raise ConfigError(
                "list_is_dynamic",
                f"{VENDOR} itself decides who is in the list of that name.",
                hint="Name a static list, or one that is not there yet.",
            )
        return _id_of(found)

    async def _exists(self, list_id: str) -> bool:
        if not re.fullmatch("[0-9]{1,20}", list_id):
            return False
        try:
            await self._api.ask("GET", self._api.settings.path("lists", list_id))
        except ContractError as error:
            if error.code == "not_found":
                return False
            raise
        return True


def _list_of(reply: Mapping[str, Any]) -> Mapping[str, Any]:
    found = reply.get("list")
    if not isinstance(found, dict):
        raise ContractError("unknown_answer", f"{VENDOR}'s answer about a list has none.")
    return found


def _id_of(reply: Mapping[str, Any]) -> str:
    list_id = str(_list_of(reply).get("listId", ""))
    if not re.fullmatch("[0-9]{1,20}", list_id):
        raise ContractError("unknown_answer", f"{VENDOR} gave a list no id.")
    return list_id
