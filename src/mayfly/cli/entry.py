"""`mayfly`: exit codes and messages. No failure shows a traceback, none shows a value."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from mayfly.adapters.processes import own_process
from mayfly.cli.options import say
from mayfly.domain.errors import EngineError
from mayfly.domain.version import VERSION

USAGE = 64
UNHANDLED = 2
HELD = 4
INTERRUPTED = 130  # what typer makes of Ctrl-C


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console script; always raises SystemExit."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        # Asked by scripts, which need not wait for the command line to be built.
        typer.echo(VERSION)
        sys.exit(0)
    own_process()
    as_json = _asks_for_json(given)
    try:
        from mayfly.cli.commands import app

        code = get_command(app).main(given, prog_name="mayfly", standalone_mode=False)
    except EngineError as error:
        sys.exit(_report(error, as_json=as_json, command=_command(given)))
    except typer.Exit as ended:
        sys.exit(ended.exit_code)
    except TyperException as error:
        said = getattr(error, "format_message", lambda: "The command line is wrong.")
        typer.echo(f"mayfly: {said()}", err=True)
        typer.echo("Try `mayfly --help`.", err=True)
        sys.exit(USAGE)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        sys.exit(1)
    except BaseException as error:
        # Polars ends a panic in an exception beside `Exception`.
        if isinstance(error, SystemExit):
            raise
        # The text of a foreign error may carry a value: its type and place are all that is said.
        place = _place(error)
        typer.echo(
            f"mayfly: unexpected {type(error).__name__} at {place}. This is a fault of Mayfly; "
            "please report it with this line.",
            err=True,
        )
        sys.exit(UNHANDLED)
    if code == INTERRUPTED:
        typer.echo("Stopped.", err=True)
        sys.exit(HELD)
    sys.exit(code if isinstance(code, int) else 0)


def _report(error: EngineError, *, as_json: bool, command: str) -> int:
    problems = getattr(error, "problems", None)
    if as_json:
        document = {"schema": f"mayfly/{command}/1", "ok": False, "error": error.to_dict()}
        if problems is not None:
            document["problems"] = [p.to_dict() for p in problems]
        typer.echo(json.dumps(document, indent=2))
    else:
        lines = [problem.to_text() for problem in problems or ()]
        if not problems:
            lines = [f"mayfly: {error.message} [{error.code}]"]
            lines += [f"  → {error.hint}"] if error.hint else []
        say(lines, err=True)
    return type(error).exit_code


def _asks_for_json(given: Sequence[str]) -> bool:
    return "--output=json" in given or any(
        a == "--output" and b == "json" for a, b in pairwise(given)
    )


def _command(given: Sequence[str]) -> str:
    return next((a for a in given if a.isalpha()), "mayfly")


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    place = "?"
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "?")
        if str(name).startswith("mayfly"):
            place = f"{name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
