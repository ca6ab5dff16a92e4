"""What the store remembers of alerts: which channel was told of which, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mayfly.adapters.stores.statements import Statements, time_text
from mayfly.domain.alerts import Alert, OpenAlert


class SqlAlerts(Statements):
    """See `Store`; mixed into the store, which has the transactions."""

    def alerts(self) -> Sequence[OpenAlert]:
        """See `Store.alerts`."""
        return [
            OpenAlert(
                **row
                | {
                    "since": datetime.fromisoformat(row["since"]),
                    "told_at": datetime.fromisoformat(row["told_at"]),
                }
            )
            for row in self._rows("select_alerts", {})
        ]

    def claim_alert(
        self,
        channel: str,
        alert: Alert,
        *,
        now: datetime,
        told_before: datetime,
        sending_before: datetime,
    ) -> bool:
        """See `Store.claim_alert`."""
        values = _key(channel, alert) | {
            "now": time_text(now),
            "told_before": time_text(told_before),
            "sending_before": time_text(sending_before),
        }
        return self._execute("claim_alert", values) > 0

    def note_alert(self, channel: str, alert: Alert, *, failure: str) -> None:
        """See `Store.note_alert`."""
        self._execute("note_alert", _key(channel, alert) | {"failure": failure})

    def end_alert(self, channel: str, alert: Alert) -> bool:
        """See `Store.end_alert`."""
        key = _key(channel, alert)
        told = self._execute("delete_alert", key) > 0
        self._execute("delete_untold_alert", key)
        return told


def _key(channel: str, alert: Alert) -> dict[str, str]:
    return {
        "channel": channel,
        "kind": alert.kind.value,
        "subject": alert.subject,
        "target": alert.target,
    }
