"""What the contract tests share."""

from __future__ import annotations

import pytest

from contract.plan_stores import STORES, MakeWarehouse, maker_of


@pytest.fixture(params=STORES)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return maker_of(request)
