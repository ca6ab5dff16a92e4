"""`mayfly network-policy`: what the process may reach, as rules for the network around it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from mayfly.cli.options import (
    HERE,
    Output,
    OutputOption,
    ProjectOption,
    TargetOption,
    print_result,
    say,
)


class Format(enum.StrEnum):
    """Whose rules."""

    KUBERNETES = "kubernetes"
    NFTABLES = "nftables"


def network_policy(
    form: Annotated[Format, typer.Option("--format", help="Whose rules.")],
    *,
    addresses: Annotated[
        Path | None,
        typer.Option("--addresses", help="File with lines HOST ADDRESS, and resolver ADDRESS."),
    ] = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Look up the addresses of hosts now.")
    ] = False,
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Print the project's hosts as rules for the network; exit 1 where one has no known address."""
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.network_policy(form.value, addresses=addresses, resolve=resolve)
    print_result(output, document, document["policy"].splitlines())
    if not document["ok"]:
        unknown = ", ".join(document["unknown"])
        say([f"No address is known, and so refused: {unknown}. See --resolve."], err=True)
        raise typer.Exit(1)
