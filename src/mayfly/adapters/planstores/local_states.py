"""The local states of a project: to see them, to forget one, to make one that of another sync."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mayfly.adapters.planstores.local import LocalDatabases, local_spec
from mayfly.adapters.planstores.recognition import SEALED_KEY, LocalState
from mayfly.adapters.planstores.states import SourceStates
from mayfly.domain.errors import PolicyError
from mayfly.planning.names import Names
from mayfly.planning.spec import CloseReport, PlanSpec
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import SqlSession
from mayfly.ports.states import LeftPlan, Record, StateInfo
from mayfly.services.durable import sync_directory


class LocalStates:
    """`States`, each in a database file of its own.

    Args:
        databases: where the files are.
    """

    def __init__(self, databases: LocalDatabases) -> None:
        self._databases = databases

    def all(self) -> Sequence[StateInfo]:
        """See `States.all`."""
        return [info for states in self._each() for info in states.all()]

    def formats(self) -> Mapping[str, int]:
        """See `States.formats`."""
        return {sid: form for states in self._each() for sid, form in states.formats().items()}

    def open_plans(self) -> Sequence[LeftPlan]:
        """See `States.open_plans`."""
        return [plan for states in self._each() for plan in states.open_plans()]

    def drop(
        self, sid: str, *, now_ms: int, alive: Callable[[str], bool], record: Record
    ) -> StateInfo:
        """See `States.drop`: its file goes."""
        self._require(sid)
        found = self._states(sid).drop(sid, now_ms=now_ms, alive=alive, record=record)
        self._remove(sid)
        return found

    def end_plan(
        self, sid: str, *, now_ms: int, alive: Callable[[str], bool]
    ) -> tuple[StateInfo, CloseReport]:
        """See `States.end_plan`: its sealed rows go, too."""
        self._require(sid)
        ended = self._states(sid).end_plan(sid, now_ms=now_ms, alive=alive)
        shutil.rmtree(self._databases.rows(sid), ignore_errors=True)
        return ended

    def adopt(
        self,
        sid: str,
        spec: PlanSpec,
        *,
        owner: str,
        now_ms: int,
        alive: Callable[[str], bool],
        record: Record,
    ) -> StateInfo:
        """See `States.adopt`: its file takes the name of the sync's own, which must be free."""
        self._require(sid)
        new = spec.identity.sid
        there = self._info(new) if new != sid else None
        if there is not None and (there.rows or there.identifiers or there.open_run is not None):
            raise PolicyError(
                "state_exists",
                "The sync has a state that holds rows already.",
                hint="Keep it, or forget it first with `mayfly state drop`.",
            )
        if there is not None:
            # It is empty: there is nothing to record.
            self._states(new).drop(new, now_ms=now_ms, alive=alive, record=lambda _: None)
        if new == sid:
            return self._states(sid).adopt(
                sid, local_spec(spec), owner=owner, now_ms=now_ms, alive=alive, record=record
            )
        # In a copy that takes its name at the end: a crash leaves the state as it was, or adopted.
        copy = self._copied(sid, new)
        found = SourceStates(self._databases.open(copy), DuckdbDialect()).adopt(
            sid, local_spec(spec), owner=owner, now_ms=now_ms, alive=alive, record=record
        )
        copy.replace(self._databases.path(new))
        sync_directory(self._databases.folder)
        self._remove(sid)
        return found

    def _copied(self, sid: str, new: str) -> Path:
        source = self._databases.open(self._databases.path(sid))
        with source.session(write=True) as session:
            session.execute("CHECKPOINT")
        copy = self._databases.folder / f"{new}.adopting"
        copy.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(copy, flags, 0o600), "wb") as target:
            with self._databases.path(sid).open("rb") as made:
                shutil.copyfileobj(made, target)
            os.fsync(target.fileno())
        return copy

    def _each(self) -> Iterator[SourceStates]:
        for file in sorted(self._databases.folder.glob("*.duckdb")):
            yield self._states(file.stem)

    def _states(self, sid: str) -> SourceStates:
        database = self._databases.open(self._databases.path(sid))
        return SourceStates(database, DuckdbDialect(), closing=_forget_keys)

    def _info(self, sid: str) -> StateInfo | None:
        if not self._databases.path(sid).is_file():
            return None
        return next((info for info in self._states(sid).all() if info.sid == sid), None)

    def _require(self, sid: str) -> None:
        if not self._databases.path(sid).is_file():
            raise PolicyError(
                "state_unknown",
                "There is no local state of that name.",
                hint="`mayfly state list` shows what there is.",
            )

    def _remove(self, sid: str) -> None:
        self._databases.path(sid).unlink(missing_ok=True)
        shutil.rmtree(self._databases.rows(sid), ignore_errors=True)


def _forget_keys(session: SqlSession, names: Names) -> None:
    """Of rows that were taken back: no removal can name them any more."""
    if LocalState(session=session, names=names).has_keys():
        session.execute(
            f"UPDATE {names.of('state')} SET {SEALED_KEY} = NULL "
            f"WHERE {SEALED_KEY} IS NOT NULL AND NOT present"
        )
