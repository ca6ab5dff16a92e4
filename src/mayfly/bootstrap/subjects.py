"""Where one person is looked for in the state of a sync."""

from __future__ import annotations

from mayfly.adapters.planstores.local_subjects import LocalSubjects
from mayfly.adapters.planstores.subjects import SourceSubjects
from mayfly.bootstrap.app import App
from mayfly.bootstrap.keeping import local_databases
from mayfly.planning.names import Names
from mayfly.planning.spec import PlanSpec
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.subjects import SubjectRows


def subjects_of(app: App, source_name: str, spec: PlanSpec) -> SubjectRows:
    """The people in the state of a sync whose model is of that source."""
    settings, source = app.project.sources[source_name], app.source(source_name)
    sql, sid = app.dialect(source), spec.identity.sid
    if settings.state == "local":
        databases = local_databases(app.project)
        return LocalSubjects(
            source,
            sql,
            databases.open(databases.path(sid)),
            Names(sql=DuckdbDialect(), schema="_mayfly", sid=sid),
            lambda: app.keyring.key("local_state"),
        )
    return SourceSubjects(source, sql, Names(sql=sql, schema=settings.state_schema, sid=sid))
