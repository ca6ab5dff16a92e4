"""The one list that a sync fills, and which fields a batch of its people goes by."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from mayfly.connectors.audience_changes import AudienceChanges, adds, require_one_identifier
from mayfly.connectors.audience_lists import AudienceList, gone, require_not_renamed, the_one
from mayfly.domain.batch import Operation
from mayfly.domain.errors import ConfigError, ContractError, EngineError, IntegrityError
from mayfly.ports.destination import Done, Progress
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from scripted_http import batch, digest


@dataclass
class Account:
    """Lists by id, each its name; every question is counted."""

    lists: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def by_id(self, list_id: str) -> str | None:
        """The id itself stands for the list."""
        self.asked.append(list_id)
        await asyncio.sleep(0)
        return list_id if list_id in self.lists else None

    async def named(self, name: str) -> str | None:
        """The one of that name."""
        self.asked.append(name)
        await asyncio.sleep(0)
        return next((key for key, value in self.lists.items() if value == name), None)

    async def make(self) -> str:
        """A list of the name VIP."""
        self.lists["new"] = "VIP"
        return "new"


def the_list(account: Account, audience: str = "VIP", *, refuses: bool = False) -> Any:
    """Of an account; an audience that begins with # is an id."""

    def require(found: str) -> None:
        if refuses:
            raise ConfigError("audience_of_other_kind", found)

    return AudienceList(
        account,
        audience=audience,
        is_id=audience.startswith("#"),
        id_of=lambda found: found,
        make=account.make,
        require=require,
        missing=lambda: ConfigError("audience_missing", "none"),
    )


def code_of(scenario: Any) -> str:
    """Of the error that it raises."""
    with pytest.raises(EngineError) as told:
        asyncio.run(scenario)
    return told.value.code


def test_batches_at_the_same_time_make_one_list() -> None:
    """And look it up once."""
    account = Account()
    found = the_list(account)

    async def scenario() -> list[str | None]:
        return await asyncio.gather(*(found.found(create=True) for _ in range(3)))

    assert asyncio.run(scenario()) == ["new"] * 3
    assert account.asked == ["VIP"]


def test_nothing_is_made_to_remove_from_or_by_an_id() -> None:
    """An id that is not there is a mistake, where a name is only not there yet."""
    account = Account()
    assert asyncio.run(the_list(account).found(create=False)) is None
    assert asyncio.run(the_list(account, "#1").found(create=True)) is None
    assert asyncio.run(the_list(account).locate(None)) is None
    assert code_of(the_list(account, "#1").locate(None)) == "audience_missing"
    assert not account.lists


def test_a_list_that_is_refused_is_refused_each_time() -> None:
    """It is not remembered as found."""
    found = the_list(Account({"a": "VIP"}), refuses=True)
    assert code_of(found.found(create=True)) == "audience_of_other_kind"
    assert code_of(found.found(create=True)) == "audience_of_other_kind"


def test_another_list_is_not_begun_while_the_one_of_before_is_there() -> None:
    """What was filled so far would stay, and nobody would take people from it."""
    account = Account({"a": "Old", "b": "VIP"})
    assert asyncio.run(the_list(account).locate("b")) == "b"
    assert asyncio.run(the_list(account).locate("deleted")) == "b"
    assert code_of(the_list(account).locate("a")) == "audience_renamed"
    assert code_of(the_list(Account({"a": "Old"})).locate("a")) == "audience_renamed"
    assert asyncio.run(require_not_renamed(account, None, "b")) is None


def test_of_several_lists_of_a_name_none_is_chosen() -> None:
    """The message counts them, and tells what to do."""
    assert the_one({}, of="lists of the account", hint="") is None
    assert the_one({"1": "x"}, of="lists of the account", hint="") == "x"
    with pytest.raises(ConfigError) as told:
        the_one({"1": "x", "2": "y"}, of="lists of the account", hint="Rename one.")
    assert told.value.message == "2 lists of the account have the configured name."
    assert (told.value.code, told.value.hint) == ("audience_ambiguous", "Rename one.")
    assert gone().code == "audience_gone"


def changes() -> tuple[AudienceChanges, list[tuple[tuple[str, ...], bool]]]:
    """Of an audience by e-mail and name; and what it was asked to send."""
    sent: list[tuple[tuple[str, ...], bool]] = []

    async def send(
        rows: ProtectedBatch, progress: Progress, fields: tuple[str, ...], *, adds: bool
    ) -> Done:
        assert progress.rows == len(rows)
        sent.append((fields, adds))
        return Done(outcomes=None)  # type: ignore[arg-type]

    return AudienceChanges(fields=("EMAIL", "NAME"), identifiers=("EMAIL",), send=send), sent


def rows(operation: Operation, *columns: str) -> ProtectedBatch:
    """One person; a removal is by the first column."""
    one = batch(operation, columns[0], [digest(1)])
    table = pa.table({name: pa.array([digest(1)], pa.binary()) for name in columns})
    return ProtectedBatch(one.head, table, dict.fromkeys(columns, Form.DIGEST), seal=THE_SEAL)


def test_people_come_by_all_fields_and_leave_by_one() -> None:
    """An erasure is by the one column that it has."""
    audience, sent = changes()
    for operation in (Operation.ADD, Operation.WRITE):
        asyncio.run(audience.write(rows(operation, "EMAIL", "NAME"), Progress(rows=1)))
    removal = rows(Operation.REMOVE, "EMAIL")
    asyncio.run(audience.write(removal, Progress(rows=1)))
    asyncio.run(audience.erase(removal))
    assert sent == [(("EMAIL", "NAME"), True)] * 2 + [(("EMAIL",), False)] * 2


def test_what_is_no_change_of_an_audience_is_sent_nowhere() -> None:
    """Inserts, removals by what tells nobody, and rows that did not pass the gate."""
    audience, sent = changes()
    insert = rows(Operation.INSERT, "EMAIL")
    assert code_of(audience.write(insert, Progress(rows=1))) == "unknown_operation"
    removal = rows(Operation.REMOVE, "NAME")
    assert code_of(audience.write(removal, Progress(rows=1))) == "one_identifier"
    assert code_of(audience.erase(rows(Operation.REMOVE, "EMAIL", "NAME"))) == "one_identifier"
    for act in (audience.erase, lambda x: audience.write(x, Progress(rows=1))):
        with pytest.raises(IntegrityError, match="not_through_the_gate"):
            asyncio.run(act({"EMAIL": [digest(1)]}))
    assert sent == []
    with pytest.raises(ContractError, match="unknown_operation"):
        adds(insert.head)
    with pytest.raises(ContractError, match="one_identifier"):
        require_one_identifier((), ("EMAIL",))
