"""`mayfly processors`: who works for the operator, and who was told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def _lines(document: Mapping[str, Any]) -> list[str]:
    from mayfly.domain.parties import stated

    entries = [e for key in _LISTS for e in document[key]]
    lines = [_line(e) for e in entries] or ["The project has no register of sub-processors."]
    lines += [
        f"recipient {r['name']} ({r['type']}): {r['legal_name'] or 'no name known'}, "
        f"{', '.join(r['countries']) or 'country not known'}; {stated(r['decides'])}"
        for r in document["recipients"]
    ]
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
