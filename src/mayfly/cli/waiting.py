"""`mayfly sweep` and `mayfly purge`: what waits, and its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    SyncsArgument,
    TargetOption,
    print_result,
    say,
)
from mayfly.domain.runs import AnchorRecord


def sweep(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """End everything that is past its deadline. For cron; commands that write do it, too."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.sweep()
    warn_unanchored(loaded.unanchored)
    print_result(output, document, swept_lines(document) or ["Nothing is past its deadline."])
    _exit(document)


def purge(
    syncs: SyncsArgument = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """End what waits, now: what no answer came for is dropped and not delivered."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.purge(*(syncs or ()))
    warn_unanchored(loaded.unanchored)
    print_result(output, document, swept_lines(document) or ["Nothing waits."])
    _exit(document)


def swept_lines(document: Mapping[str, Any]) -> list[str]:
    """What was ended and what is left, one line each."""
    ended = [
        f"{e['sync']} ({e['target']}): {e['reason']}; {e['rows']:,} rows in {e['batches']:,} "
        f"batches without an answer are dropped, {e['in_doubt']:,} of them in doubt"
        for e in document["purged"]
    ]
    left = [
        f"{e['sync']} ({e['target']}): a working copy of run {e['run']} could not be ended "
        f"[{e['code']}]"
        for e in document["left"]
    ]
    return ended + left


def held_lines(held: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is held, by class."""
    if not held:
        return ["Mayfly holds no row."]
    return [
        f"held in your warehouse ({h['class']}): {_number(h['rows'])} rows in "
        f"{_number(h['batches'])} batches of {h['copies']} plans, the oldest of "
        f"{h['oldest_read_at'][:16]}; purged by {h['purge_by'][:16]} at the latest"
        for h in held
    ]


def _number(count: int | None) -> str:
    return "an unknown number of" if count is None else f"{count:,}"


def _exit(document: Mapping[str, Any]) -> None:
    if document["left"]:
        raise typer.Exit(4)


def warn_overdue(copies: int) -> None:
    """A command that writes nothing says what one that writes would end first."""
    if copies:
        say(
            [
                f"{copies:,} working copies are older than the 30 days after which nothing of them "
                "may be there: `mayfly sweep` ends them."
            ],
            err=True,
        )


def warn_unanchored(failed: Sequence[AnchorRecord]) -> None:
    """An anchor that did not take the newest checkpoint is tried again by the next act."""
    say([f"anchor {r.name}: the checkpoint did not arrive [{r.code}]" for r in failed], err=True)
