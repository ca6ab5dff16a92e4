"""The suppression list beside what the ledger says of it: an older store would lack people.

The ledger records count and root of the list whenever they are others, and the store how often that
was when both agreed. A store that agreed with an earlier record has not seen what came after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mayfly.domain.errors import PolicyError
from mayfly.ledger.checkpoint import ListHead
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ledger.merkle import leaf_hash, root
from mayfly.ports.ledger import ListLedger
from mayfly.ports.store import Store


@dataclass(frozen=True, kw_only=True)
class RecordedList:
    """The list of one workspace, in its store and in its ledger.

    Args:
        store: that has the list.
        ledger: that has its heads.
        entry: makes entries of the workspace.
    """

    store: Store
    ledger: ListLedger
    entry: Callable[..., Entry]

    def require_current(self) -> None:
        """Refuse a list that lacks what is on record; writes nothing.

        Raises:
            PolicyError: `suppression_outdated`.
        """
        self.ledger.settle_list(self._check, lambda _: None)

    def settle(self) -> None:
        """Record the list where it is another than the last on record.

        Raises:
            PolicyError: `suppression_outdated`.
            EngineError: as `Ledger.append`.
        """
        # Read before the list is: what comes to it meanwhile is looked at the next time.
        version = self.store.suppression_version()
        self.ledger.settle_list(self._settled, lambda times: self._note(times, version))

    def settle_if_current(self) -> bool:
        """As `settle`, but nothing is recorded of a list that still lacks something.

        Returns:
            Whether it is up to date.

        Raises:
            EngineError: as `settle`, but for `suppression_outdated`.
        """
        try:
            self.settle()
        except PolicyError as error:
            if error.code != "suppression_outdated":
                raise
            return False
        return True

    def _check(self, times: int, last: ListHead | None) -> None:
        known, _ = self.store.suppression_recorded()
        if times > known and self._head() != last:
            raise PolicyError(
                "suppression_outdated",
                "The store's suppression list is older than the one that the ledger has on record: "
                "people may be missing from it.",
                hint="Restore a newer store, or add again with `mayfly suppress add` who was added "
                "since; once the list is the one on record, runs go on.",
            )

    def _settled(self, times: int, last: ListHead | None) -> Entry | None:
        self._check(times, last)
        if self.store.suppression_recorded() == (times, self.store.suppression_version()):
            # A list of a million takes seconds to read and hash; each run comes by here.
            return None
        head = self._head()
        if head == (last or ListHead(count=0, root=root([]))):
            return None
        return self.entry(
            EntryType.SUPPRESSION, sync="", run="", rows=head.count, reason=head.root.hex()
        )

    def _note(self, times: int, version: int) -> None:
        if (times, version) != self.store.suppression_recorded():
            self.store.note_suppression_recorded(times, version)

    def _head(self) -> ListHead:
        digests = sorted(set(self.store.suppression_digests().to_pylist()))
        return ListHead(count=len(digests), root=root([leaf_hash(d) for d in digests]))
