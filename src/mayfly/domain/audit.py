"""Administrative acts: what somebody did to the workspace, in ids and fingerprints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ACTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "approve": "a sync was approved",
        "approve.request": "approval of a sync was asked for",
        "approve.ai": "the transfer of AI at global was signed",
        "approve.ai_request": "approval of the transfer of AI at global was asked for",
        "reject": "a sync was rejected",
        "people": "the list of people who approve was accepted, or its change signed",
        "pause": "a sync was paused",
        "resume": "a pause was ended",
        "cancel": "a run was asked to end",
        "suppress.add": "identifiers were suppressed",
        "suppress.remove": "identifiers were taken off the suppression list",
        "purge": "what waits of a sync was ended",
        "erase": "a request for a person was received",
        "erase.resume": "open requests for people were gone on with",
        "erase.cancel": "a request of which nobody was asked yet was ended",
        "erase.extend": "the time limit of a request was made longer",
        "access": "a person was told what concerns them",
        "connect": "a credential of a destination was stored",
        "disconnect": "credentials of a destination were deleted",
        "keys.rotate": "a version of the key encryption key was made",
        "keys.rewrap": "keys were wrapped anew",
        "keys.destroy": "a version of the key encryption key was destroyed",
        "state.drop": "what was delivered was forgotten",
        "state.adopt": "a sync goes on from a state",
        "state.move": "a state follows its sync",
        "state.as_delivered": "what another tool sent was taken as delivered",
        "uninstall": "everything of Mayfly's was taken out of a source",
        "retry": "rejected rows are tried again",
        "test": "people who do not exist were sent and taken back",
        "run.accept_removals": "a mass change was let through once",
        "run.resend": "batches in doubt are sent again",
        "run.skip": "batches in doubt are taken as sent",
        "processors.notify": "subscribers were told of changed sub-processors",
        "processors.subscribe": "somebody is told of sub-processors from now on",
        "processors.unsubscribe": "somebody is told of sub-processors no more",
        "processors.object": "a sub-processor was objected to, or that was taken back",
        "incidents.close": "an incident was closed",
        "audit.forget": "the name of an actor was deleted",
    }
)
"""Every act, by the name that the ledger has of it."""


@dataclass(frozen=True, kw_only=True)
class OpenAct:
    """An act that began and is not on the ledger yet.

    Args:
        id: of this record.
        action: one of `ACTS`.
        object: kind and name of what it is about, such as `sync/to_crm`.
        target: under which it is done.
        actor: id of who acts.
        before, after: SHA-256 of what the object was and is, in hex; empty where it was nothing, or
            cannot be told.
        outcome: empty while it goes on; then `done`, or the code that it ended with.
        rows: that it is about.
        holder: the process that does it.
    """

    id: str
    action: str
    object: str
    target: str
    actor: str
    before: str
    after: str = ""
    outcome: str = ""
    rows: int = 0
    holder: str
