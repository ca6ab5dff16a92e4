"""The bounds of the mass-change guard, to the row."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import PolicyError
from mayfly.planning.spec import (
    BatchInfo,
    Consent,
    KeyColumn,
    Plan,
    PlanCounts,
    PlanSpec,
    StateIdentity,
)
from mayfly.services.check_plan import CONSTANT_ROWS, check_plan

SPEC = PlanSpec(
    identity=StateIdentity(workspace="w", target="dev", sync="people", destination="d"),
    run="r",
    mode=SyncMode.MIRROR,
    external=False,
    by_identifier=False,
    model_sql="SELECT 1 AS id",
    keys=(KeyColumn(name="id", sql_type="BIGINT", arrow_type=pa.int64()),),
    fields=(),
    consent=None,
    suppression=(),
    versions="v",
)
REMOVAL = BatchInfo(number=0, operation=Operation.REMOVE, identifier=None, rows=1)


def refused(spec: PlanSpec = SPEC, *, accept: int = 0, removes: bool = True, **counts: int) -> bool:
    """Whether a plan of these counts is a mass change."""
    plan = Plan(counts=PlanCounts(**counts), batches=(REMOVAL,) if removes else ())
    try:
        check_plan(plan, spec, accept_removals=accept)
    except PolicyError as error:
        return error.code == "mass_change"
    return False


@pytest.mark.parametrize("why", ["left", "unknown", "resend"])
def test_a_hundred_rows_and_more_than_a_fifth(why: str) -> None:
    """Of the state, whatever the reason; one row fewer on either side passes."""
    assert refused(state_rows=499, **{why: 100})
    assert not refused(state_rows=495, **{why: 99})
    assert not refused(state_rows=500, **{why: 100})
    assert refused(state_rows=500, **{why: 101})


def test_reasons_are_added_up() -> None:
    """Two halves of a mass change are one."""
    assert refused(state_rows=300, left=50, unknown=50)


def test_as_many_as_were_accepted_pass() -> None:
    """And not one more."""
    assert not refused(accept=101, state_rows=300, left=101)
    assert refused(accept=100, state_rows=300, left=101)
    assert refused(accept=-1, state_rows=300, left=101)


def test_what_is_not_taken_back_is_not_guarded() -> None:
    """No removal is planned; an upsert leaves who left; withdrawals and a full refresh were asked
    for.
    """
    assert not refused(removes=False, state_rows=300, left=300)
    upsert = replace(SPEC, mode=SyncMode.UPSERT, erase_withdrawn=True)
    assert not refused(upsert, state_rows=300, left=300)
    assert refused(upsert, state_rows=300, unknown=300)
    assert not refused(state_rows=300, withdrawn=300)
    assert not refused(replace(SPEC, full_refresh=True), state_rows=300, resend=300)
    assert refused(replace(SPEC, full_refresh=True), state_rows=300, left=300)


@pytest.mark.parametrize(
    ("count", "code"),
    [
        ("null_keys", "key_null"),
        ("duplicate_keys", "key_duplicate"),
        ("duplicate_destination_keys", "destination_key_duplicate"),
    ],
)
def test_one_faulty_key_refuses(count: str, code: str) -> None:
    """Before anything else is asked."""
    plan = Plan(counts=PlanCounts(**{count: 1}))
    with pytest.raises(PolicyError, match=f"{code}: .* 1 ") as caught:
        check_plan(plan, SPEC, accept_removals=10**9)
    assert caught.value.hint


CONSENT = Consent(column="ads", values=(True,))
ADS = replace(SPEC, external=True, consent=CONSENT)


def constant(spec: PlanSpec = ADS, **counts: int) -> bool:
    """Whether such counts are those of a constant."""
    try:
        check_plan(Plan(counts=PlanCounts(**counts)), spec, accept_removals=0)
    except PolicyError as error:
        return error.code == "consent_constant"
    return False


def test_consent_of_everybody_is_a_constant_to_the_row() -> None:
    """A hundred rows that all grant; one row fewer, or one that does not, may be chance."""
    assert constant(granted=CONSTANT_ROWS)
    assert not constant(granted=CONSTANT_ROWS - 1)
    assert not constant(granted=10_000, withheld_consent=1)


def test_an_approver_may_say_that_everybody_grants() -> None:
    """And one's own systems are not asked."""
    assert not constant(replace(ADS, consent=replace(CONSENT, constant=True)), granted=1_000)
    assert not constant(replace(ADS, external=False), granted=1_000)
    assert not constant(replace(ADS, consent=None), granted=1_000)
