"""`mayfly classify`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from mayfly.cli.options import HERE, Output, OutputOption, ProjectOption, TargetOption, print_result


def classify(
    paths: Annotated[
        list[str], typer.Argument(help="Parquet and CSV files, folders of them, or SOURCE.TABLE.")
    ],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Tell what kind of personal value stands in each column. Shows counts, never a value.

    Of files every value is looked at. A table of a source is counted by its own engine, in one scan
    for twenty columns; `classify` of the source says how far.
    """
    from mayfly.api.classifying import classify as classified

    document = classified(paths, root=project, target=target)
    print_result(output, document, classified_lines(document["tables"]))


def discovered_lines(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each column: its type, where it stands, and what its name suggests."""
    lines = []
    for table in tables:
        lines.append(table["name"])
        name_width, type_width = (
            max((len(c[key]) for c in table["columns"]), default=0) for key in ("name", "type")
        )
        for c in table["columns"]:
            suggested = "" if c["class"] == "none" else f"{c['class']}?"
            # What is named by a model waits for the approval of a sync.
            state = {"pending": "in a model"}.get(c["state"], c["state"])
            named = f"{c['name']:<{name_width}}  {c['type']:<{type_width}}"
            lines.append(f"  {named}  {state:<10}  {suggested}".rstrip())
    return lines


def classified_lines(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for each column, personal ones with what was found."""
    lines: list[str] = []
    for table, columns in tables.items():
        width = max((len(name) for name in columns), default=0)
        lines += ["", table] if lines else [table]
        for name, verdict in columns.items():
            found = ", ".join(
                f"{count:,} {kind.replace('_', ' ')}"
                for kind, count in verdict["evidence"].items()
                if count and kind != "name"
            )
            sure = f"{verdict['confidence']:.0%}"
            lines.append(f"  {name:<{width}}  {verdict['class']:<14} {sure:>4}  {found}".rstrip())
            lines += [f"    {path}: {cls}" for path, cls in verdict["nested"].items()]
    return lines
