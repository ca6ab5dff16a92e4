"""Leaving the ledger's checkpoints where its owner cannot change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mayfly.domain.errors import EngineError
from mayfly.domain.runs import AnchorRecord
from mayfly.ports.anchor import Anchor
from mayfly.ports.store import Store


@dataclass(frozen=True, kw_only=True)
class Anchoring:
    """The anchors of one workspace.

    Args:
        names: of the anchors.
        open: reaches one of them; what it raises is that anchor's alone.
        store: remembers how far each is.
    """

    names: Sequence[str]
    open: Callable[[str], AbstractContextManager[Anchor]]
    store: Store

    def publish(self, note: str, *, size: int, now: datetime) -> Sequence[AnchorRecord]:
        """Leave the newest checkpoint at every anchor that lacks it. Nothing of a run depends on
        it: one that is away is tried again by the next act, and is told of.
        """
        known = {record.name: record for record in self.store.anchors()}
        done = [
            self._one(name, note, size, now, known.get(name))
            for name in self.names
            if name not in known or known[name].entries != size or known[name].code
        ]
        for record in done:
            self.store.note_anchor(record)
        return done

    def _one(
        self, name: str, note: str, size: int, now: datetime, known: AnchorRecord | None
    ) -> AnchorRecord:
        try:
            with self.open(name) as anchor:
                anchor.publish(note, size=size, at=now)
        except EngineError as error:
            entries, at = (known.entries, known.at) if known is not None else (0, None)
            return AnchorRecord(name=name, entries=entries, at=at, code=error.code)
        return AnchorRecord(name=name, entries=size, at=now, code="")

    def to_dict(self) -> list[dict[str, Any]]:
        """How far each anchor is, as reports print it."""
        known = {record.name: record for record in self.store.anchors()}
        return [
            {
                "name": name,
                "entries": known[name].entries if name in known else 0,
                "at": _text(known[name].at) if name in known else None,
                "code": known[name].code if name in known else "never",
            }
            for name in self.names
        ]

    def anchored(self, size: int) -> bool:
        """Whether some anchor has the whole ledger as it is now."""
        return any(
            record.name in self.names and record.entries == size and not record.code
            for record in self.store.anchors()
        )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
