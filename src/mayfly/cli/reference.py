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

from mayfly.cli.error_codes import troubleshooting_page
from mayfly.cli.measured import measured_page
from mayfly.cli.stored import stored_page
from mayfly.ports.connector import Connector, ConnectorPage
from mayfly.ports.destination import DestinationSpec
from mayfly.privacy.gate import Form

_FIRST = "<!-- Written by `python -m mayfly.cli.reference docs/reference`; do not edit. -->\n"


def walk_commands(group: Any = None, prefix: str = "mayfly") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name, in the order of `--help`."""
    if group is None:
        from mayfly.cli.commands import app

        group = typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield f"{prefix} {name}", command
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
    from mayfly.bootstrap import CONNECTORS

    parts = [
        _FIRST,
        "# Destinations\n",
        "What each connector declares. A destination without declared fields takes the fields of "
        "the sync's mapping. How each option is written: [project files](project.md).\n",
    ]
    for name, connector in CONNECTORS.items():
        if connector.page is None:
            parts.append(f"## {name}\n\n{_facts(connector.spec)}")
        else:
            title = connector.page.title
            parts.append(f"## {name}\n\n{title}: [its page](destinations/{name}.md).\n")
    return "\n".join(parts)


def connector_page(connector: Connector, page: ConnectorPage) -> str:
    """The text of `destinations/NAME.md`."""
    spec = connector.spec
    hashed = [f.name for f in spec.fields if f.form is Form.DIGEST]
    pseudonyms = [f.name for f in spec.fields if f.form is Form.PSEUDONYM]
    clear = [f.name for f in spec.fields if f.form is Form.CLEAR]
    kinds = [
        ("Leave as a match hash", hashed),
        ("Leave as a pseudonym", pseudonyms),
        ("Leave in clear", clear),
    ]
    parts = [
        _FIRST,
        f"# {page.title}\n",
        f"`type: {spec.name}`. Options: [project files](../project.md).\n",
        f"```yaml\n{page.example.strip()}\n```\n",
        "## Rights needed\n",
        "".join(f"- {line}\n" for line in page.rights),
        "## What leaves, and how\n",
    ]
    if spec.fields:
        shown = [(name, ", ".join(f"`{x}`" for x in fields)) for name, fields in kinds if fields]
        parts.append("".join(f"- {name}: {fields}.\n" for name, fields in shown))
    else:
        parts.append(
            "The fields of the mapping: in clear, as approved, at a destination declared "
            "`internal`; else only closed shapes and pseudonyms.\n"
        )
    parts += [f"{note}\n" for note in page.notes]
    parts += ["## Facts and limits\n", _facts(spec)]
    if page.untested:
        lines = "".join(f"- {line}\n" for line in page.untested)
        parts += ["## Not tried without an account\n", lines]
    return "\n".join(parts)


def _facts(spec: DestinationSpec) -> str:
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
        ("Several workers may send one run", "yes" if spec.shared else "no"),
        ("Always external", "yes" if spec.always_external else "no"),
    ]
    text = "| Fact | Value |\n|---|---|\n"
    text += "".join(f"| {name} | {value} |\n" for name, value in facts)
    if spec.fields:
        text += "\n| Field | Class | Leaves as | Identifier |\n|---|---|---|---|\n"
        for field in spec.fields:
            mark = "yes" if field.identifier else ""
            form = str(getattr(field.form, "value", field.form))
            text += f"| `{field.name}` | {field.kind} | {form} | {mark} |\n"
    return text


def connector_pages() -> Iterator[tuple[str, str]]:
    """Name and text of each page below `destinations/`."""
    from mayfly.bootstrap import CONNECTORS

    for name, connector in CONNECTORS.items():
        if connector.page is not None:
            yield f"{name}.md", connector_page(connector, connector.page)


def write_pages(folder: Path) -> None:
    """Write all pages into a folder."""
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")
    (folder / "destinations.md").write_text(destinations_page(), encoding="utf-8")
    (folder / "troubleshooting.md").write_text(troubleshooting_page(), encoding="utf-8")
    (folder / "metrics.md").write_text(measured_page(), encoding="utf-8")
    (folder / "what-we-store.md").write_text(stored_page(), encoding="utf-8")
    (folder / "destinations").mkdir(exist_ok=True)
    for name, text in connector_pages():
        (folder / "destinations" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
