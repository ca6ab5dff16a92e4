"""What the store remembers of the register: versions, who is told, notices, objections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mayfly.domain.register_changes import Objection, RegisterVersion, SentNotice, Subscriber


class RegisterStore(Protocol):
    """Calls block, each is one transaction, and any may come from several processes.

    Every call raises what `Store` says of its calls.
    """

    def register_versions(self) -> Sequence[RegisterVersion]:
        """All that were archived, the first first."""

    def archive_register(self, version: RegisterVersion) -> None:
        """Archive a version; one of that digest stays as it is. None is ever changed or removed."""

    def subscribers(self) -> Sequence[Subscriber]:
        """Who is told, by name."""

    def subscribe(self, subscriber: Subscriber) -> bool:
        """Add one; whether it is new. One of that name stays as it is."""

    def unsubscribe(self, name: str) -> bool:
        """Take one out; whether it was there. Its notices stay."""

    def note_told(self, name: str, digest: str) -> None:
        """A subscriber knows a version whole."""

    def notices(self) -> Sequence[SentNotice]:
        """All that were sent or tried, the first first."""

    def claim_notice(self, notice: SentNotice, *, again: bool) -> bool:
        """Take it on oneself to send one; of several processes one does.

        What was sent is never claimed again. What failed is; what a process died over, only with
        `again`.
        """

    def note_notice(self, recipient: str, content: str, *, at: datetime, failure: str) -> None:
        """What became of a claimed one; empty where it was sent."""

    def objections(self) -> Sequence[Objection]:
        """In force, by name of the entry."""

    def object(self, objection: Objection) -> bool:
        """Add one; whether it is new."""

    def withdraw_objection(self, processor: str) -> bool:
        """Take one back; whether there was one."""
