"""Where things stand in the project files, and the problems found there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mayfly.config.codes import CODES
from mayfly.domain.errors import ConfigError
from mayfly.domain.names import nearest
from mayfly.domain.settings import Problem

MAIN_FILE = "mayfly.yml"
PROBLEMS_MAX = 200

Path = tuple[str | int, ...]


class ConfigProblemsError(ConfigError):
    """The project files are wrong; `problems` lists how, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        place = f"{first.file}:{first.line}:{first.column}"
        super().__init__(first.code, f"{place}: {first.message}{more}", hint=first.hint)


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One place in a file; line and column count from 1."""

    file: str = MAIN_FILE
    line: int = 1
    column: int = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a key and its value stand; the two are one for members of a list."""

    key: Spot
    value: Spot


class Spots:
    """Where each key of the merged project stands."""

    def __init__(self) -> None:
        self._places: dict[Path, Place] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._places

    def set(self, path: Path, place: Place) -> None:
        """Remember a place; a later one replaces an earlier one."""
        self._places[path] = place

    def items(self) -> Iterator[tuple[Path, Place]]:
        """Every path and its place."""
        yield from self._places.items()

    def copy(self) -> Spots:
        """An equal one that may change on its own."""
        other = Spots()
        other._places = dict(self._places)
        return other

    def key(self, *path: str | int) -> Spot:
        """Of the key at `path`, or of the nearest parent that was written."""
        return self._nearest(path).key

    def value(self, *path: str | int) -> Spot:
        """Of the value at `path`, or of the key of the nearest parent that was written."""
        if path in self._places:
            return self._places[path].value
        return self.key(*path)

    def _nearest(self, path: Path) -> Place:
        for length in range(len(path), 0, -1):
            if path[:length] in self._places:
                return self._places[path[:length]]
        return Place(key=Spot(), value=Spot())


class Findings:
    """The problems found so far; the same one is kept once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, spot: Spot, code: str, message: str, hint: str = "") -> None:
        """Remember one problem; `code` is one of `CODES`."""
        assert code in CODES, code
        problem = Problem(
            file=spot.file,
            line=spot.line,
            column=spot.column,
            code=code,
            message=message,
            hint=hint,
        )
        self._problems.setdefault(problem)

    def add_unknown(
        self, spot: Spot, code: str, message: str, text: object, allowed: Iterable[str]
    ) -> None:
        """Remember a word that is none of the `allowed`; the hint names the nearest and all."""
        self.add(spot, code, message, suggestion(text, allowed))

    def sorted(self) -> list[Problem]:
        """By file (`mayfly.yml` first), line and column; at most `PROBLEMS_MAX`."""
        found = sorted(
            self._problems,
            key=lambda p: (p.file != MAIN_FILE, p.file, p.line, p.column, p.code, p.message),
        )
        return found[:PROBLEMS_MAX]

    def raise_any(self) -> None:
        """Raise ConfigProblemsError where there is a problem."""
        if self._problems:
            raise ConfigProblemsError(self.sorted())


def name_shown(name: str) -> str:
    """See `shown_name`. What that needs is loaded only once there is something to say."""
    from mayfly.privacy.detect import shown_name

    return shown_name(name)


def shown(text: object) -> str:
    """A key as messages print it: quoted, on one line, cut where it is long; withheld where it is
    itself personal. The place in the file says which it is.
    """
    plain = name_shown(str(text))
    return json.dumps(plain if len(plain) <= 60 else f"{plain[:60]}…", ensure_ascii=True)


def suggestion(text: object, allowed: Iterable[str]) -> str:
    """`Did you mean …?` where a word is near, and what is allowed."""
    words = list(allowed)
    near = nearest(str(text), words)
    listed = ", ".join(map(name_shown, words[:40])) + (", …" if len(words) > 40 else "")
    parts = [f"Did you mean {name_shown(near)}?"] if near else []
    parts.append(f"Allowed: {listed}." if words else "None is declared.")
    return " ".join(parts)
