"""What a text says once its encoding is undone: each reading is looked at like the text itself."""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

# An address may be percent-encoded in a link that is base64 in a field.
_DEPTH_MAX = 3
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[a-z]{2,8});")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
# What folds to plain signs: full width, digits of other scripts, blanks, dashes, invisible ones.
FOLDED_SIGNS = (
    "\u00a0\u00ad\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u2000-\u2015\u202f\u2060\u3002\ufe6b"
    "\ufeff\uff01-\uff5e\uff61"
)
_FOLDED = re.compile(f"[{FOLDED_SIGNS}]")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"[0-9A-Fa-f]{12,}")
# What decodes to something without any of these holds nothing: most runs are chance.
_WORTH = re.compile(
    r"[^\s\x00-\x20@]@[\w-]|[0-9](?:[ .-]?[0-9]){6}|[A-Za-z0-9+/_-]{12}|%[0-9A-Fa-f]{2}|&#|\\[ux]"
)
# What an address has, an at-sign between letters and a dot, and digits, and an at-sign in percents,
# at each alignment of base64, and in hex. A run without any of these hides nothing.
AT_IN_BASE64 = "Q[D-HM-P]|[I-Za-v][EUk0][ABD]|[BFJNRVZdhlptx159]A[M-Za-ew-z0-9+/_-]"
DOT_IN_BASE64 = "L[g-v]|[CSiy][4-7]|[AEIMQUYcgkosw048]u"
OTHERS_IN_BASE64 = "[MNO][DTjz][AEIMQUYcgk][w-z0-5]|JTQw|[CSiy]U0M[A-P]|[AEIMQUYcgkosw048]lND[A-D]"
AT_IN_HEX = "[2-9a-fA-F][0-9A-Fa-f]40[3-7c-fC-F][0-9A-Fa-f]{7}"
DOT_IN_HEX = "2[eE]"
OTHERS_IN_HEX = "(?:3[0-9]){4}|253430"
_IN_BASE64 = re.compile(f"{AT_IN_BASE64}|{OTHERS_IN_BASE64}")
_IN_HEX = re.compile(f"{AT_IN_HEX}|{OTHERS_IN_HEX}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_DOTS = str.maketrans("。｡", "..")


def readings(text: str) -> Iterator[str]:
    """The text, then what each encoding in it hides, and again; each once.

    However many encoded runs there are: all of one kind are one reading, so that none is left out,
    and a text has at most ten of the next depth.
    """
    seen = {text}
    waiting = [(text, 0)]
    while waiting:
        current, depth = waiting.pop()
        yield current
        if depth == _DEPTH_MAX:
            continue
        for inner in _undone(current):
            if inner not in seen:
                seen.add(inner)
                waiting.append((inner, depth + 1))


def _undone(text: str) -> Iterator[str]:
    if _FOLDED.search(text):
        yield _folded(text)
    if _PERCENT.search(text):
        yield unquote(text)
    if _ENTITY.search(text):
        yield html.unescape(text)
    if _ESCAPE.search(text):
        yield _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    for runs in _unpacked(text):
        decoded = "\n".join(filter(_WORTH.search, map(_text, runs)))
        if decoded:
            yield decoded


def _unpacked(text: str) -> Iterator[Iterator[bytes]]:
    """Bytes of the runs of hex and base64, those of each alignment together: a run may begin before
    what was encoded, where a mark of its alphabet stands in between.
    """
    hexes = list(filter(_IN_HEX.search, _HEX.findall(text)))
    for shift in (0, 1) if hexes else ():
        yield (binascii.unhexlify(_even(run[shift:])) for run in hexes)
    found = filter(_IN_BASE64.search, _BASE64.findall(text))
    runs = [run.encode().translate(_URL_SAFE) for run in found]
    for shift in range(4) if runs else ():
        yield (_unbase64(run[shift:]) for run in runs)


def _unbase64(run: bytes) -> bytes:
    # One sign over a multiple of four holds less than a byte.
    size = len(run) - (len(run) % 4 == 1)
    return binascii.a2b_base64(run[:size] + b"=" * (-size % 4))


def _text(data: bytes) -> str:
    """As UTF-8; UTF-16 of plain letters shows as letters with zeros between them."""
    return data.replace(b"\x00", b"").decode("utf-8", "replace")


def _folded(text: str) -> str:
    """Marks that only look different made plain: full width, other digits, invisible signs."""
    return "".join(map(_plain, unicodedata.normalize("NFKC", text.translate(_DOTS))))


def _plain(sign: str) -> str:
    if sign.isascii():
        return sign
    match unicodedata.category(sign):
        case "Nd":
            return str(unicodedata.digit(sign))
        case "Cf":
            return ""
        case "Zs":
            return " "
        case "Pd":
            return "-"
    return sign


def _even(run: str) -> str:
    return run[: len(run) // 2 * 2]
