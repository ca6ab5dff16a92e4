"""The register of sub-processors of a project, and the recipients its customer chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from mayfly.domain.parties import Responsibility
from mayfly.domain.places import DEFAULT_GEOGRAPHY
from mayfly.domain.processors import Processor, digest, matches, review_overdue, why_not_engaged
from mayfly.domain.settings import Project
from mayfly.ports.destination import DestinationSpec
from mayfly.services.compiled_sync import Refusal
from mayfly.services.transfers import countries_of


@dataclass(frozen=True, kw_only=True, order=True)
class Use:
    """A host, and what of the project needs it, such as `keys` or `alerts.ops`."""

    what: str
    host: str


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """A destination that the customer chose: no sub-processor.

    `responsibility` is the customer's own word, None where there is none; `legal_name` is empty
    where no vendor is known.
    """

    name: str
    type: str
    kind: str
    legal_name: str
    countries: tuple[str, ...]
    responsibility: Responsibility | None

    def to_dict(self) -> dict[str, Any]:
        """As the register publishes it."""
        return {
            "name": self.name,
            "type": self.type,
            "kind": self.kind,
            "legal_name": self.legal_name or None,
            "countries": list(self.countries),
            "decides": self.responsibility.decides if self.responsibility else None,
        }


@dataclass(frozen=True, kw_only=True)
class Register:
    """All entries, by name, and the recipients; `digest` is the SHA-256 of the entries."""

    processors: tuple[Processor, ...]
    recipients: tuple[Recipient, ...]
    digest: str

    @property
    def active(self) -> tuple[Processor, ...]:
        """Those whose status is active. AI's are engaged only while it is on."""
        return self._of("active")

    @property
    def announced(self) -> tuple[Processor, ...]:
        """Those that are told of and not used yet."""
        return self._of("announced")

    @property
    def retired(self) -> tuple[Processor, ...]:
        """Those that ended."""
        return self._of("retired")

    @property
    def objected(self) -> tuple[Processor, ...]:
        """Those that are not engaged because somebody objected."""
        return self._of("objected")

    def listed(self, name: str) -> Sequence[Processor]:
        """The entries of one list: infrastructure, ai or affiliate."""
        return [p for p in self.processors if p.kind == name]

    def _of(self, status: str) -> tuple[Processor, ...]:
        return tuple(p for p in self.processors if p.status == status)


def register_of(project: Project, specs: Mapping[str, DestinationSpec]) -> Register:
    """The register of a project, sorted by name.

    Args:
        project: as it was loaded.
        specs: what each type of destination can do, by type (`mayfly.bootstrap.registry.SPECS`).
    """
    return Register(
        processors=tuple(project.processors[name] for name in sorted(project.processors)),
        recipients=tuple(_recipient(project, name, specs) for name in sorted(project.destinations)),
        digest=digest(project.processors),
    )


def overdue_reviews(project: Project, today: date) -> list[str]:
    """Names of active entries whose security was to be reviewed again before today."""
    entries = project.processors
    return [name for name in sorted(entries) if review_overdue(entries[name], today)]


def uncovered(
    project: Project, uses: Sequence[Use], stopped: Mapping[str, str], today: date
) -> list[Refusal]:
    """Why somebody whom a run would use may not be: nobody engaged answers for a host.

    A workspace without a register has nothing to hold its hosts to.

    Args:
        project: with its register.
        uses: hosts that are the operator's affair.
        stopped: entries that may not be used whatever their terms, and why: somebody objected, or
            was not told in time.
        today: the day.
    """
    return list(_uncovered(project, uses, stopped, today)) if project.processors else []


def _uncovered(
    project: Project, uses: Sequence[Use], stopped: Mapping[str, str], today: date
) -> Iterator[Refusal]:
    for use in uses:
        if any(matches(pattern, use.host) for pattern in project.register.own_hosts):
            continue
        covering = [p for p in project.processors.values() if p.covers(use.host)]
        if not covering:
            text = (
                f"{use.what}: no sub-processor in the register has the host {use.host}. Enter who "
                "is behind it under `processors`, or your own host under `processing.own_hosts`."
            )
            yield Refusal(code="processor_unregistered", column=None, message=text)
            continue
        reasons = {p.name: why_not_used(project, p, stopped, today) for p in covering}
        if all(reasons.values()):
            name, reason = min(reasons.items())
            text = f"{use.what}: sub-processor {name} ({use.host}) is not engaged: {reason}."
            yield Refusal(code="processor_not_active", column=None, message=text)


def why_not_used(
    project: Project, processor: Processor, stopped: Mapping[str, str], today: date
) -> str:
    """As `why_not_engaged`, and whether something else stops it."""
    if processor.name in stopped:
        return stopped[processor.name]
    workspace = project.workspace
    geography = workspace.geography or DEFAULT_GEOGRAPHY
    return why_not_engaged(processor, geography, workspace.ai, today)


def _recipient(project: Project, name: str, specs: Mapping[str, DestinationSpec]) -> Recipient:
    settings = project.destinations[name]
    spec = specs[settings.type]
    vendor = spec.processor
    return Recipient(
        name=name,
        type=settings.type,
        kind=settings.kind,
        legal_name=vendor.legal_name if vendor else settings.owner or "",
        # A vendor's, also while a sandbox on loopback stands for it.
        countries=tuple(sorted(vendor.countries if vendor else countries_of(spec, settings))),
        responsibility=settings.responsibility,
    )
