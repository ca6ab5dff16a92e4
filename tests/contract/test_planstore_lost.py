"""The delivery protocol where the connection to the source is lost at a statement, whichever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.local_stores import READING_ROLE, any_maker_of, beside
from contract.plan_machine import EMAILS, SOAK
from contract.plan_stores import STORES, MakeWarehouse, duckdb_file, in_source
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import TransientError
from mayfly.testing.cut_source import CutSource
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import Warehouse, World

# Odd, so that of any two cuts one comes before the answer and one after it.
STRIDE = 9


@contextmanager
def cut_warehouse(
    make: MakeWarehouse, folder: Path, *, local: bool
) -> Iterator[tuple[Warehouse, CutSource]]:
    """A warehouse, and what cuts its connections."""
    folder.mkdir()
    with make() as made:
        source = CutSource(made.source)
        yield (
            (beside if local else in_source)(source, made.sql, made.write_model, folder),
            source,
        )


def story(
    made: Warehouse, source: CutSource, mode: SyncMode, cut_at: int, *, answered: bool
) -> int:
    """Rows that are new, changed and gone, and a connection that is lost once; how many statements
    the run began. In the end the destination has what it should.
    """
    world = World(warehouse=made, mode=mode)
    world.people = {1: (EMAILS[0], "c0"), 2: (EMAILS[1], "c0"), 3: (EMAILS[1], "c1")}
    world.edited()
    assert Attempt(world=world).go().error is None
    world.people = {1: (EMAILS[2], "c0"), 3: (EMAILS[1], "c1"), 4: (EMAILS[3], "c0")}
    world.people[5] = (EMAILS[4], "c1")
    world.edited()
    before = source.statements
    source.cut_at, source.answered = before + cut_at if cut_at else 0, answered
    told = Attempt(world=world).go()
    assert told.error is None or isinstance(told.error, TransientError)
    begun = source.statements - before
    source.cut_at = 0
    for _ in range(2):
        assert Attempt(world=world).go().error is None
    world.check_truth()
    assert world.ledger.open_runs("people", "dev") == []
    return begun


def stories(
    make: MakeWarehouse, folder: Path, mode: SyncMode, store: str, cuts: Sequence[int] | None
) -> None:
    """The story with no cut, then with each of the cuts, or with many of all that there are."""
    local = store not in STORES
    with cut_warehouse(make, folder / "whole", local=local) as (made, source):
        begun = story(made, source, mode, 0, answered=False)
    for cut in range(1, begun + 1, 1 if SOAK else STRIDE) if cuts is None else cuts:
        with cut_warehouse(make, folder / str(cut), local=local) as (made, source):
            story(made, source, mode, cut, answered=cut % 2 == 0)


def test_a_lost_connection_loses_nothing(
    tmp_path: Path,
) -> None:
    """Before the plan, and after it is committed: what was in doubt is looked at again, and
    nothing is sent twice.
    """
    stories(duckdb_file, tmp_path, SyncMode.AUDIENCE, "duckdb", (20, 60))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("store", "mode"),
    [
        *(
            (s, m)
            for s in STORES
            for m in (SyncMode.AUDIENCE, SyncMode.MIRROR, SyncMode.APPEND)
            # The longest plan there is: a server's own tables take their time.
            if s != "mysql" or m is SyncMode.AUDIENCE
        ),
        ("folder", SyncMode.AUDIENCE),
        (READING_ROLE, SyncMode.MIRROR),
    ],
)
def test_a_connection_lost_at_any_statement_loses_nothing(
    request: pytest.FixtureRequest, tmp_path: Path, mode: SyncMode, store: str
) -> None:
    """Statements all through a run, before they are done or before their answers are there; each
    of them with `MAYFLY_SOAK`.
    """
    request.param = store
    stories(any_maker_of(request), tmp_path, mode, store, None)
