"""`mayfly map` and `mayfly test`: a mapping to begin with, and whether its destination takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mayfly.cli.options import HERE, Output, OutputOption, ProjectOption, TargetOption, print_result
from mayfly.cli.waiting import tell_act

_NAMES_MAX = 20
ROWS_MAX = 100


def map_(
    sync: Annotated[str, typer.Argument(help="Name of a sync.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Propose a mapping from classes and names, to be put into the project files. Writes nothing.

    A destination whose fields are its customer's own, such as a CRM, is asked for them.
    """
    from mayfly.api import load

    document = load(project, target=target).map(sync)
    print_result(output, document, mapping_lines(document))


def try_destination(
    destination: Annotated[str, typer.Argument(help="Name of a destination.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    sync: Annotated[
        str | None, typer.Option("--sync", help="Whose mapping is tried; needed where several are.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=ROWS_MAX, help="People to send.")] = 3,
) -> None:
    """Send people who do not exist on the way of every row, and take them back where that can be.

    The sync must be approved. What an upsert or an append left is told.
    """
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.test(destination, sync=sync, rows=rows)
    tell_act(loaded)
    print_result(output, document, tried_lines(document))
    if not document["ok"]:
        raise typer.Exit(1)


def tried_lines(document: Mapping[str, Any]) -> list[str]:
    """What became of the people, in counts."""
    lines = []
    for name, what in (("sent", "Sent"), ("taken_back", "Taken back")):
        act = document[name]
        if act is None:
            continue
        counts = {k: n for k, n in act["rows"].items() if n and k not in ("planned",)}
        shown = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in counts.items()) or "nothing"
        lines.append(f"{what}: {act['status'].replace('_', ' ')}; {shown}; {act['seconds']:.1f} s.")
        if act["error"]:
            lines += [f"  {act['error']['message']} [{act['error']['code']}]"]
            lines += [f"  {act['error']['hint']}"] if act["error"]["hint"] else []
    left = document["left"]
    lines.append(
        f"{left} people who do not exist are at the destination still; their keys and values begin "
        "with mayfly-test, or are below zero."
        if left
        else "None of them is at the destination any more, as far as it tells."
    )
    return lines


def mapping_lines(document: Mapping[str, Any]) -> list[str]:
    """As it stands in a project file, with the reason of each new line."""
    from mayfly.cli.render import yaml_text

    why = {"mapped": "", "class": "  # by class", "name": "  # by name"}
    lines = ["mapping:"] + [
        f"  {yaml_text(line['field'])}: {yaml_text(line['column'])}{why[line['why']]}"
        for line in document["mapping"]
    ]
    required = [f["field"] for f in document["fields_left"] if f["required"]]
    others = [f["field"] for f in document["fields_left"] if not f["required"]]
    lines += _named("Fields that must be mapped and have no column", required)
    lines += _named("Fields without a column", others)
    lines += _named("Columns without a field", document["columns_left"])
    match document["fields_from"]:
        case "nobody":
            lines.append("This kind of destination does not tell its fields.")
        case "specification" | "destination":
            pass
        case code:
            lines.append(f"The destination was not asked for its fields ({code}).")
    return lines


def _named(what: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = len(names) - _NAMES_MAX
    shown = ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
    return [f"{what}: {shown}."]
