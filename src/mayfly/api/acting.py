"""What every act of a project has around it: deadlines first, a record, the ledger's head away."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from mayfly.api import acts
from mayfly.api.keys import keep_epoch
from mayfly.api.sweeping import sweep
from mayfly.api.waiting import Swept
from mayfly.bootstrap import App
from mayfly.domain.errors import EngineError, UsageError
from mayfly.domain.runs import AnchorRecord
from mayfly.domain.settings import SyncSettings
from mayfly.ledger.checkpoint import parse_checkpoint
from mayfly.services.delete_workspace import require_not_deleting
from mayfly.services.events import AnchorFailed


class Acting:
    """What the parts of `Project` share."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.swept = Swept()
        self.unanchored: Sequence[AnchorRecord] = ()
        self.epoch_code = ""

    def select(self, names: Sequence[str]) -> list[SyncSettings]:
        """Syncs by name, glob or `tag:…`; all without names.

        Raises:
            UsageError: `unknown_sync`, nothing matches one of the names.
        """
        return [self.app.with_all_columns(s) for s in self._named(names)]

    def _named(self, names: Sequence[str]) -> list[SyncSettings]:
        """As `select`, without a look at any source."""
        syncs = self.app.project.syncs
        if not names:
            return list(syncs.values())
        found: dict[str, SyncSettings] = {}
        for name in names:
            matched = {n: s for n, s in syncs.items() if _matches(name, n, s)}
            if not matched:
                raise UsageError(
                    "unknown_sync",
                    f"No sync matches {name!r}.",
                    hint=f"The project has: {', '.join(sorted(syncs)) or 'none'}.",
                )
            found |= matched
        return list(found.values())

    def _recorded(
        self, action: str, objects: acts.Objects, actor: str | None = None, *, rows: int = 0
    ) -> AbstractContextManager[None]:
        """Around what somebody does to the workspace; every method that changes it has one."""
        return acts.recording(self.app, action, objects, actor=actor, rows=rows)

    @contextmanager
    def _act(self) -> Iterator[None]:
        """Around whatever writes: what is past its deadline is ended first, no fault of the act
        keeps that back; and the ledger's new head leaves this machine.
        """
        try:
            self._begin()
            yield
            self._publish()
        finally:
            self.app.flush()

    def _begin(self) -> None:
        app = self.app
        self.swept = self.swept + sweep(self.app)
        require_not_deleting(app.store)
        app.require_clock()
        acts.settle(app)
        app.store.note_time(app.clock.now())
        self._keep_epoch()

    def _keep_epoch(self) -> None:
        """Nothing else depends on it: what is in the way is told, and the next act goes on."""
        try:
            keep_epoch(self.app)
        except EngineError as error:
            self.epoch_code = error.code

    def _publish(self) -> None:
        app = self.app
        if not app.project.anchors:
            return
        # Size and note of one moment: another process may append between two questions.
        note = app.ledger.checkpoint()
        size = parse_checkpoint(note).size
        if size:
            self.unanchored = [
                record
                for record in app.anchoring().publish(note, size=size, now=app.clock.now())
                if record.code
            ]
            for record in self.unanchored:
                app.tell(AnchorFailed(anchor=record.name, code=record.code))


def _matches(pattern: str, name: str, sync: SyncSettings) -> bool:
    if pattern.startswith("tag:"):
        return pattern.removeprefix("tag:") in sync.tags
    return fnmatch.fnmatchcase(name, pattern)
