"""`mayfly ledger`: the record as files, to be handed on."""

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
)

ledger_app = typer.Typer(help="The ledger, to be handed on.", no_args_is_help=True)


@ledger_app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="New folder, outside the project.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Write entries, checkpoint and public key into a folder, as `mayfly verify` reads them.

    Nothing is changed, and no key is needed; what does not verify is written as it is.
    """
    from mayfly.bootstrap.exporting import export_project_ledger

    entries = export_project_ledger(project, folder, target=target)
    document = {"schema": "mayfly/ledger/1", "ok": True, "entries": entries}
    print_result(
        output,
        document,
        [f"{entries:,} entries. Check them with `mayfly verify`, by a key that you kept."],
    )
