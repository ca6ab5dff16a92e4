"""What the store remembers of the register of sub-processors: no address of anybody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mayfly.adapters.stores.statements import Statements, time_text
from mayfly.domain.register_changes import Objection, RegisterVersion, SentNotice, Subscriber


class SqlRegister(Statements):
    """See `RegisterStore`; mixed into the store, which has the transactions."""

    def register_versions(self) -> Sequence[RegisterVersion]:
        """See `RegisterStore.register_versions`."""
        return [
            RegisterVersion(
                digest=row["digest"],
                document=row["document"],
                recorded_at=datetime.fromisoformat(row["recorded_at"]),
            )
            for row in self._rows("select_register_versions", {})
        ]

    def archive_register(self, version: RegisterVersion) -> None:
        """See `RegisterStore.archive_register`."""
        values = {
            "digest": version.digest,
            "document": version.document,
            "recorded_at": time_text(version.recorded_at),
        }
        self._execute("insert_register_version", values)

    def subscribers(self) -> Sequence[Subscriber]:
        """See `RegisterStore.subscribers`."""
        return [
            Subscriber(
                name=row["name"],
                kind=row["kind"],
                told=row["told"],
                since=datetime.fromisoformat(row["since"]),
            )
            for row in self._rows("select_subscribers", {})
        ]

    def subscribe(self, subscriber: Subscriber) -> bool:
        """See `RegisterStore.subscribe`."""
        values = {
            "name": subscriber.name,
            "kind": subscriber.kind,
            "told": subscriber.told,
            "since": time_text(subscriber.since),
        }
        return self._execute("insert_subscriber", values) > 0

    def unsubscribe(self, name: str) -> bool:
        """See `RegisterStore.unsubscribe`."""
        return self._execute("delete_subscriber", {"name": name}) > 0

    def note_told(self, name: str, digest: str) -> None:
        """See `RegisterStore.note_told`."""
        self._execute("update_subscriber", {"name": name, "told": digest})

    def notices(self) -> Sequence[SentNotice]:
        """See `RegisterStore.notices`."""
        return [
            SentNotice(
                recipient=row["recipient"],
                content=row["content"],
                processor=row["processor"],
                what=row["what"],
                widens=row["widens"] > 0,
                at=datetime.fromisoformat(row["sent_at"]),
                failure=row["failure"],
            )
            for row in self._rows("select_notices", {})
        ]

    def claim_notice(self, notice: SentNotice, *, again: bool) -> bool:
        """See `RegisterStore.claim_notice`."""
        values = {
            "recipient": notice.recipient,
            "content": notice.content,
            "processor": notice.processor,
            "what": notice.what,
            "widens": int(notice.widens),
            "sent_at": time_text(notice.at),
            "again": int(again),
        }
        return self._execute("claim_notice", values) > 0

    def note_notice(self, recipient: str, content: str, *, at: datetime, failure: str) -> None:
        """See `RegisterStore.note_notice`."""
        values = {
            "recipient": recipient,
            "content": content,
            "sent_at": time_text(at),
            "failure": failure,
        }
        self._execute("update_notice", values)

    def objections(self) -> Sequence[Objection]:
        """See `RegisterStore.objections`."""
        return [
            Objection(
                processor=row["processor"],
                actor=row["actor"],
                at=datetime.fromisoformat(row["objected_at"]),
            )
            for row in self._rows("select_objections", {})
        ]

    def object(self, objection: Objection) -> bool:
        """See `RegisterStore.object`."""
        values = {
            "processor": objection.processor,
            "actor": objection.actor,
            "objected_at": time_text(objection.at),
        }
        return self._execute("insert_objection", values) > 0

    def withdraw_objection(self, processor: str) -> bool:
        """See `RegisterStore.withdraw_objection`."""
        return self._execute("delete_objection", {"processor": processor}) > 0
