"""What `Project` does for people: suppress, erase, and tell what concerns them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mayfly.api import accessing, acts, erasing
from mayfly.api.acting import Acting
from mayfly.domain.erasures import Extension, Regulation, RequestKind
from mayfly.services import suppress as suppressions


class SubjectActs(Acting):
    """A part of `Project`."""

    def suppress(self, act: str, lines: Iterable[bytes]) -> dict[str, Any]:
        """Add to, remove from or count the suppression list.

        `up_to_date` is false, and there, while it lacks what is on record.
        """
        store = self.app.store
        if act == "list":
            return suppressions.listing(store)
        with self._act():
            recorded = self.app.recorded_list()
            if act == "remove":
                # Of a list that lacks people nobody can say who else may be taken off.
                recorded.require_current()
            entries = suppressions.entries_of(
                lines,
                key=self.app.keyring.key("suppression"),
                canonical=suppressions.canonical_of,
            )
            with self._recorded(f"suppress.{act}", acts.of_suppressions(self.app)):
                changed = suppressions.change(store, act, entries, self.app.clock.now())
            return changed if recorded.settle_if_current() else {**changed, "up_to_date": False}

    def erase(
        self,
        content: bytes,
        *,
        kind: RequestKind = RequestKind.ERASURE,
        regulation: Regulation = Regulation.GDPR,
    ) -> dict[str, Any]:
        """Suppress one person, and take the person out of every place that Mayfly reaches.

        Args:
            content: see `mayfly.services.erasure_requests.asked_of`.
            kind: objection and restriction suppress alone.
            regulation: whose time limit holds.
        """
        with self._act(), self._recorded("erase", acts.of_requests(self.app)):
            return erasing.erase(self.app, content, kind, regulation)

    def access(self, content: bytes, *, regulation: Regulation = Regulation.GDPR) -> dict[str, Any]:
        """What concerns one person: syncs, destinations, fields, rules and times.

        Args:
            content: see `mayfly.services.erasure_requests.named_in`.
            regulation: whose time limit holds.
        """
        with self._act(), self._recorded("access", acts.of_requests(self.app)):
            return accessing.access(self.app, content, regulation)

    def resume_erasures(self) -> dict[str, Any]:
        """Go on with every open request of this target."""
        with self._act(), self._recorded("erase.resume", acts.of_requests(self.app)):
            return erasing.resume(self.app)

    def extend_erasure(self, request: str, why: Extension) -> dict[str, Any]:
        """Make the time limit of a request longer, once, and say why."""
        with self._act(), self._recorded("erase.extend", acts.of_requests(self.app)):
            return erasing.extend(self.app, request, why)

    def cancel_erasure(self, request: str) -> dict[str, Any]:
        """End a request of which nobody was asked yet. The person stays suppressed."""
        with self._act(), self._recorded("erase.cancel", acts.of_requests(self.app)):
            return erasing.cancel(self.app, request)

    def erasures(self) -> dict[str, Any]:
        """Every request, in ids, times and counts."""
        return erasing.listed(self.app)

    def erasure(self, request: str) -> dict[str, Any]:
        """One request, with every destination and what is out of reach."""
        return erasing.shown(self.app, request)
