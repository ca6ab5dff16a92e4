"""What `Project` tells of itself: acts, incidents, places, proofs and reports."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from mayfly.api import acts, incidents, privacy, reporting, residency
from mayfly.api.acting import Acting
from mayfly.api.keys import where_keys_lie
from mayfly.domain.errors import UsageError
from mayfly.services.report_erasure import beyond_cap, erasure_report
from mayfly.services.report_retention import Period, over_anything, retention_report


class RecordActs(Acting):
    """A part of `Project`."""

    def audit(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, Any]:
        """Administrative acts on the ledger, the oldest first."""
        return acts.listed(self.app, since=since, until=until)

    def forget_actor(self, actor: str) -> dict[str, Any]:
        """Delete the name of an actor; what the actor did stays, under a random id."""
        with self._act(), self._recorded("audit.forget", acts.of_name("actor", actor)):
            return acts.forgotten(self.app, actor)

    def incidents(self) -> dict[str, Any]:
        """Every incident, by when it became known."""
        return incidents.listed(self.app)

    def incident(self, name: str) -> dict[str, Any]:
        """One incident."""
        return incidents.shown(self.app, name)

    def close_incident(
        self, name: str, *, measures: Sequence[str], note: str = ""
    ) -> dict[str, Any]:
        """Close an incident; a note in which the guard finds somebody's value is refused."""
        with self._act(), self._recorded("incidents.close", incidents.of_incident(self.app, name)):
            return incidents.closed(self.app, name, measures, note)

    def incident_notice(self, name: str) -> dict[str, Any]:
        """What the controller is to be told of an incident."""
        return incidents.notice(self.app, name)

    def residency(self) -> dict[str, Any]:
        """Where each part is planned and found, and whether that was observed or declared."""
        return residency.listed(self.app)

    def overdue(self) -> int:
        """How many working copies and sealed batches are past their cap, by the ledger's word."""
        return sum(map(len, self.app.waiting().overdue().values()))

    def prove(
        self, *, old_size: int | None = None, entry: int | None = None, size: int | None = None
    ) -> dict[str, Any]:
        """A proof to hand out, for `mayfly verify --proof` by who has not the whole ledger.

        Args:
            old_size: of the tree that is proven to be the beginning; or
            entry: the position, from 0, of what is proven to be in the tree. One of the two.
            size: of the tree that the proof leads to; all entries by default.
        """
        ledger = self.app.ledger
        if old_size is not None and entry is None:
            return ledger.consistency(old_size, size)
        if entry is not None and old_size is None:
            return ledger.inclusion(entry, size)
        raise UsageError("nothing_to_prove", "Give the size of an older tree, or an entry.")

    def report(
        self,
        kind: str = "retention",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """A report from the ledger alone, and where the keys lie; `kind` is `retention`, how long
        data stayed, or `erasure`, when sealed batches were erased.
        """
        if kind not in ("retention", "erasure"):
            raise UsageError("unknown_report", "There are the reports retention and erasure.")
        entries, now = self.app.ledger.entries(), self.app.clock.now()
        period = Period(since=since, until=until)
        if kind == "erasure":
            found = erasure_report(entries, period=period, now=now)
            late = beyond_cap(found, now)
        else:
            found = retention_report(entries, period=period, now=now)
            late = over_anything(found)
        anchoring = self.app.anchoring()
        return {
            "schema": "mayfly/report/1",
            "ok": not late,
            "report": kind,
            "anchored": anchoring.anchored(self.app.ledger.size()),
            "anchors": anchoring.to_dict(),
            "keys": where_keys_lie(self.app),
            **found,
        }

    def make_report(
        self,
        kind: reporting.Kind,
        folder: Path,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[str, Any]:
        """Write a signed report into a folder; see `mayfly.api.reporting`.

        Args:
            kind: `security`; `record` and `recipients` have versions, noted on the ledger.
            folder: that its files go into.
            since: begin of its period.
            until: its end.
        """
        with nullcontext() if kind == "security" else self._act():
            report = reporting.make_report(self.app, kind, since=since, until=until)
        return reporting.write_report(self.app, report, folder)

    def privacy_page(self, file: Path) -> dict[str, Any]:
        """Write the public privacy page, of what holds now alone."""
        return privacy.write_privacy_page(self.app, file)
