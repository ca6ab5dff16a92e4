"""`mayfly new destination NAME`: a connector that passes the contract suite, to be made true to its
vendor.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from mayfly.cli.options import say

new_app = typer.Typer(help="Begin a connector, in a checkout of Mayfly.", no_args_is_help=True)
_DESTINATIONS = Path("src/mayfly/connectors/destinations")


@new_app.command("destination")
def destination(
    name: Annotated[str, typer.Argument(help="Its type: small letters, digits and _.")],
    checkout: Annotated[
        Path, typer.Option("--checkout", help="Of Mayfly.", show_default="this folder")
    ] = Path(),
) -> None:
    """Write a connector, its test and its page; a file that is there is never written over."""
    from mayfly.cli.reference import connector_page
    from mayfly.domain.errors import UsageError
    from mayfly.domain.names import is_name

    if not is_name(name):
        raise UsageError("bad_name", "A type begins with a small letter: a-z, 0-9 and _.")
    if not (checkout / _DESTINATIONS).is_dir():
        raise UsageError(
            "no_checkout",
            "The folder is no checkout of Mayfly: it has no connectors.",
            hint="Give its folder with --checkout.",
        )
    module = checkout / _DESTINATIONS / f"{name}.py"
    test = checkout / "tests/contract" / f"test_destinations_{name}.py"
    page = checkout / "docs/reference/destinations" / f"{name}.md"
    there = [path for path in (module, test, page) if path.exists()]
    if there:
        raise UsageError("file_exists", f"{len(there)} of the files are there; none was written.")
    for path, template in ((module, "destination.py.txt"), (test, "test_destination.py.txt")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_filled(template, name), encoding="utf-8")
    made = _connector(module, name)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(connector_page(made.CONNECTOR, made.PAGE), encoding="utf-8")
    written = [path.relative_to(checkout).as_posix() for path in (module, test, page)]
    say([*(f"wrote {path}" for path in written), *_next_steps(name)])


def _filled(template: str, name: str) -> str:
    words = name.split("_")
    text = resources.files(__package__).joinpath(template).read_text(encoding="utf-8")
    return text.format(
        name=name,
        name_dashed=name.replace("_", "-"),
        camel="".join(word.capitalize() for word in words),
        title=" ".join(word.capitalize() for word in words),
        upper=name.upper(),
    )


def _connector(module: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mayfly_new_{name}", module)
    if spec is None or spec.loader is None:
        raise RuntimeError("a module that was just written cannot be loaded")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded  # dataclasses look for their module there
    spec.loader.exec_module(loaded)
    return loaded


def _next_steps(name: str) -> list[str]:
    return [
        "Now, by hand:",
        f'  its line among _DESTINATIONS in src/mayfly/bootstrap/registry.py: "{name}": "{name}",',
        "  its settings, a DestinationPart in src/mayfly/config/destinations",
        f"  mayfly.connectors.destinations.{name} in .importlinter",
        "  a strict sandbox in src/mayfly/sandbox, driven in a test by the vendor's own client",
        "  each TODO; then `python -m mayfly.cli.reference docs/reference`",
        f"Try it: pytest {Path('tests/contract') / f'test_destinations_{name}.py'}",
    ]
