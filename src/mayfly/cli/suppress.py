"""`mayfly suppress`: the list of identifiers that may never leave."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
)
from mayfly.cli.waiting import tell_act

suppress_app = typer.Typer(help="Identifiers that may never leave.", no_args_is_help=True)


@suppress_app.command("add")
def suppress_add(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Add identifiers, JSON Lines on standard input."""
    _act("add", project, target, output)


@suppress_app.command("remove")
def suppress_remove(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Remove identifiers, JSON Lines on standard input."""
    _act("remove", project, target, output)


@suppress_app.command("list")
def suppress_list(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Count entries by kind. No identifier can be shown: only keyed digests are kept."""
    _act("list", project, target, output)


def _act(act: str, project: Path, target: str, output: Output) -> None:
    from mayfly.api import load

    lines = sys.stdin.buffer if act != "list" else ()
    loaded = load(project, target=target)
    document = loaded.suppress(act, lines)
    tell_act(loaded)
    shown = [
        f"{k}: {v}" for k, v in document.items() if k not in ("schema", "ok", "kinds", "up_to_date")
    ]
    shown += [f"  {kind}: {count:,}" for kind, count in document.get("kinds", {}).items()]
    if not document.get("up_to_date", True):
        shown.append("The list still lacks people who are on record: no sync runs yet.")
    print_result(output, document, shown)
