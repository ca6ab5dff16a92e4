"""A Microsoft Advertising account in the project files."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import EXAMPLE, found

KEYS = {
    "type": "microsoft_ads",
    "account_id": '"123456789"',
    "customer_id": '"987654321"',
    "developer_token": "env:DEVELOPER",
    "access_token": "env:TOKEN",
    "customer_match_terms": "accepted",
}


def written(**changes: str | None) -> str:
    """The example with an account beside; a key that is None is left out."""
    keys = {k: v for k, v in {**KEYS, **changes}.items() if v is not None}
    line = ", ".join(f"{k}: {v}" for k, v in keys.items())
    return EXAMPLE.replace("destinations:\n", f"destinations:\n  microsoft: {{{line}}}\n", 1)


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, []),
        ({"membership_days": "390"}, []),
        ({"access_token": None}, ["missing_key"]),
        ({"developer_token": None}, ["missing_key"]),
        ({"customer_id": None}, ["missing_key"]),
        ({"customer_match_terms": None}, ["missing_key"]),
        ({"customer_match_terms": '"no"'}, ["not_allowed"]),
        ({"developer_token": "hunter2"}, ["literal_secret"]),
        ({"account_id": '"F123"'}, ["bad_format"]),
        ({"membership_days": "391"}, ["out_of_range"]),
        ({"membership_days": "-1"}, ["out_of_range"]),
        ({"endpoint": '"https://elsewhere.example"'}, ["endpoint_refused"]),
        ({"app_secret": "env:X"}, ["key_of_other_type"]),
    ],
)
def test_each_fault_is_told(
    tmp_path: Path, changes: dict[str, str | None], codes: list[str]
) -> None:
    """By one code, and no value is repeated."""
    problems = found(tmp_path, written(**changes))
    assert [p.code for p in problems] == codes
    assert "hunter2" not in "".join(f"{p.message} {p.hint}" for p in problems)
