"""What refuses a plan before anything of it is sent: keys that are not unique, and mass changes."""

from __future__ import annotations

from mayfly.domain.batch import Operation
from mayfly.domain.errors import PolicyError
from mayfly.planning.spec import (
    GUARD_ROWS,
    GUARD_SHARE,
    Plan,
    PlanCounts,
    PlanSpec,
    RowClass,
)

CONSTANT_ROWS = 100
"""So many rows that all grant are no chance any more: of people of whom nine in ten agree, once in
40,000 times."""


def check_plan(
    plan: Plan, spec: PlanSpec, *, accept_removals: int, guard_rows: int = GUARD_ROWS
) -> None:
    """Refuse a plan whose keys are not unique, or that would change too much at once. Of one of
    withdrawals alone nothing is refused but a field that is taken out of many.

    Args:
        plan: with its counts.
        spec: it was made by.
        accept_removals: how many rows the mass-change guard lets through.
        guard_rows: fewer rows taken back or sent again are never a mass change.

    Raises:
        PolicyError: `key_null`, `key_duplicate`, `destination_key_duplicate`, `consent_constant`,
            `mass_change`.
    """
    if spec.only_withdrawals:
        _refuse_taken_out(plan, spec, max(accept_removals, 0), guard_rows)
        return
    _refuse_keys(plan, spec)
    refuse_constant_consent(plan.counts, spec)
    counts = plan.counts
    # A full refresh was asked for: that all rows go again is no surprise; who would leave still is.
    resend = 0 if spec.full_refresh else counts.resend
    # What an upsert leaves in place is not taken back.
    left = counts.left if RowClass.LEFT in spec.removes else 0
    # Where nobody is taken back it is additions that stop.
    guarded = resend + counts.unknown
    if Operation.REMOVE in {b.operation for b in plan.batches}:
        guarded += left
    allowed = max(accept_removals, 0)
    share = GUARD_SHARE * counts.state_rows
    if guarded >= guard_rows and guarded > share and guarded > allowed:
        raise PolicyError(
            "mass_change",
            f"Sync {spec.identity.sync} would take back or send again {guarded} of "
            f"{counts.state_rows} rows: {left} left the model, {counts.unknown} have no "
            f"known consent any more, {resend} by a changed rule or mapping.",
            hint=f"If that is meant, run once with --accept removals={guarded}.",
        )


def _refuse_taken_out(plan: Plan, spec: PlanSpec, allowed: int, guard_rows: int) -> None:
    names = [f.name for f in spec.fields if f.taken_out]
    rows = sum(b.rows for b in plan.batches if b.identifier in names)
    delivered = plan.counts.state_rows
    if is_mass_taken_out(rows, delivered, guard_rows=guard_rows) and rows > allowed:
        raise PolicyError(
            "mass_change",
            f"Sync {spec.identity.sync} would take out {rows} identifiers of {', '.join(names)}, "
            f"which its mapping does not have any more, and send who had them again; {delivered} "
            "rows are delivered.",
            hint=f"If that is meant, run once with --accept removals={rows}.",
        )


def is_mass_taken_out(rows: int, delivered: int, *, guard_rows: int = GUARD_ROWS) -> bool:
    """Whether so many identifiers of what is mapped no more are taken out only by a word.

    Args:
        rows: that would be taken out.
        delivered: rows of the state.
        guard_rows: as of `check_plan`.
    """
    return rows >= guard_rows and rows > GUARD_SHARE * delivered


def refuse_constant_consent(counts: PlanCounts, spec: PlanSpec) -> None:
    """Of so many people some refuse: where nobody does, what is read is no answer of theirs.

    Raises:
        PolicyError: `consent_constant`.
    """
    consent = spec.consent
    if not spec.external or consent is None or consent.constant:
        return
    if counts.withheld_consent or counts.granted < CONSTANT_ROWS:
        return
    raise PolicyError(
        "consent_constant",
        f"Sync {spec.identity.sync}: the consent source grants all {counts.granted} rows of the "
        "model, as a constant would.",
        hint="Bind what people answered. Where the model holds only who agreed, say so under "
        "`constant` of the binding, which is part of the approval.",
    )


def _refuse_keys(plan: Plan, spec: PlanSpec) -> None:
    counts = plan.counts
    for number, code, what in (
        (counts.null_keys, "key_null", "rows have a null in the primary key"),
        (counts.duplicate_keys, "key_duplicate", "primary keys stand on more than one row"),
        (
            counts.duplicate_destination_keys,
            "destination_key_duplicate",
            "destination keys would be written by more than one row",
        ),
    ):
        if number:
            raise PolicyError(
                code,
                f"Sync {spec.identity.sync}: {number} {what}.",
                hint="Make the key unique in the model's SQL, or choose other key columns.",
            )
