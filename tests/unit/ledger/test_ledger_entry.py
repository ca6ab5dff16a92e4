"""Entries: identifiers and counts only, in one canonical form."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.errors import IntegrityError
from mayfly.ledger.entry import Entry, EntryType, format_time, identifier_of, parse_time

AT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
DRAFT = Entry(
    type=EntryType.DELIVERED, workspace="w1", sync="vip", run="r1", batch=0, rows=3, reason="done"
)
PLACED = DRAFT.placed(seq=4, at=AT)
ACT = {"operation": "pause", "actor": "a-1", "object": "sync/vip", "before": "0f" * 32}
IDENTIFIERS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/+=-", max_size=128
)


def test_an_entry_is_one_line_of_sorted_json() -> None:
    """The canonical form is compact, sorted, and holds every field."""
    document = {
        "type": "delivered",
        "workspace": "w1",
        "region": "",
        "target": "",
        "sync": "vip",
        "run": "r1",
        "batch": 0,
        "age_ms": None,
        "rows": 3,
        "operation": "",
        "destination": "",
        "reason": "done",
        "software": "",
        "seq": 4,
        "at": "2026-03-01T12:00:00.000005Z",
    }
    expected = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert PLACED.to_line() == expected
    more = {"kek_version": "7", "final_at": "2026-03-02T00:00:00.000000Z"}
    document |= more
    expected = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    assert replace(PLACED, **more).to_line() == expected
    assert Entry.from_line(expected) == replace(PLACED, **more)


@given(
    kind=st.sampled_from(EntryType),
    texts=st.tuples(IDENTIFIERS, IDENTIFIERS, IDENTIFIERS),
    rows=st.integers(0, 2**53 - 1),
    seq=st.integers(0, 2**53 - 1),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_an_entry_comes_back(
    kind: EntryType, texts: tuple[str, str, str], rows: int, seq: int, at: datetime
) -> None:
    """Any entry survives writing and reading."""
    entry = Entry(
        type=kind,
        workspace=texts[0],
        sync=texts[1],
        run="r" + texts[2][:127],
        batch=1,
        rows=rows,
        reason="0f" * 32 if kind is EntryType.SUPPRESSION else texts[1],
        kek_version=texts[1],
        **(ACT if kind is EntryType.ACT else {}),
        seq=seq,
        at=format_time(at),
    )
    assert Entry.from_line(entry.to_line()) == entry
    assert parse_time(format_time(at)) == at


@pytest.mark.parametrize(
    "text",
    ["ann@example.com", "Ann Smith", "x" * 129, "é", "a\n", "\uff11", "{}", '"', "a,b", "a%40b"],
)
@pytest.mark.parametrize("field", ["workspace", "run", "reason", "destination", "software"])
def test_no_field_takes_a_value_of_a_person(field: str, text: str) -> None:
    """Text beyond an identifier's letters is refused, and the refusal does not repeat it."""
    with pytest.raises(ValueError, match=field) as caught:
        replace(DRAFT, **{field: text})
    assert text not in str(caught.value) or text in field


@pytest.mark.parametrize(
    "change",
    [
        {"rows": -1},
        {"rows": True},
        {"rows": 2**53},
        {"rows": None},
        {"batch": -1},
        {"age_ms": -1},
        {"age_ms": 1.5},
        {"batch": None},
        {"run": ""},
        {"seq": 1.0},
        {"at": "2026-03-01T12:00:00Z"},
        {"type": "vanished"},
        {"actor": "a-1"},
        {"before": "0f" * 32},
        {"type": "act"},
        {"type": "act", **ACT, "actor": ""},
        {"type": "act", **ACT, "object": ""},
        {"type": "act", **ACT, "operation": ""},
        {"type": "act", **ACT, "after": "0F" * 32},
        {"type": "act", **ACT, "object": "sync/Ann Smith"},
    ],
)
def test_impossible_entries_are_refused(change: dict[str, object]) -> None:
    """Counts, times and types outside their range never become an entry."""
    with pytest.raises(ValueError, match=r".+"):
        replace(DRAFT, **change)


def test_the_ledger_gives_place_and_time_once() -> None:
    """A draft cannot be written, and a placed entry cannot be placed again."""
    with pytest.raises(ValueError, match="seq and at"):
        DRAFT.to_line()
    with pytest.raises(ValueError, match="seq and at"):
        PLACED.placed(seq=5, at=AT)


def test_foreign_names_become_identifiers() -> None:
    """The end of a long name tells most; what no entry may have is a dash."""
    assert identifier_of("arn:aws:kms:eu-west-1:1:key/a b@c") == "arn:aws:kms:eu-west-1:1:key/a-b-c"
    assert identifier_of("x" * 200 + "1") == "x" * 127 + "1"


def test_times_are_utc() -> None:
    """A time of another zone is converted; a time without a zone is refused."""
    paris = AT.astimezone(timezone(timedelta(hours=1)))
    assert format_time(paris) == "2026-03-01T12:00:00.000005Z"
    with pytest.raises(ValueError, match="zone"):
        format_time(AT.replace(tzinfo=None))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\x00",
        b"[" * 5000,
        PLACED.to_line() + b" ",
        PLACED.to_line().replace(b'"rows":3', b'"rows":3.0'),
        PLACED.to_line().replace(b'"rows":3', b'"rows":"3"'),
        PLACED.to_line().replace(b'"rows":3', b'"rows":3,"rows":3'),
        PLACED.to_line().replace(b'"rows":3', b'"rows":NaN'),
        PLACED.to_line().replace(b'"reason"', b'"email"'),
        PLACED.to_line().replace(b"T12", b"T25"),
        PLACED.to_line().replace(b'"at":"2026-03-01T12:00:00.000005Z"', b'"at":1'),
        PLACED.to_line().replace(b'"seq":4', b'"seq":null'),
        json.dumps(json.loads(PLACED.to_line())).encode(),
    ],
)
def test_other_lines_are_malformed(line: bytes) -> None:
    """Only the canonical form is read, so that one entry has one hash."""
    with pytest.raises(IntegrityError, match="entry_malformed"):
        Entry.from_line(line)


@pytest.mark.parametrize("reason", ["", "done", "0F" * 32, "0f" * 31])
def test_a_list_is_recorded_by_its_root(reason: str) -> None:
    """Anything else says nothing of who is on it."""
    with pytest.raises(ValueError, match="reason"):
        replace(DRAFT, type=EntryType.SUPPRESSION, reason=reason)
