"""A LinkedIn ad account in the project files."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import EXAMPLE, found

KEYS = {"type": "linkedin_ads", "account_id": '"516848833"', "access_token": "env:TOKEN"}


def written(**changes: str | None) -> str:
    """The example with an account beside; a key that is None is left out."""
    keys = {k: v for k, v in {**KEYS, **changes}.items() if v is not None}
    line = ", ".join(f"{k}: {v}" for k, v in keys.items())
    return EXAMPLE.replace("destinations:\n", f"destinations:\n  linkedin: {{{line}}}\n", 1)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"api_version": '"202609"', "source_platform": "SHOP_1"}, []),
        ({"access_token": None}, ["missing_key"]),
        ({"access_token": "hunter2"}, ["literal_secret"]),
        ({"account_id": '"act_1"'}, ["bad_format"]),
        ({"api_version": '"202613"'}, ["bad_format"]),
        ({"source_platform": "shop"}, ["bad_format"]),
        ({"endpoint": '"https://elsewhere.example"'}, ["endpoint_refused"]),
        ({"membership_days": "1"}, ["key_of_other_type"]),
    ],
)
def test_each_fault_is_told(
    tmp_path: Path, changes: dict[str, str | None], codes: list[str]
) -> None:
    """By one code, and no value is repeated."""
    problems = found(tmp_path, written(**changes))
    assert [p.code for p in problems] == codes
    assert "hunter2" not in "".join(f"{p.message} {p.hint}" for p in problems)
