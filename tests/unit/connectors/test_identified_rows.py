"""Rows of an audience sent to its one list, a part after the other."""

from __future__ import annotations

import asyncio

import pytest

from mayfly.connectors.audience_lists import AudienceList
from mayfly.connectors.identified_rows import AudienceRows, Part
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import FieldSpec, Progress
from mayfly.privacy.gate import Form
from scripted_http import batch, digest

SPECS = {"EMAIL": FieldSpec(name="EMAIL", kind="email", form=Form.DIGEST, identifier=True)}


class Account:
    """With a list where `has_one`; `sent` has how many rows went in each request, and whether they
    were added.
    """

    def __init__(self, *, has_one: bool = False) -> None:
        self.has_one, self.made = has_one, 0
        self.sent: list[tuple[int, bool]] = []
        self.is_away = False

    async def by_id(self, list_id: str) -> str | None:
        """None is configured so."""
        raise AssertionError(list_id)

    async def named(self, name: str) -> str | None:
        """The list."""
        return name if self.has_one else None

    async def make(self) -> str:
        """A new one."""
        self.made += 1
        return "VIP"

    async def send(self, part: Part, found: str, adds: bool) -> Outcomes:
        """Takes everybody."""
        assert found == "VIP"
        if self.is_away:
            raise TransientError("destination_busy", "later")
        self.sent.append((part.table.num_rows, adds))
        return Outcomes.all_of(OutcomeCode.ACCEPTED, len(part.sent))

    def rows(self) -> AudienceRows[str]:
        """Two in a part."""
        audience = AudienceList(
            self,
            audience="VIP",
            is_id=False,
            id_of=str,
            make=self.make,
            require=lambda _: None,
            missing=lambda: ConfigError("audience_missing", "none"),
        )
        return AudienceRows(audience, specs=SPECS, vendor="Acme", rows_max=2, send=self.send)


def test_who_has_no_identifier_is_rejected_unsent() -> None:
    """A part in which nobody has one is no request."""
    account = Account()
    people = batch(Operation.ADD, "EMAIL", [digest(1), None, None, None, digest(2)])
    done = asyncio.run(account.rows().send(people, Progress(rows=5), ("EMAIL",), adds=True))
    assert done.outcomes.codes.to_pylist() == [0, 2, 2, 2, 0]
    assert set(done.outcomes.reasons.values()) == {Reason(code="no_identifier")}
    assert (account.sent, account.made) == ([(1, True), (1, True)], 1)


def test_of_a_list_that_is_not_there_everybody_is_removed() -> None:
    """None is made for that; of one that is there they are."""
    people = batch(Operation.REMOVE, "EMAIL", [digest(1), digest(2), digest(3)])
    for has_one, sent in ((False, []), (True, [(2, False), (1, False)])):
        account = Account(has_one=has_one)
        done = asyncio.run(account.rows().send(people, Progress(rows=3), ("EMAIL",), adds=False))
        assert done.outcomes.codes.to_pylist() == [0, 0, 0]
        assert (account.sent, account.made) == (sent, 0)


def test_a_batch_goes_on_behind_what_was_answered() -> None:
    """After a failure only the rest is sent."""
    account, progress = Account(has_one=True), Progress(rows=3, next_row=0)
    people = batch(Operation.ADD, "EMAIL", [digest(1), digest(2), digest(3)])
    rows = account.rows()
    progress.rows_done(Outcomes.all_of(OutcomeCode.ACCEPTED, 2))
    account.is_away = True
    with pytest.raises(TransientError):
        asyncio.run(rows.send(people, progress, ("EMAIL",), adds=True))
    account.is_away = False
    asyncio.run(rows.send(people, progress, ("EMAIL",), adds=True))
    assert account.sent == [(1, True)]
