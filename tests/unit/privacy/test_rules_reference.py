"""The evaluator against plain Python that shares no code with it."""

from __future__ import annotations

import base64
import hashlib
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.privacy.rules import (
    canonical_rule,
    hash_value,
    rule_for,
    worker_canonical,
    worker_digest,
)
from mayfly.privacy.rules import expression as e

TEXT = st.text(
    st.one_of(
        st.sampled_from(" \t\n\u00a0\u200b\ufeff.,-'@+aAbBzZ059éÉßİıſKΣςÅ\u030a\u0301李😊Ａ１"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=24,
)
INVISIBLE = "\u00ad\u200b\u2060\ufeff"


def sha(text: str) -> bytes | None:
    """SHA-256 of a text, of nothing none."""
    return hashlib.sha256(text.encode()).digest() if text else None


def name(value: str) -> bytes | None:
    """Lower case, letters, marks and numbers only, composed."""
    lower = unicodedata.normalize("NFC", value.strip().lower())
    return sha("".join(c for c in lower if unicodedata.category(c)[0] in "LMN"))


def email(value: str) -> bytes | None:
    """Stripped and lower; one @, labels behind it, nothing invisible."""
    text = value.strip().lower()
    parts = text.split("@")
    if len(parts) != 2 or not parts[0] or "." not in parts[1] or "" in parts[1].split("."):
        return None
    hidden = any(c.isspace() or c in INVISIBLE or unicodedata.category(c) == "Cc" for c in text)
    return None if hidden else sha(text)


def zip_code(value: str) -> bytes | None:
    """Letters and digits; five digits of a ZIP+4."""
    text = "".join(c for c in value.strip().lower() if c not in " \t\n\r\f\v\u00a0")
    head, dash, tail = text.partition("-")
    plus_four = dash and len(head) == 5 and len(tail) == 4
    if plus_four and (head + tail).isascii() and (head + tail).isdigit():
        return sha(head)
    text = text.replace("-", "")
    return sha(text) if 2 <= len(text) <= 12 and text.isascii() and text.isalnum() else None


def worker(field: str, value: str, country: str | None = None) -> bytes | None:
    """What the worker makes of one value."""
    column = pa.array([value], pa.string())
    made = worker_digest(rule_for("meta", field), column, default_country=country)
    digest: bytes | None = made.to_pylist()[0]
    return digest


@given(TEXT)
def test_names_equal_the_reference(value: str) -> None:
    """In any script a name's digest is that of its letters, lower case, composed."""
    assert worker("first_name", value) == name(value)
    assert worker("last_name", value) == name(value)


@given(st.one_of(TEXT, st.tuples(TEXT, TEXT, TEXT).map(lambda p: f"{p[0]}@{p[1]}.{p[2]}")))
def test_emails_equal_the_reference(value: str) -> None:
    """An e-mail is stripped in every script, and refused where something invisible stays."""
    assert worker("email", value) == email(value)
    column = pa.array([value], pa.string())
    canonical = worker_canonical(canonical_rule("email"), column, default_country=None)
    assert canonical.to_pylist() == [email(value)]


@given(st.one_of(TEXT, st.from_regex(r"\A ?[0-9]{4,5}-[0-9]{3,4} ?\Z")))
def test_postcodes_equal_the_reference(value: str) -> None:
    """A postcode is ASCII letters and digits, or refused."""
    assert worker("zip", value) == zip_code(value)


@given(
    st.sampled_from(["33639980", "447700900", "1212555"]),
    st.integers(0, 999),
    st.lists(st.sampled_from(" ()-./\u00a0\t\n"), max_size=4),
    st.lists(st.integers(0, 12), min_size=4, max_size=4),
)
def test_separators_do_not_change_a_phone(
    head: str, tail: int, marks: list[str], places: list[int]
) -> None:
    """Whatever separators stand between the digits, the digest is that of the digits."""
    digits = f"{head}{tail:0{4 if head.startswith('1') else 3}d}"
    typed = list(digits)
    for mark, place in zip(marks, places, strict=False):
        typed.insert(place, mark)
    assert worker("phone", "+" + "".join(typed)) == sha(digits)


def test_a_suppressed_address_is_found_behind_a_no_break_space() -> None:
    """What a spreadsheet leaves around an address hides nobody from the suppression list."""
    values = pa.array(["a@example.com", "\u00a0A@Example.com\u00a0", "a@example.com\u200b"])
    made = worker_canonical(canonical_rule("email"), values, default_country=None)
    first, second, third = made.to_pylist()
    assert first == second
    assert third is None


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha384", "sha512"])
@pytest.mark.parametrize("field", ["email", "first_name", "last_name", "city", "state", "zip"])
def test_a_digest_of_another_kind_is_refused_everywhere(algorithm: str, field: str) -> None:
    """No field hashes what is a digest already, whatever its algorithm."""
    value = hashlib.new(algorithm, b"x").hexdigest()
    assert hash_value("meta", field, value).reject == "wrong_algorithm"
    assert worker(field, value) is None


def test_base64_of_a_digest_is_passed_on_as_its_bytes() -> None:
    """Hex and base64 of one digest are the same identifier."""
    digest = hashlib.sha256(b"a@example.com").digest()
    assert worker("email", base64.b64encode(digest).decode()) == digest
    assert worker("email", digest.hex().upper()) == digest


def test_md5_is_not_made_of_a_sha256() -> None:
    """Where MD5 is asked for, a SHA-256 is refused instead of being passed off as one."""
    made = hash_value("tiktok", "maid", "a" * 64, {"id_type": "AAID_MD5"})
    assert (made.digest, made.reject) == (None, "wrong_algorithm")


def test_each_letter_of_the_repertoire_stands_alone() -> None:
    """Composed by itself, with one small letter that is of the repertoire, too: no neighbour, no
    locale and no later version of Unicode changes what SQL makes of it.
    """
    for letter in e.NAME_LETTERS:
        small = letter.lower()
        assert unicodedata.category(letter)[0] == "L"
        assert unicodedata.normalize("NFC", letter) == letter
        assert (len(small), small.lower()) == (1, small)
        assert small in e.NAME_LETTERS
        assert (f"x{letter}".lower(), f"{letter}x".lower()) == (f"x{small}", f"{small}x")
    assert len(set(e.NAME_LETTERS)) == len(e.NAME_LETTERS) == 901
    pinned = hashlib.sha256((e.NAME_LETTERS + e.MORE_UPPER + e.MORE_LOWER).encode()).hexdigest()
    assert pinned == "754c69e3272633653944b6529f3b3e22ca906ad992ce04262c1d0e8193370d74"
