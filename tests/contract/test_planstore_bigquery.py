"""Stories of the delivery protocol on the BigQuery emulator: fewer, since it is slow.

They are those of the other plan stores, of each kind one.
"""

from __future__ import annotations

from functools import partial

import pytest

from bigquery_emulator import Emulator
from contract.plan_stores import MakeWarehouse, bigquery
from contract.test_planstore_crashes import (  # noqa: F401
    test_whom_a_dying_run_reached_is_taken_back,
)
from contract.test_planstore_stories import (  # noqa: F401
    test_a_plan_is_closed_by_its_own_mapping,
    test_a_row_that_takes_a_value_nothing_may_hash_is_withheld,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def warehouse(bigquery_emulator: Emulator) -> MakeWarehouse:
    """A maker of empty datasets."""
    return partial(bigquery, bigquery_emulator)
