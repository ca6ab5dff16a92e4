"""Who processes, for whom, and who answers for a recipient: the words of the controller.

What nobody has stated is None, and is shown as `NOT_STATED`: nothing stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

NOT_STATED = "not stated by the controller"
LawfulBasis = Literal[
    "consent",
    "contract",
    "legal_obligation",
    "vital_interests",
    "public_task",
    "legitimate_interests",
]
"""GDPR Article 6(1), (a) to (f)."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """A processor or a controller, as GDPR Article 30(2)(a) wants it named.

    Args:
        name: legal name.
        address: where it can be written to.
        contact: how it is reached: a mail address, telephone number or web page.
        dpo: how its data protection officer is reached.
        representative: name and contact of its representative in the Union, or the United Kingdom.
    """

    name: str
    address: str | None = None
    contact: str | None = None
    dpo: str | None = None
    representative: str | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Terms of a recipient that were accepted: by whom, on which day, in which version."""

    accepted_by: str
    on: date
    version: str


@dataclass(frozen=True, kw_only=True)
class Responsibility:
    """Who answers for what is sent to one destination; each part may not be stated.

    Args:
        decides: who decides why the data is sent there.
        lawful_basis: on what it rests.
        terms: of the recipient that were accepted.
        consent_source: where consent was asked for, where it rests on that.
    """

    decides: str | None = None
    lawful_basis: LawfulBasis | None = None
    terms: Terms | None = None
    consent_source: str | None = None


def stated(text: str | None) -> str:
    """The text, or that nobody stated it."""
    return text or NOT_STATED
