"""The one list of people that a sync fills at an ad platform: which one is meant, and what is said
where it is not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from mayfly.domain.errors import ConfigError, ContractError

L = TypeVar("L")
L_co = TypeVar("L_co", covariant=True)


class JsonCall(Protocol):
    """Sends one request below an API's address and gives the answer's object."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Awaitable[Mapping[str, Any]]:
        """Raises EngineError where it is refused."""


class Lists(Protocol[L_co]):
    """The lists of an account."""

    def by_id(self, list_id: str, /) -> Awaitable[L_co | None]:
        """The list of that id, None where there is none."""

    def named(self, name: str, /) -> Awaitable[L_co | None]:
        """The one list of exactly that name; ConfigError `audience_ambiguous` where it is none."""


class AudienceList(Generic[L]):
    """The list that is configured, looked up or made once for all batches.

    Calls may run concurrently.

    Args:
        lists: of the account.
        audience: id of the list, or its exact name.
        is_id: which of the two; a list is only made by its name.
        id_of: a list's id.
        make: a new list of that name.
        require: refuses a list that the sync cannot be written to.
        missing: what is said of an id that the account has no list of.
    """

    def __init__(
        self,
        lists: Lists[L],
        *,
        audience: str,
        is_id: bool,
        id_of: Callable[[L], str],
        make: Callable[[], Awaitable[L]],
        require: Callable[[L], None],
        missing: Callable[[], ConfigError],
    ) -> None:
        self._lists = lists
        self._audience, self._is_id = audience, is_id
        self._id_of, self._make, self._require, self._missing = id_of, make, require, missing
        self._known: L | None = None
        self._finding = asyncio.Lock()

    async def found(self, *, create: bool) -> L | None:
        """The list; None where there is none, and none is to be made.

        Raises:
            EngineError: as the functions it was given.
        """
        async with self._finding:
            if self._known is None:
                look_up = self._lists.by_id if self._is_id else self._lists.named
                found = await look_up(self._audience)
                if found is None and create and not self._is_id:
                    found = await self._make()
                if found is not None:
                    self._require(found)
                self._known = found
            return self._known

    async def locate(self, known: str | None) -> str | None:
        """See `Locating.locate`.

        Raises:
            ConfigError: as `missing` says; `audience_renamed`; as `found`.
        """
        found = await self.found(create=False)
        if found is None and self._is_id:
            raise self._missing()
        place = None if found is None else self._id_of(found)
        await require_not_renamed(self._lists, known, place)
        return place


async def require_not_renamed(lists: Lists[object], known: str | None, found: str | None) -> None:
    """Refuse to begin another list while the one that was filled so far is there.

    Args:
        lists: of the account.
        known: id of the list that was filled so far.
        found: id of the one that is configured.

    Raises:
        ConfigError: `audience_renamed`.
    """
    if known is not None and known != found and await lists.by_id(known) is not None:
        raise renamed()


def renamed() -> ConfigError:
    """The list that was filled so far is not the one that is configured."""
    return ConfigError(
        "audience_renamed",
        "The audience that this sync has filled so far has another name now.",
        hint="Give it its name again, or configure the new one and adopt the state; see "
        "`mayfly state list`. To begin with another audience, use `mayfly state drop`.",
    )


def gone() -> ContractError:
    """The list was deleted while it was written to; for lists that a name or an id configures."""
    return ContractError(
        "audience_gone",
        "The audience does not exist any more.",
        hint="Run again: one that is configured by its name is made anew, and everything is "
        "sent to it.",
    )


def the_one(found: Mapping[str, L], *, of: str, hint: str) -> L | None:
    """The list of a name, None where there is none.

    Args:
        found: those of exactly that name, by id.
        of: what they are, and whose, for the message, such as `audiences of the ad account`.
        hint: what to do where there are several.

    Raises:
        ConfigError: `audience_ambiguous`.
    """
    if len(found) > 1:
        raise ConfigError(
            "audience_ambiguous", f"{len(found)} {of} have the configured name.", hint=hint
        )
    return next(iter(found.values()), None)
