"""Kinds of sources that other distributions add; none is loaded that the project does not name.

A distribution declares an entry point in group `mayfly.sources`, called as the source's `type`.
Its code is imported only where `plugins` in `mayfly.yml` names the distribution with the version
that is installed, and only from a file that the distribution itself brought.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from mayfly.config.fields import DistributionName, Part, PluginVersion, StateSchema
from mayfly.config.files import Merged
from mayfly.config.findings import Findings
from mayfly.domain.errors import ConfigError
from mayfly.domain.names import is_name
from mayfly.domain.settings import PluginSettings
from mayfly.ports.source_spec import SourceSpec

GROUP = "mayfly.sources"


class PluginFile(Part):
    """A distribution that adds kinds of sources."""

    distribution: DistributionName = Field(
        description="Its name, as it is installed by.", examples=["mayfly-jsonl"]
    )
    version: PluginVersion = Field(
        description="The version that must be installed, exactly; quoted.", examples=["1.0.0"]
    )


class SourcePart(Part):
    """Base of the settings of a source that another distribution adds.

    A subclass says `type: Literal["…"]`, what else it needs, and `state: Literal["local"]` where
    it takes no writes. A field of type `Reference` is a secret.
    """

    type: str = Field(description="Kind of source.")
    state: Literal["source", "local"] = Field(default="local", description="Where state is kept.")
    state_schema: StateSchema = Field(
        default="_mayfly", description="Schema of state in the source."
    )


@dataclass(frozen=True, kw_only=True)
class SourcePlugin:
    """What an entry point of the group names.

    Args:
        settings: what may stand in the project files.
        spec: how it is opened, its SQL, its hosts and grants.
    """

    settings: type[SourcePart]
    spec: SourceSpec


class _FaultyError(Exception):
    """A finding about one plug-in: code, message and hint; never a text of its own code."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code)
        self.code, self.message, self.hint = code, message, hint


def find_plugins(
    merged: Merged, own: Mapping[str, type[Part]], findings: Findings
) -> dict[str, tuple[PluginSettings, type[Part]]]:
    """The kinds that the distributions named under `plugins` add, by their `type`.

    Args:
        merged: the files; what is no list of distributions is reported where they are parsed.
        own: the kinds that Mayfly brings, which nobody replaces.
        findings: where faults of plug-ins go.
    """
    found: dict[str, tuple[PluginSettings, type[Part]]] = {}
    for index, file in _named(merged):
        try:
            for settings, model in _kinds(file):
                if settings.type in own or settings.type in found:
                    raise _FaultyError(
                        "plugin_faulty",
                        f"distribution {file.distribution} adds a type of source that there is "
                        "already",
                    )
                found[settings.type] = settings, model
        except _FaultyError as fault:
            spot = merged.spots.key("plugins", index)
            findings.add(spot, fault.code, f"plugins: {fault.message}", fault.hint)
    return found


def load_plugin(settings: PluginSettings) -> SourcePlugin:
    """A plug-in that the project names.

    Raises:
        ConfigError: as a finding in the project files: it is not (any more) as it was named.
    """
    try:
        return _loaded(settings, _entry(settings))
    except _FaultyError as fault:
        raise ConfigError(fault.code, f"Plug-in: {fault.message}.", hint=fault.hint) from None


def offering(type_: str) -> str:
    """What to write for a type that an installed distribution adds; empty where none does."""
    for entry in entry_points(group=GROUP, name=type_):
        if entry.dist is not None:
            name, version = entry.dist.name, entry.dist.version
            return f'plugins: [{{distribution: {name}, version: "{version}"}}]'
    return ""


def _named(merged: Merged) -> Iterator[tuple[int, PluginFile]]:
    given = merged.data.get("plugins")
    for index, item in enumerate(given if isinstance(given, list) else ()):
        try:
            yield index, TypeAdapter(PluginFile).validate_python(item)
        except ValidationError:
            continue


def _kinds(file: PluginFile) -> Iterator[tuple[PluginSettings, type[Part]]]:
    entries = _installed(file.distribution, file.version).entry_points.select(group=GROUP)
    if not entries:
        raise _FaultyError(
            "plugin_faulty", f"distribution {file.distribution} adds no kind of source"
        )
    for entry in sorted(entries, key=lambda e: e.name):
        settings = PluginSettings(
            type=entry.name, distribution=file.distribution, version=file.version
        )
        yield settings, _loaded(settings, entry).settings


def _entry(settings: PluginSettings) -> EntryPoint:
    installed = _installed(settings.distribution, settings.version)
    for entry in installed.entry_points.select(group=GROUP, name=settings.type):
        return entry
    raise _FaultyError(
        "plugin_faulty",
        f"distribution {settings.distribution} adds no source of type {settings.type}",
    )


def _installed(name: str, version: str) -> Distribution:
    """The one distribution of that name, of that version."""
    places = {str(d.locate_file("")): d for d in distributions(name=name)}
    if not places:
        raise _FaultyError(
            "plugin_missing",
            f"distribution {name} is not installed",
            f"pip install {name}=={version}",
        )
    if len(places) > 1:
        raise _FaultyError(
            "plugin_faulty",
            f"distribution {name} is installed in {len(places)} places",
            "Keep one of them.",
        )
    [found] = places.values()
    if found.version != version:
        raise _FaultyError(
            "plugin_version",
            f"distribution {name} is installed in another version than the project names",
            f"Review {found.version} and name it, or pip install {name}=={version}.",
        )
    return found


def _loaded(settings: PluginSettings, entry: EntryPoint) -> SourcePlugin:
    name = settings.distribution
    if not is_name(entry.name):
        raise _FaultyError("plugin_faulty", f"distribution {name} adds a type that is no name")
    _require_own_module(name, entry)
    try:
        found = entry.load()
    except Exception:
        raise _FaultyError(
            "plugin_faulty", f"the code of distribution {name} could not be imported"
        ) from None
    if not isinstance(found, SourcePlugin) or not _is_sound(found, entry.name):
        raise _FaultyError(
            "plugin_faulty",
            f"what distribution {name} adds is no SourcePlugin of type {entry.name}",
            "See docs/howto/add-a-source.md.",
        )
    return found


def _is_sound(plugin: SourcePlugin, type_: str) -> bool:
    """Settings and spec are of the type that the entry point is called by."""
    declared = plugin.settings.model_fields["type"]
    strict = plugin.settings.model_config
    closed = strict.get("extra") == "forbid" and strict.get("frozen") is True
    return closed and plugin.spec.type == type_ and get_args(declared.annotation) == (type_,)


def _require_own_module(name: str, entry: EntryPoint) -> None:
    """Refuse a module that something else on the path would answer for. Imports nothing."""
    top = entry.module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    own = {
        Path(str(file.locate())).resolve()
        for file in (entry.dist.files if entry.dist is not None else None) or ()
    }
    if spec is None or spec.origin is None or Path(spec.origin).resolve() not in own:
        raise _FaultyError(
            "plugin_faulty",
            f"the module that distribution {name} names is not one of its own files",
            "Install it as a wheel, not editable, and let nothing on the path have its name.",
        )
