"""Results of plans and runs; `.to_dict()` equals what the commands print as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mayfly.domain.errors import EngineError
from mayfly.planning.spec import PlanCounts, SampleCell
from mayfly.ports.ledger import Recipient
from mayfly.services.compiled_sync import ColumnPlan, CompiledSync, Refusal
from mayfly.services.find_object import ObjectFound
from mayfly.services.mapped_no_more import MappedNoMore
from mayfly.services.run_tally import RunTally

RUN_AGAIN = "what was in doubt is looked at first."


@dataclass(frozen=True, kw_only=True)
class SyncPlan:
    """What one sync would do, as a bill.

    `bytes_scanned` is what the source says that one reading of the model costs; None where it does
    not tell. `never_asked` names the engine of a source that is compiled, not run.
    """

    compiled: CompiledSync
    destination: Mapping[str, Any]
    counts: PlanCounts | None
    refusals: tuple[Refusal, ...]
    found: ObjectFound = field(default_factory=ObjectFound)
    sample: tuple[tuple[SampleCell, ...], ...] = ()
    bytes_scanned: int | None = None
    never_asked: str = ""
    mapped_no_more: MappedNoMore = field(default_factory=MappedNoMore)

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly plan --output json` prints one sync: counts, and nothing of a value."""
        counts = self.counts or PlanCounts()
        return {
            "sync": self.compiled.sync.name,
            "mode": self.compiled.sync.mode,
            "destination": dict(self.destination),
            "purpose": self.compiled.sync.purpose,
            "consent": self._consent(counts),
            "columns": [self._column(c) for c in self.compiled.columns],
            "rows": counts.to_dict(),
            "mapped_no_more": self.mapped_no_more.to_dict(),
            "object": self.found.to_dict(),
            "bytes_scanned": self.bytes_scanned,
            "compiled_not_run": bool(self.never_asked),
            "refusals": [r.to_dict() for r in self.refusals],
        }

    def _consent(self, counts: PlanCounts) -> dict[str, Any] | None:
        """What states consent, on what basis, and how many rows of the model it grants."""
        shown = self.compiled.shown
        binding = self.compiled.model.consent.get(self.compiled.sync.purpose or "")
        if binding is None:
            return None
        return {
            "column": None if binding.column is None else shown.name(binding.column),
            "table": None if binding.table is None else shown.name(binding.table.name[1]),
            "lawful_basis": binding.lawful_basis,
            "notice_version": binding.notice_version,
            "granted": counts.granted,
            "constant": counts.granted > 0 and counts.withheld_consent == 0,
            "constant_reason": binding.constant,
        }

    def _column(self, column: ColumnPlan) -> dict[str, Any]:
        """A line of the bill; of what leaves as a match hash also how the values came."""
        spec = self.compiled.spec
        hashed = {f.name for f in spec.fields if f.ready_sql} if spec is not None else set()
        line = column.to_dict(self.compiled.shown)
        if column.to not in hashed or self.counts is None:
            return {**line}
        found = {v.field: v for v in self.counts.values}.get(column.to)
        ready, unusable = (found.ready, found.unusable) if found else (0, 0)
        return {**line, "already_hashed": ready, "unusable": unusable}


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """Plans of some syncs; `left_behind` are recipients that no sync goes to any more."""

    syncs: tuple[SyncPlan, ...]
    left_behind: tuple[Recipient, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is refused."""
        return not any(s.refusals for s in self.syncs)

    @property
    def changes(self) -> bool:
        """Whether a run would send anything."""
        return any(
            s.counts is not None
            and s.counts.added + s.counts.changed + s.counts.removed + s.mapped_no_more.total
            for s in self.syncs
        )

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly plan --output json` prints it."""
        return {
            "schema": "mayfly/plan/1",
            "ok": self.ok,
            "syncs": [s.to_dict() for s in self.syncs],
            "left_behind": [asdict(r) for r in self.left_behind],
        }


@dataclass(frozen=True, kw_only=True)
class SyncRun:
    """How the run of one sync ended; `withdrawals_held` is the code of what kept it from asking who
    withdrew, empty where nothing did.
    """

    sync: str
    run: str
    tally: RunTally
    status: str
    error: EngineError | None = None
    withdrawals_held: str = ""

    @property
    def exit_code(self) -> int:
        """Exit code that this sync asks for."""
        if self.error is not None and self.status in ("refused", "failed"):
            return type(self.error).exit_code
        return {"succeeded": 0, "no_changes": 0, "partial": 1, "failed": 1}.get(self.status, 4)

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly run --output json` prints one sync."""
        tally = self.tally
        document: dict[str, Any] = {
            "sync": self.sync,
            "run": self.run,
            "status": self.status,
            "rows": tally.rows(),
            "batches": tally.batches,
            "seconds": max(0.0, (tally.finished_ms - tally.started_ms) / 1000),
            "age_at_purge_seconds": tally.ages(),
            "withdrawal_seconds": tally.withdrawal_times(),
            "object": tally.found.to_dict(),
            "values": {
                "already_hashed": tally.values_ready,
                "unusable": tally.values_unusable,
                "outside_repertoire": tally.values_outside,
            },
        }
        if self.error is not None:
            document["error"] = self.error.to_dict()
        elif tally.error_code:
            document["error"] = {
                "code": tally.error_code,
                "message": tally.error_message,
                "hint": f"{tally.error_hint} Run again then; {RUN_AGAIN}"
                if tally.error_hint
                else f"Run again once it is back; {RUN_AGAIN}",
            }
        return document


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """How some runs ended; `left_behind` are recipients that no sync goes to any more."""

    syncs: tuple[SyncRun, ...]
    left_behind: tuple[Recipient, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every run is done."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 done; else refusals before what is held, and that before failures."""
        codes = {s.exit_code for s in self.syncs}
        return next((c for c in (2, 3, 4, 1) if c in codes), 0)

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly run --output json` prints it."""
        return {
            "schema": "mayfly/run/1",
            "ok": self.ok,
            "syncs": [s.to_dict() for s in self.syncs],
            "left_behind": [asdict(r) for r in self.left_behind],
        }


def refusal_of(error: EngineError) -> Refusal:
    """An error that keeps a sync from running, as a plan shows it."""
    return Refusal(code=error.code, column=None, message=f"{error.message} {error.hint}".strip())


def key_refusals(counts: PlanCounts) -> list[Refusal]:
    """What a run would refuse of the keys that were counted."""
    found = (
        ("key_null", counts.null_keys, "rows have a null in the primary key"),
        ("key_duplicate", counts.duplicate_keys, "primary keys stand on more than one row"),
        (
            "destination_key_duplicate",
            counts.duplicate_destination_keys,
            "destination keys would be written by more than one row",
        ),
    )
    return [
        Refusal(code=code, column=None, message=f"{number} {what}.")
        for code, number, what in found
        if number
    ]
