"""What changed in the register, and who has to be told before it counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.register_changes import (
    RegisterVersion,
    SentNotice,
    Subscriber,
    changes,
    untold,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
Entry = dict[str, Any]


def entry(name: str = "cloud", **change: Any) -> Entry:
    """An active one in Ireland."""
    return {
        "name": name,
        "status": "active",
        "legal_name": "Cloud Ltd",
        "purpose": "Hosting",
        "data_categories": ["user"],
        "locations": ["IE"],
        "parent": None,
        "effective": "2026-02-01",
        **change,
    }


def of(*entries: Entry) -> dict[str, Entry]:
    """By name."""
    return {e["name"]: e for e in entries}


CASES: dict[str, tuple[dict[str, Entry], dict[str, Entry], list[tuple[str, bool]]]] = {
    "nothing": (of(entry()), of(entry()), []),
    "added": (of(), of(entry(status="announced")), [("added", True)]),
    "engaged as announced": (of(entry(status="announced")), of(entry()), []),
    "another region": (of(entry()), of(entry(locations=["IE", "US"])), [("changed", True)]),
    "a region less": (of(entry(locations=["IE", "US"])), of(entry()), [("changed", False)]),
    "another purpose": (of(entry()), of(entry(purpose="Mail")), [("changed", True)]),
    "another category": (
        of(entry()),
        of(entry(data_categories=["system", "user"])),
        [("changed", True)],
    ),
    "sooner than announced": (
        of(entry(status="announced")),
        of(entry(status="announced", effective="2026-01-31")),
        [("changed", True)],
    ),
    "retired": (of(entry()), of(entry(status="retired")), [("retired", False)]),
    "gone": (of(entry()), of(), [("retired", False)]),
    "gone after it was retired": (of(entry(status="retired")), of(), []),
    "back again": (of(entry(status="retired")), of(entry()), [("added", True)]),
    "new and retired": (of(), of(entry(status="retired")), []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_one_is_told_of(case: str) -> None:
    """Added, changed in region or purpose, retired; and whether more may be done than before."""
    old, new, expected = CASES[case]
    assert [(c.what, c.widens) for c in changes(old, new)] == expected


STATUS = st.sampled_from(["announced", "active", "retired", "objected"])
REGISTERS = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(STATUS, st.sets(st.sampled_from(["IE", "US", "SG"]), min_size=1)),
).map(
    lambda found: {
        n: entry(n, status=status, locations=sorted(where)) for n, (status, where) in found.items()
    }
)


def version(digest: str, entries: Mapping[str, Entry]) -> RegisterVersion:
    """Archived."""
    document = json.dumps({"processors": list(entries.values())})
    return RegisterVersion(digest=digest, document=document, recorded_at=NOW)


@given(old=REGISTERS, new=REGISTERS, days=st.integers(0, 60))
def test_nothing_wider_is_used_before_everybody_knew_it_so_long(
    old: dict[str, Entry], new: dict[str, Entry], days: int
) -> None:
    """Without notices, whatever widened waits; with them, until the days are over; then nothing."""
    subscriber = Subscriber(name="legal", kind="mail", told="old", since=NOW)
    wider = {c.processor for c in changes(old, new) if c.widens}
    versions = {"old": version("old", old), "new": version("new", new)}
    later = NOW + timedelta(days=days)
    assert set(untold(new, versions, [subscriber], [], notice_days=30, now=later)) == wider
    notices = [
        SentNotice(
            recipient="legal",
            content=c.content(),
            processor=c.processor,
            what=c.what,
            widens=c.widens,
            at=NOW,
            failure="",
        )
        for c in changes(old, new)
    ]
    told = Subscriber(name="legal", kind="mail", told="new", since=NOW)
    for known in (subscriber, told):
        found = set(untold(new, versions, [known], notices, notice_days=30, now=later))
        assert found == (wider if days < 30 else set())
    assert untold(new, versions, [], notices, notice_days=30, now=later) == {}


@given(old=REGISTERS, new=REGISTERS)
def test_a_register_differs_from_itself_in_nothing(
    old: dict[str, Entry], new: dict[str, Entry]
) -> None:
    """And one change has one content, whoever asks."""
    assert list(changes(old, old)) == []
    contents = [c.content() for c in changes(old, new)]
    assert len(set(contents)) == len(contents)
    assert contents == [c.content() for c in changes(old, new)]
