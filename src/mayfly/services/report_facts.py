"""What reports are made from: records, settings and what was found live. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mayfly.domain.credentials import SealedCredential
from mayfly.domain.erasures import ErasureRequest, ErasureStep
from mayfly.domain.held import HeldBatch
from mayfly.domain.incidents import Incident
from mayfly.domain.register_changes import Objection, SentNotice
from mayfly.domain.runs import ApprovalRecord, RunRecord
from mayfly.domain.settings import DestinationSettings, Project
from mayfly.ledger.entry import Entry, EntryType, parse_time
from mayfly.ports.destination import DestinationSpec
from mayfly.ports.keys import KeyVersion
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.register import Register
from mayfly.services.report_document import Evidence
from mayfly.services.report_retention import Period
from mayfly.services.residency_report import ResidencyRow


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What could not be had, and the code of why."""

    code: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known when a report is made.

    Args:
        project, specs: as configured; what the kinds of its destinations can do.
        config_sha256: digest of the project files.
        workspace_id, software: whose report it is, and what made it.
        now, period: of the report.
        entries, checkpoint, root, key_line: the whole ledger, its signed head, the head's root,
            and the public key that checks it.
        anchored, anchors: whether checkpoints of all of it are kept elsewhere, and where.
        keys, key_versions: who holds the keys, and the versions of the one that wraps.
        compiled: by sync what leaves it; `approved` whether somebody approved just that.
        approvals: in force.
        runs: all that the store has.
        requests: for people, with how far each destination is.
        suppressed: entries of the suppression list by kind.
        list_current: whether the list is what is on record.
        held, held_bytes: sealed batches, and how many bytes they are.
        credentials: versions of what destinations log in with, sealed.
        packages: distributions that run, with their versions.
        probes: mechanisms by name that were tried just now, and whether they held.
        places: where each part is planned and found.
        register: of sub-processors and recipients; `notices` of its changes that were sent or
            tried, `objections` in force.
        incidents: every one that the store has.
    """

    project: Project
    specs: Mapping[str, DestinationSpec]
    config_sha256: str
    workspace_id: str
    software: str
    now: datetime
    period: Period
    entries: Sequence[Entry]
    checkpoint: str
    root: str
    key_line: str
    anchored: bool
    anchors: Sequence[Mapping[str, Any]]
    keys: Mapping[str, str]
    key_versions: Sequence[KeyVersion] | Missing
    compiled: Mapping[str, CompiledSync | Missing]
    approved: Mapping[str, bool]
    approvals: Mapping[str, ApprovalRecord | None]
    runs: Sequence[RunRecord]
    requests: Sequence[tuple[ErasureRequest, Sequence[ErasureStep]]]
    suppressed: Mapping[str, int]
    list_current: bool
    held: Sequence[HeldBatch] | Missing
    held_bytes: int | Missing
    credentials: Sequence[SealedCredential]
    packages: Sequence[tuple[str, str]]
    places: Sequence[ResidencyRow] | Missing
    register: Register
    notices: Sequence[SentNotice]
    objections: Sequence[Objection]
    incidents: Sequence[Incident]
    probes: Mapping[str, bool] = field(default_factory=dict)

    def spec(self, destination: str) -> DestinationSpec:
        """What the kind of a destination can do."""
        return self.specs[self.project.destinations[destination].type]

    def is_external(self, settings: DestinationSettings) -> bool:
        """Whether who receives there is somebody else."""
        return self.specs[settings.type].always_external or settings.kind != "internal"

    def recipient(self, settings: DestinationSettings) -> str | None:
        """Legal name of who receives there; None where nobody says."""
        processor = self.specs[settings.type].processor
        return processor.legal_name if processor else settings.owner

    def in_period(self, *types: EntryType) -> list[Entry]:
        """Entries of some types, of the period."""
        return [e for e in self.entries if e.type in types and self.period.holds(at_of(e))]

    def runs_in_period(self) -> list[RunRecord]:
        """Runs that began in it."""
        return [r for r in self.runs if self.period.holds(r.started_at)]

    def lost_runs(self) -> int:
        """How many runs of the period the ledger knows and the store does not."""
        known = {r.run_id for r in self.runs}
        began = {e.run for e in self.in_period(EntryType.CREATED, EntryType.DELIVERED)}
        return len(began - known)

    def ledger(self, command: str) -> Evidence:
        """The whole ledger as evidence."""
        last = len(self.entries) - 1
        where = f"ledger, entries 0 to {last}" if self.entries else "ledger, no entry"
        return Evidence(source="ledger", where=where, command=command)

    def ledger_of(self, entries: Iterable[Entry], command: str) -> Evidence:
        """Some of its entries as evidence; of the whole where there is none."""
        places = [e.seq for e in entries if e.seq is not None]
        if not places:
            return self.ledger(command)
        where = f"ledger, {len(places)} of entries {min(places)} to {max(places)}"
        return Evidence(source="ledger", where=where, command=command)

    def store(self, table: str, command: str) -> Evidence:
        """A table of the store as evidence."""
        return Evidence(source="store", where=f"store, table {table}", command=command)

    def configuration(self, command: str = "mayfly plan") -> Evidence:
        """The project files as evidence."""
        where = f"project files, {self.config_sha256[:16]}…"
        return Evidence(source="configuration", where=where, command=command)

    def program(self, where: str, command: str = "") -> Evidence:
        """What the program itself is as evidence."""
        return Evidence(source="program", where=f"{self.software}, {where}", command=command)


def at_of(entry: Entry) -> datetime:
    """When an entry was recorded."""
    if entry.at is None:
        raise ValueError("an entry of a ledger has a time")
    return parse_time(entry.at)


def time_of(at: datetime | None) -> str | None:
    """A time as reports have it: to the second."""
    return None if at is None else at.isoformat(timespec="seconds")


def milliseconds(seconds: float) -> int:
    """Whole milliseconds."""
    return round(seconds * 1000)
