"""Looks for personal values in clear in files, archives and folders. Answers never hold a value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from mayfly.domain.errors import ConfigError
from mayfly.privacy.guard import classes_in
from mayfly.privacy.guard.patterns import FINDERS
from mayfly.privacy.scan import BOMB, KNOWN, Hit
from mayfly.services.scan_containers import (
    Place,
    document_hits,
    files_below,
    name_hits,
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Values of one class in one encoding at one place.

    Args:
        member: the way through archives and compressed streams, None for the file itself.
        offset: of the first one, in bytes from the start of the member.
        count: how many.
    """

    path: str
    member: str | None
    offset: int
    class_name: str
    encoding: str
    count: int

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly scan` prints it."""
        return {
            "path": self.path,
            "member": self.member,
            "offset": self.offset,
            "class": self.class_name,
            "encoding": self.encoding,
            "count": self.count,
        }


def scan_paths(
    paths: Iterable[str | Path], *, known_values: Sequence[str] = (), only_known: bool = False
) -> list[Finding]:
    """Every finding in files, and in folders with all they hold. Links are not followed.

    Args:
        paths: files and folders.
        known_values: texts to find as well, as class `known_value`.
        only_known: nothing but those, and what could not be looked through.

    Raises:
        ConfigError: `unreadable` where a file or a member cannot be read to its end.
    """
    known = [value.encode() for value in known_values if value]
    classes = {KNOWN, BOMB} if only_known else None
    return [
        finding
        for path in paths
        for root, file in _files(Path(path), known)
        for finding in _scan_file(root, file, known)
        if classes is None or finding.class_name in classes
    ]


def scan_values(path: str | Path) -> Iterator[dict[str, Any]]:
    """Findings line by line: `{"line", "findings"}`, lines from 1, only lines with a finding.

    Raises:
        ConfigError: `unreadable` where the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                if found := classes_in(_line_text(line)):
                    yield {"line": number, "findings": found}
    except OSError:
        raise _unreadable(Path(path), ()) from None


def _line_text(line: bytes) -> str:
    """A line as text; of a JSON line, what its strings really say."""
    if line.lstrip()[:1] in (b"{", b"[", b'"'):
        try:
            return "\n".join(_strings(orjson.loads(line)))
        except orjson.JSONDecodeError:
            pass
    return line.decode("utf-8", "replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)


def _files(path: Path, known: Sequence[bytes]) -> Iterator[tuple[Path, Path]]:
    """Each file with the path that was given for it."""
    try:
        for file in files_below(path):
            yield path, file
    except FileNotFoundError:
        raise ConfigError(
            "unreadable",
            f"There is no file or folder {_masked(str(path), known)}.",
            hint="Check the path; it is taken from the folder you are in.",
        ) from None
    except OSError:
        raise _unreadable(path, known) from None


def _scan_file(root: Path, path: Path, known: list[bytes]) -> list[Finding]:
    # What was given is known to who gave it; names below it are looked at like what they name.
    below = str(path.relative_to(root)) if path != root else path.name
    try:
        with path.open("rb") as file:
            hits = [*name_hits(below, known, ""), *document_hits(file, known, Place(path=path))]
    except Exception:
        # Whatever a format's library makes of a damaged file; its text may carry a value.
        raise _unreadable(path, known) from None
    return [_shown(finding, known) for finding in _tally(str(path), hits)]


def _tally(path: str, hits: Iterable[Hit]) -> list[Finding]:
    """One finding per member, class and encoding."""
    counted: dict[tuple[str, str, str], list[int]] = {}
    for hit in hits:
        key = (hit.member, hit.class_name, hit.encoding)
        entry = counted.setdefault(key, [hit.offset, 0])
        entry[1] += 1
    return [
        Finding(
            path=path,
            member=member or None,
            offset=offset,
            class_name=name,
            encoding=encoding,
            count=count,
        )
        for (member, name, encoding), (offset, count) in counted.items()
    ]


def _shown(finding: Finding, known: Sequence[bytes]) -> Finding:
    """A finding whose names hold no value."""
    member = None if finding.member is None else _masked(finding.member, known)
    return replace(finding, path=_masked(finding.path, known), member=member)


def _masked(name: str, known: Sequence[bytes]) -> str:
    """A name with its class in place of each value; a part that hides one is left out whole."""
    for marker in known:
        name = name.replace(marker.decode(), f"[{KNOWN}]")
    for found, find in FINDERS.items():
        for start, end in reversed(list(find(name))):
            name = f"{name[:start]}[{found}]{name[end:]}"
    return "/".join(_shown_part(part, known) for part in name.split("/"))


def _shown_part(part: str, known: Sequence[bytes]) -> str:
    hidden = [hit.class_name for hit in name_hits(part, known, "")] + classes_in(part)
    return f"[{hidden[0]}]" if hidden else part


def _unreadable(path: Path, known: Sequence[bytes]) -> ConfigError:
    return ConfigError(
        "unreadable",
        f"File {_masked(path.name, known)} cannot be read to its end, so nothing can be said about "
        "it.",
        hint="Check its permissions; unpack it first where it is encrypted or damaged, and close "
        "what has it open.",
    )
