"""`mayfly uninstall`: take everything of Mayfly's out of a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    YesOption,
    confirm,
    print_result,
)
from mayfly.cli.waiting import tell_act


def uninstall(
    source: Annotated[str, typer.Argument(help="Name of a source.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    yes: YesOption = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also what waits to be delivered, which then never is."),
    ] = False,
) -> None:
    """Drop all that Mayfly made in a source: its schema, or its local states and what is sealed.

    What is at destinations stays there, and Mayfly can never take it back.
    """
    from mayfly.api import load

    loaded = load(project, target=target)
    found = loaded.installed(source, force=force)
    if found["nothing"]:
        print_result(output, found, [f"Nothing of Mayfly's is in source {source}."])
        return
    confirm(
        f"{installed_text(found)} Drop it all? What is at destinations stays there, and Mayfly can "
        "never take it back.",
        yes=yes,
    )
    document = loaded.uninstall(source, force=force)
    tell_act(loaded)
    print_result(output, document, [f"Dropped. {installed_text(document)}"])


def installed_text(found: Mapping[str, Any]) -> str:
    """What there is, or was, in ids and counts."""
    states = "; ".join(
        f"{s['state']} of {s['sync']} ({s['target']}), {s['rows']:,} rows and "
        f"{s['identifiers']:,} identifiers"
        for s in found["states"]
    )
    count = len(found["states"])
    parts = [
        f"Source {found['source']}: {count} state{'' if count == 1 else 's'}"
        + (f": {states}." if states else ".")
    ]
    if found["open_plans"] or found["sealed_batches"]:
        parts.append(
            f"{found['open_plans']} open plans and {found['sealed_batches']} sealed batches: "
            f"{found['waiting_rows']:,} rows wait and will not be delivered, "
            f"{found['in_doubt']:,} are in doubt and will not be asked for."
        )
    if found["checkpoints"]:
        parts.append(f"{found['checkpoints']} checkpoints of the ledger.")
    return " ".join(parts)
