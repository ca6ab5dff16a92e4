"""`mayfly keys`: the key encryption key of the workspace."""

from __future__ import annotations

from pathlib import Path
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
    from mayfly.api.keys import KeyAct

keys_app = typer.Typer(help="The key that wraps the workspace's keys.", no_args_is_help=True)


@keys_app.command("versions")
def keys_versions(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """List the key's versions, oldest first, and say where it lies."""
    _act("versions", project, target, output)


@keys_app.command("rotate")
def keys_rotate(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a new version and rewrap the workspace's keys under it. No data is touched."""
    _act("rotate", project, target, output)


@keys_app.command("rewrap")
def keys_rewrap(
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
) -> None:
    """Rewrap the workspace's keys under the newest version. No data is touched."""
    _act("rewrap", project, target, output)


@keys_app.command("destroy")
def keys_destroy(
    version: Annotated[str, typer.Argument(help="As `mayfly keys versions` names it.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    yes: YesOption = False,
) -> None:
    """Rewrap what lies here, then have an old version destroyed, for ever."""
    confirm(
        f"Destroy version {version} of the key? Whatever is still wrapped under it elsewhere, on "
        "another machine or in a backup, can never be opened again.",
        yes=yes,
    )
    _act("destroy", project, target, output, version)


def _act(act: KeyAct, project: Path, target: str, output: Output, version: str = "") -> None:
    from mayfly.api import load

    loaded = load(project, target=target)
    document = loaded.keys(act, version)
    tell_act(loaded)
    print_result(output, document, _lines(document))


def _lines(document: dict[str, Any]) -> list[str]:
    lines = [f"provider {document['provider']}, protection {document['protection']}"]
    lines += [
        f"  {v['version']}  {v['state']}  {v['created'] or ''}".rstrip()
        for v in document["versions"]
    ]
    if document["rewrapped"] is not None:
        lines.append(f"rewrapped {document['rewrapped']} keys; no data was touched")
    destroyed = document["destroyed"]
    if destroyed is not None:
        final = f"final on {destroyed['final_at']}" if destroyed["final_at"] else "final"
        lines.append(f"version {destroyed['version']} destroyed, {final}")
    return lines
