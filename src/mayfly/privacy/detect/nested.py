"""What stands within structs, lists and JSON: a column of its own for each path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import polars as pl

from mayfly.privacy.detect.values import Values
from mayfly.privacy.guard import classes_in

JSON = r"^\s*[\[{].*[\]}]\s*$"
WITHHELD = "(withheld)"
"""In the place of a key that is itself personal."""
_PATHS_MAX = 500
_DEPTH_MAX = 12


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
    found: dict[str, list[str]] = {}
    withheld = 0
    for value in values:
        for path, leaf, personal in _leaves(value, "", 0):
            withheld += personal
            if path in found or len(found) < _PATHS_MAX:
                found.setdefault(path, []).append(leaf)
    return {path: pl.Series(texts, dtype=pl.String) for path, texts in found.items()}, withheld


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


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, bool]]:
    """Path, text, and whether the path has a key that is personal."""
    if isinstance(value, str) and value[:1] in "[{":
        inner = _loads(value)
        value = value if inner is None else inner
    if isinstance(value, dict) and depth < _DEPTH_MAX:
        for key, item in value.items():
            name = str(key)
            personal = bool(classes_in(name))
            if personal:
                yield _joined(path, WITHHELD), name, True
            yield from _leaves(item, _joined(path, WITHHELD if personal else name), depth + 1)
    elif isinstance(value, list | tuple) and depth < _DEPTH_MAX:
        for item in value:
            yield from _leaves(item, f"{path}[]", depth + 1)
    elif isinstance(value, bytes):
        yield path, value.decode("utf-8", "replace"), False
    elif value is not None and not isinstance(value, bool):
        yield path, str(value), False


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
