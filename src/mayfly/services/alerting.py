"""Telling operators, beside the run: nothing of it waits for a channel, and none ends by one."""

from __future__ import annotations

import queue
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mayfly.domain.alerts import Alert, AlertKind, Notice
from mayfly.domain.errors import EngineError, TransientError
from mayfly.ports.alerts import AlertChannel
from mayfly.ports.store import Store
from mayfly.services.alert_rules import AlertRules, Change, alert_of_opening
from mayfly.services.events import AlertFailed, Event, Tell, ignore

ATTEMPTS = 3
BACKOFF_SECONDS = 1.0
"""Doubled for each further attempt."""
FLUSH_SECONDS = 45.0
WAITING_MAX = 1_000
SENDING_MAX = timedelta(minutes=10)
"""After which who began to send is taken for dead."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One channel.

    Args:
        name: of the channel.
        kinds: of the alerts it is told of.
        again_after: how long an alert that goes on is not told again.
        open: reaches it; what it raises is that channel's alone.
    """

    name: str
    kinds: frozenset[AlertKind]
    again_after: timedelta
    open: Callable[[], AbstractContextManager[AlertChannel]]


@dataclass(kw_only=True)
class Alerting:
    """Takes events, and tells those that are alerts on a thread of its own. Any thread may tell it.

    Args:
        routes: the channels.
        store: remembers what each was told.
        workspace: name of the workspace.
        target: that is worked on.
        now: the time.
        then: who else is told of events; what could not be sent is, too.
        wait: between attempts.
    """

    routes: Sequence[Route]
    store: Store
    workspace: str
    target: str
    now: Callable[[], datetime]
    then: Tell = ignore
    wait: Callable[[float], object] = field(default_factory=lambda: threading.Event().wait)
    _rules: AlertRules = field(default_factory=AlertRules, init=False)
    _waiting: queue.Queue[Change] = field(
        default_factory=lambda: queue.Queue(WAITING_MAX), init=False
    )
    _turn: threading.Condition = field(default_factory=threading.Condition, init=False)
    _left: int = field(default=0, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def __call__(self, event: Event) -> None:
        """Tell it on, and take what of it is an alert."""
        self.then(event)
        if self.routes:
            with self._turn:
                changes = self._rules.changes(event)
            self._take(changes)

    def not_opened(self, code: str) -> None:
        """Take that the project could not be opened, and wait until that is told."""
        alert = alert_of_opening(code, self.target)
        if alert is not None and self.routes:
            self._take([Change(alert=alert, raised=True)])
            self.flush()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until all that was taken is told or given up; whether it was."""
        with self._turn:
            return self._turn.wait_for(lambda: self._left == 0, timeout=seconds)

    def _take(self, changes: Sequence[Change]) -> None:
        for change in changes:
            with self._turn, suppress(queue.Full):
                self._waiting.put_nowait(change)
                self._left += 1
        if changes:
            self._start()

    def _start(self) -> None:
        with self._turn:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            change = self._waiting.get()
            try:
                for route in self.routes:
                    self._one(route, change)
            finally:
                with self._turn:
                    self._left -= 1
                    self._turn.notify_all()

    def _one(self, route: Route, change: Change) -> None:
        """A store that does not answer keeps an alert from being told twice, and so from being
        told at all; what it was raised for meets the store, too.
        """
        if change.alert.kind not in route.kinds:
            return
        with suppress(EngineError):
            if change.raised:
                self._raised(route, change.alert)
            elif self.store.end_alert(route.name, change.alert):
                self._send(route, change.alert, "cleared")

    def _raised(self, route: Route, alert: Alert) -> None:
        now = self.now()
        claimed = self.store.claim_alert(
            route.name,
            alert,
            now=now,
            told_before=now - route.again_after,
            sending_before=now - SENDING_MAX,
        )
        if claimed:
            failure = self._send(route, alert, "raised")
            self.store.note_alert(route.name, alert, failure=failure)

    def _send(self, route: Route, alert: Alert, state: str) -> str:
        """Why it could not be sent; empty where it was."""
        notice = notice_of(alert, state, self.workspace, self.now())
        code = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.wait(BACKOFF_SECONDS * 2 ** (attempt - 1))
            try:
                with route.open() as channel:
                    channel.send(notice)
            except TransientError as error:
                code = error.code
            except EngineError as error:
                code = error.code
                break
            else:
                return ""
        self.then(AlertFailed(channel=route.name, kind=alert.kind.value, code=code))
        return code


def notice_of(alert: Alert, state: str, workspace: str, now: datetime) -> Notice:
    """A notice with an id of its own."""
    return Notice(
        id=f"msg_{secrets.token_hex(16)}", state=state, alert=alert, workspace=workspace, at=now
    )
