"""Telling a receiver of spans and metrics, beside the run: none waits for it, none fails by it.

What cannot be sent is kept within bounds, counted where it is dropped, and never written down.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal

from mayfly.domain.errors import ConfigError, EngineError
from mayfly.domain.telemetry import Point, Span
from mayfly.ports.telemetry import TelemetryReceiver
from mayfly.services.events import Event, TelemetryDropped, Tell, ignore
from mayfly.services.measuring import Meter, Names
from mayfly.services.tracing import Tracer

Signal = Literal["traces", "metrics"]
SPANS_MAX = 2_048
AT_ONCE = 512
EVERY_SECONDS = 10.0
FLUSH_SECONDS = 10.0
_PAUSE_MAX_SECONDS = 300.0


@dataclass(kw_only=True)
class Telemetry:
    """Takes events, and sends what they make on a thread of its own. Any thread may tell it.

    Args:
        open: reaches the receiver.
        signals: what is sent.
        names: of syncs.
        now_ns: nanoseconds since 1970.
        then: who else is told of events; what was dropped is, too.
        every_seconds: how often something is sent while a run goes on.
    """

    open: Callable[[], AbstractContextManager[TelemetryReceiver]]
    signals: frozenset[Signal]
    names: Names
    now_ns: Callable[[], int]
    then: Tell = ignore
    every_seconds: float = EVERY_SECONDS
    _tracer: Tracer = field(init=False)
    _meter: Meter = field(default_factory=Meter, init=False)
    _spans: deque[Span] = field(default_factory=deque, init=False)
    _found: list[Point] = field(default_factory=list, init=False)
    _dropped: dict[tuple[Signal, str], int] = field(default_factory=dict, init=False)
    _turn: threading.Condition = field(default_factory=threading.Condition, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _ending: bool = field(default=False, init=False)
    _pause: float = field(default=0.0, init=False)
    _since_ns: int = field(init=False)

    def __post_init__(self) -> None:
        """What is counted begins now."""
        self._tracer = Tracer(names=self.names, now_ns=self.now_ns)
        self._since_ns = self.now_ns()

    def __call__(self, event: Event) -> None:
        """Tell it on, and take what of it is a span or a count."""
        self.then(event)
        with self._turn:
            self._take(event)
            if (self._spans or "metrics" in self.signals) and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
                self._thread.start()
            if len(self._spans) >= AT_ONCE:
                self._turn.notify_all()

    def flush(
        self, found: Callable[[], Sequence[Point]] | None = None, seconds: float = FLUSH_SECONDS
    ) -> bool:
        """Send all there is, and wait for that for some seconds; whether it was sent or dropped.

        Args:
            found: gives what store, ledger and spool say; what it raises is nobody's fault.
            seconds: to wait.
        """
        points = self._look(found)
        with self._turn:
            self._found = points
            if self._thread is None:
                if not points:
                    return True
                self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
                self._thread.start()
            self._ending = True
            self._turn.notify_all()
            return self._turn.wait_for(lambda: self._thread is None, timeout=seconds)

    def _look(self, found: Callable[[], Sequence[Point]] | None) -> list[Point]:
        if found is None or "metrics" not in self.signals:
            return []
        try:
            return list(found())
        except EngineError:
            return []

    # -- taking, with the turn ------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        if "metrics" in self.signals:
            self._drop("metrics", "not_allowed", self._meter.take(event, self.names))
        if "traces" not in self.signals:
            return
        for make in self._tracer.spans(event):
            try:
                span = make()
            except EngineError:
                self._drop("traces", "not_allowed", 1)
                continue
            if len(self._spans) >= SPANS_MAX:
                self._drop("traces", "full", 1)
            else:
                self._spans.append(span)

    def _drop(self, signal: Signal, reason: str, number: int) -> None:
        if number:
            key = signal, reason
            self._dropped[key] = self._dropped.get(key, 0) + number

    # -- sending, on the thread ----------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._turn:
                pause = max(self.every_seconds, self._pause)
                self._turn.wait_for(
                    lambda: self._ending or (len(self._spans) >= AT_ONCE and not self._pause),
                    timeout=pause,
                )
                ending, spans, found = self._ending, list(self._spans), self._found
                self._spans.clear()
                self._found = []
            away = self._traces(spans, ending=ending)
            self._metrics(found, ending=ending, away=away)
            self._tell_dropped()
            with self._turn:
                if ending and not self._spans:
                    self._ending, self._thread = False, None
                    self._turn.notify_all()
                    return

    def _traces(self, spans: Sequence[Span], *, ending: bool) -> bool:
        """Whether the receiver is away."""
        if not spans:
            return False
        reason = self._sent(lambda receiver: receiver.traces(spans))
        with self._turn:
            if reason != "away" or ending:
                self._drop("traces", reason, len(spans) if reason else 0)
                return reason == "away"
            room = max(0, SPANS_MAX - len(self._spans))
            self._spans.extendleft(reversed(spans[:room]))
            self._drop("traces", "full", len(spans) - len(spans[:room]))
            return True

    def _metrics(self, found: Sequence[Point], *, ending: bool, away: bool) -> None:
        now, since = self.now_ns(), self._since_ns
        with self._turn:
            sums = self._meter.empty()
        if not (sums or found):
            return
        # Whoever did not take the one would let us wait for the other, too.
        reason = (
            "away"
            if away
            else self._sent(
                lambda receiver: receiver.metrics(sums, found, since_ns=since, now_ns=now)
            )
        )
        with self._turn:
            if reason == "away" and not ending:
                self._meter.put_back(sums)
            else:
                self._since_ns = now
                self._drop("metrics", reason, len(sums) + len(found) if reason else 0)

    def _sent(self, send: Callable[[TelemetryReceiver], None]) -> str:
        """Why it was not; empty where it was."""
        reason = ""
        try:
            with self.open() as receiver:
                send(receiver)
        except ConfigError:
            reason = "refused"
        except Exception:
            # Of whatever ends a thread of ours nobody but it would know.
            reason = "away"
        self._pause = (
            0.0 if not reason else min(_PAUSE_MAX_SECONDS, max(self.every_seconds, self._pause * 2))
        )
        return reason

    def _tell_dropped(self) -> None:
        with self._turn:
            dropped, self._dropped = self._dropped, {}
        for (signal, reason), number in dropped.items():
            self.then(TelemetryDropped(signal=signal, reason=reason, dropped=number))
