"""`mayfly upgrade`: what the parts of a project are made in, and bringing them up to date."""

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

_SAID = {
    "current": "up to date",
    "older": "older: `mayfly upgrade`, or whatever is run next, brings it up to {known}",
    "newer": "newer than this program, which knows {known}: use the release that made it",
}


def upgrade(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 where a version differs.")
    ] = False,
) -> None:
    """Bring store, states, ledger and spool up to what this program writes."""
    from mayfly.api.upgrading import upgrade as upgraded

    document = upgraded(project, target=target, check=check)
    lines = [_line(part) for part in document["parts"]]
    if document["upgraded"]:
        lines.append("Done. An earlier release of Mayfly refuses it from now on.")
    print_result(output, document, lines)
    if not document["ok"]:
        raise typer.Exit(1)


def _line(part: Mapping[str, Any]) -> str:
    said = _SAID[part["verdict"]].format(known=part["known"])
    name = "" if part["name"] == part["kind"] else f" {part['name']}"
    return f"{part['kind']}{name}: version {part['found']}, {said}"
