"""A Google Ads account in the project files: one way to log in, and what is stated of people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config_faults import EXAMPLE, found
from mayfly.config.load import load_project
from mayfly.domain.settings import SecretRef

KEYS = {
    "type": "google_ads",
    "account_id": '"1234567890"',
    "access_token": "env:TOKEN",
    "customer_match_terms": "accepted",
    "ad_user_data": "[ads]",
    "ad_personalization": "[]",
}


def written(**changes: str | None) -> str:
    """The example with an account beside; a key that is None is left out."""
    keys = {k: v for k, v in {**KEYS, **changes}.items() if v is not None}
    line = ", ".join(f"{k}: {v}" for k, v in keys.items())
    return EXAMPLE.replace("destinations:\n", f"destinations:\n  google: {{{line}}}\n", 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"access_token": None}, "missing_key"),
        ({"service_account_key": "file:/key.json"}, "two_credentials"),
        ({"service_account_key": "connection:google"}, "connection_elsewhere"),
        ({"access_token": "hunter2"}, "literal_secret"),
        ({"client_secret": "hunter2"}, "literal_secret"),
        ({"account_id": '"123-456-7890"'}, "bad_format"),
        ({"login_account_id": '"1"'}, "bad_format"),
        ({"customer_match_terms": None}, "missing_key"),
        ({"customer_match_terms": '"no"'}, "not_allowed"),
        ({"ad_user_data": None}, "missing_key"),
        ({"ad_user_data": "[]"}, "empty"),
        ({"ad_user_data": "ads"}, "wrong_type"),
        ({"ad_personalization": None}, "missing_key"),
        ({"ad_personalization": "[ADS]"}, "bad_name"),
        ({"membership_days": "541"}, "out_of_range"),
        ({"send_addresses": '"yes"'}, "wrong_type"),
        ({"endpoint": '"http://127.0.0.1"'}, "endpoint_refused"),
        ({"app_secret": "env:X"}, "key_of_other_type"),
    ],
)
def test_each_fault_is_told(tmp_path: Path, changes: dict[str, str | None], code: str) -> None:
    """At the account's own line, by one code, and no value is repeated."""
    problems = found(tmp_path, written(**changes))
    assert [p.code for p in problems] == [code]
    assert "hunter2" not in f"{problems[0].message} {problems[0].hint}"


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, {"access_token": SecretRef(kind="env", name="TOKEN"), "send_addresses": False}),
        (
            {"access_token": None, "service_account_key": "file:/key.json"},
            {"service_account_key": SecretRef(kind="file", name="/key.json")},
        ),
        (
            {
                "access_token": "connection:google",
                "client_id": "a.apps.googleusercontent.com",
                "client_secret": "env:S",
                "membership_days": "540",
            },
            {
                "access_token": SecretRef(kind="connection", name="google"),
                "client_secret": SecretRef(kind="env", name="S"),
                "membership_days": 540,
            },
        ),
    ],
)
def test_an_account_is_read(
    tmp_path: Path, changes: dict[str, str | None], options: dict[str, Any]
) -> None:
    """Secrets as references; what is stated as lists of purposes."""
    assert found(tmp_path, written(**changes)) == []
    read = load_project(tmp_path).destinations["google"].options
    assert read["ad_user_data"] == ["ads"]
    assert read["ad_personalization"] == []
    assert {key: read[key] for key in options} == options
