"""What a process counts, from its events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mayfly.domain.errors import ContractError
from mayfly.domain.telemetry import COUNTED, Point
from mayfly.services import measuring
from mayfly.services.events import (
    AlertFailed,
    AnchorFailed,
    Event,
    OverTarget,
    Recorded,
    RunEnded,
    RunGivenUp,
    RunStarted,
    Swept,
    TelemetryDropped,
    TickDropped,
    Waiting,
    WithdrawalsLate,
    WorkerGivenUp,
)
from mayfly.services.measuring import Meter

NAMES = {"ads": "ads", "sync_7": "ads"}.get
RUN = "20261130t120000-0a1b2c"
STARTED = RunStarted(sync="ads", target="dev", run=RUN, mode="upsert", dry=False)
ENDED = RunEnded(
    sync="ads",
    target="dev",
    run=RUN,
    status="partial",
    code="destination_away",
    batches=2,
    planned=10,
    delivered=7,
    rejected=1,
    held=2,
    seconds=3.0,
)
RECORDED = Recorded(
    act="delivered",
    sync="sync_7",
    target="dev",
    run=RUN,
    batch=0,
    rows=5,
    age_ms=1_500,
    operation="write",
    destination="crm",
    reason="",
)
OF_SYNC = {"sync": "ads", "target": "dev"}
EVENTS: list[Event] = [
    STARTED,
    ENDED,
    RECORDED,
    Waiting(sync="ads", run=RUN, seconds=2.5),
    Swept(ended=2, left=1),
    OverTarget(sync="ads", target="dev", run=RUN, what="rows", seconds=9.0),
    WithdrawalsLate(sync="ads", target="dev", run=RUN, late=3, waiting=0, seconds=9.0),
    AlertFailed(channel="ops", kind="failed", code="alert_away"),
    AnchorFailed(anchor="disk", code="anchor_away"),
    TelemetryDropped(signal="traces", reason="away", dropped=2),
    TickDropped(sync="ads", target="dev", dropped=4),
    WorkerGivenUp(executor="host/1/2", silent_ms=5),
    RunGivenUp(sync="ads", target="dev", attempts=10),
]


def counts(meter: Meter) -> dict[tuple[str, str], float]:
    """Totals by metric and attributes."""
    return {(s.metric, ",".join(s.attributes.values())): s.total for s in meter.sums()}


def test_events_are_counted() -> None:
    """Each by what it says; an id of a sync is its name."""
    meter = Meter()
    assert [meter.take(event, NAMES) for event in EVENTS] == [0] * len(EVENTS)
    found = counts(meter)
    assert found["runs", "partial,ads,dev"] == 1
    assert found["run.errors", "destination_away,ads,dev"] == 1
    assert found["rows", "delivered,ads,dev"] == 7
    assert found["rows", "held,ads,dev"] == 2
    assert found["held.age", "delivered"] == 1.5
    assert found["wait", "ads"] == 2.5
    assert found["swept", "left"] == 1
    assert found["alerts.failed", "ops,failed"] == 1
    assert found["ticks.dropped", "ads,dev"] == 1
    assert {s.metric for s in meter.sums()} == set(COUNTED)


def test_a_histogram_counts_by_its_bounds() -> None:
    """A value stands in the first bucket that it is not above."""
    meter = Meter()
    for seconds in (1.0, 1.1, 9_999_999.0):
        meter.take(replace(RECORDED, age_ms=round(seconds * 1_000)), NAMES)
    [found] = [s for s in meter.sums() if s.metric == "held.age"]
    assert (found.number, found.buckets) == (3, (1, 1, *[0] * 7, 1))


def test_a_dry_run_is_not_counted() -> None:
    """A run of the same sync after it is."""
    meter = Meter()
    for event in (replace(STARTED, dry=True), RECORDED, ENDED):
        assert meter.take(event, NAMES) == 0
    assert meter.sums() == []
    meter.take(ENDED, NAMES)
    assert counts(meter)["runs", "partial,ads,dev"] == 1


def test_what_is_not_on_the_list_is_refused_and_the_rest_counted() -> None:
    """A sync that the project does not have is no label; neither is a code that is none."""
    meter = Meter()
    assert meter.take(replace(ENDED, sync="anna"), NAMES) > 0
    assert meter.take(replace(RECORDED, act="anna"), NAMES) == 0
    assert meter.sums() == []
    assert meter.take(replace(ENDED, code="No such Anna"), NAMES) == 1
    assert counts(meter)["runs", "partial,ads,dev"] == 1
    with pytest.raises(ContractError, match="not_on_the_list"):
        meter.add(Point(metric="workers.living", value=1))


def test_series_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known goes on; what is one too many is refused."""
    monkeypatch.setattr(measuring, "SERIES_MAX", 1)
    meter = Meter()
    meter.add(Point(metric="workers.given_up", value=1))
    meter.add(Point(metric="workers.given_up", value=1))
    with pytest.raises(ContractError, match="not_on_the_list"):
        meter.add(Point(metric="ledger.entries", value=1, attributes={"act": "held"}))
    assert [s.total for s in meter.sums()] == [2]


def test_what_was_taken_out_can_be_put_back() -> None:
    """Together with what came meanwhile."""
    meter = Meter()
    meter.take(RECORDED, NAMES)
    taken = meter.empty()
    assert meter.sums() == []
    meter.take(RECORDED, NAMES)
    meter.put_back(taken)
    assert counts(meter)["held.age", "delivered"] == 3.0
