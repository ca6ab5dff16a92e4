"""What ends a run at its next batch: somebody asked for it, or something stricter appeared.

A run keeps the configuration that it started with. What is looser, or no stricter, waits for the
next run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.approval import Compiled, fingerprint, stricter
from mayfly.domain.errors import PolicyError, TransientError, UsageError
from mayfly.domain.runs import RunRecord, Signals
from mayfly.ports.store import Store
from mayfly.services.shown_names import kept_document, shown_names

LOOKED_WITHIN_MS = 10_000
"""A run that could not look for so long sends nothing more."""


@dataclass(frozen=True)
class Stop:
    """Why no further batch goes.

    Args:
        reason: what the run is refused with once its plan is closed; None where it was cancelled.
        withdrawals: whether withdrawals end, too.
    """

    reason: PolicyError | None = None
    withdrawals: bool = True


Look = Callable[[], Stop | None]
"""Called before each batch, perhaps on several threads at once."""


def stricter_error(what: str) -> PolicyError:
    """What a run ends with; `what` says in names alone what has become stricter."""
    return PolicyError(
        "configuration_stricter",
        f"The run ended before its next batch: {what}.",
        hint="What was delivered by then is remembered; the next run goes by what holds now.",
    )


@dataclass(kw_only=True)
class StopWatch:
    """Looks for what ends one run.

    Args:
        store: of acts.
        run, sync, target: ids.
        document: what was approved of the run's sync, as it started.
        started: the store's signals before the run was compiled.
        paused: the refusal that a pause is told by.
        suppressed: keyed digests that the run goes by.
        files: what is stricter in the project files by now.
        now_ms: milliseconds since 1970.
        withdrawing: whether nothing but withdrawals goes, for what was refused at the start: only
            who cancels the run ends it then.
    """

    store: Store
    run: str
    sync: str
    target: str
    document: Mapping[str, Any]
    started: Signals
    paused: Callable[[], PolicyError]
    suppressed: pa.Array
    files: Callable[[], PolicyError | None]
    now_ms: Callable[[], int]
    withdrawing: bool = False
    _looked_ms: int | None = field(default=None, init=False)

    def look(self) -> Stop | None:
        """What ends the run now.

        Raises:
            TransientError: the store did not answer for so long that nobody knows.
        """
        try:
            found = self.store.signals(self.run, self.sync, self.target)
        except TransientError:
            if self._looked_ms is None or self.now_ms() - self._looked_ms > LOOKED_WITHIN_MS:
                raise
            return None
        self._looked_ms = self.now_ms()
        if found.cancelled:
            return Stop()
        if self.withdrawing:
            return None
        reason = self._approval(found) or self.files()
        if reason is not None:
            return Stop(reason)
        return self._but_withdrawals(found)

    def _but_withdrawals(self, found: Signals) -> Stop | None:
        """Who is to be taken out is, whatever is paused and whoever came to the list."""
        if found.paused:
            return Stop(self.paused(), withdrawals=False)
        if found.suppression_version == self.started.suppression_version:
            return None
        listed = self.store.suppression_digests()
        if pc.all(pc.is_in(listed, value_set=self.suppressed)).as_py() is False:
            return Stop(stricter_error("the suppression list has grown"), withdrawals=False)
        return None

    def _approval(self, found: Signals) -> PolicyError | None:
        """What was approved at the start must be part of what is approved now."""
        start = self.started
        mark = fingerprint(self.document)
        if found.rejected is not None and found.rejected in (start.approved, mark):
            return stricter_error("the approval was taken back")
        if found.people != start.people:
            return stricter_error("the list of people who approve is another")
        if found.approved == start.approved:
            return None
        record = self.store.approval(self.sync, self.target)
        changed = (
            ["it is gone"] if record is None else shown_stricter(self.document, record.document)
        )
        return stricter_error(f"the approval changed ({'; '.join(changed)})") if changed else None


def shown_stricter(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[str]:
    """See `stricter`, with names as they may be printed."""
    shown = shown_names(Compiled(), old, new)
    return [shown.text(what) for what in stricter(kept_document(old), kept_document(new))]


def run_of(store: Store, run_id: str) -> RunRecord:
    """The run of that id. Raises UsageError `unknown_run`."""
    run = store.run(run_id)
    if run is None:
        raise UsageError(
            "unknown_run", "There was no run of that id.", hint="`mayfly runs` lists them."
        )
    return run


def ask_to_end(
    store: Store, run_id: str, *, actor: str, now: datetime, alive: Callable[[str], bool]
) -> RunRecord:
    """Ask a run, of whatever process, to end after the batch in hand.

    Raises:
        UsageError: `unknown_run`.
        PolicyError: `run_not_running`, it has ended, or its process is gone.
    """
    run = run_of(store, run_id)
    gone = run.status == "running" and run.holder is not None and not alive(run.holder)
    if run.status != "running" or gone:
        raise PolicyError(
            "run_not_running",
            f"Run {run_id} ended before: {'interrupted' if gone else run.status}.",
            hint="The sync's next run goes on from what it delivered.",
        )
    store.cancel(run_id, actor=actor, now=now)
    return run
