"""Fields of a mapping that say what a person agreed to."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mayfly.connectors.consent_fields import ConsentFields
from mayfly.domain.errors import ConfigError
from mayfly.domain.settings import SyncSettings

SAID = ConsentFields(vendor="Acme", noun="consent")


def sync(purpose: str | None) -> SyncSettings:
    """That tells of a consent to news."""
    return SyncSettings(
        name="people",
        id="people",
        model="people",
        destination="acme",
        mode="upsert",
        mapping={"id": "id", "consent.news": "news"},
        purpose=purpose,
    )


def test_a_consent_that_is_not_declared_is_refused() -> None:
    """Its code and hint are in the vendor's word."""
    SAID.require_declared("consent.news", {"news"}, hint="")
    SAID.require_declared("email", (), hint="")
    with pytest.raises(ConfigError) as told:
        SAID.require_declared("consent.news", {"calls"}, hint="Declare it.")
    assert (told.value.code, told.value.hint) == ("unknown_consent", "Declare it.")


def test_a_consent_is_yes_no_or_nothing() -> None:
    """Any other field may be of any type."""
    SAID.require_truth_value("consent.news", pa.bool_())
    SAID.require_truth_value("email", pa.string())
    with pytest.raises(ConfigError, match="consent_type"):
        SAID.require_truth_value("consent.news", pa.string())


def test_refusals_are_not_told_by_a_sync_that_sends_nobody_who_refuses() -> None:
    """A purpose that the sync says nothing of may filter its rows."""
    SAID.require_refusals(sync(None))
    SAID.require_refusals(sync("calls"))
    with pytest.raises(ConfigError) as told:
        SAID.require_refusals(sync("news"))
    assert told.value.code == "refusals_kept_back"
    assert told.value.hint == "Leave `purpose` out of the sync that tells of consents."
