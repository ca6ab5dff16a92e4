"""Taking everything of Mayfly's out of a source, or from beside it where it is not written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.domain.errors import PolicyError, TransientError
from mayfly.domain.held import HeldBatch
from mayfly.ports.states import LeftPlan, SchemaTraces, StateSchema
from mayfly.services.states import KnownState
from mayfly.services.waiting import WaitingRoom


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What there is of Mayfly's for one source, in ids and counts.

    Args:
        source: its name.
        states: what is remembered, of all targets.
        plans: those that are open, of these states.
        sealed: batches of their syncs that wait outside the source.
        traces: our schema there; None where states are local, or there is none.
    """

    source: str
    states: Sequence[KnownState]
    plans: Sequence[LeftPlan]
    sealed: Sequence[HeldBatch]
    traces: SchemaTraces | None

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to take out."""
        return not self.states and self.traces is None

    @property
    def waiting_rows(self) -> int:
        """Rows that no answer came for, in the source and sealed."""
        return sum(p.waiting_rows for p in self.plans) + sum(h.rows for h in self.sealed)

    @property
    def in_doubt(self) -> int:
        """Of rows of appends, those that may be at their destination."""
        return sum(p.in_doubt for p in self.plans)

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly uninstall --output json` prints it."""
        return {
            "source": self.source,
            "nothing": self.nothing,
            "states": [state.to_dict() for state in self.states],
            "open_plans": len(self.plans),
            "waiting_rows": self.waiting_rows,
            "in_doubt": self.in_doubt,
            "sealed_batches": len(self.sealed),
            "checkpoints": self.traces.checkpoints if self.traces else 0,
        }


@dataclass(kw_only=True)
class Uninstaller:
    """One source of a project.

    Args:
        source: its name.
        place: the name under which the keeper has its states.
        syncs: ids of the project's syncs whose model is of the source.
        schema: ours in the source; None where states are local.
        room: what waits, with the keeper of states.
    """

    source: str
    place: str
    syncs: Collection[str]
    schema: Callable[[], StateSchema] | None
    room: WaitingRoom

    def look(self) -> Installed:
        """What there is. Changes nothing."""
        keeper = self.room.states
        states = [s for s in keeper.of(self.place) if self.schema or s.info.sync in self.syncs]
        sids = {state.info.sid for state in states}
        whose = {(state.info.sync, state.info.target) for state in states if state.ours}
        plans = keeper.states[self.place]().open_plans()
        return Installed(
            source=self.source,
            states=states,
            plans=[plan for plan in plans if plan.sid in sids],
            sealed=[h for h in self.room.sealed() if (h.sync, h.target) in whose],
            traces=self.schema().traces() if self.schema else None,
        )

    def require(self, found: Installed, *, force: bool) -> None:
        """Refuse where something would be lost, or is not ours.

        Raises:
            PolicyError: `foreign_tables`, in our schema; `foreign_state`, another installation's.
            TransientError: `rows_waiting`, without `force`.
        """
        if found.traces is not None and found.traces.foreign:
            raise foreign_tables(found.traces.foreign)
        others = sum(not state.ours for state in found.states)
        if others:
            raise PolicyError(
                "foreign_state",
                f"{others} states in source {self.source} belong to another installation of "
                "Mayfly.",
                hint="Take them over with `mayfly state adopt`, or drop them there first.",
            )
        if not force and (found.waiting_rows or found.in_doubt):
            raise TransientError(
                "rows_waiting",
                f"{found.waiting_rows} rows of {len(found.plans)} open plans and "
                f"{len(found.sealed)} sealed batches wait to be delivered, and {found.in_doubt} "
                "appended ones are in doubt.",
                hint="Run their syncs first; or give --force: what waits is never delivered, and "
                "what is in doubt is never asked for.",
            )

    def uninstall(self, *, force: bool) -> Installed:
        """Take everything out; what there was. After a crash to be repeated.

        Of a source that is written all of it goes in one transaction, with its record in the
        ledger before it is committed; each local state in one of its own.

        Raises:
            PolicyError, TransientError: as `require`; `run_active`, a live process works on one of
                the states, whatever `force` says.
        """
        found = self.look()
        self.require(found, force=force)
        self._end_waiting(found)
        keeper = self.room.states
        if self.schema is None:
            for state in found.states:
                keeper.drop(f"{self.place}/{state.info.sid}")
        else:
            gone = self.schema().remove(
                owner=keeper.owner,
                now_ms=keeper.now_ms(),
                alive=keeper.alive,
                record=keeper.record_drop,
            )
            keeper.record_copies(gone)
        return found

    def _end_waiting(self, found: Installed) -> None:
        """What waits sealed is destroyed first, and told in the ledger as purged."""
        for target in sorted({h.target for h in found.sealed}):
            syncs = sorted({h.sync for h in found.sealed if h.target == target})
            _, left = self.room.purge(syncs, target)
            if left:
                raise TransientError(
                    left[0].code, f"What waits of {len(left)} runs could not be ended."
                )


def foreign_tables(count: int | None = None) -> PolicyError:
    """What is in our schema and is not ours stays, and the schema with it. Without a count it is
    no table, or none that may be seen.
    """
    what = "objects other than tables" if count is None else f"{count} tables or views"
    return PolicyError(
        "foreign_tables",
        f"Mayfly's schema holds {what} that are not Mayfly's.",
        hint="Move them elsewhere; then repeat it. Nothing was dropped.",
    )
