"""Our schema in a warehouse as a whole: what is in it, and taking it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mayfly.adapters.planstores import tables
from mayfly.adapters.planstores.closing_plan import numbered_copies
from mayfly.adapters.planstores.states import SourceStates, require_idle
from mayfly.domain.errors import ConfigError, ContractError, PolicyError
from mayfly.planning.names import STATE_TABLES, TURNS, WORKING_COPIES, Names
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source, SqlSession
from mayfly.ports.states import SchemaTraces, StateInfo
from mayfly.services.uninstall import foreign_tables

CHECKPOINTS = "checkpoints"
_CHECKPOINT_COLUMNS = {"entries", "published_at", "note"}


class SourceSchema:
    """`StateSchema` of a source that is written.

    Args:
        source: opened anew for each call.
        sql: its dialect.
        schema: our schema's name.
    """

    def __init__(self, source: Source, sql: SqlDialect, *, schema: str) -> None:
        self._source = source
        self._sql = sql
        self._schema = schema
        self._states = SourceStates(source, sql, schema=schema)

    def traces(self) -> SchemaTraces | None:
        """See `StateSchema.traces`."""
        with self._source.session(write=False) as session:
            if not tables.has_schema(session, self._sql, self._schema):
                return None
            objects = self._objects(session)
            ours = self._ours(session, objects)
            return SchemaTraces(
                foreign=len(objects.keys() - ours),
                checkpoints=self._count(session, CHECKPOINTS) if CHECKPOINTS in ours else 0,
            )

    def remove(
        self,
        *,
        owner: str,
        now_ms: int,
        alive: Callable[[str], bool],
        record: Callable[[StateInfo], None],
    ) -> Sequence[StateInfo]:
        """See `StateSchema.remove`."""
        with self._source.session(write=True) as session:
            if self._sql.transactional_ddl:
                session.begin()
            if not tables.has_schema(session, self._sql, self._schema):
                return []
            infos = self._taken(session, owner, now_ms, alive)
            objects = self._objects(session)
            ours = self._ours(session, objects)
            if objects.keys() - ours:
                raise foreign_tables(len(objects.keys() - ours))
            # Views first: they read tables.
            for name in sorted(ours, key=lambda name: (objects[name] != "VIEW", name)):
                is_view, named = objects[name] == "VIEW", self._named(name)
                session.execute(
                    self._sql.drop_view(named) if is_view else self._sql.drop_table(named)
                )
            self._drop_schema(session)
            for info in infos:
                record(info)
            if self._sql.transactional_ddl:
                session.commit()
            return infos

    def _taken(
        self, session: SqlSession, owner: str, now_ms: int, alive: Callable[[str], bool]
    ) -> Sequence[StateInfo]:
        """Every state, locked until the transaction's end; none is worked on, all are ours."""
        if "states" not in self._objects(session):
            return []
        lock = self._sql.lock(self._named("states"))
        if lock is not None:
            session.execute(lock)
        rows = self._states.rows(session)
        for row in rows:
            require_idle(row, now_ms, alive)
            if row["owner"] != owner:
                raise PolicyError(
                    "foreign_state",
                    "A state in the source belongs to another installation of Mayfly.",
                    hint="Drop it there, or take it over first with `mayfly state adopt`.",
                )
        return [self._states.info(session, row) for row in rows]

    def _drop_schema(self, session: SqlSession) -> None:
        """Without CASCADE: functions, types and whatever else is in it keep it."""
        try:
            session.execute(self._sql.drop_schema(self._schema))
        except (ConfigError, ContractError) as error:
            if error.code == "missing_grant":
                raise ConfigError(
                    "missing_grant",
                    f"Schema {self._schema} is not this role's to drop; nothing was dropped.",
                    hint=f"Let its owner run: {self._sql.give_schema(self._schema)}",
                ) from None
            raise foreign_tables() from None

    def _objects(self, session: SqlSession) -> dict[str, str]:
        """Kind of each table and view in the schema, by name."""
        found = session.table(self._sql.tables_of(self._schema)).to_pylist()
        return {str(row["name"]): str(row["kind"]) for row in found}

    def _ours(self, session: SqlSession, objects: dict[str, str]) -> set[str]:
        """Those that Mayfly made: by their names, of states that are registered."""
        known: set[str] = {"states", "rejected", TURNS} & objects.keys()
        if "states" in known:
            sids = [str(row["sid"]) for row in self._states.rows(session)]
            kinds = (*STATE_TABLES, *WORKING_COPIES)
            known |= {f"{k}_{sid}" for sid in sids for k in kinds} & objects.keys()
            names = (Names(sql=self._sql, schema=self._schema, sid=sid) for sid in sids)
            if not self._sql.transactional_ddl:
                known |= {copy for n in names for copy in numbered_copies(objects, n)}
        if CHECKPOINTS in objects and self._is_anchor(session):
            known.add(CHECKPOINTS)
        return known

    def _is_anchor(self, session: SqlSession) -> bool:
        found = session.table(self._sql.columns_of(self._schema, CHECKPOINTS))
        return set(found.column("name").to_pylist()) == _CHECKPOINT_COLUMNS

    def _count(self, session: SqlSession, name: str) -> int:
        found = session.table(f"SELECT count(*) AS n FROM {self._named(name)}")
        return int(found.column("n")[0].as_py())

    def _named(self, name: str) -> str:
        return self._sql.ours(self._schema, name)
