"""Channels are told once, beside the run, and nothing of a channel's reaches the run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.alerts import AlertKind, Notice
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.ports.alerts import AlertChannel
from mayfly.services.alerting import Alerting, Route
from mayfly.services.events import AlertFailed, Event, RunEnded, Swept

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENDED = RunEnded(
    sync="to_crm",
    target="dev",
    run="r1",
    status="succeeded",
    code="",
    batches=1,
    planned=3,
    delivered=3,
    rejected=0,
    held=0,
    seconds=1.0,
)
FAILED = replace(ENDED, status="failed", code="destination_refused")


@dataclass
class Operator:
    """Takes notices, or fails first."""

    failures: list[EngineError] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    calls: int = 0
    let_go: threading.Event | None = None

    def send(self, notice: Notice) -> None:
        """Keep it."""
        self.calls += 1
        if self.let_go is not None:
            self.let_go.wait(20)
        if self.failures:
            raise self.failures.pop(0)
        self.notices.append(notice)

    def check(self) -> None:
        """Nothing is wrong."""

    def told(self) -> list[str]:
        """States and kinds, in order."""
        return [f"{n.state} {n.alert.kind.value}" for n in self.notices]


class World:
    """A store, a clock and an operator."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlStore("sqlite", folder / ".mayfly")
        self.store.create(workspace_id="w-1", name="shop", installation_id="i", now=NOW)
        self.now = NOW
        self.operator = Operator()
        self.events: list[Event] = []
        self.pauses: list[float] = []

    def alerting(self, kinds: frozenset[AlertKind] = frozenset(AlertKind)) -> Alerting:
        """As another process would have it."""

        @contextmanager
        def opened() -> Iterator[AlertChannel]:
            yield self.operator

        route = Route(name="ops", kinds=kinds, again_after=timedelta(hours=2), open=opened)
        return Alerting(
            routes=(route,),
            store=self.store,
            workspace="shop",
            target="dev",
            now=lambda: self.now,
            then=self.events.append,
            wait=self.pauses.append,
        )

    def tell(self, *events: Event) -> None:
        """Tell a process of its own, and wait until it is done."""
        made = self.alerting()
        for event in events:
            made(event)
        assert made.flush()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An empty one."""
    return World(tmp_path)


def test_an_alert_is_told_once_until_it_clears(world: World) -> None:
    """Whatever process meets it again; its end is told once, too, and then it may begin anew."""
    world.tell(FAILED, FAILED)
    world.tell(FAILED)
    world.tell(ENDED, ENDED)
    world.tell(FAILED)
    assert world.operator.told() == ["raised failed", "cleared failed", "raised failed"]
    assert [a.failure for a in world.store.alerts()] == [""]


def test_what_goes_on_is_told_again_after_its_time(world: World) -> None:
    """Two hours here, to the second."""
    world.tell(FAILED)
    world.now = NOW + timedelta(hours=2) - timedelta(seconds=1)
    world.tell(FAILED)
    assert len(world.operator.notices) == 1
    world.now = NOW + timedelta(hours=2)
    world.tell(FAILED)
    assert len(world.operator.notices) == 2
    [alert] = world.store.alerts()
    assert (alert.since, alert.told_at) == (NOW, world.now)


def test_one_of_two_processes_tells(world: World) -> None:
    """While the first still sends the second has nothing to do."""
    world.operator.let_go = threading.Event()
    first, second = world.alerting(), world.alerting()
    first(FAILED)
    assert not first.flush(0.2)
    second(FAILED)
    assert second.flush(10)
    world.operator.let_go.set()
    assert first.flush(10)
    assert world.operator.told() == ["raised failed"]


def test_who_died_while_sending_is_followed(world: World) -> None:
    """After ten minutes the next process tells what the dead one took on."""
    world.tell(FAILED)
    [alert] = world.operator.notices
    world.store.note_alert("ops", alert.alert, failure="sending")
    world.now = NOW + timedelta(minutes=9)
    world.tell(FAILED)
    assert len(world.operator.notices) == 1
    world.now = NOW + timedelta(minutes=10)
    world.tell(FAILED)
    assert len(world.operator.notices) == 2


def test_a_run_does_not_wait_for_a_channel(world: World) -> None:
    """Telling returns while the channel hangs, and waiting for it has an end."""
    world.operator.let_go = threading.Event()
    made = world.alerting()
    for _ in range(5):
        made(FAILED)
    assert not made.flush(0.05)
    assert world.operator.notices == []
    world.operator.let_go.set()
    assert made.flush(10)


def test_a_channel_that_is_away_is_tried_three_times(world: World) -> None:
    """With longer and longer pauses; a repeat has the id of the first."""
    world.operator.failures = [TransientError("alert_away", "x"), TransientError("alert_away", "x")]
    world.tell(FAILED)
    assert world.operator.told() == ["raised failed"]
    assert (world.operator.calls, world.pauses) == (3, [1.0, 2.0])
    assert world.store.alerts()[0].failure == ""


def test_what_could_not_be_told_is_kept_and_tried_by_the_next_event(world: World) -> None:
    """It is an event, it stays in the store with its code, and its end is told to nobody."""
    world.operator.failures = [TransientError("alert_away", "x") for _ in range(6)]
    world.tell(FAILED)
    assert world.events[-1] == AlertFailed(channel="ops", kind="failed", code="alert_away")
    assert world.store.alerts()[0].failure == "alert_away"
    world.tell(FAILED)
    assert world.operator.calls == 6
    world.tell(ENDED)
    assert world.operator.told() == []
    assert world.store.alerts() == []


def test_a_setting_that_is_wrong_is_not_tried_again(world: World) -> None:
    """Once is enough; the run goes on."""
    world.operator.failures = [ConfigError("alert_refused", "x")]
    world.tell(FAILED)
    assert (world.operator.calls, world.store.alerts()[0].failure) == (1, "alert_refused")


def test_a_channel_is_told_of_its_kinds_alone(world: World) -> None:
    """What another kind is leaves no trace, and every event is told on."""
    made = world.alerting(frozenset({AlertKind.HELD}))
    for event in (FAILED, Swept(ended=1, left=0), replace(FAILED, status="held", held=7)):
        made(event)
    assert made.flush()
    assert world.operator.told() == ["raised held"]
    assert world.operator.notices[0].alert.count == 7
    assert len(world.events) == 3


def test_a_store_that_is_away_ends_nothing(world: World, tmp_path: Path) -> None:
    """The event is told on, and nobody else hears of it."""
    (tmp_path / ".mayfly/store.sqlite").unlink()
    world.tell(FAILED)
    assert (world.operator.calls, world.events) == (0, [FAILED])


def test_a_project_that_does_not_open_is_told_before_its_process_ends(world: World) -> None:
    """Where its keys are why."""
    world.alerting().not_opened("keys_unavailable")
    world.alerting().not_opened("store_unavailable")
    assert world.operator.told() == ["raised keys_unavailable"]
    assert world.operator.notices[0].alert.subject == "keys"


def test_a_notice_holds_ids_codes_and_counts(world: World) -> None:
    """Nothing else has room in it."""
    world.tell(FAILED)
    [notice] = world.operator.notices
    assert notice.to_dict() == {
        "state": "raised",
        "kind": "failed",
        "workspace": "shop",
        "target": "dev",
        "subject": "to_crm",
        "code": "destination_refused",
        "run": "r1",
        "count": 0,
    }
    assert notice.title() == "mayfly shop: failed raised, to_crm"
    assert notice.lines()[-1] == "at: 2026-03-01T12:00:00+00:00"
