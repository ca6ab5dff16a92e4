"""The delivery protocol on local plan stores, beside sources that nothing may be written to."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contract.local_stores import (
    CLICKHOUSE,
    READ_SNOWFLAKE,
    READING_ROLE,
    SPARK,
    any_maker_of,
    beside,
    databases_in,
    parquet_folder,
    write_parquet,
)
from contract.plan_machine import CASES, machine, play
from contract.plan_samples import check_sample
from contract.plan_stores import MakeWarehouse
from contract.plan_stories import check_open_plans
from marks import IN_A_SOAK
from mayfly.adapters.planstores.local_states import LocalStates
from mayfly.connectors.sources.files import FilesSource
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import IntegrityError
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.testing.plan_world import World

SHORT = ("audience", "mirror", "upsert", "upsert-identifiers", "append")


_BESIDE = [
    *(pytest.param(store, marks=IN_A_SOAK) for store in (READING_ROLE, CLICKHOUSE, SPARK)),
    pytest.param(READ_SNOWFLAKE, marks=pytest.mark.slow),
]


@pytest.fixture(params=["folder", *_BESIDE])
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of sources with a local plan store."""
    return any_maker_of(request)


@pytest.mark.parametrize(
    ("mode", "more"),
    [case for case in CASES if case.id in SHORT],
)
def test_any_history_ends_in_the_truth(
    warehouse: MakeWarehouse, mode: SyncMode, more: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Whatever changes, fails, dies or takes over, the destination ends as the model wants it."""
    play(machine(warehouse, mode, **more), request.node.name, examples=1, steps=6)


def test_who_was_overtaken_disturbs_no_plan() -> None:
    """It plans too late, is refused, and leaves the rows of whoever took over."""
    with parquet_folder() as made:
        world = World(warehouse=made, mode=SyncMode.UPSERT)
        world.people = {1: ("a@example.com", "c0")}
        world.edited()
        late, spec = world.spec("r1"), world.spec("r2")
        slow, quick = world.store(late.identity), world.store(spec.identity)
        slow.acquire(late, holder="h1", now_ms=0, alive=lambda _: False)
        quick.acquire(spec, holder="h2", now_ms=0, alive=lambda _: False)
        plan = quick.create(spec, world.worker, check=lambda _: None)
        with pytest.raises(IntegrityError, match="fenced"):
            slow.create(late, world.worker, check=lambda _: None)
        [batch] = quick.read(spec, plan.batches, world.worker, of=1)
        assert batch.rows.num_rows == 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("mode", "more"), CASES)
def test_many_histories_end_in_the_truth(
    warehouse: MakeWarehouse, mode: SyncMode, more: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """The same, more often and longer."""
    play(machine(warehouse, mode, **more), request.node.name, examples=1)


@pytest.mark.parametrize("mode", list(SyncMode))
def test_a_sample_shows_rows_that_go_out_masked(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """As beside a source that holds its own state."""
    with warehouse() as made:
        check_sample(World(warehouse=made, mode=mode))


def test_open_plans_are_told_without_counting_states(tmp_path: Path) -> None:
    """Whatever is remembered beside them, in whichever file."""
    (tmp_path / "data").mkdir()
    write = partial(write_parquet, tmp_path / "data")
    write([])
    made = beside(FilesSource("shop", tmp_path / "data"), DuckdbDialect(), write, tmp_path)
    databases = databases_in(tmp_path)
    check_open_plans(made, LocalStates(databases), lambda sid: databases.open(databases.path(sid)))
