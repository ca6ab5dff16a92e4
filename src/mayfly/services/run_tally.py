"""What a run counted. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass, field

from mayfly.domain.batch import Operation
from mayfly.domain.errors import PolicyError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import BatchInfo, OpenPlan, Plan, WithdrawalTimes
from mayfly.services.find_object import ObjectFound
from mayfly.services.withdrawals import Withdrawals, spread_of


@dataclass(kw_only=True)
class RunTally:
    """Counts of one run as it goes; `to_dict` is what `mayfly run` prints.

    `open_run` is the run whose plan is open in the plan store, this one or an earlier; `stopped`
    why it sent no further batch, where that was not asked for; `unanswered` are batches that
    another worker began for it, and did not tell the answer to.
    """

    started_ms: int = 0
    finished_ms: int = 0
    status: str = "running"
    rows_planned: int = 0
    rows_done: int = 0
    delivered: int = 0
    unconfirmed: int = 0
    rejected: int = 0
    removed: int = 0
    deferred: int = 0
    withheld_guard: int = 0
    clear_values: int = 0
    withheld_consent: int = 0
    suppressed: int = 0
    recovered: int = 0
    sealed: int = 0
    values_ready: int = 0
    values_unusable: int = 0
    values_outside: int = 0
    batches: int = 0
    open_run: str | None = None
    error_code: str | None = None
    error_message: str = ""
    error_hint: str = ""
    found: ObjectFound = field(default_factory=ObjectFound)
    withdrawn: dict[int, WithdrawalTimes] = field(default_factory=dict)
    withdrawals: Withdrawals = field(default_factory=Withdrawals)
    asked_withdrawals: bool = False
    stopped: PolicyError | None = None
    unanswered: int = 0
    _ages: list[tuple[float, int]] = field(default_factory=list)

    def planned(self, plan: Plan) -> None:
        """Take the plan's counts."""
        self.rows_planned += sum(b.rows for b in plan.batches)
        self.withheld_consent = plan.counts.withheld_consent
        self.suppressed = plan.counts.suppressed
        self.withheld_guard = plan.counts.outside
        self.values_ready = sum(v.ready for v in plan.counts.values)
        self.values_outside = plan.counts.outside_worker
        self.values_unusable = sum(v.unusable for v in plan.counts.values)

    def waits(self, plan: OpenPlan) -> None:
        """Take what an earlier run's plan has not delivered: this one has not come to it."""
        if self.rows_planned == self.rows_done:
            self.rows_planned += sum(b.rows for b in plan.batches if not b.acknowledged)

    def acknowledged(self, info: BatchInfo, outcomes: Outcomes, *, seconds: float) -> None:
        """Take the outcomes of one batch; `seconds` is how long its rows were held here."""
        removal = info.operation is Operation.REMOVE
        accepted = outcomes.count(OutcomeCode.ACCEPTED)
        unconfirmed = outcomes.count(OutcomeCode.UNCONFIRMED)
        if removal:
            self.removed += accepted + unconfirmed
        else:
            self.delivered += accepted
            self.unconfirmed += unconfirmed
        self.rejected += outcomes.count(OutcomeCode.REJECTED)
        self.withheld_guard += outcomes.count(OutcomeCode.WITHHELD)
        self.deferred += outcomes.count(OutcomeCode.DEFERRED)
        self.clear_values += sum(r.code == "clear_value" for r in outcomes.reasons.values())
        self.rows_done += info.rows
        self.batches += 1
        self._ages.append((seconds, info.rows))

    def taken_out(self, info: BatchInfo, outcomes: Outcomes, *, now_ms: int) -> None:
        """Take how long withdrawals of one batch took, from their stamps to the answer."""
        times = self.withdrawn.pop(info.number, None)
        if times is not None:
            self.withdrawals.answered(times, outcomes, now_ms=now_ms)

    def held_by(self, error: TransientError) -> None:
        """The destination, or the warehouse, stays away."""
        self.status = "held"
        self.error_code = error.code
        self.error_message = error.message
        self.error_hint = error.hint

    def closed(self) -> None:
        """The plan was closed; say how the run ended."""
        if self.status == "cancelled":
            return
        if not self.rows_planned:
            self.status = "no_changes"
        elif self.rejected or self.deferred or self.withheld_guard:
            self.status = "partial"
        else:
            self.status = "succeeded"

    @property
    def held(self) -> int:
        """Planned rows that no answer came for."""
        return self.rows_planned - self.rows_done if self.status == "held" else 0

    def ages(self) -> dict[str, float]:
        """Age at purge in seconds over rows: p50, p95 and the most."""
        return spread_of(self._ages)

    def withdrawal_times(self) -> dict[str, object]:
        """How long withdrawals took, and how long those wait that no answer came for."""
        return self.withdrawals.to_dict(self.withdrawn.values(), now_ms=self.finished_ms)

    def rows(self) -> dict[str, int]:
        """The counts under their public names."""
        return {
            "planned": self.rows_planned,
            "delivered": self.delivered,
            "unconfirmed": self.unconfirmed,
            "rejected": self.rejected,
            "deferred": self.deferred,
            "withheld_consent": self.withheld_consent,
            "withheld_guard": self.withheld_guard,
            "suppressed": self.suppressed,
            "removed": self.removed,
            "held": self.held,
        }
