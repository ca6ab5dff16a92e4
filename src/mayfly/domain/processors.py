"""Sub-processors: who works for the operator, on what terms, and whether it is engaged.

What can be said from the register alone, `faults` says; what depends on the day, `why_not_engaged`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from mayfly.domain.places import EEA
from mayfly.domain.transfers import Mechanism, Transfer, is_adequate, is_transfer, why_not

Status = Literal["announced", "active", "objected", "retired"]
ListName = Literal["infrastructure", "ai", "affiliate"]
AiSwitch = Literal["off", "eu", "global"]
RegisterMechanism = Literal["none_eea"] | Mechanism
NOTICE_DAYS = 30
"""From the announcement to the engagement, at least; a workspace may ask for more."""


@dataclass(frozen=True, kw_only=True)
class Dpa:
    """The contract on processing; without `expires` it goes on until somebody ends it."""

    reference: str
    version: str
    signed: date
    expires: date | None = None


@dataclass(frozen=True, kw_only=True)
class Security:
    """The last review of its security, and when the next is due."""

    report: str
    reviewed: date
    next_due: date


@dataclass(frozen=True, kw_only=True)
class TransferTerms:
    """What carries its transfers, and which assessment of them was made when."""

    mechanism: RegisterMechanism
    assessment: str | None = None
    assessed: date | None = None


@dataclass(frozen=True, kw_only=True)
class Processor:
    """One entry of the register.

    Args:
        name: in the project files.
        kind: which list it stands on.
        locations: countries, by code, in which it has the data.
        hosts: names of hosts, of which `*.` stands for whatever is below one.
        ai_only: engaged only while AI is on.
        parent: whose sub-processor it is, by name; empty for the operator's own.
        announced: when it was told of; `effective` is when it is engaged, `retired` when no more.
        objection_deadline: until when one may object.
    """

    name: str
    kind: ListName
    legal_name: str
    address: str
    contact: str
    purpose: str
    data_categories: tuple[str, ...]
    locations: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    ai_only: bool = False
    parent: str = ""
    status: Status
    announced: date
    effective: date
    objection_deadline: date | None = None
    retired: date | None = None
    dpa: Dpa | None = None
    security: Security | None = None
    transfer: TransferTerms | None = None

    @property
    def in_eea(self) -> bool:
        """Whether it has the data in the European Economic Area only."""
        return set(self.locations) <= EEA

    def covers(self, host: str) -> bool:
        """Whether a host is one of its own."""
        return any(matches(pattern, host) for pattern in self.hosts)

    def to_dict(self) -> dict[str, Any]:
        """As the register publishes it."""
        terms = self.transfer
        return {
            "name": self.name,
            "kind": self.kind,
            "legal_name": self.legal_name,
            "address": self.address,
            "contact": self.contact,
            "purpose": self.purpose,
            "data_categories": sorted(self.data_categories),
            "locations": sorted(self.locations),
            "hosts": sorted(self.hosts),
            "condition": "ai" if self.ai_only else None,
            "parent": self.parent or None,
            "status": self.status,
            "announced": self.announced.isoformat(),
            "effective": self.effective.isoformat(),
            "objection_deadline": _day(self.objection_deadline),
            "retired": _day(self.retired),
            "dpa": self.dpa
            and {
                "reference": self.dpa.reference,
                "version": self.dpa.version,
                "signed": self.dpa.signed.isoformat(),
                "expires": _day(self.dpa.expires),
            },
            "security": self.security
            and {
                "report": self.security.report,
                "date": self.security.reviewed.isoformat(),
                "next_due": self.security.next_due.isoformat(),
            },
            "transfer": terms
            and {
                "mechanism": terms.mechanism,
                "assessment": terms.assessment,
                "date": _day(terms.assessed),
            },
        }


@dataclass(frozen=True, kw_only=True)
class RegisterSettings:
    """What the workspace asks of its register.

    Args:
        notice_days: from announcement to engagement, at least.
        own_hosts: hosts of the operator's own, which are nobody else's; patterns as of processors.
        mail: the channel under alerts that notices are mailed through; empty without.
        probe: address and port of a server that the network is to refuse; empty without.
    """

    notice_days: int = NOTICE_DAYS
    own_hosts: tuple[str, ...] = ()
    mail: str = ""
    probe: str = ""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What an entry may not be: the key it is about, a code, what was expected."""

    key: str
    code: str
    message: str


def faults(processor: Processor, notice_days: int, geography: str) -> Iterator[Fault]:
    """What is wrong with an entry, on whatever day."""
    soonest = processor.announced + timedelta(days=notice_days)
    if processor.effective < soonest:
        expected = f"expected {soonest} or later, {notice_days} days after it was announced"
        yield Fault(key="effective", code="notice_too_short", message=expected)
    yield from _dates(processor)
    if processor.status != "active":
        return
    if processor.dpa is None:
        expected = "expected `dpa`: without a contract nobody is active"
        yield Fault(key="status", code="processor_without_dpa", message=expected)
    elif processor.dpa.signed > processor.effective:
        expected = f"expected a contract signed by {processor.effective}, when it is engaged"
        yield Fault(key="dpa", code="processor_without_dpa", message=expected)
    outside = [c for c in sorted(processor.locations) if is_transfer(c, geography)]
    terms = processor.transfer
    if outside and (terms is None or terms.mechanism == "none_eea"):
        expected = f"expected what carries the transfer to {', '.join(outside)}"
        yield Fault(key="status", code="processor_without_transfer", message=expected)


def _dates(processor: Processor) -> Iterator[Fault]:
    first, last = processor.announced, processor.effective
    deadline, retired = processor.objection_deadline, processor.retired
    if deadline is not None and not first <= deadline <= last:
        expected = f"expected a day from {first} to {last}, while it is not engaged yet"
        yield Fault(key="objection_deadline", code="dates_disagree", message=expected)
    if (processor.status == "retired") != (retired is not None):
        expected = "expected the day of the end where, and only where, the status is retired"
        yield Fault(key="status", code="dates_disagree", message=expected)
    elif retired is not None and retired < first:
        expected = f"expected {first} or later, when it was announced"
        yield Fault(key="retired", code="dates_disagree", message=expected)
    dpa, security = processor.dpa, processor.security
    if dpa is not None and dpa.expires is not None and dpa.expires < dpa.signed:
        expected = f"expected {dpa.signed} or later, when it was signed"
        yield Fault(key="dpa", code="dates_disagree", message=expected)
    if security is not None and security.next_due < security.reviewed:
        expected = f"expected {security.reviewed} or later, the day of the review"
        yield Fault(key="security", code="dates_disagree", message=expected)


def why_not_engaged(processor: Processor, geography: str, ai: AiSwitch, today: date) -> str:
    """Why an entry may not be used on a day; empty where it may."""
    if processor.status != "active":
        return f"its status is {processor.status}"
    if processor.effective > today:
        return f"it is engaged from {processor.effective} on"
    if processor.dpa is None or processor.dpa.signed > today:
        return "no contract on processing is signed"
    if processor.dpa.expires is not None and processor.dpa.expires < today:
        return f"its contract expired on {processor.dpa.expires}"
    if processor.ai_only and ai == "off":
        return "AI is off"
    if processor.ai_only and ai == "eu" and not processor.in_eea:
        return "AI is on in the European Economic Area only"
    return _not_carried(processor, geography, today)


def _not_carried(processor: Processor, geography: str, today: date) -> str:
    terms = processor.transfer
    for country in sorted(processor.locations):
        if not is_transfer(country, geography):
            continue
        if terms is None or terms.mechanism == "none_eea":
            return f"nothing carries the transfer to {country}"
        if geography == "eu" and is_adequate(country, today):
            continue
        reason = why_not(Transfer(country=country, mechanism=terms.mechanism), geography, today)
        if reason:
            return f"the transfer to {country} is not carried: {reason}"
    return ""


def review_overdue(processor: Processor, today: date) -> bool:
    """Whether the review of an active one's security is late; one without any review is."""
    if processor.status != "active":
        return False
    return processor.security is None or processor.security.next_due < today


def matches(pattern: str, host: str) -> bool:
    """Whether a host is the one of a pattern, or below it where the pattern begins with `*.`."""
    host = host.lower().rstrip(".")
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) >= len(pattern)
    return host == pattern


def canonical(processors: Mapping[str, Processor]) -> bytes:
    """The register's one spelling, of which its digest is made."""
    entries = [processors[name].to_dict() for name in sorted(processors)]
    document = {"schema": "mayfly/register/1", "processors": entries}
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(processors: Mapping[str, Processor]) -> str:
    """SHA-256 of the register, in hexadecimal digits."""
    return hashlib.sha256(canonical(processors)).hexdigest()


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None
