"""Counts what a process does, from the events that it tells, and from nothing else."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from mayfly.domain.errors import EngineError
from mayfly.domain.telemetry import COUNTED, OUTCOMES, MetricKind, Point, Sum, not_on_the_list
from mayfly.ledger.entry import EntryType
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

_ACTS = frozenset(kind.value for kind in EntryType)
SERIES_MAX = 5_000
"""Of one process: with so many syncs a name would not be bounded any more."""
Key = tuple[str, tuple[tuple[str, str], ...]]
Names = Callable[[str], str | None]
"""The name of a sync, by its id or its name; None of what is not in the project files."""


@dataclass(kw_only=True)
class Meter:
    """Sums of points; any thread may add to it."""

    _sums: dict[Key, Sum] = field(default_factory=dict)
    _dry: set[str] = field(default_factory=set)
    _turn: Lock = field(default_factory=Lock)

    def add(self, point: Point) -> None:
        """Count one.

        Raises:
            ContractError: `not_on_the_list`, it is no metric that is counted, or one series too
                many.
        """
        metric = COUNTED.get(point.metric)
        if metric is None or point.value < 0:
            raise not_on_the_list("a count")
        labels = {name: str(value) for name, value in sorted(point.attributes.items())}
        key = point.metric, tuple(labels.items())
        with self._turn:
            known = self._sums.get(key)
            if known is None:
                if len(self._sums) >= SERIES_MAX:
                    raise not_on_the_list("one series too many")
                room = (0,) * (len(metric.bounds) + 1)
                buckets = room if metric.kind is MetricKind.HISTOGRAM else ()
                known = Sum(metric=point.metric, attributes=labels, buckets=buckets)
            self._sums[key] = _with(known, point.value, metric.bounds)

    def take(self, event: Event, names: Names) -> int:
        """Count an event; how many of its points were refused. Of a dry run nothing is counted."""
        if isinstance(event, RunStarted) and event.dry:
            self._dry.add(event.run)
        if getattr(event, "run", None) in self._dry:
            if isinstance(event, RunEnded):
                self._dry.discard(event.run)
            return 0
        refused = 0
        for make in points(event, names):
            try:
                self.add(make())
            except EngineError:
                refused += 1
        return refused

    def sums(self) -> Sequence[Sum]:
        """All so far."""
        with self._turn:
            return list(self._sums.values())

    def empty(self) -> Sequence[Sum]:
        """All since it was last emptied."""
        with self._turn:
            found, self._sums = list(self._sums.values()), {}
        return found

    def put_back(self, sums: Sequence[Sum]) -> None:
        """Add what could not be sent."""
        with self._turn:
            for one in sums:
                key = one.metric, tuple(one.attributes.items())
                known = self._sums.get(key)
                self._sums[key] = one if known is None else _joined(known, one)


def _with(known: Sum, value: float, bounds: Sequence[float]) -> Sum:
    buckets = list(known.buckets)
    if buckets:
        buckets[bisect_left(bounds, value)] += 1
    return replace(
        known, total=known.total + value, number=known.number + 1, buckets=tuple(buckets)
    )


def _joined(one: Sum, other: Sum) -> Sum:
    return replace(
        one,
        total=one.total + other.total,
        number=one.number + other.number,
        buckets=tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=True)),
    )


def points(event: Event, names: Names) -> Iterator[Callable[[], Point]]:
    """What is counted of an event. Each is made when it is called: what is refused of one is not
    of the others.
    """
    match event:
        case RunEnded():
            yield from _of_run(event, names)
        case Recorded() if event.act in _ACTS:
            yield _count("ledger.entries", 1, act=event.act)
            if event.age_ms is not None:
                yield _count("held.age", event.age_ms / 1_000, act=event.act)
        case Waiting():
            yield _count("wait", event.seconds, sync=names(event.sync))
        case Swept():
            yield _count("swept", event.ended, result="ended")
            yield _count("swept", event.left, result="left")
        case OverTarget():
            yield _count("over_target", 1, what=event.what)
        case WithdrawalsLate():
            of = {"sync": names(event.sync), "target": event.target}
            yield _count("withdrawals.late", event.late, **of)
        case AlertFailed():
            yield _count("alerts.failed", 1, channel=event.channel, kind=event.kind)
        case AnchorFailed():
            yield _count("anchors.failed", 1, anchor=event.anchor)
        case TelemetryDropped():
            of = {"signal": event.signal, "reason": event.reason}
            yield _count("telemetry.dropped", event.dropped, **of)
        case TickDropped():
            yield _count("ticks.dropped", 1, sync=names(event.sync), target=event.target)
        case WorkerGivenUp():
            yield _count("workers.given_up", 1)
        case RunGivenUp():
            yield _count("runs.given_up", 1, sync=names(event.sync), target=event.target)
        case _:
            return


def _of_run(event: RunEnded, names: Names) -> Iterator[Callable[[], Point]]:
    of = {"sync": names(event.sync), "target": event.target}
    yield _count("runs", 1, **of, status=event.status)
    yield _count("run.duration", event.seconds, **of)
    yield _count("batches", event.batches, **of)
    yield _count("clear_values", event.clear_values, **of)
    if event.code:
        yield _count("run.errors", 1, **of, code=event.code)
    for outcome in OUTCOMES:
        rows = getattr(event, outcome)
        if rows:
            yield _count("rows", rows, **of, outcome=outcome)


def _count(metric: str, value: float, **attributes: str | None) -> Callable[[], Point]:
    def make() -> Point:
        known = {name: text for name, text in attributes.items() if text is not None}
        return Point(metric=metric, value=value, attributes=known)

    return make
