"""`mayfly alerts`: who is told, of what, and whether it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
)

alerts_app = typer.Typer(help="Who is told of what is wrong.", no_args_is_help=True)


@alerts_app.command("list")
def alerts_list(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """List channels, and alerts that have not cleared."""
    from mayfly.api import load

    document = load(project, target=target).alerts()
    print_result(output, document, _lines(document))


@alerts_app.command("test")
def alerts_test(
    channels: Annotated[
        list[str] | None, typer.Argument(help="Names of channels; all without.")
    ] = None,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Send a test alert to channels, once and without a repeat."""
    from mayfly.api import load

    document = load(project, target=target).try_alerts(*(channels or ()))
    print_result(output, document, _lines(document))
    if not document["ok"]:
        raise typer.Exit(1)


def _lines(document: Mapping[str, Any]) -> list[str]:
    lines = [_channel_line(channel) for channel in document["channels"]]
    lines += [
        f"{a['kind']} {a['subject']} ({a['target']}): since {a['since'][:16]}, {a['channel']} "
        + (f"not told [{a['failure']}]" if a["failure"] else f"told {a['told_at'][:16]}")
        for a in document["open"]
    ]
    return lines or ["The project names no channel under alerts."]


def _channel_line(channel: Mapping[str, Any]) -> str:
    sent = {None: "", "": ": sent"}.get(channel["code"], f": not sent [{channel['code']}]")
    where = channel["region"] or "region not declared"
    return f"{channel['name']} ({channel['type']}, {where}){sent}"
