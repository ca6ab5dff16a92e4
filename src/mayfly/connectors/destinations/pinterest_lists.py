"""The customer lists of a Pinterest ad account, and the audiences that make them usable in ads."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from mayfly.connectors.audience_lists import JsonCall, the_one
from mayfly.connectors.destinations.pinterest_answers import VENDOR, exception_of, is_gone
from mayfly.domain.errors import ContractError, EngineError

Act = Literal["add", "remove"]
_COUNTERS: Mapping[Act, str] = {
    "add": "num_uploaded_user_records",
    "remove": "num_removed_user_records",
}
_WORKING, _READY, _DONE = ("UPLOADING", "PROCESSING"), "READY", ("READY", "TOO_SMALL")
_PAGES_MAX = 100
_PAGE_SIZE = "250"
_BOOKMARK_MAX = 2_000
_ID = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, kw_only=True)
class CustomerList:
    """One list, as far as it matters here.

    Args:
        list_id, account, name: of it.
        status: whether Pinterest is at work on it.
        counted: how many identifiers it has taken, ever, by what was done with them.
        exception: as `exception_of`.
    """

    list_id: str
    account: str
    name: str
    status: str
    counted: Mapping[Act, int]
    exception: str | None

    @classmethod
    def of(cls, found: object) -> CustomerList:
        """From Pinterest's own object.

        Raises:
            ContractError: `unknown_answer`.
        """
        fields: Mapping[str, Any] = found if isinstance(found, dict) else {}
        list_id, status = str(fields.get("id", "")), str(fields.get("status", ""))
        if not _ID.fullmatch(list_id):
            raise ContractError("unknown_answer", "The id of a list is not a number.")
        if status not in (*_WORKING, *_DONE):
            raise ContractError("unknown_answer", f"{VENDOR} gives a list no documented status.")
        return cls(
            list_id=list_id,
            account=str(fields.get("ad_account_id", "")),
            name=str(fields.get("name", "")),
            status=status,
            counted={act: _count(fields, name) for act, name in _COUNTERS.items()},
            exception=exception_of(fields),
        )

    @property
    def is_worked_off(self) -> bool:
        """Whether Pinterest has nothing more to do with it."""
        return self.status in _DONE

    @property
    def is_ready(self) -> bool:
        """Whether ads can be shown to it."""
        return self.status == _READY


class CustomerLists:
    """Lists and audiences of one ad account.

    Args:
        call: authorised.
        account: id of the ad account.
    """

    def __init__(self, call: JsonCall, *, account: str) -> None:
        self._call = call
        self._account = account
        self._path = f"ad_accounts/{account}"

    async def check(self) -> None:
        """Ask for the ad account, to see that login and account work."""
        found = await self._call("GET", self._path)
        if found.get("id") != self._account:
            raise ContractError("unknown_answer", "The ad account's answer has another id.")

    async def by_id(self, list_id: str) -> CustomerList | None:
        """The list of that id, None where the ad account has none."""
        try:
            found = CustomerList.of(await self._call("GET", self._of(list_id)))
        except EngineError as error:
            if is_gone(error):
                return None
            raise
        return found if found.account == self._account else None

    async def named(self, name: str) -> CustomerList | None:
        """The one list of exactly that name.

        Raises:
            ConfigError: `audience_ambiguous`.
        """
        found: dict[str, CustomerList] = {}
        async for entry in self._all("customer_lists"):
            if isinstance(entry, dict) and entry.get("name") == name:
                one = CustomerList.of(entry)
                found[one.list_id] = one
        return the_one(
            found,
            of="customer lists of the ad account",
            hint="Configure the id of the one you mean, or another name.",
        )

    async def make(self, name: str, kind: str, records: bytes) -> CustomerList:
        """A new list with its first members: Pinterest makes none without.

        Args:
            name: of the list.
            kind: of its identifiers.
            records: as `records` of `pinterest_audience`.
        """
        head = orjson.dumps({"name": name, "list_type": kind})
        body = _with_records(head, records)
        return CustomerList.of(
            await self._call("POST", f"{self._path}/customer_lists", content=body)
        )

    async def change(self, list_id: str, act: Act, records: bytes) -> CustomerList:
        """Members added or removed; the list as it is then."""
        body = _with_records(orjson.dumps({"operation_type": act.upper()}), records)
        return CustomerList.of(await self._call("PATCH", self._of(list_id), content=body))

    async def ensure_audience(self, found: CustomerList) -> None:
        """An audience of the list, made where there is none: ads are shown to audiences alone."""
        async for entry in self._all("audiences"):
            rule = entry.get("rule") if isinstance(entry, dict) else None
            if isinstance(rule, dict) and str(rule.get("customer_list_id")) == found.list_id:
                return
        wanted = {
            "ad_account_id": self._account,
            "name": found.name,
            "audience_type": "CUSTOMER_LIST",
            "description": "Kept by Mayfly",
            "rule": {"customer_list_id": found.list_id},
        }
        await self._call("POST", f"{self._path}/audiences", content=orjson.dumps(wanted))

    def _of(self, list_id: str) -> str:
        return f"{self._path}/customer_lists/{list_id}"

    async def _all(self, kind: str) -> AsyncIterator[Any]:
        """Every entry of a collection, page by page."""
        params = {"page_size": _PAGE_SIZE}
        for _ in range(_PAGES_MAX):
            page = await self._call("GET", f"{self._path}/{kind}", params=params)
            entries = page.get("items")
            if not isinstance(entries, list):
                raise ContractError("unknown_answer", f"{VENDOR}'s answer has no items.")
            for entry in entries:
                yield entry
            bookmark = page.get("bookmark")
            if not bookmark:
                return
            if not isinstance(bookmark, str) or len(bookmark) > _BOOKMARK_MAX:
                raise ContractError("unknown_answer", "A page's bookmark is none.")
            params["bookmark"] = bookmark
        raise ContractError("too_many_pages", "What the ad account has does not end.")


def _with_records(head: bytes, records: bytes) -> bytes:
    """An object with `records` at its end, which are hex text and commas and need no escape."""
    return b"".join([head[:-1], b',"records":"', records, b'"}'])


def _count(fields: Mapping[str, Any], name: str) -> int:
    """A counter, which Pinterest's schema calls a number: a whole one may come as 2.0."""
    value = fields.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContractError("unknown_answer", f"{VENDOR}'s answer has no {name}.")
    return value
