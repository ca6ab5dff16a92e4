"""Taking a model's rows as delivered that another tool sent before: nothing leaves.

It is planned as a run would plan it, so that consent and suppression hold, and every row passes the
gate. What a run would send then enters the state as if it had been.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from mayfly.domain.errors import ConfigError, PolicyError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ledger.entry import AS_DELIVERED, Entry, EntryType
from mayfly.planning.spec import BatchInfo, Plan, PlanSpec, PlanWorker
from mayfly.ports.ledger import Ledger
from mayfly.ports.planstore import PlanStore
from mayfly.privacy.gate.gate import GatePolicy, pass_gate
from mayfly.services.check_plan import check_plan
from mayfly.services.deliver import spread


@dataclass(frozen=True, kw_only=True)
class Taking:
    """What is needed to take a sync's rows as delivered; see `Run`."""

    spec: PlanSpec
    policy: GatePolicy
    store: PlanStore
    worker: PlanWorker
    ledger: Ledger
    entry: Callable[..., Entry]
    now_ms: Callable[[], int]
    holder: str
    alive: Callable[[str], bool]
    withheld_share_max: float = 1.0


def take_as_delivered(taking: Taking) -> int:
    """Enter what a run would send in the state, which must be empty; how many rows.

    Raises:
        PolicyError: `state_exists`; `plan_open`, a run left its plan open; `nothing_to_take`; what
            refuses a plan; `withheld_threshold`.
        TransientError: `run_active`; whatever is away. Once batches were entered, the state is
            there in part, and is dropped before it is taken again.
    """
    store, spec = taking.store, taking.spec
    store.acquire(spec, holder=taking.holder, now_ms=taking.now_ms(), alive=taking.alive)
    try:
        if store.open_plan() is not None:
            raise PolicyError(
                "plan_open",
                "A run of the sync left its plan open.",
                hint="End it with `mayfly purge`, and forget what it delivered.",
            )
        return _take(taking, _plan(taking))
    finally:
        # Where the store is away, the lease runs out by itself.
        with suppress(TransientError, ConfigError):
            store.release()


def _plan(taking: Taking) -> Plan:
    """The working copy is in the ledger before it is made."""
    ledger, entry = taking.ledger, taking.entry

    def check(plan: Plan) -> None:
        if plan.counts.state_rows:
            raise PolicyError(
                "state_exists",
                "The sync has a state that holds rows already.",
                hint="Keep it, or forget it first with `mayfly state drop`.",
            )
        check_plan(plan, taking.spec, accept_removals=0)
        if not plan.batches:
            raise PolicyError("nothing_to_take", "The model has no row that may be delivered.")

    ledger.append([entry(EntryType.CREATED)])
    try:
        return taking.store.create(taking.spec, taking.worker, check=check)
    except Exception:
        ledger.append([entry(EntryType.DROPPED, reason="not_made")])
        raise


def _take(taking: Taking, plan: Plan) -> int:
    """All is looked at before the first batch is entered: what is refused leaves an empty state."""
    try:
        found = [(info, _outcomes(taking, plan, info)) for info in plan.batches]
    except Exception:
        _close(taking, "not_taken")
        raise
    rows = sum(outcomes.count(OutcomeCode.ACCEPTED) for _, outcomes in found)
    reason = f"{AS_DELIVERED}{taking.spec.identity.sid}"
    taking.ledger.append([taking.entry(EntryType.STATE_ADOPTED, rows=rows, reason=reason)])
    for info, outcomes in found:
        # An append of which some were begun is asked about, and not sent, after a crash in between.
        whole = outcomes.count(OutcomeCode.ACCEPTED) == info.rows
        taking.store.intent(info.number, None if whole else outcomes)
    for info, outcomes in found:
        taking.store.outcome(info.number, outcomes)
    _close(taking, "done")
    return rows


def _outcomes(taking: Taking, plan: Plan, info: BatchInfo) -> Outcomes:
    """Of one batch: taken, but for what the gate withholds or may not go by now."""
    [batch] = taking.store.read(taking.spec, [info], taking.worker, of=len(plan.batches))
    gated = pass_gate(batch, taking.policy)
    if len(gated.withheld) > taking.withheld_share_max * info.rows:
        raise PolicyError(
            "withheld_threshold",
            f"The gate would withhold {len(gated.withheld)} of {info.rows} rows of a batch.",
            hint="Correct classes, rules or the model first; no tool should have sent them.",
        )
    taken = Outcomes.all_of(OutcomeCode.ACCEPTED, len(gated.positions))
    return spread(taken, gated.positions, info.rows, dict(gated.withheld))


def _close(taking: Taking, reason: str) -> None:
    report = taking.store.close(taking.spec, now_ms=taking.now_ms())
    taking.ledger.append([taking.entry(EntryType.DROPPED, rows=report.rows, reason=reason)])
