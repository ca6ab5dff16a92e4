"""`mayfly access`: what concerns one person, told once."""

from __future__ import annotations

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
from mayfly.domain.erasures import Regulation


def access(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="File with the request, instead of standard input."),
    ] = None,
    regulation: Annotated[
        Regulation, typer.Option("--regulation", help="Whose time limit holds.")
    ] = Regulation.GDPR,
) -> None:
    """Tell which syncs, destinations, fields, rules and times concern one person.

    All identifiers of the input are one person's: JSON Lines as `mayfly suppress add` takes them,
    or one OpenDSR 2.0 document of type access or portability. Nothing of the answer is kept.
    """
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.access(input_content(file, "request"), regulation=regulation)
    tell_act(loaded)
    print_result(output, document, _lines(document))
    if not document["ok"]:
        raise typer.Exit(1)


def _lines(document: dict[str, Any]) -> list[str]:
    suppressed = "suppressed" if document["suppressed"] else "not suppressed"
    shown = [f"{document['request']}: {suppressed}, to be answered by {document['due_at']}"]
    shown += [
        f"  request {r['request']}: {r['kind']}, open, {r['days_left']} days left"
        for r in document["requests"]
    ]
    for sync in document["syncs"]:
        shown += _of_sync(sync)
    shown += [
        f"  {r['destination']} got data of sync {r['sync']} (target {r['target']}), which the "
        "project has no more: not looked at"
        for r in document["left_behind"]
    ]
    return shown


def _of_sync(sync: dict[str, Any]) -> list[str]:
    where = f" ({', '.join(sync['countries'])})" if sync["countries"] else ""
    lines = [
        f"  {sync['sync']} to {sync['destination']}: {sync['recipient']}{where}; purpose "
        f"{sync['purpose']}, lawful basis {sync['lawful_basis']}"
    ]
    lines += [
        f"    {f['column']} leaves as {f['field']}: {f['leaves']} ({f['rule']})"
        for f in sync["fields"]
    ]
    person = sync["person"]
    if person is None:
        return [*lines, f"    not looked at [{sync['code']}]"]
    consent = ", ".join(f"{n:,} {name}" for name, n in person["consent"].items() if n)
    at = person["at_destination"].replace("_", " ")
    times = f", from {person['first_delivery']} to {person['last_delivery']}"
    lines.append(
        f"    {at}{times if person['first_delivery'] else ''}; {person['model_rows']:,} rows in "
        f"the model{f', consent: {consent}' if consent else ''}"
    )
    lines += [f"    {i['count']:,} delivered of {i['field']}" for i in person["identifiers"]]
    if person["rejected_rows"]:
        lines.append(f"    {person['rejected_rows']:,} rows are kept back, refused before")
    lines += [
        f"    {s['rows']:,} rows wait sealed in batch {s['batch']}, purged by {s['purge_by']}"
        for s in person["sealed"]
    ]
    return lines
