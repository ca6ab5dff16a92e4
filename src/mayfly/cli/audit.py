"""`mayfly audit`: who did what to the workspace."""

from __future__ import annotations

import csv
import enum
import io
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mayfly.cli.options import HERE, Output, OutputOption, ProjectOption, TargetOption, print_result
from mayfly.cli.report import SinceOption, UntilOption
from mayfly.cli.waiting import tell_act

audit_app = typer.Typer(help="Who did what to the workspace.", invoke_without_command=True)
_FIELDS = (
    *("seq", "at", "actor", "actor_name", "verified", "action", "object", "target"),
    *("before", "after", "outcome", "rows"),
)


class AuditOutput(enum.StrEnum):
    """How the log is printed."""

    TEXT = "text"
    JSON = "json"
    CSV = "csv"


@audit_app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: Annotated[
        AuditOutput, typer.Option("--output", help="text, json or csv.")
    ] = AuditOutput.TEXT,
    *,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Print administrative acts from the ledger: actor, action, object, fingerprints, time."""
    if context.invoked_subcommand is not None:
        return
    from datetime import UTC

    from mayfly.api import load

    document = load(project, target=target).audit(
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) if until else None,
    )
    if output is AuditOutput.CSV:
        typer.echo(_csv(document["acts"]), nl=False)
        return
    lines = [_line(act) for act in document["acts"]] or ["No act yet."]
    print_result(Output(output.value), document, lines)


@audit_app.command("forget")
def audit_forget(
    actor: Annotated[str, typer.Argument(metavar="ID", help="As `mayfly audit` shows it.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Delete the name of an actor. Acts stay on the ledger, under an id that names nobody then."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.forget_actor(actor)
    tell_act(loaded)
    print_result(output, document, [f"{document['forgotten']}: the name is deleted."])


def _csv(acts: Sequence[Mapping[str, Any]]) -> str:
    """Ids alone stand in its cells: none begins with what a spreadsheet takes for a formula."""
    text = io.StringIO()
    rows = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    rows.writeheader()
    rows.writerows(acts)
    return text.getvalue()


def _line(act: Mapping[str, Any]) -> str:
    who = act["actor_name"] or act["actor"]
    ended = "" if act["outcome"] == "done" else f" [{act['outcome']}]"
    change = f"{(act['before'] or '-')[:12]} to {(act['after'] or '-')[:12]}"
    return (
        f"{act['at'][:19]} {who}: {act['action']} {act['object']} ({act['target']}) {change}{ended}"
    )
