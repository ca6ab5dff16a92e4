"""What a project's processes tell of themselves, joined to its adapters."""

from __future__ import annotations

from mayfly.domain.settings import Project
from mayfly.services.events import Event, Tell
from mayfly.services.measuring import Meter, Names


def names_of(project: Project) -> Names:
    """Names of the project's syncs, by id or name; None of any other."""
    known = {s.id: s.name for s in project.syncs.values()} | {n: n for n in project.syncs}
    return known.get


def counted(meter: Meter, project: Project, then: Tell) -> Tell:
    """Counts what is told, and tells `then`."""
    names = names_of(project)

    def tell(event: Event) -> None:
        meter.take(event, names)
        then(event)

    return tell
