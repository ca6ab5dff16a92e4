"""Text for people: tables on stdout, progress on stderr and only on a terminal."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from mayfly.api.results import PlanResult, RunResult, SyncPlan


def to_json(document: Mapping[str, Any]) -> str:
    """One document, indented."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def pending_line(waiting: Mapping[str, Any]) -> str:
    """What waits for approval: sync, `source.table.column`, change."""
    place = ".".join(waiting[k] for k in ("source", "table", "column") if waiting[k])
    return f"{waiting['sync']}: {place}: {waiting['change']}"


def plan_text(result: PlanResult) -> None:
    """The plan as a bill."""
    console = Console(highlight=False)
    for sync in result.syncs:
        _bill(console, sync)


def _bill(console: Console, sync: SyncPlan) -> None:
    document = sync.to_dict()
    to = document["destination"]
    where = f" in {to['country']}" if to["country"] else ""
    console.print(
        f"\n[bold]{document['sync']}[/bold]  {document['mode']}  →  {to['platform']} "
        f"({to['kind']}; {to['processor'] or 'no owner named'}{where})"
        f"  purpose: {document['purpose'] or 'none bound'}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("column", "class", "rule", "changed in", "leaves as"):
        table.add_column(name, header_style="dim")
    for c in document["columns"]:
        table.add_row(c["from"], c["class"], c["rule"], c["where"], c["to"])
    console.print(table)
    rows = document["rows"]
    order = ("added", "changed", "removed", "unchanged", "withheld_consent", "suppressed")
    counts = "   ".join(f"{name.replace('_', ' ')} {rows[name]:,}" for name in order)
    console.print(counts)
    _object(console, document)
    extra = [n for n in ("in_doubt", "resend", "rejected_before", "no_identifier") if rows[n]]
    if extra:
        console.print("   ".join(f"{n.replace('_', ' ')} {rows[n]:,}" for n in extra))
    for refusal in document["refusals"]:
        column = f" ({refusal['column']})" if refusal["column"] else ""
        console.print(f"[red]refused[/red] {refusal['code']}{column}: {refusal['message']}")


def _object(console: Console, document: Mapping[str, Any]) -> None:
    """Whether what was delivered before is still there."""
    found = document["object"]
    if found["forgotten"]:
        console.print(
            f"[yellow]new audience[/yellow]: the one that {found['forgotten']:,} rows were "
            "delivered to is gone from the destination, so everything goes again"
        )
    if found["unasked"]:
        console.print(
            f"[yellow]not asked[/yellow] \\[{found['unasked']}]: whether the audience is still "
            "there; the counts take it as being there"
        )


def run_text(result: RunResult) -> None:
    """How each run ended, one line and its counts."""
    console = Console(highlight=False)
    colours = {"succeeded": "green", "no_changes": "green", "partial": "yellow", "held": "yellow"}
    for sync in result.syncs:
        document = sync.to_dict()
        colour = colours.get(document["status"], "red")
        seconds = document["seconds"]
        delivered = document["rows"]["delivered"] + document["rows"]["removed"]
        speed = f", {delivered / seconds:,.0f} rows/s" if seconds > 0 and delivered else ""
        console.print(
            f"[bold]{document['sync']}[/bold] [{colour}]{document['status']}[/{colour}] "
            f"in {seconds:.1f} s{speed}"
        )
        shown = [f"{k.replace('_', ' ')} {v:,}" for k, v in document["rows"].items() if v]
        if shown:
            console.print("  " + "   ".join(shown))
        _object(console, document)
        age = document["age_at_purge_seconds"]
        if document["batches"]:
            console.print(
                f"  held in memory: p50 {age['p50']:.1f} s, p95 {age['p95']:.1f} s, "
                f"longest {age['max']:.1f} s; kept: nothing"
            )
        error = document.get("error")
        if error:
            console.print(f"  {error['message']} \\[{error['code']}]")
            if error["hint"]:
                console.print(f"  → {error['hint']}")


def runs_text(runs: Sequence[Mapping[str, Any]]) -> None:
    """Past runs, one line each."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("run", header_style="dim", no_wrap=True)
    for name in ("sync", "ended as"):
        table.add_column(name, header_style="dim", overflow="fold")
    for name in ("delivered", "removed"):
        table.add_column(name, header_style="dim", justify="right", no_wrap=True)
    for run in runs:
        rows, code = run["rows"], run["error_code"]
        table.add_row(
            run["run"],
            f"{run['sync']} ({run['target']})",
            f"{run['status']}: {code}" if code else run["status"],
            f"{rows.get('delivered', 0):,}",
            f"{rows.get('removed', 0):,}",
        )
    Console(highlight=False).print(table)


@contextmanager
def progress_reporter() -> Iterator[Callable[[str, int, int], None] | None]:
    """A progress bar with rows/s and time left, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} rows"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, tuple[TaskID, float]] = {}

        def report(sync: str, done: int, planned: int) -> None:
            if sync not in tasks:
                tasks[sync] = (bar.add_task(sync, total=planned, speed=""), time.monotonic())
            task, started = tasks[sync]
            seconds = max(time.monotonic() - started, 0.001)
            bar.update(task, completed=done, total=planned, speed=f"{done / seconds:,.0f} rows/s")

        yield report


@contextmanager
def stop_on_interrupt(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C ends the run after the batch in hand, the second at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        sys.stderr.write(
            "Stopping after the batch in hand; `mayfly run` goes on from there. "
            "Ctrl-C again stops at once.\n"
        )

    earlier = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
