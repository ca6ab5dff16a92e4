"""The register of sub-processors of a project, and the recipients its customer chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.domain.parties import Responsibility
from mayfly.domain.processors import Processor, digest
from mayfly.domain.settings import Project
from mayfly.ports.destination import DestinationSpec
from mayfly.services.transfers import countries_of


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


def _recipient(project: Project, name: str, specs: Mapping[str, DestinationSpec]) -> Recipient:
    settings = project.destinations[name]
    spec = specs[settings.type]
    vendor = spec.processor
    return Recipient(
        name=name,
        type=settings.type,
        kind=settings.kind,
        legal_name=vendor.legal_name if vendor else settings.owner or "",
        countries=tuple(sorted(countries_of(spec, settings))),
        responsibility=settings.responsibility,
    )
