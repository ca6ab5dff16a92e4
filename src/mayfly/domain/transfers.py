"""Transfers: where recipients are, out of a workspace's own law, and by what mechanism.

Countries are codes of two letters. Of the European Union's decisions on adequacy those are listed
that were in force on `LISTED_ON`; a later one has to be entered here, and one that ended, ended.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from mayfly.domain.places import EEA, geography_of

Mechanism = Literal["adequacy", "dpf", "scc", "idta", "none_required"]
LISTED_ON = date(2026, 8, 5)
_NO_END = date.max
ADEQUATE: Mapping[str, tuple[date, date]] = {
    "AD": (date(2010, 10, 19), _NO_END),
    "AR": (date(2003, 6, 30), _NO_END),
    "BR": (date(2026, 1, 26), _NO_END),
    "CA": (date(2001, 12, 20), _NO_END),
    "CH": (date(2000, 7, 26), _NO_END),
    "FO": (date(2010, 3, 5), _NO_END),
    "GB": (date(2021, 6, 28), date(2031, 12, 27)),
    "GG": (date(2003, 11, 21), _NO_END),
    "IL": (date(2011, 1, 31), _NO_END),
    "IM": (date(2004, 4, 28), _NO_END),
    "JE": (date(2008, 5, 8), _NO_END),
    "JP": (date(2019, 1, 23), _NO_END),
    "KR": (date(2021, 12, 17), _NO_END),
    "NZ": (date(2012, 12, 19), _NO_END),
    "UY": (date(2012, 8, 21), _NO_END),
}
"""From when to when a whole country counts as adequate. The United States do not: there `dpf` is
for recipients that certified themselves."""
LAWS = frozenset({"eu", "uk", "switzerland"})
"""Geographies whose law asks for a mechanism."""


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Data of a sync reaches a country; `mechanism` is None where the workspace allows none.

    `assessment` names the assessment that was made of it.
    """

    country: str
    mechanism: Mechanism | None
    assessment: str | None = None

    def to_dict(self) -> dict[str, str | None]:
        """As `mayfly plan` prints it and an approval pins it."""
        return {
            "country": self.country,
            "mechanism": self.mechanism,
            "assessment": self.assessment,
        }


def is_transfer(country: str, geography: str) -> bool:
    """Whether a country is outside of the law of a workspace's geography."""
    return country not in EEA if geography == "eu" else geography_of(country) != geography


def transfers(
    countries: Collection[str], geography: str, allowed: Mapping[str, Transfer]
) -> Sequence[Transfer]:
    """The transfers that sending to some countries is, sorted, each as it is allowed."""
    return [
        allowed.get(country, Transfer(country=country, mechanism=None))
        for country in sorted(countries)
        if is_transfer(country, geography)
    ]


def why_not(transfer: Transfer, geography: str, today: date) -> str:
    """Why its mechanism does not carry a transfer; empty where nothing is known against it."""
    match transfer.mechanism:
        case "adequacy" if geography == "eu" and not is_adequate(transfer.country, today):
            return f"no decision on adequacy covers {transfer.country} (list of {LISTED_ON})"
        case "dpf" if transfer.country != "US":
            return "the Data Privacy Framework (dpf) is for the United States"
        case "dpf" | "scc" if geography not in LAWS:
            return f"{transfer.mechanism} belongs to the law of {', '.join(sorted(LAWS))}"
        case "idta" if geography != "uk":
            return "idta belongs to the law of uk"
        case "none_required" if geography in LAWS:
            return f"the law of {geography} requires a mechanism"
        case _:
            return ""


def is_adequate(country: str, today: date) -> bool:
    """Whether a decision of the European Union on a whole country is in force."""
    first, last = ADEQUATE.get(country, (date.max, date.min))
    return first <= today <= last
