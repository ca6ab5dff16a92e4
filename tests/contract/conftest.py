"""What the contract tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.key_fixtures import make_world, only_these_credentials
from contract.local_stores import CLICKHOUSE, READ_SNOWFLAKE
from contract.plan_stores import STORES, MakeWarehouse, maker_of
from mayfly.domain.batch import SyncMode
from mayfly.sandbox.server import SandboxServer

__all__ = ["make_world", "only_these_credentials", "warehouse"]

_PLAYED_IN_CI = "test_planstore_protocol.py"
_MANY = "test_many_histories_end_in_the_truth"
_ON_CLICKHOUSE = (SyncMode.AUDIENCE, SyncMode.MIRROR)
_IN_A_SOAK = ("mysql", "spark", "sqlite")
_ON_AN_EMULATOR = "test_planstore_bigquery.py", "test_whom_a_dying_run_reached_is_taken_back"

_HALVED = (
    "test_a_crash_at_every_step_is_made_good",
    "test_a_crash_at_every_step_of_a_hold",
)
"""Of each mode CI plays one: with jobs or without, in turn."""
_HISTORIES = (SyncMode.AUDIENCE, SyncMode.MIRROR)
_LOST, _AS_OTHERS = "test_planstore_lost.py", ("[committing-", "[reading role-")

_READ_IN_CI = (
    f"test_any_history_ends_in_the_truth[{READ_SNOWFLAKE}-audience]",
    f"test_a_sample_shows_rows_that_go_out_masked[{READ_SNOWFLAKE}-audience]",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """CI plays the protocol on every engine, and its long histories and crashes on one of each
    kind: where a transaction undoes tables, and where it does not.
    """
    here = Path(__file__).parent
    _leave_half(items)
    for item in (item for item in items if item.path.parent == here):
        call = getattr(item, "callspec", None)
        engine = call.params.get("warehouse") if call is not None else None
        if engine == READ_SNOWFLAKE and item.name not in _READ_IN_CI:
            item.add_marker(pytest.mark.soak)
        slow = (item.path.name, getattr(item, "originalname", "")) == _ON_AN_EMULATOR
        if engine == CLICKHOUSE:
            slow = call is not None and call.params.get("mode") not in _ON_CLICKHOUSE
            slow = slow or getattr(item, "originalname", "") == _MANY
        # Doubt is the same wherever tables are made, and CI plays it on two others.
        slow = slow or (engine == "committing" and item.path.name == "test_planstore_doubt.py")
        if engine == "postgres" and getattr(item, "originalname", "") == _MANY:
            slow = slow or call is None or call.params.get("mode") not in _HISTORIES
        slow = slow or (item.path.name == _LOST and any(e in item.nodeid for e in _AS_OTHERS))
        if slow or (engine in _IN_A_SOAK and item.path.name != _PLAYED_IN_CI):
            item.add_marker(pytest.mark.soak)


def _leave_half(items: list[pytest.Item]) -> None:
    """What shows the same of each mode twice."""
    for name in _HALVED:
        found = sorted(i.nodeid for i in items if getattr(i, "originalname", "") == name)
        left = {each for n, each in enumerate(found) if (n + n // 2) % 2}
        for item in items:
            if item.nodeid in left:
                item.add_marker(pytest.mark.soak)


@pytest.fixture(params=[STORES[0], *(pytest.param(s, marks=pytest.mark.slow) for s in STORES[1:])])
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return maker_of(request)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset({"token-1"})) as server:
        yield server
