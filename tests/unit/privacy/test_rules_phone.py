"""A phone whose country is not known is refused: the digest of a guess is somebody else's."""

from __future__ import annotations

import hashlib

import pytest

from mayfly.privacy.rules import hash_value

DIGITS_PLATFORMS = ("meta", "tiktok", "snap", "pinterest")


def digest(digits: str) -> str:
    """Of a number as these platforms hash it."""
    return hashlib.sha256(digits.encode()).hexdigest()


@pytest.mark.parametrize("platform", DIGITS_PLATFORMS)
@pytest.mark.parametrize(
    "bare",
    [
        "13812345678",  # a mobile number in China, and a number in North America
        "2025550123",  # Washington, or Egypt
        "491701234567",
        "16505551234",
        "1 650 555 1234",
        "0639980000",
        "639980000",
    ],
)
def test_bare_digits_without_a_country_are_refused(platform: str, bare: str) -> None:
    """Whatever they may begin with."""
    refused = hash_value(platform, "phone", bare)
    assert (refused.digest, refused.reject) == (None, "invalid_phone")


@pytest.mark.parametrize("platform", DIGITS_PLATFORMS)
def test_the_country_decides(platform: str) -> None:
    """The same digits are two numbers in two countries; behind a + they are one."""
    found = {
        country: hash_value(platform, "phone", "13812345678", {"default_country": country}).digest
        for country in ("CN", "US")
    }
    assert found == {"CN": digest("8613812345678"), "US": digest("13812345678")}
    assert hash_value(platform, "phone", "+13812345678").digest == digest("13812345678")


@pytest.mark.parametrize("typed", ["1(650)123-4567", "1 (650) 123 4567", " 1-(650)-123-4567 "])
def test_an_area_code_in_brackets_tells_the_country(typed: str) -> None:
    """As Meta's own tests have it."""
    assert hash_value("meta", "phone", typed).digest == digest("16501234567")
    assert hash_value("meta", "phone", "8(650)123-4567").digest is None
