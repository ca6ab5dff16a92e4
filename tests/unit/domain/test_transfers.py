"""Which countries are a transfer, and what carries one."""

from __future__ import annotations

from datetime import date

import pytest

from mayfly.domain.transfers import (
    ADEQUATE,
    LISTED_ON,
    Mechanism,
    Transfer,
    is_adequate,
    is_transfer,
    transfers,
    why_not,
)

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("country", "geography", "expected"),
    [
        ("IE", "eu", False),
        ("NO", "eu", False),
        ("GB", "eu", True),
        ("CH", "eu", True),
        ("US", "eu", True),
        ("US", "us", False),
        ("IE", "us", True),
        ("GB", "uk", False),
        ("IE", "uk", True),
        ("IE", "ireland", True),
    ],
)
def test_what_is_a_transfer(country: str, geography: str, expected: bool) -> None:
    """Out of the EEA for a workspace in the EU, else out of its own country."""
    assert is_transfer(country, geography) is expected


def test_transfers_are_those_outside_each_as_it_is_allowed() -> None:
    """In the order of their codes; what nobody allowed has no mechanism."""
    scc = Transfer(country="US", mechanism="scc", assessment="TIA-1")
    found = transfers({"US", "IE", "SG"}, "eu", {"US": scc, "JP": scc})
    assert found == [Transfer(country="SG", mechanism=None), scc]


@pytest.mark.parametrize(
    ("mechanism", "country", "geography", "said"),
    [
        ("adequacy", "JP", "eu", ""),
        ("adequacy", "US", "eu", "no decision on adequacy covers US"),
        ("adequacy", "SG", "eu", "no decision on adequacy covers SG"),
        ("adequacy", "IE", "uk", ""),
        ("dpf", "US", "eu", ""),
        ("dpf", "SG", "eu", "for the United States"),
        ("dpf", "US", "japan", "belongs to the law of eu, switzerland, uk"),
        ("scc", "SG", "eu", ""),
        ("scc", "SG", "us", "belongs to the law of"),
        ("idta", "US", "uk", ""),
        ("idta", "US", "eu", "belongs to the law of uk"),
        ("none_required", "IE", "us", ""),
        ("none_required", "US", "switzerland", "requires a mechanism"),
    ],
)
def test_what_carries_a_transfer(
    mechanism: Mechanism, country: str, geography: str, said: str
) -> None:
    """A mechanism of another law, or for another country, carries nothing."""
    why = why_not(Transfer(country=country, mechanism=mechanism), geography, TODAY)
    assert said in why
    assert bool(said) == bool(why)


def test_a_decision_ends_on_its_day() -> None:
    """That on the United Kingdom carries on its last day, and no day longer."""
    transfer = Transfer(country="GB", mechanism="adequacy")
    assert why_not(transfer, "eu", date(2031, 12, 27)) == ""
    assert "no decision" in why_not(transfer, "eu", date(2031, 12, 28))
    assert all(is_adequate(country, LISTED_ON) for country in ADEQUATE)
    assert not is_adequate("GB", date(2021, 6, 27))
