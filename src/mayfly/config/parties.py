"""Who processes, for whom, and who answers for a recipient, as they stand in the project files."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from mayfly.config.fields import Formed, Line, Part
from mayfly.domain import parties as p


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise PydanticCustomError("bad_format", "expected a day as YYYY-MM-DD") from None
    return text


Day = Annotated[str, Formed("[0-9]{4}-[0-9]{2}-[0-9]{2}"), AfterValidator(_day)]


class PartyFile(Part):
    """Base of those whom records and pages name."""

    name: Line = Field(description="Legal name.", examples=["Shop SAS"])
    address: Line | None = Field(
        default=None,
        description="Where it can be written to.",
        examples=["1 rue de la Paix, 75002 Paris, France"],
    )
    contact: Line | None = Field(
        default=None,
        description="Mail address, telephone number or web page.",
        examples=["https://example.com/privacy"],
    )
    dpo: Line | None = Field(
        default=None,
        description="How the data protection officer is reached.",
        examples=["Data protection officer, 1 rue de la Paix, 75002 Paris"],
    )
    representative: Line | None = Field(
        default=None,
        description="Name and contact of its representative, where it has to have one.",
    )


class OrganisationFile(PartyFile):
    """Who runs Mayfly: the processor. Records and the public privacy page name it."""


class ControllerFile(PartyFile):
    """Whom the processor acts for: who decides why the data is processed."""


class TermsFile(Part):
    """Terms of the recipient that were accepted."""

    accepted_by: Line = Field(description="Who accepted them.", examples=["Head of marketing"])
    on: Day = Field(description="Day, as YYYY-MM-DD.", examples=["2026-03-31"])
    version: Line = Field(description="Which version of them.", examples=["2026-01"])


class ResponsibilityFile(Part):
    """Who answers for what is sent there; what is left out is shown as not stated."""

    decides: Line | None = Field(
        default=None,
        description="Who decides why the data is sent there.",
        examples=["Shop SAS, jointly with the platform"],
    )
    lawful_basis: p.LawfulBasis | None = Field(
        default=None,
        description="What it rests on: GDPR Article 6(1), (a) to (f).",
        examples=["consent"],
    )
    terms: TermsFile | None = Field(default=None, description="Of the recipient.")
    consent_source: Line | None = Field(
        default=None,
        description="Where consent was asked for.",
        examples=["banner of the shop, version 7"],
    )


def party_of(party: PartyFile | None) -> p.Party | None:
    """The party as the layers above read it."""
    return None if party is None else p.Party(**party.model_dump())


def responsibility_of(found: ResponsibilityFile | None) -> p.Responsibility | None:
    """The same of who answers for a destination."""
    if found is None:
        return None
    terms = found.terms
    return p.Responsibility(
        decides=found.decides,
        lawful_basis=found.lawful_basis,
        terms=None
        if terms is None
        else p.Terms(
            accepted_by=terms.accepted_by, on=date.fromisoformat(terms.on), version=terms.version
        ),
        consent_source=found.consent_source,
    )
