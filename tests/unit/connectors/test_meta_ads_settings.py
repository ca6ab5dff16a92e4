"""Settings and specification of the Meta connector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from mayfly.connectors.destinations.meta_ads import SPEC, MetaAdsSettings
from mayfly.domain.errors import ConfigError
from mayfly.privacy.gate import Form


@dataclass(frozen=True)
class Secret:
    """A secret of a test, whose own `repr` shows it."""

    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


def _with(**changes: Any) -> Callable[[], MetaAdsSettings]:
    base: dict[str, Any] = {"account_id": "1", "access_token": Secret("t"), "audience": "A"}
    return lambda: MetaAdsSettings(**{**base, **changes})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_id": "1/../2"}, "bad_account_id"),
        ({"account_id": ""}, "bad_account_id"),
        ({"api_version": "26"}, "bad_api_version"),
        ({"audience": " "}, "bad_audience"),
        ({"endpoint": "http://graph.facebook.com"}, "bad_endpoint"),
        ({"endpoint": "https://graph.facebook.com.example.com"}, "bad_endpoint"),
        ({"endpoint": "http://localhost:8765"}, "bad_endpoint"),
        ({"endpoint": "http://127.0.0.1@example.com"}, "bad_endpoint"),
        ({"endpoint": "http://127.0.0.999"}, "bad_endpoint"),
        ({"endpoint": "http://127.0.0.1:8765/x"}, "bad_endpoint"),
    ],
)
def test_settings_that_lead_elsewhere_are_refused(changes: dict[str, str], code: str) -> None:
    """Only digits, a version, a name, and Meta's host or literal loopback make settings."""
    with pytest.raises(ConfigError) as raised:
        _with(**changes)()
    assert raised.value.code == code


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:8765", "http://[::1]:80"])
def test_literal_loopback_is_an_endpoint(endpoint: str) -> None:
    """Loopback over plain HTTP is accepted, and `act_` may be written or left out."""
    assert _with(endpoint=endpoint)().endpoint == endpoint
    assert _with(account_id="act_1")().account == _with()().account == "act_1"


def test_settings_do_not_show_secrets() -> None:
    """`repr` of settings holds neither token nor app secret, even where those print themselves."""
    shown = repr(_with(access_token=Secret("t0ken"), app_secret=Secret("s3cret"))())
    assert "audience='A'" in shown
    assert "t0ken" not in shown
    assert "s3cret" not in shown


def test_the_specification_declares_the_form_of_every_field() -> None:
    """Only MADID leaves in clear; digests name a Meta rule; identifiers are the four that match."""
    clear = {f.name for f in SPEC.fields if f.form is Form.CLEAR}
    assert clear == {"MADID"}
    assert all(f.rule and f.rule[0] == "meta" for f in SPEC.fields if f.form is Form.DIGEST)
    identifiers = {f.name for f in SPEC.fields if f.identifier}
    assert identifiers == {"EMAIL", "PHONE", "MADID", "EXTERN_ID"}
    assert SPEC.request.rows_max == 10_000
    assert SPEC.always_external
