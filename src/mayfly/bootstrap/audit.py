"""The project's audit log, and the incidents that its acts and events open."""

from __future__ import annotations

from mayfly.adapters.processes import holder_name
from mayfly.bootstrap.app import App
from mayfly.services.audit import AuditLog
from mayfly.services.incidents import incident_of_act


def audit_log(app: App) -> AuditLog:
    """What records acts of this process; some of them are security events, too."""
    target = app.project.target
    return AuditLog(
        store=app.store,
        ledger=app.ledger,
        entry=app.workspace_entry,
        target=target,
        holder=holder_name(),
        alive=app.alive,
        told=lambda act: incident_of_act(app.store, act, app.clock.now()),
    )
