"""Telemetry beside a run: bounded, never waited for beyond its time, and closed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.domain.telemetry import Point, Span, Sum
from mayfly.services import telemetry as service
from mayfly.services.events import Event, Recorded, RunEnded, RunPlanned, RunStarted
from mayfly.services.events import TelemetryDropped as Dropped
from mayfly.services.telemetry import Telemetry
from mayfly.services.tracing import Tracer, root_id, trace_id

NAMES = {"ads": "ads", "sync_7": "ads"}.get
RUN = "20261130t120000-0a1b2c"
STARTED = RunStarted(sync="ads", target="dev", run=RUN, mode="upsert", dry=False)
PLANNED = RunPlanned(sync="ads", target="dev", run=RUN, rows=5)
ENDED = RunEnded(
    sync="ads",
    target="dev",
    run=RUN,
    status="failed",
    code="query_failed",
    batches=1,
    planned=5,
    delivered=5,
    rejected=0,
    held=0,
    seconds=3.0,
)
DELIVERED = Recorded(
    act="delivered",
    sync="sync_7",
    target="dev",
    run=RUN,
    batch=0,
    rows=5,
    age_ms=2,
    operation="write",
    destination="crm",
    reason="",
)
DROPPED = replace(DELIVERED, act="dropped", batch=None, age_ms=None, operation="", destination="")
WHOLE: list[Event] = [STARTED, PLANNED, DELIVERED, DROPPED, ENDED]


@dataclass
class Receiver:
    """Keeps what it is told; `error` is what it answers with."""

    error: EngineError | None = None
    spans: list[Span] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    hangs: threading.Event | None = None

    @contextmanager
    def opened(self) -> Iterator[Receiver]:
        """Itself."""
        yield self

    def traces(self, spans: Sequence[Span]) -> None:
        """See the port."""
        self._answer()
        self.spans += spans

    def metrics(
        self, sums: Sequence[Sum], points: Sequence[Point], *, since_ns: int, now_ns: int
    ) -> None:
        """See the port."""
        self._answer()
        assert since_ns <= now_ns
        self.sums += sums
        self.points += points

    def check(self) -> None:
        """See the port."""

    def _answer(self) -> None:
        if self.hangs is not None:
            self.hangs.wait(30)
        if self.error is not None:
            raise self.error


def telling(receiver: Receiver, told: list[Event]) -> Telemetry:
    """What sends to it, when it is asked to."""
    clock = iter(range(1_000, 10_000_000_000, 10_000_000))
    return Telemetry(
        open=receiver.opened,
        signals=frozenset(("traces", "metrics")),
        names=NAMES,
        now_ns=lambda: next(clock),
        then=told.append,
        every_seconds=60.0,
    )


def test_a_run_is_one_trace_of_its_own_id() -> None:
    """Root, plan, batch and close, in time; of a dry run, and of another's, there is no root."""
    clock = iter(range(0, 1_000_000_000, 10_000_000))
    tracer = Tracer(names=NAMES, now_ns=lambda: next(clock))
    spans = [make() for event in WHOLE for make in tracer.spans(event)]
    assert [s.type for s in spans] == ["plan", "batch", "close", "run"]
    assert {s.trace_id for s in spans} == {trace_id(RUN)}
    assert [s.parent_id for s in spans] == [root_id(RUN)] * 3 + [b""]
    assert spans[3].span_id == root_id(RUN)
    assert (spans[3].start_ns, spans[3].end_ns, spans[3].failed) == (0, 40_000_000, True)
    assert (spans[1].start_ns, spans[1].end_ns) == (18_000_000, 20_000_000)
    assert (spans[2].start_ns, spans[2].end_ns) == (20_000_000, 30_000_000)
    dry: list[Event] = [replace(STARTED, dry=True), ENDED]
    assert [make for event in dry for make in tracer.spans(event)] == []
    assert [make().type for make in tracer.spans(DELIVERED)] == ["batch"]


def test_what_is_flushed_is_sent() -> None:
    """Spans, counts, and what is found; the thread ends, and begins again with the next event."""
    receiver, told = Receiver(), []
    telemetry = telling(receiver, told)
    for event in WHOLE:
        telemetry(event)
    found = [Point(metric="workers.living", value=1)]
    assert telemetry.flush(lambda: found)
    assert [s.type for s in receiver.spans] == ["plan", "batch", "close", "run"]
    assert "runs" in {s.metric for s in receiver.sums}
    assert receiver.points == found
    assert told == WHOLE
    telemetry(DELIVERED)
    assert telemetry.flush()
    assert len(receiver.spans) == 5


def test_what_is_not_on_the_list_is_refused_and_counted() -> None:
    """A value that stands where an id should is in nothing that is sent; the run is not touched."""
    receiver, told = Receiver(), []
    telemetry = telling(receiver, told)
    telemetry(replace(DELIVERED, destination="anna.schmidt@example.com"))
    telemetry(replace(DELIVERED, run="+4915112345678"))
    telemetry(replace(ENDED, sync="anna"))
    assert telemetry.flush()
    assert receiver.spans == []
    assert {s.metric for s in receiver.sums} == {"ledger.entries", "held.age"}
    dropped = {(d.signal, d.reason): d.dropped for d in told if isinstance(d, Dropped)}
    assert dropped["traces", "not_allowed"] == 2
    assert dropped["metrics", "not_allowed"] > 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransientError("telemetry_away", ""), "away"),
        (ConfigError("secret_missing", ""), "refused"),
    ],
)
def test_what_cannot_be_sent_is_counted(error: EngineError, reason: str) -> None:
    """At the end: what is away then is not waited for again."""
    receiver, told = Receiver(error=error), []
    telemetry = telling(receiver, told)
    for event in WHOLE:
        telemetry(event)
    assert telemetry.flush()
    dropped = {(d.signal, d.reason): d.dropped for d in told if isinstance(d, Dropped)}
    assert dropped["traces", reason] == 4
    assert dropped["metrics", reason] > 0


def test_spans_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those beyond are counted."""
    monkeypatch.setattr(service, "SPANS_MAX", 3)
    receiver, told = Receiver(), []
    telemetry = telling(receiver, told)
    for _ in range(5):
        telemetry(DELIVERED)
    assert telemetry.flush()
    assert len(receiver.spans) == 3
    assert Dropped(signal="traces", reason="full", dropped=2) in told


def test_a_receiver_that_is_away_for_a_while_is_told_later() -> None:
    """While a run goes on it is tried again; what was counted is not lost."""
    receiver, told = Receiver(error=TransientError("telemetry_away", "")), []
    telemetry = telling(receiver, told)
    telemetry(DELIVERED)
    telemetry._metrics([], ending=False, away=telemetry._traces(_taken(telemetry), ending=False))
    receiver.error = None
    assert telemetry.flush()
    assert len(receiver.spans) == 1
    assert "ledger.entries" in {s.metric for s in receiver.sums}
    assert not [d for d in told if isinstance(d, Dropped)]


def _taken(telemetry: Telemetry) -> list[Span]:
    spans = list(telemetry._spans)
    telemetry._spans.clear()
    return spans


def test_a_receiver_that_hangs_is_not_waited_for() -> None:
    """Longer than it was said."""
    receiver, told = Receiver(hangs=threading.Event()), []
    telemetry = telling(receiver, told)
    telemetry(DELIVERED)
    assert not telemetry.flush(seconds=0.01)
    assert receiver.hangs is not None
    receiver.hangs.set()
    assert telemetry.flush()


def test_what_cannot_be_found_is_nobody_s_fault() -> None:
    """A store that is away."""

    def away() -> Sequence[Point]:
        raise TransientError("store_unavailable", "")

    receiver, told = Receiver(), []
    telemetry = telling(receiver, told)
    assert telemetry.flush(away)
    assert (receiver.points, told) == ([], [])
