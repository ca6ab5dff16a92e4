"""`mayfly map`: a mapping to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mayfly.cli.options import HERE, Output, OutputOption, ProjectOption, TargetOption, print_result

_NAMES_MAX = 20


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
