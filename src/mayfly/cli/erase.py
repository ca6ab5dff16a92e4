"""`mayfly erase`: one person taken out of every place that Mayfly reaches."""

from __future__ import annotations

from collections.abc import Sequence
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
from mayfly.domain.erasures import Extension, Regulation, RequestKind

erase_app = typer.Typer(help="One person, taken out everywhere.", invoke_without_command=True)
RequestArgument = Annotated[
    str, typer.Argument(metavar="REQUEST", help="Id of a request; see `mayfly erase list`.")
]


@erase_app.callback(invoke_without_command=True)
def erase(
    context: typer.Context,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="File with the request, instead of standard input."),
    ] = None,
    kind: Annotated[
        RequestKind,
        typer.Option("--kind", help="An objection or a restriction suppresses alone."),
    ] = RequestKind.ERASURE,
    regulation: Annotated[
        Regulation, typer.Option("--regulation", help="Whose time limit holds.")
    ] = Regulation.GDPR,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with every open request instead.")
    ] = False,
) -> None:
    """Suppress one person, and have the person forgotten here and at every destination.

    All identifiers of the input are one person's: JSON Lines as `mayfly suppress add` takes them,
    or one OpenDSR 2.0 document, on standard input or from a file.
    """
    if context.invoked_subcommand is not None:
        return
    from mayfly.api import load

    loaded = load(project, target=target)
    if resume:
        document = loaded.resume_erasures()
    else:
        document = loaded.erase(input_content(file, "request"), kind=kind, regulation=regulation)
    tell_act(loaded)
    _print(output, document)


@erase_app.command("list")
def erase_list(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show every request, by ids, times and how far it is."""
    from mayfly.api import load

    _print(output, load(project, target=target).erasures())


@erase_app.command("show")
def erase_show(
    request: RequestArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show one request: every destination, and what is out of reach."""
    from mayfly.api import load

    _print(output, load(project, target=target).erasure(request))


@erase_app.command("extend")
def erase_extend(
    request: RequestArgument,
    reason: Annotated[Extension, typer.Option("--reason", help="Why it takes longer.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Make the time limit of a request longer, once: GDPR to three months, CCPA to 90 days."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.extend_erasure(request, reason)
    tell_act(loaded)
    _print(output, document)


@erase_app.command("cancel")
def erase_cancel(
    request: RequestArgument,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """End a request while no destination was asked; the person stays suppressed."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.cancel_erasure(request)
    tell_act(loaded)
    _print(output, document)


def _print(output: Output, document: dict[str, Any]) -> None:
    """Exit code 1 where something failed, 4 where a destination is still to answer."""
    if "requests" in document:
        print_result(output, document, [_line(r) for r in document["requests"]] or ["No request."])
        return
    print_result(output, document, _lines(document))
    if not document["ok"]:
        raise typer.Exit(1)
    if document["status"] == "in_progress":
        raise typer.Exit(4)


def _lines(document: dict[str, Any]) -> list[str]:
    shown = [_line(document)]
    for step in document["destinations"]:
        code = f" [{step['code']}]" if step["code"] else ""
        who = f"; to act: {step['who_must_act']}" if step["who_must_act"] else ""
        shown.append(
            f"  {step['sync']} to {step['destination']}: {step['status']}{code}, "
            f"{step['rows']:,} rows{who}"
        )
    shown += [f"  what waits could not be ended [{code}]" for code in document["left"]]
    shown += [
        f"  out of reach: {place['what']} of {place['where']}, "
        + (f"ends {place['ends_at']}" if place["ends_at"] else f"to act: {place['who_must_act']}")
        for place in document["out_of_reach"]
    ]
    return shown


def due_lines(requests: Sequence[dict[str, Any]]) -> list[str]:
    """Requests that are open, as `mayfly status` shows them."""
    return [
        f"{r['kind']} {r['request']} (target {r['target']}): "
        + (f"{r['days_left']} days left" if r["days_left"] >= 0 else f"OVERDUE since {r['due_at']}")
        for r in requests
    ]


def _line(request: dict[str, Any]) -> str:
    left = request["days_left"]
    due = "" if left is None else f", due {request['due_at']}"
    late = ", OVERDUE" if left is not None and left < 0 else ""
    return f"{request['request']}: {request['kind']}, {request['status']}{due}{late}"
