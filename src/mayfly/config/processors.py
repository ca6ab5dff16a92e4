"""The shape of the register of sub-processors in the project files, and its rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.fields import Country, Formed, Line, Name, Part
from mayfly.config.findings import Findings, Spots
from mayfly.config.parties import Day
from mayfly.domain import processors as d
from mayfly.domain.places import DEFAULT_GEOGRAPHY

HostPattern = Annotated[
    str,
    Formed(r"((\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+|[0-9a-f:]+)"),
]
Probe = Annotated[str, Formed(r"([0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5}")]
Category = Annotated[str, Formed(r"[a-z][a-z_]*(\.[a-z][a-z_]*)*")]


class DpaFile(Part):
    """The contract on processing (GDPR Article 28(3))."""

    reference: Line = Field(description="Where it is filed.", examples=["DPA-2026-014"])
    version: Line = Field(description="Of its text.", examples=["2026-03"])
    signed: Day = Field(description="When it was signed.", examples=["2026-03-01"])
    expires: Day | None = Field(default=None, description="Its last day; without it, none.")


class SecurityFile(Part):
    """The last review of its security."""

    report: Line = Field(description="What was reviewed.", examples=["SOC 2 Type II, 2026"])
    date: Day = Field(description="When.", examples=["2026-02-01"])
    next_due: Day = Field(description="When the next is due.", examples=["2027-02-01"])


class TransferTermsFile(Part):
    """What carries its transfers out of the workspace's law."""

    mechanism: d.RegisterMechanism = Field(
        description="`none_eea` where there are none, `adequacy`, `dpf`, `scc`, `idta`, or "
        "`none_required` where the law of the workspace asks for none.",
        examples=["scc"],
    )
    assessment: Line | None = Field(default=None, description="Name of the assessment.")
    date: Day | None = Field(default=None, description="When that was made.")


class ProcessorFile(Part):
    """A sub-processor: who works for the operator of this installation, and on what terms."""

    kind: Literal["infrastructure", "ai", "affiliate"] = Field(
        default="infrastructure",
        description="Which list it stands on; `ai` is engaged while `workspace.ai` is on.",
    )
    legal_name: Line = Field(
        description="Name of the company.", examples=["Google Cloud EMEA Limited"]
    )
    address: Line = Field(description="Where it has its seat.", examples=["Dublin, Ireland"])
    contact: Line = Field(description="How its privacy office is reached.")
    purpose: Line = Field(description="What it does.", examples=["Hosting"])
    data_categories: Annotated[list[Category], Field(min_length=1)] = Field(
        description="Categories of data, as in Fides.", examples=["user.contact.email"]
    )
    locations: Annotated[list[Country], Field(min_length=1)] = Field(
        description="Countries, by code, in which it has the data.", examples=["IE"]
    )
    hosts: list[HostPattern] = Field(
        default=[],
        description="Hosts it is reached at; `*.` stands for whatever is below one.",
        examples=["*.googleapis.com"],
    )
    condition: Literal["ai"] | None = Field(
        default=None, description="`ai`: engaged only while `workspace.ai` is on."
    )
    parent: Name | None = Field(
        default=None, description="Whose sub-processor it is: another entry's name."
    )
    status: Literal["announced", "active", "objected", "retired"] = Field(
        description="What it is today; one that is `announced` is not used."
    )
    announced: Day = Field(description="When it was told of.", examples=["2026-09-01"])
    effective: Day = Field(description="From when on it is engaged.", examples=["2026-10-01"])
    objection_deadline: Day | None = Field(
        default=None, description="Last day to object; by default the day before it is engaged."
    )
    retired: Day | None = Field(default=None, description="When it ended, of a retired one.")
    dpa: DpaFile | None = Field(default=None, description="The contract; an active one has it.")
    security: SecurityFile | None = Field(default=None, description="The review of its security.")
    transfer: TransferTermsFile | None = Field(
        default=None, description="What carries its transfers; an active one abroad has it."
    )


class RegisterFile(Part):
    """What the workspace asks of its register of sub-processors."""

    notice_days: int = Field(
        default=d.NOTICE_DAYS,
        ge=d.NOTICE_DAYS,
        le=365,
        description="Days from a change's announcement to its beginning.",
    )
    own_hosts: list[HostPattern] = Field(
        default=[],
        description="Hosts of one's own, which no entry has to cover.",
        examples=["*.internal.example.com"],
    )
    mail: Name | None = Field(
        default=None, description="Channel under `alerts`, of type mail, that notices go through."
    )
    probe: Probe | None = Field(
        default=None,
        description="Address and port of a server of yours that answers and that nothing else of "
        "the project names: `doctor` tries whether the network refuses it.",
        examples=["10.9.8.7:443"],
    )


_HINTS = {
    "notice_too_short": "Who has to be told has time to object; say a later day.",
    "dates_disagree": "Correct the day, or the one that it follows.",
    "processor_without_dpa": "Name the contract, or leave it announced until one is signed.",
    "processor_without_transfer": "Name `transfer: {mechanism: …}`, or leave it announced.",
}


def processor_of(name: str, file: ProcessorFile) -> d.Processor:
    """An entry as the layers above read it."""
    return d.Processor(
        name=name,
        kind=file.kind,
        legal_name=file.legal_name,
        address=file.address,
        contact=file.contact,
        purpose=file.purpose,
        data_categories=tuple(file.data_categories),
        locations=tuple(file.locations),
        hosts=tuple(file.hosts),
        ai_only=file.kind == "ai" or file.condition == "ai",
        parent=file.parent or "",
        status=file.status,
        announced=date.fromisoformat(file.announced),
        effective=date.fromisoformat(file.effective),
        objection_deadline=_maybe(file.objection_deadline),
        retired=_maybe(file.retired),
        dpa=_dpa(file.dpa) if file.dpa else None,
        security=_security(file.security) if file.security else None,
        transfer=_transfer(file.transfer) if file.transfer else None,
    )


def _dpa(file: DpaFile) -> d.Dpa:
    return d.Dpa(
        reference=file.reference,
        version=file.version,
        signed=date.fromisoformat(file.signed),
        expires=_maybe(file.expires),
    )


def _security(file: SecurityFile) -> d.Security:
    return d.Security(
        report=file.report,
        reviewed=date.fromisoformat(file.date),
        next_due=date.fromisoformat(file.next_due),
    )


def _transfer(file: TransferTermsFile) -> d.TransferTerms:
    return d.TransferTerms(
        mechanism=file.mechanism, assessment=file.assessment, assessed=_maybe(file.date)
    )


def register_settings(file: RegisterFile) -> d.RegisterSettings:
    """What the workspace asks, as the layers above read it."""
    return d.RegisterSettings(
        notice_days=file.notice_days,
        own_hosts=tuple(file.own_hosts),
        mail=file.mail or "",
        probe=file.probe or "",
    )


def check_processors(
    files: Mapping[str, ProcessorFile],
    register: RegisterFile,
    geography: str | None,
    spots: Spots,
    findings: Findings,
) -> None:
    """What holds of every entry on whatever day, and that each parent is there."""
    for name, file in files.items():
        at = ("processors", name)
        where = geography or DEFAULT_GEOGRAPHY
        for fault in d.faults(processor_of(name, file), register.notice_days, where):
            label = ".".join((*at, fault.key))
            spot = spots.value(*at, fault.key)
            findings.add(spot, fault.code, f"{label}: {fault.message}", _HINTS[fault.code])
        if file.parent is None:
            continue
        label, spot = f"processors.{name}.parent", spots.value(*at, "parent")
        if file.parent not in files:
            message = f"{label}: no such processor"
            findings.add_unknown(spot, "unknown_processor", message, file.parent, files)
        elif name in _chain(name, files):
            message = f"{label}: expected a chain that ends; this one leads back to itself"
            findings.add(spot, "processor_chain", message)


def _chain(name: str, files: Mapping[str, ProcessorFile]) -> set[str]:
    """Those above an entry, itself too where the chain leads back to it."""
    above: set[str] = set()
    parent = files[name].parent
    while parent is not None and parent in files and parent not in above:
        above.add(parent)
        parent = files[parent].parent
    return above


def _maybe(day: str | None) -> date | None:
    return date.fromisoformat(day) if day else None
