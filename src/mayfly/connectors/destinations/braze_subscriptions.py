"""What people said, told to Braze: a refusal there is never made a yes.

A field `subscription.NAME` of the mapping holds what a person said at the source: true, false, or
nothing, which is told to nobody. A yes is written where Braze has the profile, with the address of
the row, and no refusal in it: a state belongs to an address, which another profile may have, too.
Of subscription groups Braze tells states by an address that names the person, which Mayfly does not
call: they are told refusals alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa

from mayfly.connectors.consent_fields import ConsentFields
from mayfly.connectors.destinations.braze_answers import VENDOR, tracked
from mayfly.connectors.destinations.braze_api import BrazeApi, Subscription
from mayfly.connectors.destinations.braze_requests import KEY, SUBSCRIPTION
from mayfly.connectors.narrowing import Narrowing
from mayfly.connectors.row_parts import Told, note_worse, refused_row
from mayfly.domain.errors import RequestRefusedError
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.destination import DestinationContext

SAID = ConsentFields(vendor=VENDOR, noun="subscription")
OUT, IN = "unsubscribed", "opted_in"
_REFUSED_THERE = (OutcomeCode.UNCONFIRMED, Reason(code="unsubscribed_there"))
_NOT_TOLD = (OutcomeCode.UNCONFIRMED, Reason(code="yes_not_told"))
_UNKNOWN = (OutcomeCode.DEFERRED, Reason(code="status_unknown"))


@dataclass(frozen=True, kw_only=True, repr=False)
class Wish:
    """What one person said about one thing.

    Args:
        row: number in the batch.
        person: external id.
        address: the row's e-mail address; empty where it has none.
        subscription: of the settings.
        yes: what was said.
    """

    row: int
    person: str
    address: str
    subscription: Subscription
    yes: bool


def require_subscription_fields(
    context: DestinationContext, subscriptions: Mapping[str, Subscription]
) -> None:
    """Refuse a mapping whose subscriptions cannot be told.

    Raises:
        ConfigError: `unknown_subscription`, `subscription_type`.
    """
    for name, kind in context.columns.items():
        hint = "Declare it under `subscriptions`, with its state or group."
        SAID.require_declared(name, subscriptions, hint=hint)
        SAID.require_truth_value(name, kind)


def wishes(
    rows: pa.Table,
    ids: pa.Array,
    addresses: Sequence[str],
    subscriptions: Mapping[str, Subscription],
    numbers: Sequence[int],
) -> list[Wish]:
    """What the people of some rows said. Pure.

    Args:
        rows: of the batch.
        ids: external ids of all of them.
        addresses: of all of them.
        subscriptions: by name.
        numbers: of the rows, in the batch.
    """
    fields = [name for name in rows.column_names if name.startswith(SUBSCRIPTION)]
    if not fields or not numbers:
        return []
    taken = rows.select(fields).take(list(numbers))
    people = ids.take(pa.array(numbers, pa.int64())).to_pylist()
    return [
        Wish(
            row=row,
            person=person,
            address=addresses[row],
            subscription=subscriptions[name.removeprefix(SUBSCRIPTION)],
            yes=said,
        )
        for name in fields
        for row, person, said in zip(numbers, people, taken.column(name).to_pylist(), strict=True)
        if said is not None and person.strip()
    ]


async def standing(api: BrazeApi, said: Sequence[Wish]) -> dict[str, Mapping[str, Any]]:
    """What Braze has of people who said something, by external id.

    Raises:
        EngineError: as `BrazeApi.of_ids`.
    """
    people = list(dict.fromkeys(wish.person for wish in said))
    return await api.of_ids(people, ["email", "email_subscribe", "push_subscribe"])


async def tell(
    api: BrazeApi,
    narrowing: Narrowing,
    said: Sequence[Wish],
    there: Mapping[str, Mapping[str, Any]],
    *,
    written: frozenset[int],
) -> dict[int, Told]:
    """Write what people said; outcomes of the rows where something else was done.

    Args:
        api: of the workspace.
        narrowing: of these requests.
        said: by some rows.
        there: what Braze had before anything was written.
        written: rows whose profiles are there, or on their way; a refusal of another is told where
            the profile is.

    Raises:
        EngineError: as `BrazeApi.call`, and `Narrowing.send`.
    """
    told: dict[int, Told] = {}
    bodies: dict[int, dict[str, Any]] = {}
    refusing: set[int] = set()
    for wish in said:
        outcome = _instead(wish, there.get(wish.person)) if wish.yes else None
        if outcome is not None:
            if outcome[0] is not OutcomeCode.ACCEPTED:
                note_worse(told, {wish.row: outcome})
            continue
        if not wish.yes:
            refusing.add(wish.row)
        body = bodies.setdefault(wish.row, {KEY: wish.person})
        if wish.row not in written:
            body["_update_existing_only"] = True
        if wish.subscription.state:
            body[wish.subscription.state] = IN if wish.yes else OUT
        else:
            state = {"subscription_group_id": wish.subscription.group, "subscription_state": OUT}
            body.setdefault("subscription_groups", []).append(state)

    async def ask(rows: Sequence[int]) -> None:
        reply = await api.call(
            "users/track", orjson.dumps({"attributes": [bodies[row] for row in rows]})
        )
        for row, outcome in tracked(reply, rows).items():
            note_worse(told, {row: _refused(outcome, refuses=row in refusing)})

    def refuse(row: int, error: RequestRefusedError) -> None:
        note_worse(told, {row: _refused(refused_row(error), refuses=row in refusing)})

    await narrowing.send(list(bodies), ask, refuse)
    return told


def _instead(wish: Wish, profile: Mapping[str, Any] | None) -> Told | None:
    """Why a yes is not written, None where it may be; ACCEPTED where it is there."""
    state = wish.subscription.state
    if not state:
        return _NOT_TOLD
    if profile is None:
        return _UNKNOWN
    address = str(profile.get("email") or "").strip().lower()
    if state == "email_subscribe" and wish.address and wish.address != address:
        # The state that Braze has for the row's address is not known.
        return _UNKNOWN
    match profile.get(state):
        case "unsubscribed":
            return _REFUSED_THERE
        case "opted_in":
            return OutcomeCode.ACCEPTED, None
        case "subscribed" | None:
            return None
    return _UNKNOWN


def _refused(outcome: Told, *, refuses: bool) -> Told:
    """Braze did not plainly take what was said: a refusal is sent until it is there."""
    code = OutcomeCode.DEFERRED if refuses else outcome[0]
    vendor = outcome[1].vendor_code if outcome[1] is not None else ""
    return code, Reason(code="subscription_refused", vendor_code=vendor)
