"""`mayfly hash` answers every line and never shows a value."""

from __future__ import annotations

import hashlib
import json

from mayfly.services.hash_values import hash_lines

EMPTY = hashlib.sha256(b"").hexdigest()


def ask(**entry: object) -> dict[str, object]:
    """The answer to one line."""
    [answer] = hash_lines([json.dumps(entry).encode()])
    return answer


def test_bad_lines_are_answered_in_order() -> None:
    """A line that is no JSON, an unknown platform and a number each get a refusal."""
    lines = [
        b"{",
        b'{"platform":"x","field":"email","value":"a@example.com"}',
        b'{"platform":"meta","field":"email","value":7}',
        b"[]",
        b'{"platform":"meta","field":"email","value":"\\ud800"}',
    ]
    codes = [a["reject"] for a in hash_lines(lines)]
    assert codes == ["bad_json", "unknown_platform", "not_text", "bad_json", "not_text"]


def test_the_normalised_value_is_left_out_unless_asked_for() -> None:
    """No answer holds the clear value by default."""
    line = [b'{"platform":"meta","field":"email","value":" A@Example.com "}']
    assert "a@example.com" not in json.dumps(next(iter(hash_lines(line)))).lower()
    assert next(iter(hash_lines(line, show_normalised=True)))["normalised"] == "a@example.com"


def test_a_value_sent_in_clear_has_no_digest() -> None:
    """A MADID is not hashed, and not printed either."""
    answer = ask(platform="meta", field="madid", value="AB1234CD-E123-12FA-B123-123456789ABC")
    assert answer["digest"] is None
    assert answer["encoding"] == "none"
    assert "reject" not in answer


def test_a_digest_is_never_hashed_again() -> None:
    """Hex in upper case with white space is repaired and passed on; UID2 gets base64."""
    digest = hashlib.sha256(b"a@example.com").hexdigest()
    assert ask(platform="meta", field="email", value=f" {digest.upper()} ")["digest"] == digest
    uid2 = ask(platform="uid2", field="email_hash", value=digest)
    assert str(uid2["digest"]).endswith("=")
    assert len(str(uid2["digest"])) == 44


def test_the_hash_of_nothing_never_leaves() -> None:
    """The empty string and its digest are refused everywhere."""
    for value in ("", "  ", EMPTY, EMPTY.upper()):
        answer = ask(platform="meta", field="email", value=value)
        assert answer["digest"] is None
        assert answer["reject"]


def test_a_digest_of_another_algorithm_is_refused() -> None:
    """MD5 and SHA-1 in an e-mail field are refused by name."""
    for value in ("d41d8cd98f00b204e9800998ecf8427e", hashlib.sha1(b"x").hexdigest()):
        answer = ask(platform="meta", field="email", value=value)
        assert answer["reject"] == "wrong_algorithm"


def test_a_national_number_without_a_country_is_refused() -> None:
    """No country, no guess; with a country it is E.164."""
    assert ask(platform="meta", field="phone", value="06 39 98 12 34")["reject"]
    made = ask(
        platform="meta", field="phone", value="06 39 98 12 34", context={"default_country": "FR"}
    )
    assert made["digest"] == hashlib.sha256(b"33639981234").hexdigest()


def test_unknown_names_are_not_repeated() -> None:
    """With its columns mixed up a line holds values where names belong: none is printed."""
    for platform, field in (("a@example.com", "b@example.com"), ("meta", "b@example.com")):
        answer = ask(platform=platform, field=field, value="x")
        assert "example.com" not in json.dumps(answer)
        assert answer["reject"] in ("unknown_platform", "unknown_field")


def test_half_a_character_never_breaks_the_stream() -> None:
    """Lone surrogates in names and in the secret are refused; the answer is UTF-8."""
    half = "\ud800"
    answers = [
        ask(platform=half, field=half, value="x"),
        ask(platform="meta", field=half, value="x"),
        ask(platform="the-trade-desk", field="TtdSignature", value="{}", context={"secret": half}),
    ]
    assert [a["digest"] for a in answers] == [None] * 3
    assert all(a["reject"] for a in answers)
    assert json.dumps(answers, ensure_ascii=False).encode()
