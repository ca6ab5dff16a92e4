"""A destination that takes a batch as a job and answers later."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from end_to_end.batches import LOG
from end_to_end.projects import SHOP, approved, make_project
from mayfly.api import Project, RunRequest
from mayfly.bootstrap import app as wiring
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.domain.settings import Project as Settings
from mayfly.ports.destination import Destination, DestinationContext, Done, JobRef, Pending
from mayfly.privacy.gate import ProtectedBatch
from mayfly.services.limited import AccountGate
from mayfly.testing.fake_destination import FakeDestination, FakeWorld

ROWS = 3_000
FILES = SHOP + LOG


class Watched(FakeDestination):
    """Counts the batches that are in memory whenever a job is asked for."""

    held: list[int]
    others: list[ProtectedBatch]

    async def poll(self, job: JobRef) -> Done | Pending:
        """See `Destination.poll`."""
        self.held.append(len(in_memory()) - len(self.others))
        return await super().poll(job)


def in_memory() -> list[ProtectedBatch]:
    """Batches that something in this process holds."""
    gc.collect()
    return [o for o in gc.get_objects() if isinstance(o, ProtectedBatch)]


@pytest.fixture
def world() -> FakeWorld:
    """Where rows arrive."""
    return FakeWorld()


@pytest.fixture
def held() -> list[int]:
    """Batches in memory at each poll."""
    return []


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: FakeWorld, held: list[int]
) -> Project:
    """Three batches for a destination that works in jobs; those of other tests do not count."""
    others = in_memory()

    def make(
        project: Settings,
        settings: DestinationSettings,
        context: DestinationContext,
        sync: SyncSettings,
        gate: AccountGate | None,
    ) -> Destination:
        made = Watched(world, context, asynchronous=True, batch_marker=True)
        made.held, made.others = held, others
        return made

    monkeypatch.setattr(wiring, "make_destination", make)
    return approved(make_project(tmp_path, "", rows=ROWS, text=FILES))


def test_rows_are_let_go_once_a_job_has_them(project: Project, held: list[int]) -> None:
    """While jobs are waited for, the worker holds numbers of rows, and no batch."""
    [done] = project.run("to_log").to_dict()["syncs"]
    assert done["rows"]["delivered"] == ROWS
    assert done["batches"] == 3
    assert held
    assert set(held) == {0}


def test_a_stopped_run_still_hears_its_jobs_answers(project: Project, world: FakeWorld) -> None:
    """Ctrl-C after a batch that is a job: what it appended is known, and not appended again."""
    request = RunRequest()

    told: list[int] = []

    def stop(sync: str, rows: int, planned: int) -> None:
        told.append(planned)
        if len([n for n in told if n]) == 2:  # once planned, and after the first batch
            request.stop.set()

    request.progress = stop
    [stopped] = project.run("to_log", request=request).to_dict()["syncs"]
    assert stopped["status"] == "cancelled"
    assert stopped["rows"]["delivered"] == 1_000
    project.run("to_log")
    assert sorted(row["id"] for row in world.inserted) == list(range(ROWS))


def test_rows_that_a_job_was_not_given_have_their_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: FakeWorld
) -> None:
    """They are rejected and not sent again, although it is another run that hears of the job."""

    def make(
        project: Settings,
        settings: DestinationSettings,
        context: DestinationContext,
        sync: SyncSettings,
        gate: AccountGate | None,
    ) -> Destination:
        return FakeDestination(world, context, asynchronous=True, batch_marker=True)

    monkeypatch.setattr(wiring, "make_destination", make)
    project = approved(make_project(tmp_path, "", rows=8, text=FILES))
    world.refuse_early(["p3@example.com"])
    request = RunRequest()

    def progress(sync: str, rows: int, planned: int) -> None:
        if world.has_jobs():
            world.be_away(100)

    request.progress = progress
    [held] = project.run("to_log", request=request).to_dict()["syncs"]
    assert (held["status"], held["rows"]["delivered"]) == ("held", 0)
    world.be_back()
    project.run("to_log")
    assert sorted(row["id"] for row in world.inserted) == [0, 1, 2, 4, 5, 6, 7]
    [reason] = project.rejected("to_log")["reasons"]
    assert (reason["reason"], reason["rows"]) == ("refused_early", 1)
    assert project.run("to_log").to_dict()["syncs"][0]["status"] == "no_changes"
