"""`mayfly dbt`: what a dbt project is told of the syncs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
    say,
)

dbt_app = typer.Typer(help="What a dbt project is told of the syncs.", no_args_is_help=True)


@dbt_app.callback()
def dbt() -> None:
    """What a dbt project is told of the syncs."""


@dbt_app.command("exposures")
def dbt_exposures(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    write: Annotated[
        Path | None,
        typer.Option("--write", help="Write dbt's properties file here instead of printing it."),
    ] = None,
) -> None:
    """Show every sync over a model of dbt as an exposure. Connects to nothing."""
    from mayfly.config.load import load_project
    from mayfly.services.dbt_exposures import exposures_of, write_exposures

    found = exposures_of(load_project(project, target=target))
    changed = write_exposures(write, found.text()) if write is not None else False
    document = {
        "schema": "mayfly/dbt/1",
        "ok": True,
        "exposures": list(found.exposures),
        "left_out": list(found.left_out),
        "written": changed,
    }
    count = len(found.exposures)
    done = f"{'wrote' if changed else 'unchanged'}: {count} exposure{'' if count == 1 else 's'}"
    lines = found.text().splitlines() if write is None else [done]
    if output is Output.TEXT and found.left_out:
        say([f"left out, over no model of dbt: {', '.join(found.left_out)}"], err=True)
    print_result(output, document, lines)
