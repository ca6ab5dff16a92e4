"""`mayfly workspace`: the end of a workspace."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    YesOption,
    confirm,
    print_result,
)

workspace_app = typer.Typer(help="The workspace as a whole.", no_args_is_help=True)


@workspace_app.command("delete")
def delete(
    receipt: Annotated[
        Path,
        typer.Argument(help="New folder for the ledger with its last checkpoint, the receipt."),
    ],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    confirmed: Annotated[
        str | None,
        typer.Option(
            "--confirm",
            metavar="NAME",
            help="Name of the workspace; without it the name is read from standard input.",
        ),
    ] = None,
    erase_recipients: Annotated[
        bool,
        typer.Option("--erase-recipients", help="First have each destination forget everybody."),
    ] = False,
    yes: YesOption = False,
) -> None:
    """Delete the workspace: what waits, states, credentials, store and keys, for good.

    Cut off, it is repeated: it goes on where it was. Nothing else is done in the workspace then.
    """
    from mayfly.api.deleting import delete_workspace

    if confirmed is None:
        if sys.stdin.isatty():
            typer.echo("Name of the workspace that is to be deleted:", err=True)
        confirmed = sys.stdin.readline().strip()
    confirm("Everything of this workspace is deleted, and its keys are destroyed.", yes=yes)
    document = delete_workspace(
        project,
        target=target,
        confirmed=confirmed,
        receipt=receipt,
        erase_recipients=erase_recipients,
    )
    print_result(output, document, _lines(document))


def _lines(document: dict[str, Any]) -> list[str]:
    keys = document["keys"]
    shown = [f"Workspace {document['workspace']} is deleted."]
    shown += [f"  {step['step']}: done {step['done_at']}" for step in document["steps"]]
    shown += [
        f"  {r['sync']} to {r['destination']}: {r['status']}, {r['rows']:,} rows"
        for r in document["recipients"]
    ]
    shown += [
        f"  key version {one['version']}: destroyed, final {one['final_at'] or 'at once'}"
        for one in keys["destroyed"]
    ]
    shown.append(f"The receipt has {document['entries']:,} entries. What remains:")
    shown += [
        f"  {place['what']} of {place['where']}, "
        + (f"ends {place['ends_at']}" if place["ends_at"] else f"to act: {place['who_must_act']}")
        for place in document["remains"]
    ]
    return shown
