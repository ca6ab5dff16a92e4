"""States seen from the project: which sync each belongs to, forgetting one, taking one over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.domain.errors import PolicyError, UsageError
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.spec import PlanSpec
from mayfly.ports.ledger import Ledger
from mayfly.ports.states import StateInfo, States


@dataclass(frozen=True, kw_only=True)
class KnownState:
    """A state, where it is, and whose it is.

    Args:
        used_by: name of the sync of the project that works on it now; None where none does, as
            after a rename or another address.
        ours: whether it belongs to this installation.
    """

    source: str
    info: StateInfo
    used_by: str | None
    ours: bool

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly state --output json` prints it."""
        return {
            "state": self.info.sid,
            "source": self.source,
            "workspace": self.info.workspace,
            "target": self.info.target,
            "sync": self.info.sync,
            "used_by": self.used_by,
            "ours": self.ours,
            "rows": self.info.rows,
            "identifiers": self.info.identifiers,
            "rejected": self.info.rejected,
            "open_run": self.info.open_run,
        }


@dataclass(kw_only=True)
class StateKeeper:
    """The states of all sources of a project.

    Args:
        states: of each source that keeps them; opened where it is asked, which may raise.
        identities: (source, name of a state) to the sync of the project that uses it.
        ledger, entry: where acts are recorded; `entry` lacks what is of one sync.
        owner: id of this installation.
        now_ms: milliseconds since 1970.
        alive: whether a lease holder's process may still run.
    """

    states: Mapping[str, Callable[[], States]]
    identities: Mapping[tuple[str, str], str]
    ledger: Ledger
    entry: Callable[..., Entry]
    owner: str
    now_ms: Callable[[], int]
    alive: Callable[[str], bool]

    def all(self) -> Sequence[KnownState]:
        """Every state of every source."""
        return [
            self._known(source, info)
            for source, states in self.states.items()
            for info in states().all()
        ]

    def of(self, place: str) -> Sequence[KnownState]:
        """Every state of one place."""
        return [self._known(place, info) for info in self.states[place]().all()]

    def find(self, name: str) -> KnownState:
        """A state by its own name (`STATE` or `SOURCE/STATE`), or by the sync that uses it.

        Raises:
            UsageError: `unknown_state`, `ambiguous_state`.
        """
        found = [
            s for s in self.all() if name in (s.info.sid, f"{s.source}/{s.info.sid}", s.used_by)
        ]
        if not found:
            raise UsageError(
                "unknown_state",
                f"There is no state {name!r}, and no sync of that name has one.",
                hint="`mayfly state list` shows what there is.",
            )
        if len(found) > 1:
            raise UsageError(
                "ambiguous_state",
                f"{len(found)} sources hold a state {name!r}.",
                hint="Name it SOURCE/STATE.",
            )
        return found[0]

    def drop(self, name: str) -> KnownState:
        """Forget what was delivered; the destination is not told.

        Raises:
            UsageError: `unknown_state`.
            PolicyError: `foreign_state`, another installation owns it: it is adopted first.
            TransientError: `run_active`.
        """
        found = self.find(name)
        if not found.ours:
            raise PolicyError(
                "foreign_state",
                "The state belongs to another installation of Mayfly.",
                hint="Drop it there, or take it over first with `mayfly state adopt`.",
            )
        states = self.states[found.source]()
        gone = states.drop(
            found.info.sid, now_ms=self.now_ms(), alive=self.alive, record=self.record_drop
        )
        self.record_copies([gone])
        return self._known(found.source, gone)

    def adopt(self, spec: PlanSpec, source: str, name: str | None) -> KnownState:
        """Make a state that of a sync, here: its own from another installation, or another's.

        Raises:
            UsageError: `unknown_state`; `state_elsewhere`, it is in another source; `state_used`,
                another sync of the project works on it; `nothing_to_adopt`, it is this one's.
            PolicyError, TransientError: as `States.adopt`.
        """
        found = self.find(name or f"{source}/{spec.identity.sid}")
        own = found.info.sid == spec.identity.sid
        if found.source != source:
            raise UsageError("state_elsewhere", "The state is not in the source of the model.")
        if found.used_by is not None and not own:
            raise UsageError(
                "state_used", f"Sync {found.used_by} works on that state; it can serve one alone."
            )
        if own and found.ours:
            raise UsageError("nothing_to_adopt", "The state is that of this sync already.")
        was = self.states[source]().adopt(
            found.info.sid,
            spec,
            owner=self.owner,
            now_ms=self.now_ms(),
            alive=self.alive,
            record=self._record_adoption,
        )
        return self._known(source, was)

    def move(self, spec: PlanSpec, source: str, name: str) -> KnownState:
        """Make a state of this installation that of the sync it has become.

        Raises:
            UsageError: `nothing_to_move`, it is the sync's already; else as `adopt`.
            PolicyError: `foreign_state`, another installation owns it; else as `adopt`.
        """
        found = self.find(name)
        if not found.ours:
            raise PolicyError(
                "foreign_state",
                "The state belongs to another installation of Mayfly.",
                hint="Move it there, or take it over with `mayfly state adopt`.",
            )
        if found.info.sid == spec.identity.sid:
            raise UsageError("nothing_to_move", "The state is that of this sync already.")
        return self.adopt(spec, source, f"{found.source}/{found.info.sid}")

    def record_copies(self, gone: Sequence[StateInfo]) -> None:
        """That the working copies of open plans went with their states. After a crash before it,
        the next sweep finds that they are gone.
        """
        entries = [
            self._entry(EntryType.DROPPED, state, run=state.open_run)
            for state in gone
            if state.open_run is not None
        ]
        if entries:
            self.ledger.append(entries)

    def record_drop(self, gone: StateInfo) -> None:
        """That a state is forgotten; before it is."""
        self.ledger.append([self._entry(EntryType.STATE_DROPPED, gone, rows=gone.rows)])

    def _record_adoption(self, was: StateInfo) -> None:
        entries = [self._entry(EntryType.STATE_ADOPTED, was, rows=was.rows)]
        foreign = was.open_run if was.owner != self.owner else None
        if foreign is not None and foreign not in self.ledger.open_runs(was.sync, was.target):
            # Another ledger says that this working copy was made; ours will say that it went.
            entries += [
                self._entry(kind, was, run=foreign) for kind in (EntryType.CREATED, EntryType.HELD)
            ]
        self.ledger.append(entries)

    def _known(self, source: str, info: StateInfo) -> KnownState:
        return KnownState(
            source=source,
            info=info,
            used_by=self.identities.get((source, info.sid)),
            ours=info.owner == self.owner,
        )

    def _entry(self, type_: EntryType, state: StateInfo, **fields: object) -> Entry:
        return self.entry(
            type_,
            sync=state.sync,
            target=state.target,
            reason=f"state/{state.sid}",
            **({"run": ""} | fields),
        )
