"""`mayfly incidents`: security events, what was done, and what the controller is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mayfly.cli.inputs import input_content
from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
)
from mayfly.cli.waiting import tell_act

incidents_app = typer.Typer(
    help="Security events, and notices for the controller.", no_args_is_help=True
)
IncidentArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Id of an incident; see `mayfly incidents list`.")
]


@incidents_app.command("list")
def incidents_list(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """List incidents, by when they became known."""
    from mayfly.api import load

    document = load(project, target=target).incidents()
    print_result(output, document, _lines(document) or ["No incident."])


@incidents_app.command("show")
def incidents_show(
    incident: IncidentArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show one incident, in ids, codes and counts."""
    from mayfly.api import load

    document = load(project, target=target).incident(incident)
    [found] = document["incidents"]
    shown = found | {"measures": ", ".join(found["measures"])}
    print_result(output, document, [f"{key}: {value}" for key, value in shown.items() if value])


@incidents_app.command("close")
def incidents_close(
    incident: IncidentArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    measure: Annotated[
        list[str], typer.Option("--measure", help="Code of what was done; more than one may be.")
    ],
    note: Annotated[
        Path | None,
        typer.Option("--note", help="File with a note that names nobody; - is standard input."),
    ] = None,
) -> None:
    """Close an incident with the measures that were taken."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.close_incident(incident, measures=measure, note=_read(note))
    tell_act(loaded)
    print_result(output, document, _lines(document))


@incidents_app.command("notice")
def incidents_notice(
    incident: IncidentArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Print what the controller is to be told without delay (GDPR, Article 33(2))."""
    from mayfly.api import load

    document = load(project, target=target).incident_notice(incident)
    print_result(output, document, _notice(document["notice"]))


def _read(note: Path | None) -> str:
    return "" if note is None else input_content(note, "note").decode("utf-8", "replace")


def _lines(document: Mapping[str, Any]) -> list[str]:
    return [
        f"{i['id']}: {i['kind']} {i['subject']} ({i['target']}), known {i['known_at'][:16]}, "
        f"{i['occurrences']}x, {i['rows']} rows, "
        + (
            f"closed {i['closed_at'][:16]}: {', '.join(i['measures'])}"
            if i["closed_at"]
            else "open"
        )
        for i in document["incidents"]
    ]


def _notice(notice: Mapping[str, Any]) -> list[str]:
    people, records = notice["people"], notice["records"]
    measures = [f"  {m['code']}: {m['text']}" for m in notice["measures"]]
    return [
        f"Notice of a security event, workspace {notice['workspace']} (GDPR, Article 33(2))",
        f"incident: {notice['incident']} ({notice['kind']}, {notice['code']})",
        f"known since: {notice['known_at']}; last: {notice['last_at']}; "
        f"times: {notice['occurrences']:,}",
        f"nature: {notice['nature']}",
        f"where: {notice['subject']} (target {notice['target']})",
        f"people: {people['categories']}; at most {_number(people['at_most'])}",
        f"records: {records['categories']}; at most {_number(records['at_most'])}",
        f"likely consequences: {notice['consequences']}",
        "measures:" if measures else "measures: none yet",
        *measures,
        *([f"note: {notice['note']}"] if notice["note"] else []),
        "Whether people are at risk, and who else is to be told within 72 hours, the controller "
        "decides.",
    ]


def _number(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"
