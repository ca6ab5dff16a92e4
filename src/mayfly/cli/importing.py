"""`mayfly import`: projects of other tools as project files of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mayfly.cli.options import HERE, Output, OutputOption, ProjectOption, print_result

import_app = typer.Typer(help="Take over a project of another tool.", no_args_is_help=True)


@import_app.callback()
def import_() -> None:
    """Take over a project of another tool."""


@import_app.command("drt")
def import_drt(
    path: Annotated[Path, typer.Argument(help="Folder of drt's project.")],
    *,
    profiles: Annotated[
        Path,
        typer.Option("--profiles", help="drt's connections.", show_default="~/.drt/profiles.yml"),
    ] = Path("~/.drt/profiles.yml"),
    project: ProjectOption = HERE,
    output: OutputOption = Output.TEXT,
) -> None:
    """Write project files for drt's syncs, unapproved, and list what is left. Connects to nothing.

    A file that is there stays as it is. Exit 1 where a sync was not carried over.
    """
    from mayfly.config.drt.convert import convert, workspace_of
    from mayfly.config.drt.reading import read_drt
    from mayfly.config.drt.writing import write_files

    found = read_drt(path, profiles, project)
    made = convert(found, project)
    written, kept = write_files(project, made.files, workspace_of(found))
    document = {
        "schema": "mayfly/import/1",
        "ok": not made.missed,
        "written": written,
        "kept": kept,
        "syncs": made.carried,
        "missed": made.missed,
        "left": [each.to_dict() for each in made.left],
    }
    lines = [
        *(f"wrote {name}" for name in written),
        *(f"kept {name}: it was there" for name in kept),
        *(f"left {each.to_text()}" for each in made.left),
        *(f"not carried over: {name}" for name in made.missed),
        "Nothing of it is approved: `mayfly validate`, then `mayfly plan` and `mayfly approve`.",
    ]
    print_result(output, document, lines)
    raise typer.Exit(1 if made.missed else 0)
