"""What stands within structs, lists and JSON: a column of its own for each path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

from mayfly.privacy.detect.shown import WITHHELD
from mayfly.privacy.detect.values import Values
from mayfly.privacy.guard import classes_in

JSON = r"^\s*[\[{].*[\]}]\s*$"
_PATHS_MAX = 500
_DEPTH_MAX = 12
_KEYS_MAX = 10_000
_BEGINS = ("[", "{")


def is_json(values: Values) -> bool:
    """Whether values are JSON objects or lists."""
    if values.share(JSON) < 0.8:
        return False
    return sum(_loads(text) is not None for text in values.sample.to_list()) >= 0.8 * len(
        values.sample
    )


def paths_of(values: Iterator[Any]) -> tuple[dict[str, pl.Series], int]:
    """Texts by path of some objects, and how many keys were personal themselves.

    Args:
        values: dicts, lists and what stands in them; JSON texts are read.
    """
    walk = _Walk()
    for value in values:
        walk.into(value, "", 0)
    texts = {path: pl.Series(found, dtype=pl.String) for path, found in walk.found.items()}
    return texts, walk.withheld


class _Walk:
    """Texts by path, as they are met. What a key is, is found out once for each path: rows of one
    column have the same few keys.
    """

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = {}
        self.withheld = 0
        self._below: dict[tuple[str, str], tuple[str, bool]] = {}

    def into(self, value: Any, path: str, depth: int) -> None:
        """Take a value and what stands in it."""
        if isinstance(value, str):
            inner = _loads(value) if value[:1] in _BEGINS else None
            if inner is None:
                self._take(path, value)
                return
            value = inner
        if isinstance(value, dict):
            if depth < _DEPTH_MAX:
                self._keys(value, path, depth + 1)
                return
        elif isinstance(value, list | tuple) and depth < _DEPTH_MAX:
            below = f"{path}[]"
            for item in value:
                self.into(item, below, depth + 1)
            return
        elif isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if value is not None and not isinstance(value, bool):
            self._take(path, str(value))

    def _keys(self, items: dict[Any, Any], path: str, depth: int) -> None:
        for key, item in items.items():
            name = str(key)
            known = self._below.get((path, name))
            below, personal = self._look(path, name) if known is None else known
            if personal:
                self.withheld += 1
                self._take(below, name)
            self.into(item, below, depth)

    def _look(self, path: str, name: str) -> tuple[str, bool]:
        """The path below a key, and whether that is personal."""
        personal = bool(classes_in(name))
        found = _joined(path, WITHHELD if personal else name), personal
        if len(self._below) < _KEYS_MAX:
            self._below[path, name] = found
        return found

    def _take(self, path: str, text: str) -> None:
        texts = self.found.get(path)
        if texts is not None:
            texts.append(text)
        elif len(self.found) < _PATHS_MAX:
            self.found[path] = [text]


def _loads(text: str) -> Any:
    try:
        loaded = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return loaded if isinstance(loaded, dict | list) else None


def parsed(texts: pl.Series) -> Iterator[Any]:
    """JSON texts as what they say; what is none stays a text."""
    for text in texts.to_list():
        loaded = _loads(text)
        yield text if loaded is None else loaded


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
