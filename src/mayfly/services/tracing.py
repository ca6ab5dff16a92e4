"""Spans of runs, from the events that are told of them, and from nothing else.

Ids of traces come of the run's id: what several processes do for one run is one trace.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mayfly.domain.telemetry import OUTCOMES, Span, Value
from mayfly.services.events import Event, Recorded, RunEnded, RunPlanned, RunStarted
from mayfly.services.measuring import Names

RUNS_MAX = 1_000
_FAILED = frozenset({"failed", "refused"})
Make = Callable[[], Span]


def trace_id(run: str) -> bytes:
    """16 bytes."""
    return hashlib.sha256(f"trace:{run}".encode()).digest()[:16]


def root_id(run: str) -> bytes:
    """8 bytes: of the span of the whole run."""
    return hashlib.sha256(f"run:{run}".encode()).digest()[:8]


@dataclass(kw_only=True)
class _Run:
    """One that goes on."""

    start_ns: int
    last_ns: int
    mode: str


@dataclass(kw_only=True)
class Tracer:
    """Remembers when the runs of this process began; one thread at a time.

    Args:
        names: of syncs.
        now_ns: nanoseconds since 1970.
    """

    names: Names
    now_ns: Callable[[], int]
    _runs: dict[str, _Run] = field(default_factory=dict, init=False)

    def spans(self, event: Event) -> Iterator[Make]:
        """What ends with an event. Each is made when it is called, and may be refused then."""
        now = self.now_ns()
        match event:
            case RunStarted(dry=False) if len(self._runs) < RUNS_MAX:
                self._runs[event.run] = _Run(start_ns=now, last_ns=now, mode=event.mode)
            case RunPlanned() if event.run in self._runs:
                run = self._runs[event.run]
                run.last_ns = now
                yield self._span("plan", event, run.start_ns, now, planned=event.rows)
            case Recorded(act="delivered"):
                yield from self._batch(event, now)
            case Recorded(act="dropped") if event.run in self._runs:
                yield self._span("close", event, self._runs[event.run].last_ns, now)
            case RunEnded() if event.run in self._runs:
                yield self._whole(event, self._runs.pop(event.run), now)
            case _:
                return

    def _batch(self, event: Recorded, now: int) -> Iterator[Make]:
        if event.run in self._runs:
            self._runs[event.run].last_ns = now
        age_ms = event.age_ms or 0
        yield self._span(
            "batch",
            event,
            now - age_ms * 1_000_000,
            now,
            batch=event.batch,
            rows=event.rows,
            age_ms=age_ms,
            operation=event.operation or None,
            destination=event.destination or None,
        )

    def _whole(self, event: RunEnded, run: _Run, now: int) -> Make:
        counts = {name: getattr(event, name) for name in OUTCOMES}
        return self._span(
            "run",
            event,
            run.start_ns,
            now,
            root=True,
            failed=event.status in _FAILED,
            mode=run.mode,
            status=event.status,
            code=event.code or None,
            batches=event.batches,
            planned=event.planned,
            **counts,
        )

    def _span(
        self,
        type_: str,
        event: RunEnded | RunPlanned | Recorded,
        start_ns: int,
        end_ns: int,
        *,
        root: bool = False,
        failed: bool = False,
        **attributes: Value | None,
    ) -> Make:
        run = event.run
        of = {"sync": self.names(event.sync) or "", "target": event.target, "run": run}
        known = {name: value for name, value in attributes.items() if value is not None}

        def make() -> Span:
            return Span(
                type=type_,
                trace_id=trace_id(run),
                span_id=root_id(run) if root else secrets.token_bytes(8),
                parent_id=b"" if root else root_id(run),
                start_ns=start_ns,
                end_ns=max(start_ns, end_ns),
                attributes=of | known,
                failed=failed,
            )

        return make
