"""What the commands print fits the terminal, and says what it means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from mayfly.cli.progress import Bar, speed
from mayfly.cli.render import runs_text, wrapped

WORDS = st.lists(st.text("abc-/", min_size=1, max_size=30), min_size=1, max_size=20)


@given(words=WORDS, width=st.integers(20, 100), indent=st.integers(0, 4))
def test_lines_break_between_words_alone(words: list[str], width: int, indent: int) -> None:
    """No word is cut or lost; only one that is longer than the line makes it wider."""
    line = " " * indent + " ".join(words)
    found = wrapped(line, width)
    assert " ".join(found).split() == words
    assert all(len(part) <= width or len(part.split()) == 1 for part in found)
    assert all(part.startswith(" " * (indent + 2)) for part in found[1:])


@pytest.mark.parametrize(
    ("done", "planned", "seconds", "said"),
    [
        (0, 1_000, 0.0, "0/1,000 rows"),
        (0, 1_000, 9.0, "0/1,000 rows"),
        (500, 1_000, 0.0, "500/1,000 rows"),
        (250, 1_000, 10.0, "250/1,000 rows  25/s  0:30 left"),
        (1_000, 100_000, 10.0, "1,000/100,000 rows  100/s  16:30 left"),
        (1_000, 1_000, 10.0, "1,000/1,000 rows  100/s  0:00 left"),
    ],
)
def test_speed_is_told_once_there_is_one(
    done: int, planned: int, seconds: float, said: str
) -> None:
    """Before the first batch is answered there is nothing to divide."""
    assert speed(done, planned, seconds) == said


def test_a_bar_plans_then_counts_from_the_plan_on() -> None:
    """Planning takes no part in rows/s, and the next sync takes the line."""
    clock: Iterator[float] = iter([100.0, 110.0, 500.0])
    progress = Progress(console=Console(quiet=True), auto_refresh=False)
    bar = Bar(progress=progress, seconds=lambda: next(clock))
    bar.report("first", 0, 0)
    assert (progress.tasks[0].total, progress.tasks[0].fields["said"]) == (None, "planning")
    bar.report("first", 0, 400)
    bar.report("first", 200, 400)
    assert progress.tasks[0].fields["said"] == "200/400 rows  20/s  0:10 left"
    bar.report("second", 0, 0)
    assert [task.visible for task in progress.tasks] == [False, True]
    bar.report("second", 0, 7)
    assert progress.tasks[1].fields["said"] == "0/7 rows"


def test_a_pipe_gets_a_run_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever greps finds the run and how it ended together."""
    run = {
        "run": "20260101t000000-aaaaaa",
        "sync": "s" * 90,
        "target": "t" * 60,
        "status": "failed",
        "error_code": "c" * 60,
        "rows": {},
    }
    runs_text([run])
    [head, line] = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["run", "sync"]
    counts = ["0", "0"]
    assert line.split() == [run["run"], "s" * 90, f"({'t' * 60})", "failed:", "c" * 60, *counts]
