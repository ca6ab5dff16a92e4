"""Fields of the platforms' sheets that the vectors do not cover, by the rule as it is written."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from mayfly.privacy.rules import RULES, hash_value

AD_ID = "AECE52E7-03EE-455A-B3C4-E57283966239"
HASHED = [
    ("pinterest", "first_name", " Mary-Jane ", {}, "mary-jane"),
    ("pinterest", "last_name", "O'Connor", {}, "o'connor"),
    ("pinterest", "last_name", "- .", {}, None),
    ("pinterest", "zip", "94103-1234", {}, "94103"),
    ("pinterest", "zip", "750 08", {}, "75008"),
    ("pinterest", "zip", "SW1A 1AA", {}, None),
    ("pinterest", "gender", "N", {}, "n"),
    ("pinterest", "gender", "Non-binary", {}, "n"),
    ("pinterest", "gender", "other", {}, None),
    ("pinterest", "dob", "1990-12-31", {}, "19901231"),
    ("pinterest", "city", "San Francisco", {}, "sanfrancisco"),
    ("pinterest", "country", "FR", {}, "fr"),
    ("pinterest", "external_id", "User-1", {}, "User-1"),
    ("pinterest", "maid", AD_ID, {}, AD_ID.lower()),
    ("tiktok", "external_id", "User-1", {}, "User-1"),
    ("meta", "gender", "n", {}, None),
    ("meta", "first_name", "Mary-Jane", {}, "maryjane"),
    ("google", "street_address", " 1, Main  St. #4 ", {}, "1 main st 4"),
    ("google", "street_address", "Straße 7", {}, "straße 7"),
    ("google", "street_address", "#!", {}, None),
]
CLEAR = [
    ("google", "city", " San-Francisco, ", "sanfrancisco"),
    ("google", "city", "Le  Mans", "le mans"),
    ("google", "region", "Île-de-France", "îledefrance"),
    ("google", "maid", AD_ID, AD_ID.lower()),
    ("google", "maid", "no id", None),
]


@pytest.mark.parametrize(("platform", "field", "value", "context", "text"), HASHED)
def test_a_field_is_hashed_as_its_sheet_says(
    platform: str, field: str, value: str, context: dict[str, Any], text: str | None
) -> None:
    """SHA-256 of the normalised text in small hex digits, or a refusal."""
    made = hash_value(platform, field, value, context)
    assert made.digest == (text and hashlib.sha256(text.encode()).hexdigest())
    assert made.reject == (None if text else f"invalid_{field}")
    assert made.encoding == "sha256-hex"


@pytest.mark.parametrize(("platform", "field", "value", "text"), CLEAR)
def test_a_field_that_is_taken_in_clear_has_no_digest(
    platform: str, field: str, value: str, text: str | None
) -> None:
    """Its normal form is for a terminal only."""
    made = hash_value(platform, field, value)
    assert (made.digest, made.encoding, made.normalised) == (None, "none", text)


def test_an_id_type_names_the_algorithm() -> None:
    """LinkedIn takes SHA-512 as well; a digest of another algorithm is refused for each."""
    sha512 = {"id_type": "SHA512_EMAIL"}
    made = hash_value("linkedin", "email", " Ann@Example.com", sha512)
    wanted = hashlib.sha512(b"ann@example.com").hexdigest()
    assert (made.digest, made.encoding) == (wanted, "sha512-hex")
    ready = hash_value("linkedin", "email", f" {wanted.upper()} ", sha512)
    assert (ready.digest, ready.reject) == (wanted, None)
    for value, reject in (
        (hashlib.sha256(b"ann@example.com").hexdigest(), "wrong_algorithm"),
        (hashlib.sha384(b"ann@example.com").hexdigest(), "wrong_algorithm"),
        (hashlib.sha512(b"").hexdigest(), "empty_digest"),
    ):
        made = hash_value("linkedin", "email", value, sha512)
        assert (made.digest, made.reject) == (None, reject)
    assert hash_value("linkedin", "email", wanted).reject == "wrong_algorithm"


def test_no_platform_has_a_field_that_it_does_not_take() -> None:
    """LinkedIn knows no telephones."""
    assert {field for platform, field in RULES if platform == "linkedin"} == {
        "email",
        "email_hash",
        "maid",
    }
