"""Adding to and removing from the suppression list; identifiers come on standard input only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from mayfly.crypto.keyed import keyed_digest_one
from mayfly.domain.errors import ConfigError
from mayfly.ports.store import Store
from mayfly.privacy.rules import (
    CANONICAL_KINDS,
    CanonicalKind,
    Rule,
    canonical_rule,
    canonical_rules,
    worker_canonical,
    worker_digest,
)
from mayfly.privacy.suppression import PAST, PHONE_DIGITS, SUPPRESSION_KINDS, primary_key_canonical

Canonical = Callable[[str, str, str | None], list[tuple[str, bytes]]]


def canonical_of(kind: str, value: str, country: str | None) -> list[tuple[str, bytes]]:
    """What one line stands for: kinds it is kept as, with their canonical digests, its own first.

    Of a phone also that without its `+`; of both also those by earlier forms, by which a state may
    know the person. Empty where the value is no usable one of that kind.
    """
    if kind == "primary_key":
        return [(kind, primary_key_canonical(value))]
    rules = [(k, rule) for k in CANONICAL_KINDS if k == kind for rule in canonical_rules(k)]
    found: dict[bytes, str] = {}
    for place, (known, rule) in enumerate(reversed(rules)):
        for name, digest in _digests(known, rule, value, country):
            found.setdefault(digest, PAST[known] if place else name)
    return [(name, digest) for digest, name in found.items()] if kind in found.values() else []


def _digests(
    kind: CanonicalKind, rule: Rule, value: str, country: str | None
) -> list[tuple[str, bytes]]:
    values = pa.array([value])
    canonical = worker_canonical(rule, values, default_country=country)[0].as_py()
    made: list[tuple[str, bytes | None]] = [(kind, canonical)]
    if kind == "phone":
        made.append((PHONE_DIGITS, worker_digest(rule, values, default_country=country)[0].as_py()))
    return [(name, digest) for name, digest in made if digest is not None]


def listed_forms(store: Store) -> dict[CanonicalKind, frozenset[int]]:
    """By which forms the list's e-mail addresses and phone numbers were made canonical."""
    found = store.suppression_forms()
    return {kind: found.get(kind, frozenset()) for kind in CANONICAL_KINDS}


def entries_of(
    lines: Iterable[bytes], *, key: bytes, canonical: Canonical
) -> list[tuple[str, bytes]]:
    """(Kind, keyed digest) of each line, and of what is kept beside it.

    Args:
        lines: JSON Lines `{"kind", "value", "default_country"?}`.
        key: suppression key of the workspace.
        canonical: see `canonical_of`.

    Raises:
        ConfigError: `bad_line`, with its number; nothing was taken.
    """
    found: list[tuple[str, bytes]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        kind, value, country = _parse(number, line)
        made = canonical(kind, value, country)
        if not made:
            raise _bad(number, f"holds no usable {kind}")
        found += [(name, keyed_digest_one(key, digest)) for name, digest in made]
    return found


def change(
    store: Store, act: str, entries: list[tuple[str, bytes]], now: datetime
) -> dict[str, Any]:
    """Apply a list of entries and say the totals; an identifier and what is kept beside it are one.

    A crash between the calls leaves what is beside alone, which nobody counts and which suppresses
    too much rather than too little; the same input again completes it.
    """
    counted = [entry for entry in entries if entry[0] in SUPPRESSION_KINDS]
    beside = [entry for entry in entries if entry[0] not in SUPPRESSION_KINDS]
    # An earlier release kept as the identifier itself what is only beside it now.
    outdated = [(kind, d) for name, d in beside for kind, past in PAST.items() if name == past]
    if act == "add":
        store.add_suppressions(beside, now)
        added = store.add_suppressions(counted, now, forms=_newest_forms())
        changed = {"added": added - store.remove_suppressions(outdated)}
    else:
        changed = {"removed": store.remove_suppressions([*counted, *outdated])}
        store.remove_suppressions(beside)
    return {"schema": "mayfly/suppress/1", "ok": True, **changed, "total": _total(store)}


def _newest_forms() -> Mapping[str, int]:
    return {kind: canonical_rule(kind).version for kind in CANONICAL_KINDS}


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
