"""Syncs as exposures of a dbt project: what is fed by its models, in its own lineage and docs.

The text is a properties file as dbt 1.5 and later read it. It holds names only: no secret, address
or value, and nothing that dbt would take for a template.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import Project, SyncSettings
from mayfly.privacy.detect import ShownNames

FIRST_LINE = "# Written by `mayfly dbt exposures`; do not edit."
_NAME_MAX = 250  # dbt makes file names of it


@dataclass(frozen=True, kw_only=True)
class Exposures:
    """What dbt should know of a project.

    Args:
        exposures: one for each sync whose model dbt knows, by the syncs' names.
        left_out: names of the other syncs.
    """

    exposures: Sequence[Mapping[str, Any]]
    left_out: Sequence[str]

    def text(self) -> str:
        """The properties file."""
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
        yaml.width = 1_000_000
        stream = io.StringIO()
        yaml.dump({"version": 2, "exposures": list(self.exposures)}, stream)
        return f"{FIRST_LINE}\n{stream.getvalue()}"


def exposures_of(project: Project) -> Exposures:
    """The project's syncs as exposures.

    Raises:
        ConfigError: `dbt_missing`, the project names no manifest.
    """
    if project.dbt is None:
        raise ConfigError(
            "dbt_missing",
            "This project names no dbt project.",
            hint="Name its manifest in mayfly.yml: `dbt: {manifest: dbt/target/manifest.json}`.",
        )
    made, left_out = [], []
    for name in sorted(project.syncs):
        written = project.models[project.syncs[name].model].dbt
        if written is None:
            left_out.append(name)
        else:
            made.append(_exposure(project, project.syncs[name], written))
    return Exposures(exposures=tuple(made), left_out=tuple(left_out))


def _exposure(project: Project, sync: SyncSettings, written: str) -> dict[str, Any]:
    destination = project.destinations[sync.destination]
    owner = project.dbt.owner if project.dbt else None
    about = f"Mayfly sends this to {sync.destination} ({destination.type}), mode {sync.mode}."
    columns = sorted({*sync.mapping.values()})
    shown = ShownNames(columns)
    meta = {
        "sync": sync.id,
        "model": sync.model,
        "destination": sync.destination,
        "platform": destination.type,
        "kind": destination.kind,
        "mode": sync.mode,
        "purpose": sync.purpose,
        "columns": list(map(shown.name, columns)),
    }
    return {
        "name": f"mayfly_{sync.name}"[:_NAME_MAX],
        "label": _plain(f"Mayfly: {sync.name}"),
        "type": "application",
        "description": _plain(f"{about} {sync.description}".strip()),
        "owner": {"name": _plain(owner or destination.owner or project.workspace.name)},
        "depends_on": [written],
        "config": {"meta": {"mayfly": _plain_all(meta)}},
    }


def _plain_all(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: [_plain(x) for x in value] if isinstance(value, list) else _plain(value)
        for key, value in meta.items()
        if value is not None
    }


def _plain(text: str) -> str:
    """A text that dbt does not take for a template."""
    for sign in ("{", "%", "#"):
        text = text.replace("{" + sign, "{ " + sign)
    return text


def write_exposures(path: Path, text: str) -> bool:
    """Write the file whole or not at all; whether it was another before.

    Raises:
        ConfigError: `dbt_file_not_ours`, somebody else wrote the file, or it is a symbolic link;
            `dbt_file_unwritable`.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        if path.is_symlink() or (path.exists() and not _is_ours(path)):
            raise ConfigError(
                "dbt_file_not_ours",
                "The file to write was not written by this command.",
                hint="Give it a file of its own, such as models/mayfly_exposures.yml in dbt's "
                "project.",
            )
        if path.exists() and path.read_bytes() == text.encode():
            return False
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ConfigError(
            "dbt_file_unwritable",
            f"The file cannot be written (error {error.errno}).",
            hint="Its folder must exist and be writable, and its disk have room.",
        ) from None
    return True


def _is_ours(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.readline(200).rstrip() == FIRST_LINE.encode()
