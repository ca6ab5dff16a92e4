"""Writes what was converted; a file that is there is never touched."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from mayfly.domain.errors import ConfigError

_MAIN: Mapping[str, object] = {
    "version": 1,
    "keys": {"provider": "local"},
    "store": {"url": "sqlite"},
}


def write_files(
    root: Path, files: Mapping[str, Mapping[str, object]], workspace: str
) -> tuple[list[str], list[str]]:
    """Write those that are not there; their names, and the names of those that were.

    Raises:
        ConfigError: `project_unwritable`.
    """
    written, kept = list[str](), list[str]()
    whole = {"mayfly.yml": {**_MAIN, "workspace": {"name": workspace}}, **files}
    try:
        for name, content in whole.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with path.open("x", encoding="utf-8") as file:
                    file.write(_text(content))
                written.append(name)
            except FileExistsError:
                kept.append(name)
    except OSError as error:
        raise ConfigError(
            "project_unwritable",
            f"The project files cannot be written (error {error.errno}).",
            hint="Choose a folder that you may write, on a disk with room.",
        ) from None
    return written, kept


def _text(content: Mapping[str, object]) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    stream = StringIO()
    yaml.dump(_plain(content), stream)
    return stream.getvalue()


def _plain(value: object) -> object:
    """The same, with text of several lines as a block."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    return value
