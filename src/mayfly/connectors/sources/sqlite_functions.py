"""The functions that a session lends SQLite: hashes, and what the rules do with texts."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from functools import lru_cache

_DIGEST_BYTES = 32
_NUMBERS = {ord("A") + n: str(n + 10) for n in range(26)}
_CODE = re.compile(r"\\x\{([0-9a-f]+)\}")


def lend(connection: sqlite3.Connection) -> None:
    """Make them known to a connection. Null gives null, but for those that list."""
    for name, arguments, function in (
        ("mf_md5", 1, _md5),
        ("mf_md5_of", -1, _md5_of),
        ("mf_digests", -1, _digests),
        ("mf_texts", -1, _texts),
        ("mf_lengths", -1, _lengths),
        ("mf_listed", -1, _listed),
        ("mf_sha256", 1, _sha256),
        ("mf_unhex", 1, _unhex),
        ("mf_lower", 1, _lower),
        ("mf_remove", 2, _remove),
        ("mf_matches", 2, _matches),
        ("mf_contains", 2, _contains),
        ("mf_extract", 2, _extract),
        ("mf_numbered", 1, _numbered),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _md5(value: object) -> bytes | None:
    if value is None:
        return None
    return hashlib.md5(_bytes(value), usedforsecurity=False).digest()


def _md5_of(*blobs: bytes) -> bytes:
    return hashlib.md5(b"".join(blobs), usedforsecurity=False).digest()


def _digests(*blobs: bytes | None) -> bytes:
    return b"".join(bytes(_DIGEST_BYTES) if b is None else b for b in blobs)


def _texts(*texts: object) -> str:
    return "".join("" if text is None else str(text) for text in texts)


def _lengths(*texts: object) -> str:
    return ";".join("n" if text is None else str(len(_bytes(text))) for text in texts)


def _listed(*texts: object) -> str:
    return _texts(*texts) + _lengths(*texts)


def _sha256(value: object) -> bytes | None:
    return None if value is None else hashlib.sha256(_bytes(value)).digest()


def _unhex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _remove(text: str | None, characters: str) -> str | None:
    return None if text is None else text.translate(_without(characters))


def _matches(text: str | None, pattern: str) -> bool | None:
    return None if text is None else _compiled(pattern).fullmatch(text) is not None


def _contains(text: str | None, pattern: str) -> bool | None:
    return None if text is None else _compiled(pattern).search(text) is not None


def _extract(text: str | None, pattern: str) -> str | None:
    found = None if text is None else _compiled(pattern).search(text)
    return None if found is None else found.group()


def _numbered(text: str | None) -> str | None:
    return None if text is None else text.translate(_NUMBERS)


@lru_cache(maxsize=64)
def _without(characters: str) -> dict[int, int | None]:
    return str.maketrans("", "", characters)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Characters by their code are written otherwise by Python."""
    return re.compile(_CODE.sub(lambda found: f"\\U{int(found[1], 16):08x}", pattern))
