"""`mayfly connect`: what a destination logs in with."""

from __future__ import annotations

import sys
import threading
import webbrowser
from typing import Annotated, Any

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
from mayfly.cli.waiting import tell_act


def connect(
    destination: Annotated[str, typer.Argument(help="Name of the destination.")],
    project: ProjectOption = HERE,
    target: TargetOption = "dev",
    output: OutputOption = Output.TEXT,
    *,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address to open, and open nothing.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete what is stored instead.")
    ] = False,
) -> None:
    """Log in to a destination in the browser, or store its secret: asked for, or piped in."""
    from mayfly.api import load

    loaded = load(project, target=target)
    if forget:
        document = loaded.disconnect(destination)
    else:
        show = _print_address if no_browser else _open_browser
        document = loaded.connect(destination, ask=_secret, show=show)
    tell_act(loaded)
    print_result(output, document, [_line(document)])


def _secret() -> str:
    """From a prompt that shows nothing, or one line of standard input."""
    if sys.stdin is None:
        return ""  # closed by whoever started the command
    if sys.stdin.isatty():
        return str(
            typer.prompt(
                "Secret, or the address that the browser ended at (not shown)",
                hide_input=True,
                err=True,
            )
        )
    from mayfly.api.connecting import SECRET_BYTES_MAX

    # One more than may be, so that what is too long is not cut to what fits.
    return (
        sys.stdin.buffer.read(SECRET_BYTES_MAX + 2)
        .decode("utf-8", "surrogateescape")
        .rstrip("\r\n")
    )


def _print_address(url: str) -> None:
    typer.echo("Open this address in a browser on this machine, within two minutes:", err=True)
    typer.echo(url, err=True)


def _open_browser(url: str) -> None:
    """In a thread: some browsers run until they are closed."""

    def open_it() -> None:
        try:
            opened = webbrowser.open(url)
        except (webbrowser.Error, OSError):
            opened = False
        if not opened:
            _print_address(url)

    say(["Your browser opens; go on there, within two minutes."], err=True)
    threading.Thread(target=open_it, daemon=True).start()


def _line(document: dict[str, Any]) -> str:
    where = f"{document['destination']} ({document['target']})"
    if document["act"] == "forgotten":
        return f"{where}: {document['deleted']} versions of its credential deleted here"
    how = "logged in" if document["login"] else "secret stored"
    return f"{where}: {how}, version {document['version']}"
