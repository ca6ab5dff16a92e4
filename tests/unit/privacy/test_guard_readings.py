"""What the guard sees through: encodings, look-alike signs, nesting, and names of columns."""

from __future__ import annotations

import base64
import html
import json
import random
import string
import urllib.parse
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.privacy.guard import classes_in, guard_column, says_phone

LOCAL = st.text(string.ascii_letters + string.digits, min_size=1, max_size=12)
MIDDLE = st.sampled_from(["", ".x", "+tag", "-a", "_b", "'c"])
DOMAINS = (
    "example.com", "mail.example.org", "ex-ample.co.uk", "пример.рф", "bücher.example",
    "例え.テスト", "xn--bcher-kva.example", "a.io",
)  # fmt: skip
EMAILS = st.tuples(LOCAL, MIDDLE, st.sampled_from(DOMAINS)).map(lambda p: f"{p[0]}{p[1]}@{p[2]}")
# Prefix and length of each network that issues cards.
ISSUED = (
    ("4", 16), ("4", 13), ("4", 19), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15),
    ("37", 15), ("6011", 16), ("65", 16), ("3528", 16), ("36", 14), ("38", 14), ("62", 19),
    ("5018", 16), ("2200", 16), ("9792", 16),
)  # fmt: skip
# Country and length.
ACCOUNTS = (("DE", 22), ("GB", 22), ("FR", 27), ("BE", 16), ("NO", 15), ("MT", 31), ("SE", 24))


def _fullwidth(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _escapes(text: str) -> str:
    units = text.encode("utf-16-be").hex()
    return "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))


FORMS: dict[str, Callable[[str], str]] = {
    "alone": str,
    "in a text": lambda v: f"please write to {v}, thanks",
    "between marks": lambda v: f"<{v}>;x=1",
    "JSON": lambda v: json.dumps({"a": {"b": [v]}}),
    "escapes": _escapes,
    "percent": urllib.parse.quote,
    "percent twice": lambda v: urllib.parse.quote(urllib.parse.quote(v)),
    "a link": lambda v: "https://x.example/?e=" + urllib.parse.quote(v),
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64url": lambda v: base64.urlsafe_b64encode(f"x?~{v}".encode()).decode().rstrip("="),
    "base64 behind a mark": lambda v: "t_" + base64.b64encode(v.encode()).decode(),
    "base64 in a link": lambda v: urllib.parse.quote(base64.b64encode(v.encode()).decode(), ""),
    "percent in base64": lambda v: base64.b64encode(urllib.parse.quote(v, "").encode()).decode(),
    "percent in hex": lambda v: urllib.parse.quote(v, "").encode().hex(),
    "hex in base64": lambda v: base64.b64encode(v.encode().hex().encode()).decode(),
    "hex": lambda v: v.encode().hex(),
    "upper hex": lambda v: "0x" + v.encode().hex().upper(),
    "full width": _fullwidth,
    "full-width at": lambda v: v.replace("@", "\uff20"),
    "entities": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "zero width": lambda v: f"{v[:1]}\u200b{v[1:]}",
    "no-break blanks": lambda v: v.replace(" ", "\u00a0"),
}


@st.composite
def cards(draw: st.DrawFn) -> str:
    """A number with an issuer's prefix and the right check digit, set as people set it."""
    prefix, size = draw(st.sampled_from(ISSUED))
    body = prefix + draw(st.text(string.digits, min_size=20, max_size=20))[: size - len(prefix) - 1]
    doubled = sum(sum(divmod(2 * int(d), 10)) for d in body[-1::-2])
    number = body + str(-(doubled + sum(int(d) for d in body[-2::-2])) % 10)
    sizes = {15: (4, 6, 5), 14: (4, 6, 4)}.get(size, (4, 4, 4, 4, 3))
    ends = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    parts = [number[a:b] for a, b in pairwise(ends) if number[a:b]]
    return draw(st.sampled_from(["", " ", "-", "."])).join(parts)


@st.composite
def accounts(draw: st.DrawFn) -> str:
    """An IBAN with the right check digits, set as people set it."""
    country, size = draw(st.sampled_from(ACCOUNTS))
    body = draw(st.text(string.digits, min_size=27, max_size=27))[: size - 4]
    checked = 98 - int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    whole = f"{country}{checked:02d}{body}"
    parts = [whole[i : i + 4] for i in range(0, size, 4)]
    return draw(st.sampled_from([whole, whole.lower(), " ".join(parts), "-".join(parts)]))


@pytest.mark.parametrize("form", FORMS)
@given(email=EMAILS, card=cards(), account=accounts())
def test_no_form_hides_a_value(form: str, email: str, card: str, account: str) -> None:
    """An address, a card and an account are seen in each encoding, and so told."""
    written = [FORMS[form](value) for value in (email, card, account)]
    assert guard_column(pa.array(written)).to_pylist() == [True] * 3
    classes = ["email", "credit_card", "iban"]
    assert all(name in classes_in(text) for name, text in zip(classes, written, strict=True))


@pytest.mark.parametrize("encode", [base64.b64encode, bytes.hex], ids=["base64", "hex"])
@pytest.mark.parametrize("at", [0, 150, 299])
def test_no_number_of_other_runs_hides_a_value(
    encode: Callable[[bytes], bytes | str], at: int
) -> None:
    """Each of them decodes to digits, so that none can be passed over."""
    texts = [f"order {n:08d} of {n:06d}".encode() for n in range(300)]
    texts[at] = b"to ann.lee@example.com"
    runs = [made if isinstance(made, str) else made.decode() for made in map(encode, texts)]
    assert classes_in(" ".join(runs)) == ["email"]


def test_an_address_of_32_bytes_in_hex_is_no_digest() -> None:
    """It has a digest's length and letters."""
    address = "a-very-long-name.of@example.test"
    assert len(address) == 32
    assert guard_column(pa.array([address.encode().hex()])).to_pylist() == [True]


def test_clean_values_pass() -> None:
    """Identifiers, times, places, links and versions: at most one in a thousand is withheld."""
    draw = random.Random(3)
    ids = string.ascii_letters + string.digits
    values = []
    for _ in range(4_000):
        number = draw.randint(10**5, 10**7)
        values += [
            "cus_" + "".join(draw.choices(ids, k=14)),
            base64.urlsafe_b64encode(draw.randbytes(16)).decode().rstrip("="),
            draw.randbytes(32).hex(),
            base64.b64encode(draw.randbytes(32)).decode(),
            str(draw.randint(10**15, 2 * 10**15)),
            f"{draw.uniform(-90, 90):.7f},{draw.uniform(-180, 180):.7f}",
            f"2026-11-{draw.randint(10, 28)}T10:00:00+02:00",
            f"https://shop.example/p/{number}?utm_source=a%20b&ref={number:x}",
            f"pkg@{number % 9}.{number % 7}.0",
            f"ORD-{number}-2026",
        ]
    assert sum(guard_column(pa.array(values)).to_pylist()) <= len(values) / 1000


@pytest.mark.parametrize(
    "values",
    [
        pa.array([4111111111111111, 7]),
        pa.array([4111111111111111.0, 7.5]),
        pa.array([Decimal("4111111111111111.00"), Decimal("7.50")]),
        pa.array([["x", "a@example.com"], ["b"]]),
        pa.array([{"a": {"b": "a@example.com"}}, {"a": {"b": "c"}}]),
        pa.array([{"a": [b"a@example.com"]}, {"a": [b"\xff"]}]),
        pa.array([b"a@example.com", b"\xff\xfe"]),
        pa.array(["a@example.com", "b"]).dictionary_encode(),
        pa.chunked_array([["a@example.com"], ["b"]]),
    ],
    ids=[
        "integer",
        "float",
        "decimal",
        "list",
        "struct",
        "bytes inside",
        "bytes",
        "dictionary",
        "chunks",
    ],
)
def test_values_of_every_type_are_looked_at(values: pa.Array) -> None:
    """The first holds a value in clear, the second does not."""
    assert guard_column(values).to_pylist() == [True, False]


@pytest.mark.parametrize(
    "values",
    [
        pa.array([True]),
        pa.array([None]),
        pa.array([1], pa.time32("s")),
        pa.array([1.5], pa.float16()),
    ],
)
def test_types_without_room_for_a_value_pass(values: pa.Array) -> None:
    """Truths, nothing, times and half floats hold none."""
    assert guard_column(values).to_pylist() == [False]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("020 7946 0958", True),
        ("030/12345678", True),
        ("0639981234", True),
        (639981234, True),
        ("555-010", False),
        ("1234567890123456", False),
        ("12 rue", False),
        (None, False),
    ],
)
def test_national_numbers_where_something_says_phone(value: object, expected: bool) -> None:
    """Eight to fifteen digits, however they are set; in another column they pass."""
    column = pa.array([value])
    assert guard_column(column, phone=True).to_pylist() == [expected]
    assert guard_column(column).to_pylist() == [False]


@pytest.mark.parametrize(
    "text",
    [
        "06 39 98 12 34", "06.39.98.12.34", "call 01-23-45-67-89 now", "(415) 555-0100",
        "1 (415) 555-0100", "(415)555-0100", "415-555-0100", "1-415-555-0100",
        "0044 20 7946 0958", "00 33 6 39 98 12 34", "00-49-30-123456",
    ],
)  # fmt: skip
def test_numbers_set_as_only_numbers_are(text: str) -> None:
    """They need no column that says so, and no plus."""
    assert classes_in(text) == ["phone"]
    assert guard_column(pa.array([text])).to_pylist() == [True]


@pytest.mark.parametrize(
    "text",
    [
        "0012345678901", "00123-45", "115-555-0100", "2026-11-28", "10 20 30 40 50",
        "(123) 456-7890",
        "415-555-01000", "0044", "06 39 98 12", "4155550100", "192.168.100.200", "555-0100",
        "ISBN 978-3-16-148410-0", "12-34-56 12345678",
    ],
)  # fmt: skip
def test_other_digits_in_groups_pass(text: str) -> None:
    """Padded numbers, dates, sort codes and books."""
    assert guard_column(pa.array([text])).to_pylist() == [False]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("home_phone", True), ("mobileNumber", True), ("TEL2", True), ("Telefonnummer", True),
        ("cust_msisdn", True), ("PhoneNo", True), ("téléphone", True), ("fax", True),
        ("hotel", False), ("motel_id", False), ("cellar", False), ("mobility", False),
        ("total", False), ("smsx", False), ("", False),
    ],
)  # fmt: skip
def test_names_that_say_phone(name: str, expected: bool) -> None:
    """Whole words count, in the languages people name columns in."""
    assert says_phone(name) is expected


@given(st.text(max_size=300))
def test_no_text_is_too_odd(text: str) -> None:
    """Whatever stands there, it is decided."""
    assert guard_column(pa.array([text])).to_pylist() == [bool(classes_in(text))]


def test_a_hostile_text_costs_little() -> None:
    """Encodings inside encodings end."""
    text = "a%2540b"
    for _ in range(8):
        text = base64.b64encode(urllib.parse.quote(html.escape(text)).encode()).decode()
    assert classes_in(f"{text} {'%25' * 2000} {'QUFB' * 2000}") == []
