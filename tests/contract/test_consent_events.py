"""What a table of consent events says: SQL on real engines, and the pure function, say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consent_events import NOW_US, SPELLINGS, events_query, events_table
from contract.local_stores import CLICKHOUSE, SPARK, any_maker_of
from mayfly.domain.consent import ConsentEvent, Spellings, consent_at
from mayfly.planning.consent import SAID, latest_events
from mayfly.testing.plan_world import Warehouse

# To the millisecond: an engine without times tells no finer ones apart.
NEAR = st.sampled_from([NOW_US + 1000 * ms for ms in (-5000, -2000, -1000, 0, 1000, 9000)])
EVENTS = st.builds(
    ConsentEvent,
    purpose=st.sampled_from(["ads", "ads", "ads", "Ads", "ADS", "mail", None]),
    state=st.sampled_from(["given", "given", "renewed", "withdrawn", "asked", "Given", None]),
    at_us=st.one_of(NEAR, NEAR, NEAR, st.none()),
    until_us=st.sampled_from([None, *(NOW_US + 1000 * ms for ms in (-1000, 0, 1000, 10**9))]),
    source=st.sampled_from(["form", "form", "shop", "guess", None]),
)
TOLD = st.dictionaries(st.integers(1, 40), st.lists(EVENTS, min_size=1, max_size=5), min_size=4)
RULES = st.sampled_from(
    [
        SPELLINGS,
        Spellings(purposes=("ads",), granted=("given",)),
        Spellings(purposes=("ads",), granted=("given", "renewed"), ends=True, without_end=True),
    ]
)


@pytest.fixture(
    params=[
        *("duckdb", "postgres"),
        *(pytest.param(e, marks=pytest.mark.slow) for e in ("mysql", "sqlite", "snowflake")),
        *(pytest.param(e, marks=pytest.mark.slow) for e in ("bigquery", CLICKHOUSE, SPARK)),
    ],
)
def engine(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    """A warehouse of each kind, as large as its history."""
    with any_maker_of(request)() as made:
        yield made


def asked(made: Warehouse, rules: Spellings, told: Mapping[int, Sequence[ConsentEvent]]) -> dict:
    """What the engine says of each subject."""
    sql = made.sql
    table = events_table(sql, f"({events_query(sql, told)})", rules)
    query = latest_events(table, sql, NOW_US)
    with made.source.session(write=False) as session:
        found = session.table(f"SELECT mf_subject, {SAID} AS said FROM ({query}) AS q").to_pylist()
    return {int(r["mf_subject"]): None if r["said"] is None else bool(r["said"]) for r in found}


def _event(state: str | None, at_us: int | None, purpose: str | None = "ads") -> ConsentEvent:
    return ConsentEvent(purpose=purpose, state=state, at_us=at_us)


_THEN = NOW_US - 1_000_000
EACH = {
    1: [_event("given", _THEN), _event("withdrawn", _THEN)],
    2: [_event("given", _THEN), _event("given", _THEN)],
    3: [_event("withdrawn", _THEN), _event("given", NOW_US)],
    4: [_event("given", _THEN), _event("withdrawn", NOW_US + 1_000)],
    5: [_event("given", _THEN), _event("withdrawn", None)],
    6: [_event("given", _THEN), _event("given", NOW_US, None)],
    7: [_event("given", _THEN), _event(None, NOW_US)],
    8: [_event("Given", NOW_US), _event("given", _THEN)],
}
"""One subject for each rule of what is clear and what is not."""


@pytest.mark.each
@example(told=EACH, rules=Spellings(purposes=("ads",), granted=("given",)))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(told=TOLD, rules=RULES)
def test_an_engine_says_what_the_function_says(
    engine: Warehouse, told: dict[int, list[ConsentEvent]], rules: Spellings
) -> None:
    """Of any events: the latest wins; ties that differ, the future, what has no time, state or
    purpose, other spellings and sources, and what is over are no.
    """
    found = asked(engine, rules, told)
    for subject, events in told.items():
        assert found.get(subject) == consent_at(events, rules, NOW_US), (subject, events)
