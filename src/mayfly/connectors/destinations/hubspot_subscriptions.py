"""What people said about e-mail, told to HubSpot: a refusal there is never made a yes.

A field `subscription.NAME` of the mapping holds what a person said at the source: true, false, or
nothing, which is told to nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from mayfly.connectors.consent_fields import ConsentFields
from mayfly.connectors.destinations.hubspot_answers import VENDOR
from mayfly.connectors.destinations.hubspot_api import HubspotApi, Subscription
from mayfly.connectors.destinations.hubspot_requests import ROWS_MAX, SUBSCRIPTION
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_parts import Told
from mayfly.domain.errors import ConfigError, ContractError, RequestRefusedError
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.destination import DestinationContext
from mayfly.privacy.gate import Form

ADDRESS = "email"
SAID = ConsentFields(vendor=VENDOR, noun="subscription")
_REFUSED_THERE = (OutcomeCode.UNCONFIRMED, Reason(code="unsubscribed_there"))
_UNKNOWN = (OutcomeCode.DEFERRED, Reason(code="status_unknown"))
_ALL = "unsubscribe-all/read"
_STATES = ("SUBSCRIBED", "UNSUBSCRIBED", "NOT_SPECIFIED")
_Pair = tuple[str, int]  # address in lower case, and subscription


@dataclass(frozen=True, kw_only=True, repr=False)
class Wish:
    """What one person said about one subscription.

    Args:
        row: number in the batch.
        address: in clear.
        subscription: of the settings.
        yes: what was said.
    """

    row: int
    address: str
    subscription: Subscription
    yes: bool

    @property
    def pair(self) -> _Pair:
        """What HubSpot keeps one status for."""
        return self.address.lower(), self.subscription.number


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What HubSpot says of some people before anything is written.

    Args:
        known: addresses that it answered for.
        states: by address and subscription, where there is one.
        from_all: addresses that want no mail at all.
    """

    known: frozenset[str]
    states: Mapping[_Pair, str]
    from_all: frozenset[str]


def require_subscription_fields(
    context: DestinationContext, subscriptions: Mapping[str, Subscription]
) -> None:
    """Refuse a mapping whose subscriptions cannot be told.

    Raises:
        ConfigError: `unknown_subscription`, `subscription_type`, `no_address`.
    """
    columns = context.columns
    for name, kind in columns.items():
        hint = "Declare it under `subscriptions`, with the id that HubSpot has for it."
        SAID.require_declared(name, subscriptions, hint=hint)
        SAID.require_truth_value(name, kind)
    mapped = [name for name in columns if name.startswith(SUBSCRIPTION)]
    if mapped and context.forms.get(ADDRESS) is not Form.CLEAR:
        raise ConfigError(
            "no_address",
            "Subscriptions are told by address, and the mapping has no `email` in clear.",
            hint="Map the column with the address to `email`, too.",
        )


def wishes(
    rows: pa.Table, subscriptions: Mapping[str, Subscription], numbers: Sequence[int]
) -> list[Wish]:
    """What the people of some rows said. Pure.

    Args:
        rows: of the batch.
        subscriptions: by name.
        numbers: of the rows, in the batch.
    """
    fields = [name for name in rows.column_names if name.startswith(SUBSCRIPTION)]
    if not fields or not numbers:
        return []
    taken = rows.select([ADDRESS, *fields]).take(list(numbers))
    said = [taken.column(name).to_pylist() for name in fields]
    found = []
    for place, address in enumerate(taken.column(ADDRESS).to_pylist()):
        for name, column in zip(fields, said, strict=True):
            if address and column[place] is not None:
                chosen = subscriptions[name.removeprefix(SUBSCRIPTION)]
                wish = Wish(
                    row=numbers[place],
                    address=str(address).strip(),
                    subscription=chosen,
                    yes=column[place],
                )
                found.append(wish)
    return found


async def tell(api: HubspotApi, narrowing: Narrowing, said: Sequence[Wish]) -> Mapping[int, Told]:
    """Write what people said, and answer for the rows where something else was done.

    Where HubSpot says that a person wants no such mail, a yes of the source is not written. Where
    one refused between the question and the writing, the refusal is written again.

    Raises:
        EngineError: as `HubspotApi.call`, and `Narrowing.send`.
    """
    telling = _Telling(api, narrowing)
    standing = await telling.standing([w for w in said if w.yes])
    chosen: list[Wish] = []
    for wish in said:
        outcome = _instead(wish, standing) if wish.yes else None
        if outcome is not None:
            telling.note(wish.row, outcome)
        elif not wish.yes or standing.states.get(wish.pair) != "SUBSCRIBED":
            chosen.append(wish)
    await telling.write(chosen)
    back = [replace(wish, yes=False) for wish in telling.turned]
    for wish in back:
        telling.note(wish.row, _REFUSED_THERE)
    await telling.write(back)
    return telling.told


class _Telling:
    """Questions and writings of one part, and what came of them."""

    def __init__(self, api: HubspotApi, narrowing: Narrowing) -> None:
        self._api = api
        self._narrowing = narrowing
        self.told: dict[int, tuple[OutcomeCode, Reason | None]] = {}
        self.turned: list[Wish] = []

    def note(self, row: int, outcome: tuple[OutcomeCode, Reason | None]) -> None:
        """Of two outcomes of a row, the one that asks for more stands."""
        if row not in self.told or outcome[0] > self.told[row][0]:
            self.told[row] = outcome

    async def standing(self, said: Sequence[Wish]) -> Standing:
        """What HubSpot says of these people."""
        addresses = list(dict.fromkeys(wish.address.lower() for wish in said))
        known: set[str] = set()
        states: dict[_Pair, str] = {}
        from_all: set[str] = set()

        async def ask(some: Sequence[str]) -> None:
            body = orjson.dumps({"inputs": list(some)})
            found = standing(await self._ask("read", body), await self._ask(_ALL, body))
            known.update(found.known)
            states.update(found.states)
            from_all.update(found.from_all)

        # Who HubSpot gives no status of is not `known`.
        await self._narrowing.send(addresses, ask, lambda *_: None)
        return Standing(known=frozenset(known), states=states, from_all=frozenset(from_all))

    async def write(self, said: Sequence[Wish]) -> None:
        """Write what was said; a person who is subscribed anew by it is noted in `turned`."""
        for first in range(0, len(said), ROWS_MAX):
            await self._narrowing.send(said[first : first + ROWS_MAX], self._write, self._refuse)

    async def _ask(self, what: str, body: bytes) -> Mapping[str, Any]:
        path = self._api.settings.path("communication-preferences", f"statuses/batch/{what}")
        return await self._api.call("POST", path, body, params={"channel": "EMAIL"})

    async def _write(self, said: Sequence[Wish]) -> None:
        path = self._api.settings.path("communication-preferences", "statuses/batch/write")
        body = orjson.dumps({"inputs": [_input(wish) for wish in said]})
        done = _by_pair(await self._api.call("POST", path, body))
        for wish in said:
            entry = done.get(wish.pair, {})
            if entry.get("status") != ("SUBSCRIBED" if wish.yes else "UNSUBSCRIBED"):
                self._refuse(wish)
            elif wish.yes and entry.get("setStatusSuccessReason") == "RESUBSCRIBE_OCCURRED":
                self.turned.append(wish)

    def _refuse(self, wish: Wish, error: RequestRefusedError | None = None) -> None:
        # A refusal is sent until it is there.
        code = OutcomeCode.REJECTED if wish.yes else OutcomeCode.DEFERRED
        vendor = error.code if error is not None else ""
        self.note(wish.row, (code, Reason(code="subscription_refused", vendor_code=vendor)))


def _instead(wish: Wish, standing: Standing) -> tuple[OutcomeCode, Reason] | None:
    """Why a yes is not written, None where it may be."""
    address, _ = wish.pair
    if address not in standing.known:
        return _UNKNOWN
    refused = address in standing.from_all or standing.states.get(wish.pair) == "UNSUBSCRIBED"
    return _REFUSED_THERE if refused else None


def standing(one: Mapping[str, Any], everything: Mapping[str, Any]) -> Standing:
    """What the two answers say: of each subscription, and of all mail. Pure.

    Raises:
        ContractError: `unknown_answer`.
    """
    states: dict[_Pair, str] = {}
    asked: list[frozenset[str]] = []
    from_all: set[str] = set()
    for reply, name in ((one, "statuses"), (everything, "wideStatuses")):
        seen: set[str] = set()
        for entry in _list(reply.get("results")):
            address = str(entry.get("subscriberIdString", "")).lower()
            seen.add(address)
            for status in _list(entry.get(name)):
                state = status.get("status")
                if state not in _STATES:
                    raise _unfit()
                if name == "wideStatuses" and state == "UNSUBSCRIBED":
                    from_all.add(address)
                elif name == "statuses":
                    number = str(status.get("subscriptionId", ""))
                    if not number.isdigit():
                        raise _unfit()
                    states[address, int(number)] = state
        asked.append(frozenset(seen))
    return Standing(known=asked[0] & asked[1], states=states, from_all=frozenset(from_all))


def _by_pair(reply: Mapping[str, Any]) -> dict[_Pair, Mapping[str, Any]]:
    made: dict[_Pair, Mapping[str, Any]] = {}
    for entry in _list(reply.get("results")):
        number = str(entry.get("subscriptionId", ""))
        if not number.isdigit():
            raise _unfit()
        made[str(entry.get("subscriberIdString", "")).lower(), int(number)] = entry
    return made


def _input(wish: Wish) -> dict[str, Any]:
    made: dict[str, Any] = {
        "subscriberIdString": wish.address,
        "channel": "EMAIL",
        "subscriptionId": wish.subscription.number,
        "statusState": "SUBSCRIBED" if wish.yes else "UNSUBSCRIBED",
    }
    if wish.subscription.legal_basis:
        made["legalBasis"] = wish.subscription.legal_basis
    if wish.subscription.explanation:
        made["legalBasisExplanation"] = wish.subscription.explanation
    return made


def _list(value: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise _unfit()
    return value


def _unfit() -> ContractError:
    return ContractError("unknown_answer", f"{VENDOR}'s answer about subscriptions is not known.")
