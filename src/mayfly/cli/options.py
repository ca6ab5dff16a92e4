"""What the commands share: options, and how a result is printed."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer


class Output(enum.StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


ProjectOption = Annotated[
    Path, typer.Option("--project", help="Folder of the project.", show_default="this folder")
]
TargetOption = Annotated[str, typer.Option("--target", help="Named set of destinations.")]
OutputOption = Annotated[Output, typer.Option("--output", help="text or json.")]
HERE = Path()


def print_result(output: Output, document: dict[str, Any], lines: list[str]) -> None:
    """One JSON document, or the lines."""
    if output is Output.JSON:
        from mayfly.cli.render import to_json

        typer.echo(to_json(document))
        return
    for line in lines:
        typer.echo(line)
