"""Which events open an incident, and what its notice says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.audit import OpenAct
from mayfly.domain.errors import UsageError
from mayfly.domain.incidents import MEASURES, NATURES, IncidentKind
from mayfly.services.events import Event, OverTarget, RunEnded, RunStarted
from mayfly.services.incidents import (
    IncidentWatch,
    close_incident,
    incident_document,
    incident_of_act,
    notice_of,
)
from mayfly.testing.store_world import NOW, create, incident

CAP_SECONDS = 30 * 86_400


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """An empty one."""
    made = SqlStore("sqlite", tmp_path)
    create(made)
    return made


def ended(code: str = "", **counts: Any) -> list[Event]:
    """A run that ended so."""
    run: dict[str, Any] = {"sync": "vip", "target": "dev", "run": "r1"}
    zero = {"batches": 0, "planned": 0, "delivered": 0, "rejected": 0, "held": 0, "seconds": 1.0}
    return [
        RunStarted(**run, mode="mirror", dry=bool(counts.pop("dry", False))),
        RunEnded(**run, status="refused", code=code, **(zero | counts)),
    ]


def overdue(what: str, seconds: float) -> list[Event]:
    """What waits so long."""
    return [OverTarget(sync="vip", target="dev", run="r1", what=what, seconds=seconds)]


@pytest.mark.parametrize(
    ("events", "refused", "opened"),
    [
        (ended(), 0, []),
        (ended("destination_outage"), 0, []),
        (ended("region_differs"), 0, [("region_differs", "vip", 0)]),
        (ended("ledger_inconsistent"), 0, [("ledger_inconsistent", "ledger", 0)]),
        (ended(clear_values=3), 0, [("clear_value_found", "vip", 3)]),
        (
            ended("withheld_threshold", clear_values=3, withheld_guard=5),
            0,
            [("clear_value_found", "vip", 3), ("guard_stop", "vip", 5)],
        ),
        (ended(), 2, [("egress_refused", "vip", 0)]),
        (ended("region_differs", dry=True), 0, []),
        (overdue("copy", CAP_SECONDS + 1), 0, [("purge_overdue", "vip", 0)]),
        (overdue("sealed", CAP_SECONDS + 1), 0, [("purge_overdue", "vip", 0)]),
        (overdue("sealed", CAP_SECONDS), 0, []),
        (overdue("rows", CAP_SECONDS + 1), 0, []),
    ],
)
def test_security_events_open_incidents(
    store: SqlStore, events: Sequence[Event], refused: int, opened: list[tuple[str, str, int]]
) -> None:
    """By their codes, each with how many rows it is about."""
    told: list[Event] = []
    counts = iter([7, *[7 + refused] * 9])
    watch = IncidentWatch(
        store=store, target="dev", now=lambda: NOW, refused=lambda: next(counts), then=told.append
    )
    for event in events:
        watch(event)
    found = store.incidents()
    assert sorted((i.kind.value, i.subject, i.rows) for i in found) == opened
    assert told == events
    watch.note_refused()
    assert len(store.incidents()) == len(opened)


def test_what_happens_outside_of_runs_opens_one_too(store: SqlStore) -> None:
    """A project that cannot be opened, a connection that was refused, keys and people."""
    count = 0
    watch = IncidentWatch(store=store, target="dev", now=lambda: NOW, refused=lambda: count)
    watch.not_opened("keys_unavailable")
    assert list(store.incidents()) == []
    watch.not_opened("ledger_missing")
    count = 1
    watch.note_refused()
    usual: dict[str, Any] = {"id": "1", "object": "keys", "target": "dev", "actor": "a-1"}
    for action, after in (
        ("keys.rotate", "b"),
        ("people", "b"),
        ("people", "a"),
        ("keys.rewrap", "b"),
        ("pause", "b"),
    ):
        act = OpenAct(**usual, action=action, before="a", after=after, holder="h", outcome="done")
        incident_of_act(store, act, NOW)
    found = [(i.kind.value, i.subject, i.code, i.occurrences) for i in store.incidents()]
    assert sorted(found) == [
        ("egress_refused", "process", "host_not_allowed", 1),
        ("keys_changed", "keys", "keys.rotate", 1),
        ("ledger_inconsistent", "ledger", "ledger_missing", 1),
        ("roles_changed", "people", "people", 1),
    ]


def test_it_is_closed_once_and_by_measures_of_the_list(store: SqlStore) -> None:
    """Nobody closes one without saying what was done."""
    store.open_incident(incident("i1"))

    def closed(name: str, *measures: str) -> None:
        close_incident(store, name, measures=measures, note="", now=NOW + timedelta(days=1))

    for name, measures, code in (
        ("i1", (), "unknown_measure"),
        ("i1", ("none_needed", "prayer"), "unknown_measure"),
        ("i2", ("paused",), "unknown_incident"),
    ):
        with pytest.raises(UsageError) as told:
            closed(name, *measures)
        assert told.value.code == code
    closed("i1", "paused")
    with pytest.raises(UsageError) as told:
        closed("i1", "paused")
    assert told.value.code == "incident_closed"


@pytest.mark.parametrize("kind", IncidentKind)
def test_a_notice_says_all_that_a_controller_is_to_be_told(kind: IncidentKind) -> None:
    """When it was known, nature, categories and counts, consequences, measures."""
    found = incident("i1", kind=kind, rows=0, measures=("paused",), note="n")
    made = notice_of(found, workspace="shop", now=datetime(2026, 3, 2, tzinfo=UTC))
    assert made["known_at"] == NOW.isoformat()
    nature = NATURES[kind]
    assert (made["nature"], made["consequences"]) == (nature.what, nature.consequences)
    concerned = None if nature.concerns_people else 0
    assert made["people"] == {"categories": nature.subjects, "at_most": concerned}
    assert made["measures"] == [{"code": "paused", "text": MEASURES["paused"]}]
    counted = notice_of(incident("i1", kind=kind), workspace="s", now=NOW)["records"]["at_most"]
    assert counted == (3 if nature.concerns_people else 0)
    assert incident_document(found)["closed_at"] is None
