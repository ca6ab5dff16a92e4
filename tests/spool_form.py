"""The form of sealed batches, written a second time from `docs/specs/spool.md` alone.

Nothing of Mayfly is imported. `python tests/spool_form.py` writes `tests/data/spool_vectors.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = Path(__file__).parent / "data" / "spool_vectors.jsonl"
LABEL = {"workspace": "shop-1", "region": "eu-west-1", "sync": "vip", "batch": "0f" * 16}
KEY, PREFIX = bytes(range(32)), bytes.fromhex("a1b2c3d4")
TAG = 16


class DamagedError(Exception):
    """The bytes are not a sealed batch of that key and label."""


def aad(k: int, label: dict[str, str]) -> bytes:
    """Five parts, each after its length."""
    parts = [f"mayfly/spool/1/{k}", *(label[n] for n in ("workspace", "region", "sync", "batch"))]
    return b"".join(struct.pack(">I", len(p.encode())) + p.encode() for p in parts)


def nonce(prefix: bytes, number: int, last: int) -> bytes:
    """Twelve bytes."""
    return prefix + struct.pack(">Q", number)[1:] + bytes([last])


def segment(number: int, last: int, plain: bytes, *, k: int = 6) -> bytes:
    """One segment under the key and label of the vectors."""
    return AESGCM(KEY).encrypt(nonce(PREFIX, number, last), plain, aad(k, LABEL))


def header(k: int = 6) -> bytes:
    """Thirteen bytes."""
    return b"mfspool\x01" + bytes([k]) + PREFIX


def write(plain: bytes, k: int = 6) -> bytes:
    """A sealed batch."""
    size = 2**k
    cuts = [plain[i : i + size] for i in range(0, len(plain), size)] or [b""]
    ends = [0] * (len(cuts) - 1) + [1]
    return header(k) + b"".join(
        segment(n, last, cut, k=k) for n, (cut, last) in enumerate(zip(cuts, ends, strict=True))
    )


def read(sealed: bytes, key: bytes, label: dict[str, str]) -> bytes:
    """What was sealed; all of it is in memory."""
    if len(sealed) < 13 or sealed[:8] != b"mfspool\x01" or not 4 <= sealed[8] <= 20:
        raise DamagedError
    k, prefix, body = sealed[8], sealed[9:13], sealed[13:]
    size, out = 2**k + TAG, b""
    count = max(1, -(-len(body) // size))
    if count > 65536:
        raise DamagedError
    for n in range(count):
        part, last = body[n * size : (n + 1) * size], n == count - 1
        try:
            plain = AESGCM(key).decrypt(nonce(prefix, n, int(last)), part, aad(k, label))
        except (InvalidTag, ValueError):
            raise DamagedError from None
        if not plain and n:
            raise DamagedError
        out += plain
    return out


def text(length: int) -> bytes:
    """Bytes that are the same on every day."""
    blocks = (hashlib.sha256(struct.pack(">I", n)).digest() for n in range(length // 32 + 1))
    return b"".join(blocks)[:length]


def rows() -> tuple[bytes, bytes]:
    """An Arrow IPC stream, and a Zstandard frame of it that stores it as it is (RFC 8878)."""
    sink = pa.BufferOutputStream()
    table = pa.table({"id": pa.array([1, 2], pa.int64()), "email": pa.array(["a", None])})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    # Magic; one segment, length in four bytes; one raw block that is the last.
    head = bytes.fromhex("28b52ffda0") + struct.pack("<I", len(content))
    return content, head + struct.pack("<I", len(content) << 3 | 1)[:3] + content


def vectors() -> Iterator[dict[str, Any]]:
    """Each a line of the file."""
    for name, length, k in (
        ("empty", 0, 6),
        ("one_byte", 1, 6),
        ("below_a_segment", 63, 6),
        ("a_segment", 64, 6),
        ("above_a_segment", 65, 6),
        ("three_segments", 192, 6),
        ("smallest_segments", 50, 4),
        ("largest_segments", 100, 20),
    ):
        yield _line(name, write(text(length), k), plain=text(length))
    content, frame = rows()
    whole = _line("content_of_rows", write(frame, 20), plain=frame)
    yield {**whole, "content": content.hex()}
    yield from _cut_and_moved()
    yield from _altered()
    yield from _elsewhere()


def _cut_and_moved() -> Iterator[dict[str, Any]]:
    one, two = write(text(65)), write(text(192))
    parts = [two[13 + n * 80 : 13 + (n + 1) * 80] for n in range(3)]
    yield _line("nothing", b"")
    yield _line("truncated_in_header", two[:12])
    yield _line("truncated_after_header", two[:13])
    yield _line("truncated_in_segment", two[:-1])
    yield _line("truncated_in_tag", one[: 13 + 80 + 10])
    yield _line("truncated_at_segment", two[: 13 + 160])
    yield _line("reordered", two[:13] + parts[1] + parts[0] + parts[2])
    yield _line("repeated", two[:13] + parts[0] + parts[0] + parts[1] + parts[2])
    yield _line("left_out", two[:13] + parts[0] + parts[2])
    yield _line("trailing_byte", two + b"\0")
    yield _line("trailing_segment", two + parts[2])
    yield _line("trailing_stream", two + two)
    body = header() + segment(0, 0, text(64))
    yield _line("no_last_segment", body + segment(1, 0, text(10)))
    yield _line("last_segment_empty", body + segment(1, 1, b""))
    yield _line("short_segment_within", header() + segment(0, 0, text(63)) + segment(1, 1, b"x"))
    yield _line("last_flag_too_early", header() + segment(0, 1, text(64)) + segment(1, 1, b"x"))


def _altered() -> Iterator[dict[str, Any]]:
    good = write(text(65))
    for name, at in (
        ("altered_magic", 0),
        ("altered_version", 7),
        ("altered_segment_size", 8),
        ("altered_nonce", 9),
        ("altered_text", 13),
        ("altered_tag", 13 + 79),
        ("altered_last_tag", len(good) - 1),
    ):
        yield _line(name, good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    for k in (3, 21):
        yield _line(f"segment_size_{k}", header(k) + segment(0, 1, text(5), k=k))


def _elsewhere() -> Iterator[dict[str, Any]]:
    good = write(text(65))
    yield _line("wrong_key", good, key=KEY[::-1])
    for name, other in (
        ("workspace", "shop-2"),
        ("region", "us-east-1"),
        ("region", ""),
        ("sync", "vipx"),
        ("batch", "f0" * 16),
    ):
        yield _line(f"wrong_{name}{'' if other else '_none'}", good, label={**LABEL, name: other})
    moved = {**LABEL, "workspace": "shop-1e", "region": "u-west-1"}
    yield _line("wrong_border_of_names", good, label=moved)


def _line(
    name: str,
    sealed: bytes,
    *,
    plain: bytes | None = None,
    key: bytes = KEY,
    label: dict[str, str] = LABEL,
) -> dict[str, Any]:
    outcome = {"error": "spool_damaged"} if plain is None else {"plain": plain.hex()}
    return {"name": name, "key": key.hex(), **label, "sealed": sealed.hex(), **outcome}


if __name__ == "__main__":
    VECTORS.write_text("".join(json.dumps(line) + "\n" for line in vectors()), encoding="ascii")
