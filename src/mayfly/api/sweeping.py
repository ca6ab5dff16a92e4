"""Ending what is past its deadline, which every command that writes begins with."""

from __future__ import annotations

from mayfly.api.waiting import Swept
from mayfly.bootstrap import App
from mayfly.ledger.entry import EntryType
from mayfly.services.approve import expire_pending
from mayfly.services.events import ReviewsOverdue
from mayfly.services.events import Swept as SweptEvent
from mayfly.services.over_target import waiting_over_target
from mayfly.services.register import overdue_reviews


def sweep(app: App) -> Swept:
    """Rows first: nothing that goes wrong with the rest keeps them."""
    swept = Swept.of(*app.waiting().sweep())
    if swept.ended or swept.left:
        app.tell(SweptEvent(ended=len(swept.ended), left=len(swept.left)))
    _tell_over_target(app)
    _tell_reviews(app)
    app.connections.vault.sweep()
    _expire_approvals(app)
    return swept


def _tell_over_target(app: App) -> None:
    ledger = app.ledger
    names = {sync.id: name for name, sync in app.project.syncs.items()}
    copies, batches = ledger.open_copies(), ledger.open_batches()
    for event in waiting_over_target(copies, batches, names, app.clock.now()):
        app.tell(event)


def _tell_reviews(app: App) -> None:
    if app.project.processors:
        late = overdue_reviews(app.project, app.clock.now().date())
        app.tell(ReviewsOverdue(target=app.project.target, overdue=len(late)))


def _expire_approvals(app: App) -> None:
    expired = expire_pending(app.store, app.clock.now())
    entries = [
        app.workspace_entry(
            EntryType.REFUSED, sync=p.sync, target=p.target, run="", reason="approval_expired"
        )
        for p in expired
    ]
    if entries:
        app.ledger.append(entries)
