"""What people said about mail, told to Intercom: a refusal there is never made a yes.

A field `subscription.NAME` of the mapping holds what a person said at the source: true, false, or
nothing, which is told to nobody. Intercom lists of a contact the opt-out types that were refused
and the opt-in types that were agreed to; of an opt-in type that is in no list it does not say
whether a person refused or was never asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import pyarrow as pa

from mayfly.connectors.consent_fields import ConsentFields
from mayfly.connectors.destinations import intercom_answers as said
from mayfly.connectors.destinations.intercom_answers import Contact, GoneError
from mayfly.connectors.destinations.intercom_api import NO_MAIL, SUBSCRIPTION, IntercomApi
from mayfly.connectors.row_parts import Told
from mayfly.domain.errors import ConfigError
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.destination import DestinationContext

SAID = ConsentFields(vendor=said.VENDOR, noun="subscription")
REFUSED_THERE: Told = (OutcomeCode.UNCONFIRMED, Reason(code="unsubscribed_there"))
UNKNOWN_THERE: Told = (OutcomeCode.UNCONFIRMED, Reason(code="consent_unknown_there"))


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What one person said about one subscription type."""

    subscription: str
    is_opt_in: bool
    yes: bool


def require_subscription_fields(
    context: DestinationContext, subscriptions: Mapping[str, str]
) -> None:
    """Refuse a mapping whose subscriptions cannot be told.

    Raises:
        ConfigError: `unknown_subscription`, `subscription_type`.
    """
    for name, kind in context.columns.items():
        hint = "Declare it under `subscriptions`, with the id that Intercom has for it."
        SAID.require_declared(name, subscriptions, hint=hint)
        if (name.startswith(SUBSCRIPTION) or name == NO_MAIL) and not pa.types.is_boolean(kind):
            raise ConfigError(
                "subscription_type",
                f"{name} takes true, false or nothing, and its column is no truth value.",
                hint="Make one in the model's SQL: null where nobody asked.",
            )


async def tell(api: IntercomApi, contact: Contact, wishes: list[Wish], *, is_new: bool) -> Told:
    """Write what a person said; the outcome of their row.

    Args:
        api: of the workspace.
        contact: that the row was written to.
        wishes: what they said.
        is_new: whether the contact was made by this very write, so that nobody refused before.

    Raises:
        EngineError: as `IntercomApi.call`.
    """
    outcome: Told = (OutcomeCode.ACCEPTED, None)
    path = f"contacts/{contact.record}/subscriptions"
    listed: set[str] | None = None
    for wish in wishes:
        if wish.yes and listed is None and not is_new:
            listed = {said.record_id(e) for e in said.entries(await api.ask("GET", path))}
        instead = _instead(wish, contact, listed or set(), is_new=is_new) if wish.yes else None
        if instead is not None:
            outcome = instead
        elif wish.is_opt_in and not wish.yes:
            await _withdraw(api, f"{path}/{wish.subscription}")
        elif wish.is_opt_in != wish.yes or wish.subscription in (listed or ()):
            continue  # an opt-out type that was not refused, or what is there already
        else:
            kind = "opt_in" if wish.is_opt_in else "opt_out"
            body = {"id": wish.subscription, "consent_type": kind}
            await api.call("POST", path, orjson.dumps(body))
    return outcome


def _instead(wish: Wish, contact: Contact, listed: set[str], *, is_new: bool) -> Told | None:
    """Why a yes is not written, None where it may be."""
    if contact.wants_no_mail is True:
        return REFUSED_THERE
    if not wish.is_opt_in:
        return REFUSED_THERE if wish.subscription in listed else None
    return None if is_new or wish.subscription in listed else UNKNOWN_THERE


async def _withdraw(api: IntercomApi, path: str) -> None:
    try:
        await api.call("DELETE", path)
    except GoneError:
        return  # never agreed to
