"""What the commands share: options, and how a result is printed."""

from __future__ import annotations

import enum
import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer


class Output(enum.StrEnum):
    """How results are printed."""

    TEXT = "text"
    JSON = "json"


ProjectOption = Annotated[
    Path, typer.Option("--project", help="Folder of the project.", show_default="this folder")
]
TargetOption = Annotated[str, typer.Option("--target", help="Named set of destinations.")]
OutputOption = Annotated[Output, typer.Option("--output", help="text or json.")]
SyncsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[SYNC]…", help="Names, globs or tag:NAME.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
HERE = Path()
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
WAIT_MAX = timedelta(days=30)


def duration(text: str) -> timedelta:
    """Of `90s`, `30m`, `2h`, `1d`."""
    found = re.fullmatch(r"([0-9]{1,7})([smhd])", text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else None
    if length is None or length > WAIT_MAX:
        raise typer.BadParameter("a number and s, m, h or d is wanted, such as 30m; 30d at most.")
    return length


WaitOption = Annotated[
    timedelta | None,
    typer.Option(
        "--wait",
        parser=duration,
        metavar="DURATION",
        help="Run what is held again, for so long: 30m, 2h, 1d.",
        show_default=False,
    ),
]


def print_result(output: Output, document: dict[str, Any], lines: list[str]) -> None:
    """One JSON document, or the lines."""
    if output is Output.JSON:
        from mayfly.cli.render import to_json

        typer.echo(to_json(document))
        return
    say(lines)


def say(lines: list[str], *, err: bool = False) -> None:
    """Print lines, broken between words on a terminal; a pipe or a file gets them whole."""
    for line in _fitting(lines) if (sys.stderr if err else sys.stdout).isatty() else lines:
        typer.echo(line, err=err)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal; elsewhere nobody can answer, and --yes is needed."""
    if yes:
        return
    if not sys.stdin.isatty():
        from mayfly.domain.errors import UsageError

        raise UsageError("not_confirmed", question, hint="Add --yes to do it.")
    say([question], err=True)
    typer.confirm("Do it?", abort=True, err=True)


def _fitting(lines: list[str]) -> list[str]:
    from mayfly.cli.render import wrapped

    width = shutil.get_terminal_size().columns
    return [part for text in lines for line in text.splitlines() for part in wrapped(line, width)]
