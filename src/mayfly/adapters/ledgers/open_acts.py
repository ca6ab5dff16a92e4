"""What the entries of a ledger began and did not end, as its lines are read one after the other."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from mayfly.domain.held import is_exception
from mayfly.ledger.entry import AS_DELIVERED, parse_time
from mayfly.ports.ledger import OpenBatch, OpenCopy, Recipient

# By far the most entries; they open and close nothing. Lines are canonical, texts have no quote.
_DELIVERED = b'"type":"delivered"'
_REMOVED = b'"operation":"remove"'
_RECIPIENT = tuple(
    re.compile(b'"%s":"([^"]*)"' % name) for name in (b"sync", b"target", b"destination")
)


@dataclass(kw_only=True)
class OpenActs:
    """What the first entries, which end at a byte, left without an end, and of keys; the oldest
    first.
    """

    size: int = 0
    end_bytes: int = 0
    copies: dict[str, OpenCopy] = field(default_factory=dict)
    batches: dict[tuple[str, int], OpenBatch] = field(default_factory=dict)
    wrapped_since: dict[str, datetime] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    recipients: set[Recipient] = field(default_factory=set)

    def copy(self) -> OpenActs:
        """One that may go on by itself."""
        return OpenActs(
            size=self.size,
            end_bytes=self.end_bytes,
            copies=dict(self.copies),
            batches=dict(self.batches),
            wrapped_since=dict(self.wrapped_since),
            destroyed=set(self.destroyed),
            recipients=set(self.recipients),
        )

    def take(self, line: bytes) -> None:
        """A whole line; of most, which say that something was delivered, no more than to whom."""
        self.size, self.end_bytes = self.size + 1, self.end_bytes + len(line) + 1
        if _DELIVERED not in line:
            self.note(json.loads(line))
        elif _REMOVED not in line:
            found = [part.search(line) for part in _RECIPIENT]
            sync, target, destination = (m[1].decode() if m else "" for m in found)
            self.recipients.add(Recipient(sync=sync, target=target, destination=destination))

    def note(self, entry: dict[str, Any]) -> None:
        """Made or held again while open: the first one's age counts, and an outage that was named
        once is why it waits.
        """
        run, batch = entry["run"], entry["batch"]
        match entry["type"]:
            case "created":
                self.copies.setdefault(run, _open_copy(entry))
            case "held" if batch is not None:
                self.batches.setdefault((run, batch), _open_batch(entry))
            case "held" if run in self.copies and not is_exception(self.copies[run].reason):
                self.copies[run] = replace(self.copies[run], reason=entry["reason"])
            case "dropped":
                self.copies.pop(run, None)
            case "purged" | "expired":
                self.batches.pop((run, batch), None)
            case "rewrapped":
                self.wrapped_since.setdefault(entry["kek_version"], parse_time(entry["at"]))
            case "state_dropped" | "state_adopted":
                known = entry["sync"], entry["target"]
                self.recipients = {r for r in self.recipients if (r.sync, r.target) != known}
                if entry["reason"].startswith(AS_DELIVERED):
                    # Another tool sent it; from now on it is to be taken back from here.
                    self.recipients.add(_recipient(entry))
            case "kek_destroyed" if "final_at" in entry:
                self.destroyed.add(entry["reason"])


def _recipient(entry: dict[str, Any]) -> Recipient:
    known = {key: entry[key] for key in ("sync", "target", "destination")}
    return Recipient(**known)


def _open_copy(entry: dict[str, Any]) -> OpenCopy:
    return OpenCopy(
        sync=entry["sync"],
        target=entry["target"],
        run=entry["run"],
        created_at=parse_time(entry["at"]),
    )


def _open_batch(entry: dict[str, Any]) -> OpenBatch:
    return OpenBatch(
        sync=entry["sync"],
        target=entry["target"],
        run=entry["run"],
        batch=entry["batch"],
        rows=entry["rows"],
        held_at=parse_time(entry["at"]) - timedelta(milliseconds=entry["age_ms"] or 0),
    )
