"""What the contract tests share."""

from __future__ import annotations

import pytest

from contract.key_fixtures import make_world, only_these_credentials
from contract.plan_stores import STORES, MakeWarehouse, maker_of

__all__ = ["make_world", "only_these_credentials", "warehouse"]


@pytest.fixture(params=[STORES[0], *(pytest.param(s, marks=pytest.mark.slow) for s in STORES[1:])])
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return maker_of(request)
