"""`mayfly processors`: who works for the operator, and who was told."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
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

processors_app = typer.Typer(help="The register of sub-processors.", no_args_is_help=True)
_INPUT_MAX = 10_000
_LISTS = ("infrastructure", "ai", "affiliates")


@processors_app.command("list")
def processors_list(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """List sub-processors, and the recipients that the customer chose."""
    from mayfly.api import load

    document = load(project, target=target).processors()
    print_result(output, document, _lines(document))


@processors_app.command("show")
def processors_show(
    name: Annotated[str, typer.Argument(help="Name of a sub-processor.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show one sub-processor: contract, security, transfer, dates."""
    from mayfly.api import load

    document = load(project, target=target).processor(name)
    [entry] = [e for key in _LISTS for e in document[key]]
    print_result(output, document, list(_facts("", entry)))


@processors_app.command("check")
def processors_check(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Say whether somebody engaged answers for each host of the operator's."""
    from mayfly.api import load

    document = load(project, target=target).check_processors()
    lines = [f"{r['message']} [{r['code']}]" for r in document["refusals"]]
    lines += [f"{name}: its security review is overdue" for name in document["reviews_overdue"]]
    if not document["enforced"]:
        lines.append("The project has no register of sub-processors: nothing is enforced.")
    elif document["ok"]:
        lines.append(
            f"Engaged sub-processors answer for all {len(document['uses'])} uses of hosts."
        )
    print_result(output, document, lines)
    if not document["ok"]:
        raise typer.Exit(3)


@processors_app.command("notify")
def processors_notify(
    atom: Annotated[
        Path | None, typer.Option("--atom", help="Write a feed of all changes to this file.")
    ] = None,
    *,
    again: Annotated[
        bool, typer.Option("--again", help="Send once more what may have arrived already.")
    ] = False,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Tell each subscriber of what changed in the register, once."""
    from mayfly.api import load

    document = load(project, target=target).notify_processors(atom=atom, again=again)
    lines = [_notice_line(n) for n in document["notices"]] or ["Nobody had to be told anything."]
    lines += [
        f"{n['recipient']}: {n['processor']} may have arrived or not; --again sends it once more"
        for n in document["in_doubt"]
    ]
    print_result(output, document, lines)
    if not document["ok"]:
        raise typer.Exit(1)


@processors_app.command("subscribe")
def processors_subscribe(
    name: Annotated[str, typer.Argument(help="What to call the subscriber.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Have somebody told of changes; standard input has the mail address, or webhook and secret."""
    from mayfly.api import load

    text = sys.stdin.read(_INPUT_MAX)
    document = load(project, target=target).subscribe_to_processors(name, text)
    print_result(output, document, [f"{name} is told of changes from now on."])


@processors_app.command("unsubscribe")
def processors_unsubscribe(
    name: Annotated[str, typer.Argument(help="Name of a subscriber.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Have somebody told no more, and destroy the address."""
    from mayfly.api import load

    document = load(project, target=target).unsubscribe_from_processors(name)
    print_result(output, document, [f"{name} is told no more; the address is destroyed."])


@processors_app.command("object")
def processors_object(
    name: Annotated[str, typer.Argument(help="Name of a sub-processor.")],
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the objection back.")] = False,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Object to a sub-processor: this workspace does not engage it."""
    from mayfly.api import load

    document = load(project, target=target).object_to_processor(name, withdraw=withdraw)
    said = "No objection to" if withdraw else "This workspace objects to"
    print_result(output, document, [f"{said} {name}."])


def _notice_line(notice: Mapping[str, Any]) -> str:
    told = f"not told [{notice['failure']}]" if notice["failure"] else "told"
    return f"{notice['recipient']}: {notice['processor']} {notice['change']}, {told}"


def _lines(document: Mapping[str, Any]) -> list[str]:
    from mayfly.domain.parties import stated

    entries = [e for key in _LISTS for e in document[key]]
    lines = [_line(e) for e in entries] or ["The project has no register of sub-processors."]
    lines += [
        f"recipient {r['name']} ({r['type']}): {r['legal_name'] or 'no name known'}, "
        f"{', '.join(r['countries']) or 'country not known'}; {stated(r['decides'])}"
        for r in document["recipients"]
    ]
    lines += [f"subscriber {s['name']} ({s['kind']})" for s in document["subscribers"]]
    lines += [f"objection to {o['processor']} by {o['actor']}" for o in document["objections"]]
    return lines


def _line(entry: Mapping[str, Any]) -> str:
    state = "engaged" if entry["engaged"] else f"not engaged: {entry['reason']}"
    late = "; its security review is overdue" if entry["review_overdue"] else ""
    return (
        f"{entry['kind']} {entry['name']} ({entry['status']}): {entry['legal_name']}, "
        f"{entry['purpose']}, {', '.join(entry['locations'])}; {state}{late}"
    )


def _facts(prefix: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for key, value in entry.items():
        label = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _facts(f"{label}.", value)
        elif isinstance(value, list):
            yield f"{label}: {', '.join(value) or 'none'}"
        elif isinstance(value, bool):
            yield f"{label}: {'yes' if value else 'no'}"
        elif value not in (None, ""):
            yield f"{label}: {value}"
