"""Dates of birth lie in the past."""

from __future__ import annotations

import hashlib

import pytest

from mayfly.privacy.rules import hash_value


@pytest.mark.parametrize("year", ["1900", "1990", "2026"])
def test_a_year_of_birth_is_hashed(year: str) -> None:
    """Alone and as part of a date."""
    wanted = hashlib.sha256(year.encode()).hexdigest()
    assert hash_value("meta", "dob_year", year).digest == wanted
    assert hash_value("meta", "dob_year", f"{year}-12-31").digest == wanted
    whole = hashlib.sha256(f"{year}1231".encode()).hexdigest()
    assert hash_value("meta", "dob", f"{year}-12-31").digest == whole


@pytest.mark.parametrize("year", ["1899", "2027", "2100", "0", "99", "19900"])
def test_no_year_of_birth_is_refused(year: str) -> None:
    """Before 1900, in the future, and what is no year."""
    assert hash_value("meta", "dob_year", year).reject == "invalid_dob_year"
    assert hash_value("meta", "dob", f"{year}-12-31").reject == "invalid_dob"
