"""Adding to and removing from the suppression list; identifiers come on standard input only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pyarrow as pa

from mayfly.crypto.keyed import keyed_digest_one
from mayfly.domain.errors import ConfigError
from mayfly.ports.store import Store
from mayfly.privacy.rules import rule_for, worker_canonical, worker_digest
from mayfly.privacy.suppression import PHONE_DIGITS, SUPPRESSION_KINDS, primary_key_canonical

Canonical = Callable[[str, str, str | None], bytes | None]


def canonical_of(kind: str, value: str, country: str | None) -> bytes | None:
    """Canonical digest of one e-mail address or phone number; None where it is none.

    Of kind `phone_digits` it is that of a phone without its `+`.
    """
    if kind == PHONE_DIGITS:
        rule = rule_for("meta", "phone")
        digits: bytes | None = worker_digest(rule, pa.array([value]), default_country=country)[
            0
        ].as_py()
        return digits
    if kind not in ("email", "phone"):
        return None
    made = worker_canonical(
        "email" if kind == "email" else "phone", pa.array([value]), default_country=country
    )
    found: bytes | None = made[0].as_py()
    return found


def entries_of(
    lines: Iterable[bytes], *, key: bytes, canonical: Canonical
) -> list[tuple[str, bytes]]:
    """(kind, keyed digest) of each line, and for each phone one of kind `phone_digits`.

    Args:
        lines: JSON Lines `{"kind", "value", "default_country"?}`.
        key: suppression key of the workspace.
        canonical: (kind, value, default country) to the canonical digest of an e-mail or phone.

    Raises:
        ConfigError: `bad_line`, with its number; nothing was taken.
    """
    found: list[tuple[str, bytes]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        kind, value, country = _parse(number, line)
        if kind == "primary_key":
            digest: bytes | None = primary_key_canonical(value)
        else:
            digest = canonical(kind, value, country)
        if digest is None:
            raise _bad(number, f"holds no usable {kind}")
        found.append((kind, keyed_digest_one(key, digest)))
        digits = canonical(PHONE_DIGITS, value, country) if kind == "phone" else None
        if digits is not None:
            found.append((PHONE_DIGITS, keyed_digest_one(key, digits)))
    return found


def change(
    store: Store, act: str, entries: list[tuple[str, bytes]], now: datetime
) -> dict[str, Any]:
    """Apply a list of entries and say the totals; a phone and its digits are one.

    A crash between the two calls leaves the digits alone, which nobody counts and which suppress
    too much rather than too little; the same input again completes it.
    """
    counted = [entry for entry in entries if entry[0] in SUPPRESSION_KINDS]
    beside = [entry for entry in entries if entry[0] not in SUPPRESSION_KINDS]
    if act == "add":
        store.add_suppressions(beside, now)
        changed = {"added": store.add_suppressions(counted, now)}
    else:
        changed = {"removed": store.remove_suppressions(counted)}
        store.remove_suppressions(beside)
    return {"schema": "mayfly/suppress/1", "ok": True, **changed, "total": _total(store)}


def listing(store: Store) -> dict[str, Any]:
    """Entries per kind; what they stand for cannot be shown."""
    counts = dict(store.suppression_counts())
    return {
        "schema": "mayfly/suppress/1",
        "ok": True,
        "kinds": {kind: counts.get(kind, 0) for kind in SUPPRESSION_KINDS},
        "total": _total(store),
    }


def _total(store: Store) -> int:
    counts = store.suppression_counts()
    return sum(counts.get(kind, 0) for kind in SUPPRESSION_KINDS)


def _parse(number: int, line: bytes) -> tuple[str, str, str | None]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise _bad(number, "is not JSON") from None
    if not isinstance(entry, dict) or set(entry) - {"kind", "value", "default_country"}:
        raise _bad(number, "must hold kind, value and perhaps default_country")
    kind, value, country = entry.get("kind"), entry.get("value"), entry.get("default_country")
    if kind not in SUPPRESSION_KINDS:
        raise _bad(number, f"has no kind of {', '.join(SUPPRESSION_KINDS)}")
    if isinstance(value, int) and not isinstance(value, bool) and kind == "primary_key":
        value = str(value)
    if not isinstance(value, str) or not value:
        raise _bad(number, "has no value")
    if country is not None and not isinstance(country, str):
        raise _bad(number, "has a default_country that is not text")
    try:
        f"{value}{country}".encode()
    except UnicodeEncodeError:
        raise _bad(number, "holds half of a surrogate pair, which is no text") from None
    return str(kind), value, country


def _bad(number: int, what: str) -> ConfigError:
    return ConfigError(
        "bad_line",
        f"Line {number} {what}; nothing was changed.",
        hint='Write {"kind": "email", "value": "…"}, one object a line.',
    )
