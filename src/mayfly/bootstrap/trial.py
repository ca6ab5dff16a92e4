"""A copy of a project to try a destination with: another source, another store, the same keys,
credentials and ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.bootstrap.app import App
from mayfly.bootstrap.connections import Connections
from mayfly.bootstrap.probing import Probes
from mayfly.domain.settings import Project
from mayfly.planning.sql.dialect import quote

TABLE = "people"


def trial_app(app: App, project: Project) -> App:
    """The parts of `app` for another project, whose root holds a store of its own."""
    store = SqlStore("sqlite", project.root / ".mayfly")
    store.create(
        workspace_id=app.workspace_id,
        name=project.workspace.name,
        installation_id=app.installation_id,
        now=app.clock.now(),
    )
    # Its run is none of the workspace's: it has no log there, and nobody is told of it.
    made = replace(
        app,
        project=project,
        store=store,
        tell=app.told,
        alerting=None,
        telemetry=None,
        _sources={},
        _probes=Probes(),
    )
    made.connections = Connections(project=project, vault=app.connections.vault, clock=app.clock)
    return made


@contextmanager
def synthetic_warehouse(
    folder: Path, people: pa.Table
) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A DuckDB file with one table of people, and what takes them all out again."""
    path = folder / "people.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("given", people)
        connection.execute(f"CREATE TABLE {quote(TABLE)} AS SELECT * FROM given")

    def empty() -> None:
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"DELETE FROM {quote(TABLE)}")

    yield path, empty
