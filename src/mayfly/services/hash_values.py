"""`mayfly hash`: JSON Lines in, one line out for each, in order; needs no project and no key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from mayfly.privacy.rules import RULES, hash_value

_SIGNATURE = ("the-trade-desk", "TtdSignature")
_PLATFORMS = frozenset(platform for platform, _ in RULES)
_FIELDS = frozenset(field for _, field in (*RULES, _SIGNATURE))


def hash_lines(
    lines: Iterable[bytes], *, show_normalised: bool = False
) -> Iterator[dict[str, Any]]:
    """One answer per line; a line that cannot be read is answered with its refusal."""
    for line in lines:
        if line.strip():
            yield _answer(line, show_normalised=show_normalised)


def _answer(line: bytes, *, show_normalised: bool) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return _refused(None, None, "bad_json")
    if not isinstance(entry, dict):
        return _refused(None, None, "bad_json")
    platform, field, value = entry.get("platform"), entry.get("field"), entry.get("value")
    context = entry.get("context") or {}
    # An unknown name is not repeated: with its columns mixed up, a line may hold a value there.
    if not isinstance(platform, str) or platform not in _PLATFORMS:
        return _refused(None, None, "unknown_platform")
    if not isinstance(field, str) or field not in _FIELDS:
        return _refused(platform, None, "unknown_field")
    if not isinstance(context, dict):
        return _refused(platform, field, "bad_context")
    if value is None:
        return _refused(platform, field, "empty")
    if not isinstance(value, str) or not _encodable(value):
        return _refused(platform, field, "not_text")
    made = hash_value(platform, field, value, context)
    answer: dict[str, Any] = {
        "platform": platform,
        "field": field,
        "digest": made.digest,
        "encoding": made.encoding,
    }
    if made.reject is not None:
        answer["reject"] = made.reject
    if show_normalised and made.normalised is not None:
        answer["normalised"] = made.normalised
    return answer


def _encodable(value: str) -> bool:
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in value)


def _refused(platform: str | None, field: str | None, code: str) -> dict[str, Any]:
    return {
        "platform": platform,
        "field": field,
        "digest": None,
        "encoding": "none",
        "reject": code,
    }
