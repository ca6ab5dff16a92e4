"""What a kind of source says of itself: how one is opened, its SQL, its hosts, the rights it needs.

One `SPEC` stands in each connector's file; a table of them is all that the rest of the program
knows of kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.settings import SecretRef, SourceSettings
from mayfly.planning.model_reads import TableRead
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source


class Revealed(Protocol):
    """A secret."""

    def reveal(self) -> str:
        """The text itself."""


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """One source of a project, as its connector is given it.

    Args:
        settings: as the project files have them; paths are absolute.
        root: folder of the project.
        resolve: the secret that a reference of the settings names; ConfigError `secret_missing`.
    """

    settings: SourceSettings
    root: Path
    resolve: Callable[[SecretRef], Revealed]

    def path(self) -> Path:
        """The file or folder.

        Raises:
            ConfigError: `path_missing`.
        """
        if self.settings.path is None:
            raise ConfigError("path_missing", f"Source {self.settings.name} needs a path.")
        return self.settings.path

    def shown_path(self) -> str:
        """As a person finds it: from the project's folder where it is in there."""
        path = self.path()
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def dsn(self) -> Revealed:
        """The connection string.

        Raises:
            ConfigError: `dsn_missing`; `secret_missing`, nothing stands where it refers to.
        """
        if self.settings.dsn is None:
            raise ConfigError("dsn_missing", f"Source {self.settings.name} needs a dsn.")
        return self.resolve(self.settings.dsn)


@dataclass(frozen=True, kw_only=True)
class GrantRequest:
    """What a project needs at one of its sources.

    Args:
        source: which.
        reads: what its models read there, each table once, in order of their names.
    """

    source: SourceRequest
    reads: Sequence[TableRead]


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """One kind of source.

    Args:
        type: as `type` in the project files names it.
        open: makes the source; connects to nothing yet.
        dialect: the SQL that its sessions take.
        hosts: those it connects to, and no others; none for what is on this machine.
        grants: the least rights that the project needs there, as lines of a script ready to be run
            by whoever owns it; connects to nothing.
        never_asked: the engine, where nothing of this kind was ever run on one: such a source opens
            only where its settings say `accept_untested`. Empty of the others.
    """

    type: str
    open: Callable[[SourceRequest], Source]
    dialect: Callable[[], SqlDialect]
    hosts: Callable[[SourceRequest], frozenset[str]]
    grants: Callable[[GrantRequest], Sequence[str]]
    never_asked: str = ""


def require_accepted(spec: SourceSpec, settings: SourceSettings) -> None:
    """Refuse a source of an engine that was never asked, unless the project says that it knows.

    Raises:
        PolicyError: `source_untested`.
    """
    if not spec.never_asked or settings.options.get("accept_untested") is True:
        return
    raise PolicyError(
        "source_untested",
        f"Source {settings.name} is of type {spec.type}, which is compiled, not run: no statement "
        f"of it was ever asked of a {spec.never_asked}.",
        hint="Read docs/howto/sources-compiled.md, try it on tables that hold nobody's data, and "
        f"set `accept_untested: true` on source {settings.name}.",
    )


def no_hosts(request: SourceRequest) -> frozenset[str]:
    """Of a source that is on this machine."""
    del request
    return frozenset()
