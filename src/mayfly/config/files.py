"""Find, read and merge the files of a project."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mayfly.config.fields import Part
from mayfly.config.findings import MAIN_FILE, Findings, Spot, Spots, shown
from mayfly.config.yaml_tree import read_tree
from mayfly.domain.settings import PluginSettings

SECTIONS = ("sources", "models", "destinations", "syncs", "processors")
MAIN_ONLY = (
    *("workspace", "keys", "store", "spool", "dbt", "anchors", "alerts"),
    *("plugins", "targets", "organisation", "controller", "processing"),
    *("serve", "telemetry"),
)
BYTES_MAX = 1_000_000
FILES_MAX = 2_000
FOLDERS_MAX = 10
_YAML = (".yml", ".yaml")


@dataclass(kw_only=True)
class Merged:
    """All files as one mapping, and where its keys stand.

    Args:
        root: folder of the project, without symbolic links.
        data: the mapping.
        spots: of its keys.
        sql_files: SQL files found under `models/`, by their path from `root`.
        files: those that were read, or looked for.
        main: `mayfly.yml` could be read.
        broken: files were left out because they are unreadable, so that names may be missing.
        plugins: kinds of sources that other distributions add, by their `type`.
    """

    root: Path
    data: dict[str, object] = field(default_factory=dict)
    spots: Spots = field(default_factory=Spots)
    sql_files: set[str] = field(default_factory=set)
    files: list[Path] = field(default_factory=list)
    main: bool = False
    broken: bool = False
    plugins: dict[str, tuple[PluginSettings, type[Part]]] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, object]:
        """The entries of a section; empty where it is missing or no mapping."""
        found = self.data.get(name)
        return found if isinstance(found, dict) else {}


def read_files(root: Path, findings: Findings) -> Merged:
    """Read `mayfly.yml` and the files beside it; every fault goes to `findings`."""
    merged = Merged(root=root.resolve())
    main = _main_file(merged.root, findings)
    merged.broken = main is None
    paths = list(_yaml_files(merged, findings))
    merged.files += [main, *paths] if main else paths
    for path in merged.files:
        text = read_text(merged.root, path, findings)
        if text is None:
            merged.broken = True
            continue
        file = path.relative_to(merged.root).as_posix()
        before = len(findings)
        tree, spots = read_tree(text, file, findings)
        if tree is None:
            failed = len(findings) > before
            merged.broken |= failed
            merged.main |= path == main and not failed
            continue
        if not isinstance(tree, dict):
            findings.add(Spot(file=file), "wrong_type", "expected keys and values, as in `key: …`")
            merged.broken = True
            continue
        merged.main |= path == main
        _merge(merged, tree, spots, file, findings)
    return merged


def read_text(root: Path, path: Path, findings: Findings) -> str | None:
    """The text of one file of the project, None (and a finding) where it is refused.

    Args:
        root: folder of the project; links above it are the operator's own affair.
        path: of the file, below `root`.
        findings: where problems go.
    """
    content = read_content(root, path, findings)
    if content is None:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        start = content[: error.start]
        line = start.count(b"\n") + 1
        column = len(start.rpartition(b"\n")[2].decode("utf-8")) + 1
        at = Spot(file=path.relative_to(root).as_posix(), line=line, column=column)
        findings.add(at, "not_utf8", "expected UTF-8", "Save the file as UTF-8.")
        return None


def read_content(
    root: Path, path: Path, findings: Findings, *, bytes_max: int = BYTES_MAX
) -> bytes | None:
    """As `read_text`, the bytes of the file, of which there may be `bytes_max`."""
    spot = Spot(file=path.relative_to(root).as_posix())
    if _has_link(root, path):
        message = "symbolic links are refused"
        findings.add(spot, "symlink", message, "Put the file itself into the project.")
        return None
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            findings.add(spot, "not_a_file", "expected a regular file")
            return None
        if found.st_size > bytes_max:
            findings.add(spot, "too_large", f"expected at most {bytes_max:,} bytes")
            return None
        return path.read_bytes()
    except (OSError, ValueError):
        findings.add(spot, "unreadable", "the file cannot be read", "Check its permissions.")
        return None


def _has_link(root: Path, path: Path) -> bool:
    here = root
    for part in path.relative_to(root).parts:
        here = here / part
        if here.is_symlink():
            return True
    return False


def _main_file(root: Path, findings: Findings) -> Path | None:
    main, other = root / MAIN_FILE, root / "mayfly.yaml"
    if os.path.lexists(other):
        spot = Spot(file=other.name)
        hint = f"Rename it to {MAIN_FILE}."
        findings.add(spot, "wrong_file_name", f"the file is called {MAIN_FILE}", hint)
    if os.path.lexists(main):
        return main
    if not os.path.lexists(other):
        message = f"there is no {MAIN_FILE} in this folder"
        hint = "Go to the project's folder or name it with --project; a new one is made by "
        findings.add(Spot(), "missing_file", message, hint + "`mayfly init --template demo`.")
    return None


def _yaml_files(merged: Merged, findings: Findings) -> Iterator[Path]:
    """The YAML files below the folders of sections, in the order of their names."""
    count = 0
    for section in SECTIONS:
        for path in _walk(merged.root, merged.root / section, findings):
            count += 1
            file = path.relative_to(merged.root).as_posix()
            if count > FILES_MAX:
                message = f"expected at most {FILES_MAX:,} project files"
                findings.add(Spot(file=file), "too_many_files", message)
                return
            if path.is_symlink() or path.suffix in _YAML:
                yield path
            elif path.suffix == ".sql" and section == "models":
                merged.sql_files.add(file)
            elif path.name != ".gitkeep":
                message = "only YAML files may stand here"
                hint = "Move it elsewhere; a model's SQL file stands under models/."
                findings.add(Spot(file=file), "stray_file", message, hint)


def _walk(root: Path, folder: Path, findings: Findings) -> Iterator[Path]:
    if not os.path.lexists(folder):
        return
    spot = Spot(file=folder.relative_to(root).as_posix())
    if folder.is_symlink():
        hint = "Put the files themselves into the project."
        findings.add(spot, "symlink", "symbolic links are refused", hint)
        return
    if not folder.is_dir():
        findings.add(spot, "not_a_folder", "expected a folder")
        return
    try:
        members = sorted(folder.iterdir())
    except OSError:
        findings.add(spot, "unreadable", "the folder cannot be read", "Check its permissions.")
        return
    if len(folder.relative_to(root).parts) > FOLDERS_MAX:
        findings.add(spot, "too_deep", f"expected at most {FOLDERS_MAX} folders in each other")
        return
    for member in members:
        if member.is_dir() and not member.is_symlink():
            yield from _walk(root, member, findings)
        else:
            yield member


def _merge(
    merged: Merged, tree: dict[str, object], spots: Spots, file: str, findings: Findings
) -> None:
    main = file == MAIN_FILE
    kept: dict[str, set[str]] = {}
    for key, value in tree.items():
        spot = spots.key(key)
        if key in SECTIONS:
            kept[key] = _merge_section(merged, key, value, spots, findings)
        elif main:
            merged.data[key] = value
            kept[key] = set()
        elif key in MAIN_ONLY:
            findings.add(spot, "main_file_only", f"`{key}` stands in {MAIN_FILE} only")
        elif key == "version":
            if value != 1 or isinstance(value, bool):
                findings.add(spots.value(key), "not_allowed", "version: expected 1")
        else:
            message = f"unknown key {shown(key)}"
            findings.add_unknown(spot, "unknown_key", message, key, ("version", *SECTIONS))
    for path, place in spots.items():
        section = str(path[0])
        if section not in kept:
            continue
        if section in SECTIONS and len(path) > 1 and path[1] not in kept[section]:
            continue
        if len(path) > 1 or path not in merged.spots:
            merged.spots.set(path, place)


def _merge_section(
    merged: Merged, section: str, value: object, spots: Spots, findings: Findings
) -> set[str]:
    """Take over a section's entries; gives the names of those taken."""
    if value is None:
        return set()
    if not isinstance(value, dict):
        findings.add(spots.value(section), "wrong_type", f"{section}: expected names with keys")
        return set()
    known = merged.data.setdefault(section, {})
    assert isinstance(known, dict)
    taken = set()
    for name, entry in value.items():
        if name in known:
            first = merged.spots.key(section, name)
            message = f"{section}: {shown(name)} is defined twice"
            hint = f"It stands in {first.file}, line {first.line}, too. Remove or rename one."
            findings.add(spots.key(section, name), "defined_twice", message, hint)
        else:
            known[name] = entry
            taken.add(name)
    return taken
