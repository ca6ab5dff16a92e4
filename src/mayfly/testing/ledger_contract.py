"""What every ledger promises, as a suite of tests. Subclass it and give a `LedgerWorld`."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import pytest

from mayfly.domain.errors import EngineError, IntegrityError, PolicyError, UsageError
from mayfly.ledger.checkpoint import ListHead, Signer, verify_checkpoint
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ledger.verify import Report, verify_ledger, verify_proof
from mayfly.ports.ledger import KeyTimes, Ledger, ListLedger, Recipient

SIGNER = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
OTHER = Signer.from_seed(workspace="shop", seed=bytes(32))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class SignedLedger(Ledger, ListLedger, Protocol):
    """All that reports and proofs ask of a ledger, beside what services do."""

    def checkpoint(self) -> str:
        """The newest signed checkpoint."""

    def consistency(self, old_size: int, size: int | None = None) -> dict[str, Any]:
        """Proof that one size is the beginning of another."""

    def inclusion(self, index: int, size: int | None = None) -> dict[str, Any]:
        """Proof that an entry is in a tree."""

    def recipients(self) -> Set[Recipient]:
        """Whom something was delivered to."""

    def key_times(self) -> KeyTimes:
        """What is on record of keys."""


@dataclass(kw_only=True)
class Clock:
    """A clock that stands until it is set."""

    now: datetime = field(default=START)

    def __call__(self) -> datetime:
        """The time it was set to."""
        return self.now


@dataclass(frozen=True, kw_only=True)
class LedgerWorld:
    """A place without a ledger.

    Args:
        create: makes an empty ledger there.
        open: opens the one that is there, as another process would.
        export: writes its files into a new folder, whatever they hold.
        edit: replaces a line by another behind the ledger's back, or takes it away; its number may
            be that of the last line plus one, to add one.
        sign: replaces the checkpoint behind its back.
        clock: of all that is opened.
    """

    create: Callable[[], SignedLedger]
    open: Callable[[Signer], SignedLedger]
    export: Callable[[], Path]
    edit: Callable[[int, str | None], None]
    sign: Callable[[str], None]
    clock: Clock

    def verified(self, *kept: Path) -> Report:
        """What the stand-alone verifier says of the exported files."""
        folder = self.export()
        return verify_ledger(folder, folder / "key.pub", kept)

    def lines(self) -> list[str]:
        """The entries' lines."""
        return (self.export() / "entries.jsonl").read_text("ascii").splitlines()


def act(kind: str, run: str = "r1", batch: int | None = None, **more: Any) -> Entry:
    """A draft of an entry."""
    known: dict[str, Any] = {"workspace": "shop", "sync": "vip", "rows": 1}
    return Entry(type=EntryType(kind), run=run, batch=batch, **(known | more))


WHOLE_RUN = [act("created"), act("delivered", batch=0), act("dropped")]


def code_of(call: Callable[[], object]) -> str:
    """Code of what a call raises."""
    with pytest.raises(EngineError) as caught:
        call()
    return caught.value.code


class LedgerContract:
    """The tests. Each gets a place without a ledger."""

    @pytest.fixture
    def world(self) -> LedgerWorld:
        """The place under test."""
        raise NotImplementedError

    @pytest.fixture
    def ledger(self, world: LedgerWorld) -> SignedLedger:
        """A new ledger there."""
        return world.create()

    def test_what_is_appended_verifies(self, world: LedgerWorld, ledger: SignedLedger) -> None:
        """Each append leaves a signed ledger that the stand-alone verifier accepts."""
        assert (ledger.size(), ledger.last_time()) == (0, None)
        assert world.verified().ok
        for number in range(5):
            world.clock.now = START + timedelta(minutes=number)
            ledger.append([act("created", f"r{number}"), act("dropped", f"r{number}")])
            report = world.verified()
            assert (report.ok, report.entries) == (True, 2 * (number + 1))
        assert (ledger.size(), ledger.last_time()) == (10, world.clock.now)
        assert [entry.seq for entry in ledger.entries()] == list(range(10))
        assert [e.to_line().decode() for e in ledger.entries()] == world.lines()

    def test_a_ledger_is_the_same_wherever_it_lies(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """The head over known entries is the one that any ledger of them has."""
        ledger.append(WHOLE_RUN)
        head = verify_checkpoint(ledger.checkpoint(), SIGNER.verifier_key)
        assert head.size == 3
        assert head.root.hex() == (
            "f636a5a99b1b85a42c8582455e2a5dd7b8fc3985f057ea808d29f5ae21c00e92"
        )

    def test_a_reopened_ledger_goes_on(
        self, world: LedgerWorld, ledger: SignedLedger, tmp_path: Path
    ) -> None:
        """Another opening rebuilds tree, size and time, and its entries extend the old ones."""
        ledger.append(WHOLE_RUN)
        kept = tmp_path / "kept"
        kept.write_text(ledger.checkpoint())
        again = world.open(SIGNER)
        assert (again.size(), again.last_time()) == (3, START)
        again.append([act("refused")])
        assert ledger.size() == 4
        report = world.verified(kept)
        assert (report.ok, report.anchored, report.entries) == (True, True, 4)

    def test_what_is_open_is_known_by_every_process(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """Copies and sealed batches without an end, the oldest first, whoever appended them; the
        first of two counts.
        """
        other = world.open(SIGNER)
        other.append([act("created"), act("held", batch=1), act("held", batch=2)])
        assert ledger.open_runs("vip", "") == ["r1"]
        assert [(b.run, b.batch, b.rows) for b in ledger.open_batches()] == [
            ("r1", 1, 1),
            ("r1", 2, 1),
        ]
        world.clock.now += timedelta(hours=1)
        ledger.append(
            [act("held"), act("held", batch=2), act("purged", batch=1), act("created", "r2")]
        )
        for each in (ledger, other, world.open(SIGNER)):
            assert [(c.run, c.created_at) for c in each.open_copies()] == [
                ("r1", START),
                ("r2", world.clock.now),
            ]
            assert [(b.batch, b.held_at) for b in each.open_batches()] == [(2, START)]
        # Sealed again, it goes on from when the first was held.
        again = replace(act("held", batch=2), age_ms=3_600_000)
        other.append([act("purged", batch=2), again])
        for each in (ledger, other, world.open(SIGNER)):
            assert [(b.batch, b.held_at) for b in each.open_batches()] == [(2, START)]
        other.append([act("expired", batch=2), act("dropped"), act("dropped", "r2")])
        assert (ledger.open_copies(), ledger.open_batches()) == ([], [])

    def test_recipients_and_keys_are_known_by_every_process(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """Who was delivered to until the state is dropped, and what became of key versions."""
        other = world.open(SIGNER)
        other.append([*WHOLE_RUN, act("rewrapped", "", kek_version="2")])
        other.append([act("kek_destroyed", "", reason="1", final_at="2026-03-01T12:00:00.000000Z")])
        assert ledger.recipients() == {Recipient(sync="vip", target="", destination="")}
        assert ledger.key_times() == KeyTimes(since={"2": START}, destroyed=frozenset({"1"}))
        other.append([act("state_dropped", "")])
        assert ledger.recipients() == frozenset()

    def test_appending_nothing_signs_nothing(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """An empty append leaves the head as it was, also beside an impossible clock."""
        before = ledger.checkpoint()
        world.clock.now = START.replace(tzinfo=None)
        ledger.append([])
        assert ledger.checkpoint() == before

    def test_a_missing_ledger_is_not_made_silently(self, world: LedgerWorld) -> None:
        """Opening never creates, and creating never replaces."""
        assert code_of(lambda: world.open(SIGNER)) == "ledger_missing"
        made = world.create()
        made.append(WHOLE_RUN)
        assert code_of(world.create) == "ledger_exists"
        assert world.open(SIGNER).size() == 3

    @pytest.mark.parametrize("change", ["edit", "no first", "no last", "added", "twice"])
    def test_tampered_entries_are_refused_and_kept(
        self, world: LedgerWorld, ledger: SignedLedger, change: str
    ) -> None:
        """A ledger that does not match its checkpoint is neither opened, nor altered by trying."""
        ledger.append(WHOLE_RUN)
        lines = world.lines()
        match change:
            case "edit":
                world.edit(0, lines[0].replace('"rows":1', '"rows":2'))
            case "no first":
                world.edit(0, None)
            case "no last":
                world.edit(2, None)
            case "added":
                world.edit(3, "garbage")
            case _:
                world.edit(3, lines[2])
        with pytest.raises(IntegrityError) as caught:
            world.open(SIGNER)
        assert caught.value.code == "ledger_inconsistent"
        assert caught.value.hint

    def test_another_key_or_forged_checkpoint_is_refused(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """Neither a ledger of another key nor a checkpoint that ours did not sign is opened."""
        ledger.append(WHOLE_RUN)
        with pytest.raises(IntegrityError, match="public key"):
            world.open(OTHER)
        head = verify_checkpoint(ledger.checkpoint(), SIGNER.verifier_key)
        for note in (OTHER.checkpoint(head.size, head.root), ""):
            world.sign(note)
            with pytest.raises(IntegrityError, match="not signed"):
                world.open(SIGNER)
            with pytest.raises(IntegrityError, match="not signed"):
                ledger.append([act("refused")])

    def test_a_ledger_rolled_back_under_us_is_refused(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """An open ledger notices that an older one was put in its place."""
        ledger.append(WHOLE_RUN)
        old = ledger.checkpoint()
        ledger.append([act("refused")])
        world.edit(3, None)
        world.sign(old)
        for call in (lambda: ledger.append([act("refused")]), ledger.size, ledger.last_time):
            assert code_of(call) == "ledger_inconsistent"
        assert len(world.lines()) == 3

    def test_time_never_goes_back(self, world: LedgerWorld, ledger: SignedLedger) -> None:
        """Up to 5 s back the last time is repeated; beyond that nothing is recorded."""
        ledger.append(WHOLE_RUN)
        world.clock.now = START - timedelta(seconds=5)
        ledger.append([act("refused")])
        assert ledger.last_time() == START
        world.clock.now = START - timedelta(seconds=5, microseconds=1)
        for opened in (ledger, world.open(SIGNER)):
            with pytest.raises(PolicyError, match="clock_backwards"):
                opened.append([act("refused")])
        assert ledger.size() == 4
        assert world.verified().ok

    def test_a_clock_without_a_zone_is_a_mistake(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """Naive times are refused, and nothing is recorded."""
        world.clock.now = START.replace(tzinfo=None)
        with pytest.raises(ValueError, match="zone"):
            ledger.append(WHOLE_RUN)
        assert ledger.size() == 0

    def test_an_impossible_entry_records_nothing(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """An entry that has a place already stops the whole call."""
        with pytest.raises(ValueError, match="seq and at"):
            ledger.append([act("created"), act("dropped").placed(seq=0, at=START)])
        assert (ledger.size(), world.lines()) == (0, [])

    def test_proofs_hold_and_nothing_else_is_proven(
        self, world: LedgerWorld, ledger: SignedLedger, tmp_path: Path
    ) -> None:
        """A proof is accepted without the ledger; none is made beyond it, or of changed entries."""
        ledger.append(WHOLE_RUN)
        (tmp_path / "key").write_text(SIGNER.verifier_key.to_line())
        proofs = [ledger.consistency(1), ledger.consistency(1, 2), ledger.inclusion(1)]
        for number, proof in enumerate(proofs):
            file = tmp_path / f"{number}.json"
            file.write_text(json.dumps(proof))
            assert verify_proof(file, tmp_path / "key", []).to_dict()["ok"], proof
        with pytest.raises(UsageError, match="beyond_ledger"):
            ledger.inclusion(3)
        world.edit(1, world.lines()[1].replace('"r1"', '"r2"'))
        for prove in (lambda: ledger.consistency(1, 2), lambda: ledger.inclusion(1, 2)):
            assert code_of(prove) == "ledger_inconsistent"

    def test_a_list_is_settled_alone(self, world: LedgerWorld, ledger: SignedLedger) -> None:
        """What settles is told how often, and of which head, the list was recorded; its entry is
        in the next checkpoint; what it raises records nothing.
        """
        head = ListHead(count=2, root=bytes(32))
        entry = act("suppression", "", rows=head.count, reason=head.root.hex())
        seen: list[object] = []

        def settle(times: int, last: ListHead | None) -> Entry | None:
            seen.append((times, last))
            return entry if last is None else None

        for each in (ledger, world.open(SIGNER)):
            each.settle_list(settle, seen.append)
        assert seen == [(0, None), 1, (1, head), 1]
        stated = verify_checkpoint(ledger.checkpoint(), SIGNER.verifier_key)
        assert (stated.size, stated.suppression) == (1, head)
        assert world.verified().ok

        def refuse(times: int, last: ListHead | None) -> Entry | None:
            raise PolicyError("refused", "No.")

        assert code_of(lambda: ledger.settle_list(refuse, seen.append)) == "refused"
        assert ledger.size() == 1

    def test_threads_and_instances_interleave(
        self, world: LedgerWorld, ledger: SignedLedger
    ) -> None:
        """Appends of several threads, on shared and on separate instances, are each whole."""
        ledgers = [ledger, ledger, world.open(SIGNER), world.open(SIGNER)]

        def work(number: int) -> None:
            for turn in range(10):
                run = f"t{number}-{turn}"
                ledgers[number].append([act("created", run), act("dropped", run)])

        threads = [Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        report = world.verified()
        assert (report.ok, report.entries) == (True, 80)
        runs = [entry.run for entry in ledger.entries()]
        assert runs[::2] == runs[1::2]
