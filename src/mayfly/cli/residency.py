"""`mayfly residency`: where each part is, and by whose word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
)


def residency(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Show where each part is planned and found, observed or declared."""
    from mayfly.api import load

    document = load(project, target=target).residency()
    print_result(output, document, _lines(document))
    if not document["ok"]:
        raise typer.Exit(3)


def _lines(document: Mapping[str, Any]) -> list[str]:
    where = document["placement"]
    words = [where["provider"], where["geography"], where["region"]]
    usual = "" if where["explicit"] else " (nothing is said: the usual placement)"
    lines = [f"placement: {' '.join(word for word in words if word)}{usual}"]
    lines += [_line(part) for part in document["parts"]]
    if document["message"]:
        lines.append(f"{document['message']} [{document['code']}]")
    return lines


def _line(part: Mapping[str, Any]) -> str:
    name = f"{part['part']} {part['name']}".rstrip()
    planned = f", planned {part['planned']}" if part["planned"] else ""
    told = f" by {part['by'].replace('_', ' ')}" if part["basis"] != "unknown" else ""
    return f"{name}: {part['found'] or '-'}, {part['basis']}{told}{planned}: {part['state']}"
