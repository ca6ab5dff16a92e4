"""`Engine` on DBOS Transact: a queue of each region, and one durable step per run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos import error as dbos_errors
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from mayfly.adapters.engine.journal import SCHEMA, end_sessions, open_journal
from mayfly.adapters.engine.serializer import JournalError, StrictSerializer
from mayfly.domain.errors import ContractError, EngineError, TransientError
from mayfly.ports.engine import AskedRun
from mayfly.privacy.closed_logs import close_logs

VERSION = "journal-1"
"""Of the sequence of steps. What one version began is not gone on with by another."""
_DONE = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_MANY = 1_000


def queue_of(region: str) -> str:
    """The queue of a region, which is named whenever a run is asked for."""
    return f"sync-{region or 'here'}"


class DurableEngine:
    """See `Engine`. One for each process at a time, which is the library's own limit.

    Args:
        url: of the store: `sqlite`, which only this process may use then, or PostgreSQL's.
        folder: of the project's own files.
        region: whose runs are done here, and no others.
        executor: name of this process, which no other has or will have.
        act: does the run of that id, of that sync; what it returns is an id, and it is only told.
        poll_seconds: how often the queue is looked at.
    """

    def __init__(
        self,
        *,
        url: str,
        folder: Path,
        region: str,
        executor: str,
        act: Callable[[str, str], str],
        poll_seconds: float = 1.0,
    ) -> None:
        self._url = url
        self._folder = folder
        self._queue = queue_of(region)
        self._executor = executor
        self._act = act
        self._poll_seconds = poll_seconds
        self._database: Database | None = None
        self._do: Callable[[str, str], str] | None = None

    def start(self) -> None:
        """See `Engine.start`."""
        self._database = open_journal(self._url, self._folder, self._executor)
        config: DBOSConfig = {
            "name": "mayfly",
            "system_database_engine": self._database,
            "dbos_system_schema": SCHEMA,
            "serializer": StrictSerializer(),
            "executor_id": self._executor,
            "application_version": VERSION,
            "enable_otlp": False,
            "use_listen_notify": False,
            "max_executor_threads": 16,
        }
        close_logs("dbos", "sqlalchemy")
        with _translated():
            DBOS(config=config)
            # It sets a level of its own.
            close_logs("dbos", "sqlalchemy")
            self._do = DBOS.workflow(name="sync", max_recovery_attempts=None)(self._workflow())
            DBOS.listen_queues([self._queue])
            DBOS.launch()
            DBOS.register_queue(
                self._queue,
                worker_concurrency=1,
                polling_interval_sec=self._poll_seconds,
                on_conflict="always_update",
            )

    def enqueue(self, run: AskedRun) -> None:
        """See `Engine.enqueue`."""
        if self._do is None:
            raise _unavailable()
        with _translated():
            known = DBOS.get_workflow_status(run.id)
            if known is not None and known.status not in _DONE:
                return
            if known is not None:
                DBOS.delete_workflows([run.id])
            with SetWorkflowID(run.id):
                DBOS.enqueue_workflow(self._queue, self._do, run.id, run.sync)

    def tidy(self) -> None:
        """See `Engine.tidy`."""
        with _translated():
            done = DBOS.list_workflows(
                status=_DONE, limit=_MANY, load_input=False, load_output=False
            )
            if done:
                DBOS.delete_workflows([found.workflow_id for found in done])

    def owners(self) -> Collection[str]:
        """See `Engine.owners`."""
        with _translated():
            begun = DBOS.list_workflows(
                status="PENDING", limit=_MANY, load_input=False, load_output=False
            )
        return {found.executor_id for found in begun if found.executor_id}

    def take_over(self, executor: str) -> None:
        """See `Engine.take_over`. What it kept locked is let go first: nothing waits for it."""
        if self._database is None:
            raise _unavailable()
        with _translated():
            with self._database.begin() as connection:
                end_sessions(connection, executor)
            # Of several that do so at once one finds each run: it is asked for with its owner.
            DBOS._recover_pending_workflows([executor])

    def stop(self, *, wait_seconds: int = 0) -> None:
        """See `Engine.stop`."""
        database, self._database, self._do = self._database, None, None
        try:
            with _translated():
                DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=wait_seconds)
        finally:
            close_logs("dbos", "sqlalchemy")
            if database is not None:
                database.dispose()

    def _workflow(self) -> Callable[[str, str], str]:
        def act(run: str, sync: str) -> str:
            return _opaque(self._act, run, sync)

        def sync_run(run: str, sync: str) -> str:
            return DBOS.run_step({"name": "advance"}, act, run, sync)

        return sync_run


def _opaque(act: Callable[[str, str], str], run: str, sync: str) -> str:
    """Whatever ends a step leaves it as its type and code alone."""
    try:
        return act(run, sync)
    except EngineError as error:
        failed = JournalError(type(error).__name__, error.code)
    except Exception as error:
        failed = JournalError(type(error).__name__)
    raise failed from None


@contextmanager
def _translated() -> Iterator[None]:
    """Texts of the library and of the database carry statements and values; none is passed on."""
    try:
        yield
    except (SQLAlchemyError, dbos_errors.DBOSException):
        raise _unavailable() from None
    except JournalError:
        raise ContractError(
            "not_an_id",
            "The engine was given something else than an id of letters, digits and _.:/+=-.",
            hint="This is a fault of Mayfly; please report it.",
        ) from None


def _unavailable() -> TransientError:
    return TransientError(
        "journal_unavailable",
        "The engine's journal does not answer.",
        hint="Nothing is lost: a worker makes it anew once its database answers.",
    )
