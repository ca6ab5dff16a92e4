"""Columns whose values are texts in base64, hex or percents, and what they say."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from urllib.parse import unquote

import polars as pl

from mayfly.privacy.detect import forms
from mayfly.privacy.detect.values import Values

_ALL = 0.9
_SIZE_MIN = 6


def decoded(values: Values) -> tuple[str, Values] | None:
    """The encoding and what is written in it, where that is what nearly all values are."""
    for name, pattern, undo in _ENCODINGS:
        if values.share(pattern) < _ALL or not _all_readable(values.sample, undo):
            continue
        texts = pl.Series([undo(t) or t for t in values.distinct.to_list()], dtype=pl.String)
        return name, Values(texts)
    return None


def _all_readable(sample: pl.Series, undo: Callable[[str], str | None]) -> bool:
    texts = sample.to_list()
    return bool(texts) and sum(undo(text) is not None for text in texts) >= _ALL * len(texts)


def _base64(text: str) -> str | None:
    if len(text) < _SIZE_MIN or text.isdigit():
        return None
    try:
        data = binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=False)
    except ValueError:
        return None
    # What decodes to a text by chance is short: letters in, letters out is asked of all values.
    return _text(data)


def _hex(text: str) -> str | None:
    if len(text) < _SIZE_MIN:
        return None
    try:
        return _text(binascii.unhexlify(text))
    except ValueError:
        return None


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if len(text) >= 3 and text.isprintable() else None


def _percent(text: str) -> str | None:
    return unquote(text)


_ENCODINGS: tuple[tuple[str, str, Callable[[str], str | None]], ...] = (
    ("hex", forms.HEX, _hex),
    ("base64", forms.BASE64, _base64),
    ("percent", forms.PERCENT, _percent),
)
