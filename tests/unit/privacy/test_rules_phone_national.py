"""The quick reading of national numbers against libphonenumber itself."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mayfly.privacy.rules.phone_national import national_e164

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def by_library(digits: str, country: str) -> str | None:
    """E.164, where it is a possible number."""
    try:
        number = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@settings(max_examples=1_500)
@given(st.sampled_from(REGIONS), st.text("0123456789", min_size=2, max_size=18))
def test_random_digits_are_read_alike(country: str, digits: str) -> None:
    """Of every region: the same number, or it is left to the library."""
    made = national_e164(digits, country)
    assert made is None or made == by_library(digits, country)


@pytest.mark.parametrize("country", REGIONS)
def test_each_regions_own_examples_are_read_alike(country: str) -> None:
    """As they are written at home, with the prefix dialled there, cut, and lengthened."""
    kinds = phonenumbers.PhoneNumberType.values()
    examples = [phonenumbers.example_number_for_type(country, kind) for kind in kinds]
    for number in filter(None, examples):
        national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
        digits = "".join(c for c in national if c in "0123456789")
        plain = phonenumbers.national_significant_number(number)
        for typed in (
            digits,
            plain,
            digits[:-1],
            f"{digits}0",
            f"0{digits}",
            f"1{plain}",
            digits[1:],
        ):
            made = national_e164(typed, country)
            assert made is None or made == by_library(typed, country)


@pytest.mark.parametrize(
    ("country", "typed", "expected"),
    [
        ("FR", "0639981234", "+33639981234"),
        ("DE", "03012345678", "+493012345678"),
        ("GB", "02079460958", "+442079460958"),
        ("US", "4155550100", "+14155550100"),
        ("IT", "0612345678", "+390612345678"),
        ("ES", "612345678", "+34612345678"),
        ("BR", "11961234567", "+5511961234567"),
        ("IN", "08123456789", "+918123456789"),
        ("JP", "09012345678", "+819012345678"),
    ],
)
def test_common_numbers_need_no_library(country: str, typed: str, expected: str) -> None:
    """Or nothing would be gained."""
    assert national_e164(typed, country) == expected == by_library(typed, country)
