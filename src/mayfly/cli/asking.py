"""`mayfly pause`, `resume`, `cancel` and `logs`: what operators ask of syncs and runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    SyncsArgument,
    TargetOption,
    print_result,
)
from mayfly.cli.waiting import tell_act


def pause(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Let no run of these syncs send anything but withdrawals, until they are resumed."""
    from mayfly.api import load

    document = load(project, target=target, ending=True).pause(*(syncs or ()))
    lines = [_paused_line(s) for s in document["syncs"]]
    print_result(output, document, lines or ["The project has no sync."])


def cancel(
    run: Annotated[str, typer.Argument(help="Id of a run; `mayfly runs` lists them.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Ask a run of any process to end after the batch in hand, as Ctrl-C does."""
    from mayfly.api import load

    document = load(project, target=target, ending=True).cancel(run)
    line = f"{document['sync']}: run {document['run']} ends after the batch in hand"
    print_result(output, document, [line])


def logs(
    run: Annotated[str, typer.Argument(help="Id of a run; `mayfly runs` lists them.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show what a run told as it went: events with ids, codes and counts. Kept for 30 days."""
    from mayfly.api import load
    from mayfly.services.run_log import shown

    document = load(project, target=target, ending=True).logs(run)
    lines = [shown(event) for event in document["events"]]
    if document["left_out"]:
        lines.insert(-1, f"{document['left_out']:,} events more were not kept")
    print_result(output, document, lines or ["No event of that run is kept."])


def resume(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """End the pause of these syncs: their next runs send what changed meanwhile."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.resume(*(syncs or ()))
    tell_act(loaded)
    lines = [
        f"{s['sync']}: goes on" if s["changed"] else f"{s['sync']}: was not paused"
        for s in document["syncs"]
    ]
    print_result(output, document, lines or ["The project has no sync."])


def pause_text(sync: Mapping[str, Any]) -> str:
    """What `mayfly status` says of a sync that somebody paused."""
    pause = sync["pause"]
    return f"; paused since {pause['since'][:16]} by {pause['actor']}" if pause else ""


def next_text(sync: Mapping[str, Any]) -> str:
    """What `mayfly status` says of a sync that a worker runs."""
    at = f"; next run {sync['next_run'][:16]} UTC" if sync["next_run"] else ""
    return at + (f", {sync['dropped']} ticks dropped" if at and sync["dropped"] else "")


def _paused_line(sync: Mapping[str, Any]) -> str:
    was = "" if sync["changed"] else " already"
    return f"{sync['sync']}: paused{was} since {sync['since'][:16]} by {sync['actor']}"


ASKING: dict[str, Callable[..., None]] = {
    "pause": pause,
    "resume": resume,
    "cancel": cancel,
    "logs": logs,
}
"""Commands by name."""


def add_asking(app: typer.Typer) -> None:
    """Add them to the command line."""
    for name, command in ASKING.items():
        app.command(name)(command)
