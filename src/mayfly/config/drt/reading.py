"""drt's own files: `drt_project.yml`, `syncs/*.yml`, `syncs/models/*.sql` and `profiles.yml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.config.files import read_content
from mayfly.config.findings import Findings, Spot, Spots
from mayfly.config.yaml_tree import read_tree
from mayfly.domain.errors import UsageError

PROJECT_FILE = "drt_project.yml"
PROFILES = Path(".drt/profiles.yml")

Values = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Left:
    """What was not carried over.

    Args:
        file: of drt's.
        line: from 1.
        key: where it stands in the file, with dots.
        reason: why, and what to do.
    """

    file: str
    line: int
    key: str
    reason: str

    def to_dict(self) -> dict[str, object]:
        """For the JSON output."""
        return {"file": self.file, "line": self.line, "key": self.key, "reason": self.reason}

    def to_text(self) -> str:
        """One line for people."""
        return f"{self.file}:{self.line}: {self.key}: {self.reason}"


@dataclass(kw_only=True)
class DrtFile:
    """One YAML file of drt's, and what of it was left."""

    name: str
    values: Values
    spots: Spots
    left: list[Left] = field(default_factory=list)

    def leave(self, *path: str, reason: str) -> None:
        """Note that the value at `path` is not carried over."""
        spot = self.spots.key(*path)
        key = ".".join(path)
        self.left.append(Left(file=self.name, line=spot.line, key=key, reason=reason))

    def sorted(self) -> list[Left]:
        """What was left, by line."""
        return sorted(self.left, key=lambda each: (each.line, each.key))


@dataclass(frozen=True, kw_only=True)
class DrtProject:
    """All that is read.

    Args:
        root: drt's project.
        profile: name of the connection that its syncs read.
        profiles: all connections, by name.
        syncs: one file each.
    """

    root: Path
    profile: str
    profiles: DrtFile
    syncs: tuple[DrtFile, ...]


def read_drt(root: Path, profiles: Path, ours: Path) -> DrtProject:
    """The project as it is written; nothing is expanded, and nothing is asked of drt.

    Args:
        root: drt's project.
        profiles: drt's connections.
        ours: folder of our project.

    Raises:
        UsageError: `not_drt`, there is no project or no file of connections; `same_folder`.
        ConfigProblemsError: a file cannot be read as plain YAML.
    """
    root = root.resolve()
    profiles = profiles.expanduser().resolve()
    if not (root / PROJECT_FILE).is_file():
        raise UsageError("not_drt", f"There is no {PROJECT_FILE} in the folder: it is none of drt.")
    if not profiles.is_file():
        hint = "Name drt's profiles.yml with --profiles."
        raise UsageError("not_drt", "The file of drt's connections is not there.", hint=hint)
    if ours.resolve() == root:
        hint = "Name another folder with --project: both tools have a folder syncs/."
        raise UsageError("same_folder", "The project would be written into drt's own.", hint=hint)
    findings = Findings()
    project = _file(root, root / PROJECT_FILE, findings)
    connections = _file(profiles.parent, profiles, findings)
    syncs = [_file(root, path, findings) for path in sorted((root / "syncs").glob("*.yml"))]
    findings.raise_any()
    return DrtProject(
        root=root,
        profile=text_of(project.values, "profile") or "default",
        profiles=connections,
        syncs=tuple(syncs),
    )


def read_sql(root: Path, path: Path) -> str:
    """The text of a query's file.

    Raises:
        ConfigProblemsError: it is none, too large or not UTF-8.
    """
    findings = Findings()
    text = _text(root, path, findings)
    findings.raise_any()
    return text.strip()


def _file(root: Path, path: Path, findings: Findings) -> DrtFile:
    name = path.relative_to(root).as_posix()
    values, spots = read_tree(_text(root, path, findings), name, findings)
    return DrtFile(name=name, values=as_values(values), spots=spots)


def _text(root: Path, path: Path, findings: Findings) -> str:
    content = read_content(root, path, findings)
    try:
        return (content or b"").decode("utf-8")
    except UnicodeDecodeError:
        name = path.relative_to(root).as_posix()
        findings.add(Spot(file=name), "not_utf8", "this is not UTF-8")
        return ""


def as_values(value: object) -> Values:
    """A mapping, or an empty one where it is none."""
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else {}


def text_of(values: Values, key: str) -> str | None:
    """A text, or a number as one; None where there is none."""
    found = values.get(key)
    return None if found is None or isinstance(found, dict | list | bool) else str(found)


def texts_of(values: Values, key: str) -> list[str]:
    """The texts of a list, or one alone."""
    found = values.get(key)
    if isinstance(found, list):
        return [str(each) for each in found]
    return [] if found is None else [str(found)]
