"""The cheap look before decoding loses nothing: values stand out of any amount of digests."""

import base64
import contextlib
import random
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mayfly.privacy.scan import scan_bytes, scan_chunks
from mayfly.services.scan_paths import scan_paths

ADDRESS = "ann.lee@example.com"
MARK = "MARK-sync-17-name"
VALUES = {
    "email": ADDRESS,
    "phone": "+447700900123",
    "credit_card": "4111 1111 1111 1111",
    "iban": "GB82 WEST 1234 5698 7654 32",
    "known_value": MARK,
}
WRITTEN = {
    "raw": lambda text: text,
    "hex": lambda text: text.encode().hex(),
    "hex odd": lambda text: "F" + text.encode().hex().upper(),
    "base64": lambda text: base64.b64encode(b"\0" + text.encode()).decode(),
    "base64 lines": lambda text: base64.encodebytes(b"\0" * 50 + text.encode()).decode(),
    "percent": lambda text: quote(text, safe=""),
}
# Decoding a window as one piece joins a run with its neighbours; digits there look like numbers.
BESIDE = (
    "",
    '"',
    ",",
    "\n",
    "33333333333333",
    '31"',
    '333333333333333333333333333333"',
    "abcdef0123456789abcdef@",
)


def _digests(noise, count):
    return [noise.randbytes(32).hex() for _ in range(count)]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_value_among_many_digests_is_found(written, tmp_path):
    """One value of each class in 4 MB of digests is found where it stands, and nothing else."""
    noise = random.Random(4)
    parts = _digests(noise, 60_000)
    for number, value in enumerate(VALUES.values(), start=1):
        parts[number * 10_000 + 7] = WRITTEN[written](value)
    file = tmp_path / "bodies.json"
    file.write_text('["' + '","'.join(parts) + '"]')
    found = scan_paths([file], known_values=[MARK])
    assert {(f.class_name, f.count) for f in found} == {(name, 1) for name in VALUES}
    first = 10_007 * 67
    assert all(f.offset >= first for f in found)


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("written", ["hex", "base64"])
@pytest.mark.parametrize("name", VALUES)
def test_what_stands_beside_a_run_does_not_hide_it(name, written, beside):
    """Digits, letters and other runs right before an encoded value do not keep it from sight."""
    if beside[-1:].isalnum():
        beside += " "
    data = (beside + WRITTEN[written](VALUES[name])).encode()
    assert name in {hit.class_name for hit in scan_bytes(data, [MARK.encode()])}


@given(
    st.sampled_from(sorted(VALUES)),
    st.sampled_from(["hex", "base64", "base64 lines"]),
    st.binary(max_size=60),
    st.sampled_from([b'"', b" ", b"\x00", b"\xff", b","]),
    st.binary(max_size=60),
)
@example("credit_card", "hex", b"\x1f\x8b\x08", b"\x00", b"")
def test_no_bytes_around_hide_an_encoded_value(name, written, before, edge, after):
    """An encoded value is found whatever lies before and after it."""
    data = before + edge + WRITTEN[written](VALUES[name]).encode() + edge + after
    found = set()
    # Behind a magic of its beginning a stream that does not unpack is told in the end.
    with contextlib.suppress(ValueError):
        for hit in scan_chunks(lambda: iter([data]), [MARK.encode()]):
            found.add(hit.class_name)
    assert name in found


@given(st.sampled_from(["iban", "credit_card", "phone"]), st.sampled_from(list(' "\n\t,;:(')))
def test_numbers_in_text_begin_where_a_word_does(name, before):
    """A number is found at the very start and after what may stand before a word."""
    value = VALUES[name].encode()
    hits = scan_bytes(value + b"\n" + before.encode() + value)
    assert [(hit.class_name, hit.offset) for hit in hits] == [
        (name, 0),
        (name, len(value) + 2),
    ]


def test_an_account_is_found_after_a_plus():
    """A plus bars card numbers and accounts differently: the account counts."""
    value = VALUES["iban"].encode()
    assert [hit.class_name for hit in scan_bytes(b"+" + value)] == ["iban"]
