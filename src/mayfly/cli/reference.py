"""Reference pages made from the code: the commands from their definitions, the destinations from
their specifications. `python -m mayfly.cli.reference DOCS` writes them; a test compares them.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from mayfly.ports.destination import DestinationSpec

_FIRST = "<!-- Written by `python -m mayfly.cli.reference docs/reference`; do not edit. -->\n"


def walk_commands(group: Any = None, prefix: str = "mayfly") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name, in the order of `--help`."""
    if group is None:
        from mayfly.cli.commands import app

        group = typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from walk_commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def commands_page() -> str:
    """The text of `commands.md`."""
    parts = [
        _FIRST,
        "# Commands\n",
        "`mayfly --version` prints the version; each command takes `--help`. "
        "How commands end: [exit codes](exit-codes.md).\n",
    ]
    for name, command in walk_commands():
        parts.append(f"## {name}\n\n{(command.help or '').strip()}\n")
        if command.params:
            rows = [_parameter(p) for p in command.params]
            parts.append("| Parameter | Meaning |\n|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        shown = f"`{(parameter.metavar or parameter.name.upper()).strip('[]…')}`"
        shown += "" if parameter.required else ", may be left out"
    else:
        shown = ", ".join(f"`{o}`" for o in parameter.opts)
        shown += ", needed" if parameter.required else ""
    text = (parameter.help or "").replace("|", "\\|")
    kind = parameter.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        text += f" One of: {', '.join(member.value for member in kind)}."
    default = parameter.default
    default = getattr(default, "value", default)
    if isinstance(default, str | int | Path) and not isinstance(default, bool):
        text += f" Default: `{default}`."
    return f"| {shown} | {text.strip()} |"


def destinations_page() -> str:
    """The text of `destinations.md`."""
    from mayfly.bootstrap import SPECS

    parts = [
        _FIRST,
        "# Destinations\n",
        "What each connector declares. A destination without declared fields takes the fields of "
        "the sync's mapping. How each option is written: [project files](project.md).\n",
    ]
    parts += [_destination(spec) for spec in SPECS.values()]
    return "\n".join(parts)


def _destination(spec: DestinationSpec) -> str:
    receiver = "named by `owner` in the project files"
    if spec.processor is not None:
        countries = ", ".join(sorted(spec.processor.countries))
        receiver = f"{spec.processor.legal_name} ({countries})"
    facts = [
        ("Sync modes", ", ".join(sorted(m.value for m in spec.modes))),
        ("Receiver", receiver),
        ("Hosts", ", ".join(f"`{h}`" for h in sorted(spec.hosts)) or "from the configuration"),
        ("Rows in one request, at most", f"{spec.request.rows_max:,}"),
        ("Bytes in one request, at most", f"{spec.request.bytes_max:,}"),
        ("Can forget one person", spec.erasure.value.replace("_", " ")),
        ("A repeated batch is a no-op", "yes" if spec.batch_marker else "no"),
        ("Batches on their way at the same time", str(spec.concurrency)),
        ("Always external", "yes" if spec.always_external else "no"),
    ]
    text = f"## {spec.name}\n\n| Fact | Value |\n|---|---|\n"
    text += "".join(f"| {name} | {value} |\n" for name, value in facts)
    if spec.fields:
        text += "\n| Field | Class | Leaves as | Identifier |\n|---|---|---|---|\n"
        for field in spec.fields:
            mark = "yes" if field.identifier else ""
            form = str(getattr(field.form, "value", field.form))
            text += f"| `{field.name}` | {field.kind} | {form} | {mark} |\n"
    return text


def write_pages(folder: Path) -> None:
    """Write both pages into a folder."""
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")
    (folder / "destinations.md").write_text(destinations_page(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
