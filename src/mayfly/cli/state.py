"""`mayfly state`: what the warehouse remembers of each sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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

if TYPE_CHECKING:
    from mayfly.api import Project

state_app = typer.Typer(help="What the warehouse remembers of each sync.", no_args_is_help=True)


@state_app.command("list")
def state_list(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """List every state in the warehouses: whose it is, and how many rows it remembers."""
    from mayfly.api import load

    document = load(project, target=target).states()
    lines = [_line(state) for state in document["states"]]
    print_result(output, document, lines or ["Nothing was ever delivered from here."])


@state_app.command("drop")
def state_drop(
    state: Annotated[str, typer.Argument(help="Name of a sync, or of a state.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    yes: YesOption = False,
) -> None:
    """Forget what a sync delivered. The destination keeps it; the next run sends everything."""
    from mayfly.api import load

    loaded = load(project, target=target)
    [found] = loaded.state(state)["states"]
    confirm(
        f"Forget {found['rows']:,} delivered rows and {found['identifiers']:,} identifiers of "
        f"{found['sync']} ({found['target']})? What is at the destination stays there, and "
        "Mayfly can never take it back.",
        yes=yes,
    )
    document = loaded.drop_state(state)
    tell_act(loaded)
    lines = [
        f"forgot {s['rows']:,} rows of {s['sync']} ({s['target']})" for s in document["states"]
    ]
    print_result(output, document, lines)


@state_app.command("adopt")
def state_adopt(
    sync: Annotated[str, typer.Argument(help="Name of the sync that goes on from it.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    state: Annotated[
        str | None,
        typer.Option("--from", help="Name of a state of another identity, as after a rename."),
    ] = None,
    *,
    as_delivered: Annotated[
        bool, typer.Option("--as-delivered", help="Another tool has delivered the model's rows.")
    ] = False,
    yes: YesOption = False,
) -> None:
    """Go on from a state: the sync's own of another installation, or that of another identity.

    Or, with --as-delivered, from what another tool has delivered. Nothing is sent.
    """
    from mayfly.api import load

    if as_delivered and state is not None:
        raise typer.BadParameter("--from and --as-delivered exclude each other.")
    loaded = load(project, target=target)
    if as_delivered:
        _take(loaded, sync, output, yes=yes)
        return
    [found] = loaded.state(state or sync)["states"]
    confirm(
        f"Take {found['rows']:,} rows that {found['sync']} ({found['target']}) delivered as being "
        f"at the destination of {sync}? Only what changed since will be sent.",
        yes=yes,
    )
    document = loaded.adopt_state(sync, state=state)
    tell_act(loaded)
    print_result(
        output, document, [f"{sync} goes on from {s['state']}" for s in document["states"]]
    )


@state_app.command("move")
def state_move(
    sync: Annotated[str, typer.Argument(help="Name of the sync that it follows.")],
    state: Annotated[
        str, typer.Option("--from", help="Name of the state, from `mayfly state list`.")
    ],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    yes: YesOption = False,
) -> None:
    """Let a state follow its sync to another id or destination, where that has none."""
    from mayfly.api import load

    loaded = load(project, target=target)
    [found] = loaded.state(state)["states"]
    confirm(
        f"Take {found['rows']:,} rows that {found['sync']} ({found['target']}) delivered as being "
        f"at the destination of {sync}? Only what changed since will be sent.",
        yes=yes,
    )
    document = loaded.move_state(sync, state=state)
    tell_act(loaded)
    print_result(
        output, document, [f"{sync} goes on from {s['state']}" for s in document["states"]]
    )


def _take(loaded: Project, sync: str, output: Output, *, yes: bool) -> None:
    counts = loaded.count_as_delivered(sync)
    confirm(
        f"Take {counts['added']:,} rows of the model as being at the destination of {sync}, just "
        f"as they are now? {counts['withheld_consent']:,} without consent and "
        f"{counts['suppressed']:,} on the suppression list are not taken: what is there of them "
        "you take out yourself. Nothing is sent; later runs send what changes.",
        yes=yes,
    )
    document = loaded.take_as_delivered(sync)
    tell_act(loaded)
    lines = [
        f"{sync}: {s['rows']:,} rows and {s['identifiers']:,} identifiers count as delivered"
        for s in document["states"]
    ]
    print_result(output, document, lines)


def _line(state: dict[str, Any]) -> str:
    use = f"used by {state['used_by']}" if state["used_by"] else "used by no sync of this project"
    owner = "" if state["ours"] else "; of another installation"
    return (
        f"{state['source']}/{state['state']}  {state['sync']} ({state['target']})  "
        f"{state['rows']:,} rows, {state['identifiers']:,} identifiers  {use}{owner}"
    )
