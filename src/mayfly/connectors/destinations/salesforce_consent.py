"""What people said, told to Salesforce: a refusal there is never made a yes.

A field `consent.NAME` of the mapping holds what a person said at the source: true, false, or
nothing, which is told to nobody. A flag of the record is only ever set, never taken away. A yes to
a purpose is a record of its own: none that is there is changed for it, so that a refusal that comes
at the same time stands beside it, is seen, and undoes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from mayfly.connectors.consent_fields import ConsentFields
from mayfly.connectors.destinations.salesforce_answers import VENDOR, record_id
from mayfly.connectors.destinations.salesforce_api import FLAGS, Consent
from mayfly.connectors.destinations.salesforce_records import RecordCalls, questions
from mayfly.connectors.destinations.salesforce_requests import CONSENT
from mayfly.connectors.row_parts import Told, note_worse
from mayfly.domain.errors import ConfigError
from mayfly.domain.outcomes import OutcomeCode, Reason
from mayfly.ports.destination import DestinationContext

SAID = ConsentFields(vendor=VENDOR, noun="consent")
OBJECT = "ContactPointTypeConsent"
IN, OUT = "OptIn", "OptOut"
GENERAL = {"Email": "HasOptedOutOfEmail", "Phone": "DoNotCall"}
"""Flags of a record that refuse everything that comes to a kind of address."""
_STATES = (IN, OUT, "Seen", "NotSeen")
_REFUSED_THERE = (OutcomeCode.UNCONFIRMED, Reason(code="refused_there"))
_MISSING = (OutcomeCode.DEFERRED, Reason(code="record_missing"))
_INDIVIDUAL = "IndividualId"


@dataclass(frozen=True, kw_only=True, repr=False)
class Wish:
    """What one person said about one thing.

    Args:
        row: number in the batch.
        name: of the consent.
        yes: what was said.
    """

    row: int
    name: str
    yes: bool


def require_consent_fields(context: DestinationContext, consents: Mapping[str, Consent]) -> None:
    """Refuse a mapping whose consents cannot be told, and one that would write over refusals.

    Raises:
        ConfigError: `unknown_consent`, `consent_type`, `opt_out_field`.
    """
    for name, kind in context.columns.items():
        if _holds_refusals(name):
            raise ConfigError(
                "opt_out_field",
                f"{name} holds refusals of {VENDOR}'s own, which a mapping would write over.",
                hint=f"Declare a consent with a flag, and map {CONSENT}NAME: true where the person "
                f"agreed. Flags are {', '.join(FLAGS)}.",
            )
        hint = "Declare it under `consents`: its flag, or its contact point and purpose."
        SAID.require_declared(name, consents, hint=hint)
        SAID.require_truth_value(name, kind)


def _holds_refusals(name: str) -> bool:
    """Whether a field is one of Salesforce's own that says what a person does not want; those of
    person accounts have a longer name.
    """
    field = name.rpartition(".")[2]
    return "HasOptedOut" in field or field.endswith("DoNotCall") or field == "ShouldForget"


def wishes(rows: pa.Table, numbers: Sequence[int]) -> list[Wish]:
    """What the people of some rows said. Pure."""
    fields = [name for name in rows.column_names if name.startswith(CONSENT)]
    if not fields or not numbers:
        return []
    taken = rows.select(fields).take(list(numbers))
    return [
        Wish(row=row, name=name.removeprefix(CONSENT), yes=said)
        for name in fields
        for row, said in zip(numbers, taken.column(name).to_pylist(), strict=True)
        if said is not None
    ]


class Telling:
    """Tells what some people said, and keeps the rows for which something else was done.

    Args:
        calls: about records.
        kind: the object that people are of.
        consents: by name.
        flags: of `GENERAL`, those that the object has.
        now: seconds since 1970.
    """

    def __init__(
        self,
        calls: RecordCalls,
        kind: str,
        consents: Mapping[str, Consent],
        *,
        flags: Sequence[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._calls = calls
        self._kind = kind
        self._consents = consents
        self._flags = flags
        self._now = now
        self.told: dict[int, Told] = {}

    async def tell(self, said: Sequence[Wish], ids: Mapping[int, str]) -> None:
        """Refusals first: a yes of another row about the same person meets them.

        Args:
            said: by rows that have a record.
            ids: of the records, by row.

        Raises:
            EngineError: as `RecordCalls`.
        """
        if not said:
            return
        records = sorted({ids[wish.row] for wish in said})
        there = await self._calls.read(self._kind, records, self._asked_for())
        for yes in (False, True):
            of_kind = [w for w in said if w.yes is yes]
            for wish in [w for w in of_kind if ids[w.row] not in there]:
                self._note(wish.row, _MISSING)
            known = [w for w in of_kind if ids[w.row] in there]
            await self._flag([w for w in known if self._consents[w.name].flag], ids, there, yes=yes)
            for name, consent in self._consents.items():
                named = [w for w in known if w.name == name and not consent.flag]
                if named:
                    await self._of_purpose(named, ids, there, yes=yes)

    def _asked_for(self) -> list[str]:
        flags = {c.flag for c in self._consents.values() if c.flag}
        by_purpose = [c for c in self._consents.values() if not c.flag]
        flags |= {
            GENERAL[c.contact_point]
            for c in by_purpose
            if GENERAL.get(c.contact_point) in self._flags
        }
        party = [_INDIVIDUAL] if by_purpose and self._kind != "Individual" else []
        return [*sorted(flags), *party]

    def _note(self, row: int, outcome: Told) -> None:
        note_worse(self.told, {row: outcome})

    async def _flag(
        self,
        said: Sequence[Wish],
        ids: Mapping[int, str],
        there: Mapping[str, Mapping[str, Any]],
        *,
        yes: bool,
    ) -> None:
        """Set flags of who refuses. A yes where one is set is not told, and needs no telling where
        none is.
        """
        changes: dict[int, dict[str, Any]] = {}
        for wish in said:
            record, flag = ids[wish.row], self._consents[wish.name].flag
            is_set = there[record].get(flag) is True
            if yes and is_set:
                self._note(wish.row, _REFUSED_THERE)
            elif not yes and not is_set:
                change = {"attributes": {"type": self._kind}, "id": record}
                changes.setdefault(wish.row, change)[flag] = True
        rows = list(changes)
        outcomes = await self._calls.write("PATCH", [changes[row] for row in rows], FLAGS)
        for row, outcome in zip(rows, outcomes, strict=True):
            self._refused(row, outcome, yes=False)

    async def _of_purpose(
        self,
        said: Sequence[Wish],
        ids: Mapping[int, str],
        there: Mapping[str, Mapping[str, Any]],
        *,
        yes: bool,
    ) -> None:
        """Of one purpose."""
        consent = self._consents[said[0].name]
        parties: dict[str, list[int]] = {}
        for wish in said:
            record = there[ids[wish.row]]
            party = ids[wish.row] if self._kind == "Individual" else record.get(_INDIVIDUAL)
            general = GENERAL.get(consent.contact_point, "")
            if yes and record.get(general) is True:
                self._note(wish.row, _REFUSED_THERE)
            elif party is None:
                code = OutcomeCode.REJECTED if yes else OutcomeCode.DEFERRED
                self._note(wish.row, (code, Reason(code="no_individual")))
            else:
                parties.setdefault(record_id(party), []).append(wish.row)
        if yes:
            await self._agree(said[0].name, parties)
        else:
            await self._refuse(said[0].name, parties)

    async def _agree(self, name: str, parties: Mapping[str, list[int]]) -> None:
        standing = await self._standing(name, parties)
        refused = {p for p, found in standing.items() if OUT in found.values()}
        fresh = [p for p in parties if p not in refused and IN not in standing[p].values()]
        await self._make(name, {p: parties[p] for p in fresh}, yes=True)
        if fresh:
            # Who refused between the question and the writing is undone at once.
            again = await self._standing(name, fresh)
            late = {p: parties[p] for p in fresh if OUT in again[p].values()}
            refused |= late.keys()
            await self._set_out(late, again)
        for party in refused:
            for row in parties[party]:
                self._note(row, _REFUSED_THERE)

    async def _refuse(self, name: str, parties: Mapping[str, list[int]]) -> None:
        standing = await self._standing(name, parties)
        await self._set_out(parties, standing)
        await self._make(name, {p: r for p, r in parties.items() if not standing[p]}, yes=False)

    async def _standing(
        self, name: str, parties: Sequence[str] | Mapping[str, Any]
    ) -> dict[str, dict[str, str]]:
        """States of a purpose by party, and by record."""
        consent = self._consents[name]
        rest = (
            f" AND ContactPointType = '{consent.contact_point}'"
            f" AND DataUsePurposeId = '{consent.data_use_purpose}'"
        )
        select = f"SELECT Id, PartyId, PrivacyConsentStatus FROM {OBJECT}"
        found: dict[str, dict[str, str]] = {party: {} for party in parties}
        for record in await self._calls.asked(
            list(questions(select, "PartyId", list(parties), rest))
        ):
            party, state = record.get("PartyId"), record.get("PrivacyConsentStatus")
            if party in found:
                found[party][record_id(record.get("Id"))] = str(state) if state in _STATES else OUT
        return found

    async def _set_out(
        self, parties: Mapping[str, list[int]], standing: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Make refusals of what else is there."""
        changes = [
            (party, record)
            for party in parties
            for record, state in standing[party].items()
            if state != OUT
        ]
        records = [
            {"attributes": {"type": OBJECT}, "id": record, "PrivacyConsentStatus": OUT}
            for _, record in changes
        ]
        outcomes = await self._calls.write("PATCH", records, ())
        for (party, _), outcome in zip(changes, outcomes, strict=True):
            for row in parties[party]:
                self._refused(row, outcome, yes=False)

    async def _make(self, name: str, parties: Mapping[str, list[int]], *, yes: bool) -> None:
        consent = self._consents[name]
        moment = datetime.fromtimestamp(self._now(), UTC)
        made = {
            "attributes": {"type": OBJECT},
            "Name": name,
            "ContactPointType": consent.contact_point,
            "DataUsePurposeId": consent.data_use_purpose,
            "PrivacyConsentStatus": IN if yes else OUT,
            "CaptureDate": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "CaptureSource": consent.capture_source,
        }
        outcomes = await self._calls.write("POST", [made | {"PartyId": p} for p in parties], ())
        for rows, outcome in zip(parties.values(), outcomes, strict=True):
            for row in rows:
                self._refused(row, outcome, yes=yes)

    def _refused(self, row: int, outcome: Told | None, *, yes: bool) -> None:
        """Salesforce did not take what was said: a refusal is sent until it is there."""
        if outcome is None:
            return
        code = outcome[0] if yes else OutcomeCode.DEFERRED
        vendor = outcome[1].vendor_code if outcome[1] is not None else ""
        self._note(row, (code, Reason(code="consent_refused", vendor_code=vendor)))
