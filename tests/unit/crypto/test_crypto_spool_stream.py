"""The form of sealed batches: its vectors by two readers, and what holds for any content."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spool_form
from mayfly.crypto import spool_stream
from mayfly.crypto.aead import new_key
from mayfly.crypto.spool_stream import (
    SEGMENT_BYTES,
    SpoolContext,
    open_stream,
    seal_stream,
)
from mayfly.domain.errors import IntegrityError

VECTORS: list[dict[str, Any]] = [
    json.loads(line) for line in spool_form.VECTORS.read_text("ascii").splitlines()
]
KEY = bytes(range(32))
CONTEXT = SpoolContext(workspace="w", region="eu", sync="s", batch="b")
SMALL = 16
HEADER, TAG = 13, 16


def sealed(content: bytes, *, segment_bytes: int = SMALL, key: bytes = KEY) -> bytes:
    """A content in its sealed form."""
    return b"".join(seal_stream(key, [content], CONTEXT, segment_bytes=segment_bytes))


def opened(chunks: Iterable[bytes], *, key: bytes = KEY, context: SpoolContext = CONTEXT) -> bytes:
    """The content of a sealed form."""
    return b"".join(open_stream(key, chunks, context))


def refused(stream: bytes, **other: Any) -> bool:
    """Whether it does not open, by the one error that there is."""
    try:
        opened([stream], **other)
    except IntegrityError as error:
        return error.code == "spool_damaged" and (
            error.__suppress_context__ or error.__context__ is None
        )
    return False


def of_vector(vector: dict[str, Any]) -> tuple[bytes, bytes, dict[str, str]]:
    """Its sealed bytes, key and label."""
    label = {name: vector[name] for name in ("workspace", "region", "sync", "batch")}
    return bytes.fromhex(vector["sealed"]), bytes.fromhex(vector["key"]), label


def by_mayfly(vector: dict[str, Any]) -> bytes | None:
    """What our reader makes of it."""
    stream, key, label = of_vector(vector)
    try:
        return opened([stream], key=key, context=SpoolContext(**label))
    except IntegrityError as error:
        return None if error.code == vector["error"] else error.code.encode()


def by_the_specification(vector: dict[str, Any]) -> bytes | None:
    """What the reader that was written from the page makes of it."""
    try:
        return spool_form.read(*of_vector(vector))
    except spool_form.DamagedError:
        return None


def test_the_file_of_vectors_is_what_its_script_writes() -> None:
    """It was not edited by hand."""
    assert list(spool_form.vectors()) == VECTORS


@pytest.mark.parametrize("reader", [by_mayfly, by_the_specification])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_both_readers_agree_with_the_vectors(
    vector: dict[str, Any], reader: Callable[[dict[str, Any]], bytes | None]
) -> None:
    """Good ones give their content, each bad one is refused."""
    expected = bytes.fromhex(vector["plain"]) if "plain" in vector else None
    assert reader(vector) == expected


def test_each_bad_vector_differs_from_a_good_one_in_key_label_or_bytes() -> None:
    """A vector refused for a slip of its script would prove nothing: names are told apart."""
    names = [v["name"] for v in VECTORS]
    assert len(set(names)) == len(names)
    good = {v["sealed"] for v in VECTORS if "plain" in v}
    moved = [v["name"] for v in VECTORS if "error" in v and v["sealed"] in good]
    assert [name.split("_")[0] for name in moved] == ["wrong"] * 7


@pytest.mark.parametrize("vector", [v for v in VECTORS if "plain" in v], ids=lambda v: v["name"])
def test_the_writer_gives_the_vectors_bytes(
    vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the nonce of the vectors; only there is it not drawn at random."""
    monkeypatch.setattr(spool_stream.os, "urandom", lambda n: spool_form.PREFIX[:n])
    stream, key, label = of_vector(vector)
    content = bytes.fromhex(vector["plain"])
    written = seal_stream(key, [content], SpoolContext(**label), segment_bytes=1 << stream[8])
    assert b"".join(written) == stream


def test_a_stream_begins_at_random() -> None:
    """Two seals of the same content share only the first nine bytes."""
    one, two = sealed(b"x" * 40), sealed(b"x" * 40)
    assert one[:9] == two[:9]
    assert one[9:HEADER] != two[9:HEADER]
    assert one[HEADER:] != two[HEADER:]


@given(st.binary(max_size=4 * SMALL + 1), st.data())
def test_any_content_comes_back_however_it_is_cut(content: bytes, data: st.DataObject) -> None:
    """Chunks of the content and of the sealed form may have any borders, empty ones included."""

    def cut(stream: bytes) -> list[bytes]:
        places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6).map(sorted))
        return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]

    stream = b"".join(seal_stream(KEY, cut(content), CONTEXT, segment_bytes=SMALL))
    assert opened(cut(stream)) == content
    assert spool_form.read(stream, KEY, vars(CONTEXT)) == content
    segments = max(1, -(-len(content) // SMALL))
    assert len(stream) == HEADER + len(content) + TAG * segments


@settings(max_examples=12, deadline=None)
@given(st.integers(-2, 2), st.integers(0, 2))
def test_sizes_around_the_real_border(around: int, segments: int) -> None:
    """With segments of 1 MiB, as they are written."""
    content = os.urandom(max(0, segments * SEGMENT_BYTES + around))
    stream = b"".join(seal_stream(KEY, [content], CONTEXT))
    assert stream[8] == 20
    assert opened([stream]) == content


@given(st.binary(min_size=0, max_size=3 * SMALL), st.data())
def test_any_altered_byte_is_refused(content: bytes, data: st.DataObject) -> None:
    """Wherever it stands."""
    stream = bytearray(sealed(content))
    at = data.draw(st.integers(0, len(stream) - 1))
    stream[at] ^= data.draw(st.integers(1, 255))
    assert refused(bytes(stream))


@pytest.mark.parametrize("length", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])
def test_any_truncation_and_any_addition_is_refused(length: int) -> None:
    """At every byte, segment borders included."""
    stream = sealed(os.urandom(length))
    assert not refused(stream)
    assert all(refused(stream[:end]) for end in range(len(stream)))
    assert all(refused(stream + more) for more in (b"\0", stream[HEADER:], stream))


@given(st.permutations(range(4)).filter(lambda p: p != [0, 1, 2, 3]))
def test_any_other_order_is_refused(order: list[int]) -> None:
    """Of four whole segments."""
    stream = sealed(b"y" * 4 * SMALL)
    size = SMALL + TAG
    parts = [stream[HEADER + n * size : HEADER + (n + 1) * size] for n in range(4)]
    assert refused(stream[:HEADER] + b"".join(parts[n] for n in order))


@pytest.mark.parametrize("name", ["workspace", "region", "sync", "batch"])
def test_another_label_is_refused(name: str) -> None:
    """Each of the four counts, and so does the border between two of them."""
    stream = sealed(b"content")
    assert refused(stream, context=SpoolContext(**{**vars(CONTEXT), name: "other"}))
    assert refused(stream, context=SpoolContext(workspace="we", region="u", sync="s", batch="b"))


def test_another_key_is_refused() -> None:
    """And a key of another length is a mistake of the caller."""
    assert refused(sealed(b"content"), key=new_key())
    for act in (seal_stream, open_stream):
        with pytest.raises(ValueError, match="32 bytes"):
            act(b"short", [b""], CONTEXT)


@pytest.mark.parametrize("size", [0, 1, 8, 24, 1 << 21])
def test_only_powers_of_two_are_segments(size: int) -> None:
    """From 16 bytes to 1 MiB; refused before anything is read."""
    with pytest.raises(ValueError, match="power of two"):
        seal_stream(KEY, [b""], CONTEXT, segment_bytes=size)


def test_a_stream_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """More segments than a stream may have are neither written nor read."""
    stream = sealed(b"z" * 4 * SMALL)
    monkeypatch.setattr(spool_stream, "SEGMENTS_MAX", 3)
    with pytest.raises(ValueError, match="segments"):
        sealed(b"z" * 4 * SMALL)
    assert refused(stream)
    assert not refused(sealed(b"z" * 3 * SMALL))


def test_memory_does_not_grow_with_the_content() -> None:
    """64 MiB pass through with a few segments in memory."""
    block = b"q" * SEGMENT_BYTES
    tracemalloc.start()
    stream = seal_stream(KEY, (block for _ in range(64)), CONTEXT)
    length = sum(len(piece) for piece in open_stream(KEY, stream, CONTEXT))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length == 64 * SEGMENT_BYTES
    assert peak < 12 * SEGMENT_BYTES
