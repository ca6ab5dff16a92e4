"""Events carry ids, codes, counts and durations, and nothing else."""

from __future__ import annotations

import json
import sys
import typing
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mayfly.adapters.event_log import event_log
from mayfly.domain.errors import ConfigError
from mayfly.services.events import NAMES, AnchorFailed, Event, Swept, Waiting, ignore, to_line

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs/reference/events.md"
PLAIN = {"str", "int", "float", "bool", "int | None"}


def test_an_event_is_one_line() -> None:
    """Its name, its time, its fields."""
    line = to_line(Waiting(sync="to_crm", run="r1", seconds=0.5), AT)
    assert json.loads(line) == {
        "event": "waiting",
        "at": "2026-03-01T12:00:00+00:00",
        "sync": "to_crm",
        "run": "r1",
        "seconds": 0.5,
    }


@pytest.mark.parametrize("text", ["ada@example.com", "two words", "a\nb", "a" * 129, "é"])
def test_a_text_that_is_no_identifier_is_not_told(text: str) -> None:
    """Whoever made the event of it was wrong; the line is still there."""
    line = to_line(AnchorFailed(anchor=text, code="hook_refused"), AT)
    assert json.loads(line)["anchor"] == "unprintable"
    assert json.loads(line)["code"] == "hook_refused"


def test_the_list_of_events_is_closed() -> None:
    """Each has a name, and only fields of plain types."""
    kinds = set(typing.get_args(Event))
    assert set(NAMES) == kinds
    assert len(set(NAMES.values())) == len(kinds)
    assert {f.type for kind in kinds for f in fields(kind)} <= PLAIN


def test_every_event_and_field_is_documented() -> None:
    """In the page, event by event."""
    text = PAGE.read_text(encoding="utf-8")
    rows = {
        line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")
    }
    for kind, name in NAMES.items():
        row = rows[f"`{name}`"]
        assert [f.name for f in fields(kind) if f"`{f.name}`" not in row] == [], name


def test_events_are_told_only_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error; another form than json is refused, and not repeated."""
    assert event_log({}) is ignore
    event_log({"MAYFLY_LOG": "json"})(Swept(ended=2, left=0))
    said = capsys.readouterr()
    assert json.loads(said.err)["ended"] == 2
    assert said.out == ""
    with pytest.raises(ConfigError) as caught:
        event_log({"MAYFLY_LOG": "ada@example.com"})
    assert caught.value.code == "bad_log"
    assert "ada" not in f"{caught.value}{caught.value.hint}"


def test_nobody_reading_ends_no_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A closed standard error, or none at all."""
    closed = (tmp_path / "x").open("w")
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        event_log({"MAYFLY_LOG": "json"})(Swept(ended=2, left=0))
