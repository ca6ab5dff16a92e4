"""`mayfly upgrade`: versions of store, states, ledger and spool; and bringing them up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mayfly.adapters.ledgers.form import version_in
from mayfly.adapters.planstores.local_states import LocalStates
from mayfly.adapters.planstores.states import SourceStates
from mayfly.adapters.planstores.tables import FORMAT
from mayfly.adapters.processes import refuse_key_log
from mayfly.adapters.spools.key_rows import FORM
from mayfly.bootstrap.connectors import dialect_of, open_source
from mayfly.bootstrap.keeping import (
    LOCAL_STATES,
    ledger_path,
    local_databases,
    spool_keys,
    store_of,
)
from mayfly.config.load import load_project
from mayfly.domain.settings import Project
from mayfly.ledger.checkpoint import VERSION as LEDGER_VERSION
from mayfly.ports.states import States
from mayfly.privacy.closed_logs import LIBRARIES, close_logs
from mayfly.services.versions import Version, refuse_newer


def upgrade(root: Path, *, target: str = "dev", check: bool = False) -> dict[str, Any]:
    """What each part is made in, and, without `check`, bring older ones up to date.

    Args:
        root: folder of the project.
        target: one of its targets.
        check: change nothing.

    Raises:
        PolicyError: `not_initialised`.
        ConfigError: without `check`, where a newer program made a part; nothing was changed.
    """
    close_logs(*LIBRARIES)
    refuse_key_log(os.environ)
    project = load_project(root, target=target, ending=True)
    found = list(versions_of(project))
    if not check:
        refuse_newer(found)
        if any(v.verdict == "older" for v in found):
            # All missing migrations or none.
            store_of(project).workspace()
    return {
        "schema": "mayfly/upgrade/1",
        "ok": not check or all(v.verdict == "current" for v in found),
        "upgraded": not check and any(v.verdict == "older" for v in found),
        "parts": [v.to_dict() for v in found],
    }


def versions_of(project: Project) -> Iterator[Version]:
    """Of all that is there; nothing is written.

    Raises:
        PolicyError: `not_initialised`.
        TransientError: store or source is away.
    """
    store = store_of(project)
    found, known = store.versions()
    yield Version(kind="store", name="store", found=found, known=known)
    # In a shared store it is a part of that, and of its version.
    ledger = None if store.is_shared else version_in(ledger_path(project))
    if ledger is not None:
        yield Version(kind="ledger", name="ledger", found=ledger, known=LEDGER_VERSION)
    form = spool_keys(project).form()
    if form is not None:
        yield Version(kind="spool", name="spool", found=form, known=FORM)
    yield from _states(project)


def _states(project: Project) -> Iterator[Version]:
    places: dict[str, States] = {
        name: _states_in(project, name)
        for name, source in project.sources.items()
        if source.state == "source"
    }
    places[LOCAL_STATES] = LocalStates(local_databases(project))
    for place, states in places.items():
        for sid, form in states.formats().items():
            yield Version(kind="state", name=f"{place}/{sid}", found=form, known=FORMAT)


def _states_in(project: Project, name: str) -> SourceStates:
    schema = project.sources[name].state_schema
    return SourceStates(open_source(project, name), dialect_of(project, name), schema=schema)
