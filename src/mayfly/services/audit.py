"""The audit log: every administrative act on the ledger, by whom, on what, before and after."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mayfly.domain.approval import fingerprint
from mayfly.domain.audit import ACTS, OpenAct
from mayfly.domain.errors import EngineError
from mayfly.ledger.entry import Entry, EntryType, identifier_of, parse_time
from mayfly.ports.ledger import Ledger
from mayfly.ports.store import Store

State = Callable[[], Mapping[str, Any]]
"""What an object is now; asked before and after an act."""
DONE = "done"
LATE = "late"
"""Reason of an entry whose act was done when the ledger could not be written."""
INTERRUPTED = "interrupted"
"""Reason of an entry whose process ended before it could say how the act ended."""


def _nobody(_: OpenAct) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class AuditLog:
    """Records acts of one workspace.

    Args:
        store: knows who acts, and what is not on the ledger yet.
        ledger: of the workspace.
        entry: makes one of its entries.
        target: under which is acted.
        holder: this process.
        alive: whether a process is.
        told: called with each act that was recorded.
    """

    store: Store
    ledger: Ledger
    entry: Callable[..., Entry]
    target: str
    holder: str
    alive: Callable[[str], bool]
    told: Callable[[OpenAct], None] = _nobody

    @contextmanager
    def acting(
        self, action: str, objects: Mapping[str, State], *, actor: str, rows: int = 0
    ) -> Iterator[None]:
        """Around one act: what it is about is looked at before and after.

        An act that is refused and changed nothing is none. Where the ledger cannot be written the
        act stands, and is recorded by the next one.

        Args:
            action: one of `ACTS`.
            objects: what it is about, by kind and name.
            actor: name of who acts.
            rows: how many it lets through, or is about.
        """
        if action not in ACTS:
            raise KeyError(action)
        who = self.store.actor(actor, f"a-{secrets.token_hex(8)}")
        acts = [
            OpenAct(
                id=secrets.token_hex(16),
                action=action,
                object=identifier_of(name),
                target=self.target,
                actor=who,
                before=_mark(state),
                rows=rows,
                holder=self.holder,
            )
            for name, state in objects.items()
        ]
        self.store.note_acts(acts)
        states = dict(zip((act.id for act in acts), objects.values(), strict=True))
        try:
            yield
        except EngineError as error:
            self._end([_after(act, states[act.id], error.code) for act in acts], refused=True)
            raise
        self._end([_after(act, states[act.id], DONE) for act in acts])

    def settle(self) -> None:
        """Record what other processes did and could not record."""
        left = [a for a in self.store.open_acts() if a.outcome or not self.alive(a.holder)]
        if left:
            late = {True: LATE, False: INTERRUPTED}
            self.ledger.append([self._entry(act, late[bool(act.outcome)]) for act in left])
            self.store.end_acts(left)

    def _end(self, acts: Sequence[OpenAct], *, refused: bool = False) -> None:
        if refused:
            idle = [act for act in acts if act.before == act.after]
            self.store.end_acts(idle)
            acts = [act for act in acts if act.before != act.after]
        if not acts:
            return
        try:
            self.ledger.append([self._entry(act, act.outcome) for act in acts])
        except EngineError:
            self.store.note_acts(acts)
            return
        self.store.end_acts(acts)
        for act in acts:
            self.told(act)

    def _entry(self, act: OpenAct, reason: str) -> Entry:
        return self.entry(
            EntryType.ACT,
            sync="",
            run="",
            target=act.target,
            operation=act.action,
            actor=act.actor,
            object=act.object,
            before=act.before,
            after=act.after,
            reason=reason,
            rows=act.rows,
        )


def _after(act: OpenAct, state: State, outcome: str) -> OpenAct:
    return replace(act, after=_mark(state), outcome=outcome)


def _mark(state: State) -> str:
    """Fingerprint of what an object is; empty where it cannot be told, or there is none."""
    try:
        document = state()
    except EngineError:
        return ""
    return fingerprint(document) if document else ""


def acts_of(
    entries: Iterable[Entry],
    actors: Mapping[str, str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, Any]]:
    """Acts on a ledger, the oldest first, as `mayfly audit` prints them.

    Args:
        entries: of the ledger.
        actors: names by ids, as far as they are known still.
        since: from then on.
        until: before then.
    """
    found = []
    for entry in entries:
        if entry.type is not EntryType.ACT or entry.at is None:
            continue
        at = parse_time(entry.at)
        if (since and at < since) or (until and at >= until):
            continue
        found.append(
            {
                "seq": entry.seq,
                "at": entry.at,
                "action": entry.operation,
                "object": entry.object,
                "target": entry.target,
                "actor": entry.actor,
                "actor_name": actors.get(entry.actor),
                "verified": False,
                "before": entry.before or None,
                "after": entry.after or None,
                "outcome": entry.reason,
                "rows": entry.rows,
            }
        )
    return found
