"""The port of a warehouse's states: what is remembered there of every sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mayfly.planning.spec import CloseReport, PlanSpec


@dataclass(frozen=True, kw_only=True)
class StateInfo:
    """One state, in ids and counts.

    Args:
        sid: its name, 16 hex digits.
        workspace, target, sync: of its identity.
        owner: id of the installation it belongs to.
        rows: rows that were delivered and are remembered, also those that left since.
        identifiers: delivered identifiers that are remembered.
        rejected: rejected and withheld rows that are remembered.
        open_run: the run that left a plan open, None where none did.
        waiting_batches, waiting_rows: of that plan, those that no answer came for.
    """

    sid: str
    workspace: str
    target: str
    sync: str
    owner: str
    rows: int
    identifiers: int
    rejected: int
    open_run: str | None = None
    waiting_batches: int = 0
    waiting_rows: int = 0


@dataclass(frozen=True, kw_only=True)
class LeftPlan:
    """A plan that a run left open, in ids and counts.

    Args:
        sid: name of its state.
        run: the run.
        waiting_batches, waiting_rows: those that no answer came for.
        in_doubt: of the rows, those of an append that were begun: they may be there, and nothing
            but the destination, or a person, can tell.
    """

    sid: str
    run: str
    waiting_batches: int
    waiting_rows: int
    in_doubt: int = 0


Record = Callable[[StateInfo], None]


class States(Protocol):
    """All states of one warehouse. Each call is one transaction.

    What changes a state calls `record` with what was there, once all is done and before it is
    committed: where that raises, nothing has happened, and no act is without its record.

    Raises:
        PolicyError: `state_unknown`, there is none of that name; `state_format`, another release
            made it.
        TransientError: `run_active`, a live process works on it.
    """

    def all(self) -> Sequence[StateInfo]:
        """Every state there is, also of other installations; none where nothing was ever run."""

    def formats(self) -> Mapping[str, int]:
        """The form that each state is in, also one that this program does not know."""

    def open_plans(self) -> Sequence[LeftPlan]:
        """Every plan that is open, of any installation; no table of a state is counted for it."""

    def drop(
        self, sid: str, *, now_ms: int, alive: Callable[[str], bool], record: Record
    ) -> StateInfo:
        """Forget a state and the working copies of its open plan; what was there."""

    def end_plan(
        self, sid: str, *, now_ms: int, alive: Callable[[str], bool]
    ) -> tuple[StateInfo, CloseReport]:
        """Close the open plan of a state as its next run would, and drop its working copies; what
        was there. Without an open plan a no-op.
        """

    def adopt(
        self,
        sid: str,
        spec: PlanSpec,
        *,
        owner: str,
        now_ms: int,
        alive: Callable[[str], bool],
        record: Record,
    ) -> StateInfo:
        """Make a state that of `spec` and of this installation; what it was.

        The next run compares what would leave with what was delivered, row by row, and checks all
        of it against the suppression list.

        Raises:
            PolicyError: `key_changed`, `state_kind` (delivered identifiers on one side only),
                `plan_open` (another identity, and a run left its plan open), `state_exists` (that
                of `spec` holds rows already).
        """


@dataclass(frozen=True, kw_only=True)
class SchemaTraces:
    """What our schema in a warehouse holds besides states.

    Args:
        foreign: tables and views that Mayfly did not make.
        checkpoints: of the ledger, where the warehouse is or was an anchor.
    """

    foreign: int
    checkpoints: int


class StateSchema(Protocol):
    """Our schema in one warehouse, as a whole."""

    def traces(self) -> SchemaTraces | None:
        """What it holds; None where there is no schema."""

    def remove(
        self, *, owner: str, now_ms: int, alive: Callable[[str], bool], record: Record
    ) -> Sequence[StateInfo]:
        """Drop it with all that Mayfly made there; the states that were. One transaction: where
        `record`, which is called with each before the commit, raises, nothing has happened.
        Without a schema a no-op.

        Raises:
            PolicyError: `foreign_tables`, something in it is not Mayfly's; `foreign_state`, a
                state is another installation's; `state_format`.
            TransientError: `run_active`, a live process works on a state.
            ConfigError: `missing_grant`, the schema is not the role's to drop.
        """
