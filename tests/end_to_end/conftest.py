"""What every end-to-end test stands on: a token, and a sandbox to send to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from end_to_end.batches import BATCH
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.sandbox.server import SandboxServer
from mayfly.services import deliver_plan


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("META_TOKEN", "t0ken")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """A sandbox on a free port."""
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def a_read_for_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches are otherwise read many at a time."""
    monkeypatch.setattr(deliver_plan, "READ_ROWS", BATCH)
    monkeypatch.setattr(SqlDialect, "reads_at_once", 1)
