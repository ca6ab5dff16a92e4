"""A batch a database refuses is narrowed down to the rows the refusal is about."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest

from mayfly.connectors.destinations import database_sqlite
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import IntegrityError, RequestRefusedError
from mayfly.domain.outcomes import OutcomeCode, Outcomes, Reason
from mayfly.ports.destination import (
    Destination,
    DestinationContext,
    Done,
    JobRef,
    Pending,
    Progress,
    Submitted,
)
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.services.deliver import REFUSED_ROWS_MAX, Refused, Sender

ROWS = pa.table(
    {
        "id": pa.array(range(8), pa.int64()),
        "name": ["a", "b", "c", "d", "e", None, "g", "h"],
    }
)
CLEAR = dict.fromkeys(ROWS.column_names, Form.CLEAR)


@pytest.fixture
def crm(tmp_path: Path) -> Path:
    """A table whose constraint one of the rows breaks."""
    path = tmp_path / "crm.sqlite"
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT NOT NULL)")
    return path


def made(path: Path, *, splittable: bool = True) -> tuple[Sender, ProtectedBatch]:
    """A sender and eight rows for it."""
    context = DestinationContext(
        workspace="w",
        sync="s",
        mode=SyncMode.UPSERT,
        object_name="people",
        key=("id",),
        columns={f.name: f.type for f in ROWS.schema},
        forms=CLEAR,
    )
    head = BatchHead(sync="s", run="r1", number=0, of=1, operation=Operation.WRITE, rows=8)
    destination = database_sqlite.make(path=path, context=context)
    sender = Sender(destination=destination, splittable=splittable)
    return sender, ProtectedBatch(head, ROWS, CLEAR, seal=THE_SEAL)


def ids(path: Path) -> list[int]:
    """Who arrived."""
    with sqlite3.connect(path) as con:
        return [row[0] for row in con.execute("SELECT id FROM people ORDER BY id")]


def test_a_refused_batch_is_narrowed_down_and_each_sending_announced(crm: Path) -> None:
    """Only the row at fault is rejected; the lease is renewed before each of the sendings."""
    sender, batch = made(crm)
    renewed: list[int] = []

    async def renew() -> None:
        renewed.append(len(ids(crm)))

    async def go() -> list[int]:
        assert isinstance(await sender.send(batch), Refused)
        return (await sender.narrow(batch, before=renew)).outcomes.codes.to_pylist()

    codes = asyncio.run(go())
    assert [n for n, code in enumerate(codes) if code == OutcomeCode.REJECTED] == [5]
    assert codes.count(OutcomeCode.ACCEPTED) == 7
    assert ids(crm) == [0, 1, 2, 3, 4, 6, 7]
    # The whole, its halves, and so on down to single rows.
    assert renewed == [0, 0, 4, 4, 4, 5, 5]


def test_a_run_that_was_taken_over_sends_no_further_part(crm: Path) -> None:
    """Where the lease cannot be renewed, what was not sent yet stays here."""
    sender, batch = made(crm)
    calls: list[None] = []

    async def renew() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise IntegrityError("fenced", "Another run took over this sync.")

    with pytest.raises(IntegrityError, match="fenced"):
        asyncio.run(sender.narrow(batch, before=renew))
    assert ids(crm) == [0, 1, 2, 3]


def test_an_append_is_never_cut(crm: Path) -> None:
    """Its marker stands for the whole batch: all of it is rejected, nothing is sent again."""
    sender, batch = made(crm, splittable=False)

    async def renew() -> None:
        raise AssertionError("nothing is to be sent")

    done = asyncio.run(sender.narrow(batch, before=renew))
    assert done.outcomes.count(OutcomeCode.REJECTED) == 8
    assert ids(crm) == []


class Platform:
    """Takes requests whose rows are all good, and refuses any other as a whole."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.requests: list[list[int]] = []

    async def write(self, batch: ProtectedBatch, progress: Progress) -> Done:
        """Refuse without naming a row."""
        rows = batch.rows.column("id").to_pylist()
        self.requests.append(rows)
        if self.bad & set(rows):
            raise RequestRefusedError("vendor_100", "It refuses the request (vendor_100).")
        progress.rows_done(Outcomes.all_of(OutcomeCode.ACCEPTED, len(rows)))
        return progress.done()


def numbered(rows: range, operation: Operation = Operation.ADD) -> ProtectedBatch:
    """Rows that are nothing but their number."""
    table = pa.table({"id": pa.array(rows, pa.int64())})
    head = BatchHead(sync="s", run="r1", number=0, of=1, operation=operation, rows=len(rows))
    return ProtectedBatch(head, table, {"id": Form.CLEAR}, seal=THE_SEAL)


def rejected(sender: Sender, batch: ProtectedBatch) -> list[int]:
    """Numbers of the rows that were rejected."""

    async def renew() -> None:
        return None

    async def go() -> Outcomes:
        answer = await sender.send(batch)
        if isinstance(answer, Refused):
            answer = await sender.narrow(batch, before=renew)
        assert isinstance(answer, Done)
        return answer.outcomes

    outcomes = asyncio.run(go())
    reasons = {(r.code, r.vendor_code) for r in outcomes.reasons.values()}
    assert reasons <= {("batch_refused", "vendor_100")}
    ids = batch.rows.column("id").to_pylist()
    return [ids[row] for row in outcomes.rows_of(OutcomeCode.REJECTED)]


@pytest.mark.parametrize("bad", [{0}, {0, 1, 2, 3, 4, 5, 6, 7}, {0, 99}, {31, 63, 95}, set()])
def test_rows_that_are_refused_are_found_wherever_they_stand(bad: set[int]) -> None:
    """Also more of them at the batch's beginning than what would tell that nothing is taken."""
    platform = Platform(bad)
    sender = Sender(destination=platform)
    assert rejected(sender, numbered(range(100))) == sorted(bad)


def test_rows_refused_one_by_one_stop_the_run() -> None:
    """Each a batch of its own; the last of them tells the request from its rows."""
    platform = Platform(set(range(100)))
    sender = Sender(destination=platform)
    for row in range(REFUSED_ROWS_MAX - 1):
        assert rejected(sender, numbered(range(row, row + 1))) == [row]
    with pytest.raises(RequestRefusedError, match="vendor_100"):
        rejected(sender, numbered(range(50, 51)))


def test_a_request_that_was_taken_once_is_not_what_is_wrong() -> None:
    """From then on rows are to blame, however many; another kind of request is another matter."""
    platform = Platform(set(range(1, 100)))
    sender = Sender(destination=platform)
    assert rejected(sender, numbered(range(1))) == []
    assert rejected(sender, numbered(range(1, 20))) == list(range(1, 20))
    with pytest.raises(RequestRefusedError, match="vendor_100"):
        rejected(sender, numbered(range(1, 20), Operation.REMOVE))


class Slow:
    """Answers for a job after some questions, and says how long each time is to be waited."""

    def __init__(self, *pauses: float) -> None:
        self.pauses = list(pauses)

    async def poll(self, job: JobRef) -> Done | Pending:
        """Not yet, or all accepted."""
        if self.pauses:
            return Pending(retry_after_seconds=self.pauses.pop(0))
        return Done(outcomes=Outcomes.all_of(OutcomeCode.ACCEPTED, job.rows))


def waited(*pauses: float) -> tuple[list[float], list[float]]:
    """For how long the lease was kept, and what was slept, over so many questions."""
    kept: list[float] = []
    slept: list[float] = []

    async def keep(seconds: float) -> None:
        kept.append(seconds)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    sender = Sender(destination=cast("Destination", Slow(*pauses)), sleep=sleep)
    known = Outcomes(codes=pa.array([0, 2], pa.uint8()), reasons={1: Reason(code="early")})
    job = Submitted(job=JobRef(batch=0, rows=1, reference="j"), known=known)
    done = asyncio.run(sender.wait(job, keep=keep))
    assert done.outcomes == known
    return kept, slept


def test_a_job_that_takes_long_does_not_cost_the_lease() -> None:
    """It is kept before it could run out, for as long as the destination says, an hour at most."""
    assert waited(1.0, 1.0) == ([], [1.0, 1.0])
    kept, slept = waited(1_800.0, *range(1_740, 0, -60))
    assert (kept, sum(slept)) == ([1_740.0], 1_800.0)
    kept, slept = waited(*[50.0] * 20)
    assert (kept, sum(slept)) == ([600.0, 600.0], 1_000.0)
    assert waited(90_000.0, 90_000.0)[0] == [3_600.0]
