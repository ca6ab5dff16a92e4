"""Folders of Parquet and CSV files; a table is the stem of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from mayfly.connectors.sources.csv_columns import CsvColumns
from mayfly.connectors.sources.duckdb_session import (
    DEFAULT_MEMORY,
    LOCKED_SETTINGS,
    DuckdbSession,
    pin,
    readable,
    translated,
    unfit,
)
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.dialect import literal
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import ColumnInfo, Dialect, ServerFacts, TableInfo
from mayfly.ports.source_spec import GrantRequest, SourceRequest, SourceSpec, no_hosts

_ENDINGS = {".parquet", ".csv"}
_PATTERN = re.compile(r"[*?\[]")


class FilesSource:
    """A folder read by an engine in memory that can open nothing outside it.

    A CSV file has a header, is UTF-8, and is read whole to find the type of each column, so that
    a late value cannot break a run half-way; an empty field is null, and what a number would not
    come back from is text. A model may name a table by its stem alone.

    Args:
        name: of the source in the project.
        path: the folder; not a symbolic link, and links inside it are refused.
        memory_limit: of one session, in DuckDB's spelling.
        threads: of one session.
    """

    dialect: Dialect = "duckdb"

    def __init__(
        self, name: str, path: Path | str, *, memory_limit: str = DEFAULT_MEMORY, threads: int = 2
    ) -> None:
        self.name = name
        self._path = Path(path)
        self._settings = {
            **LOCKED_SETTINGS,
            "memory_limit": memory_limit,
            "threads": str(threads),
        }
        self._csv = CsvColumns()

    @contextmanager
    def session(self, *, write: bool) -> Iterator[DuckdbSession]:
        """See `Source.session`.

        Raises:
            ConfigError: `read_only_source` with write; a folder that is missing, holds symbolic
                links or two files of one stem.
        """
        if write:
            raise ConfigError(
                "read_only_source",
                f"Source {self.name} is a folder of files, which takes no writes.",
                hint="Set `state: local` on the source.",
            )
        found = self._files()
        files = {stem: _reader(path) for stem, path in found.items()}
        paths = {files[stem]: path for stem, path in found.items()}

        def meant(connection: duckdb.DuckDBPyConnection, reader: str) -> str:
            path = paths[reader]
            is_csv = path.suffix.lower() != ".parquet"
            return self._csv.reader(connection, path, reader) if is_csv else reader

        session = DuckdbSession(self._connect(), files=files, meant=meant)
        try:
            yield session
        finally:
            session.close()

    def relation(self, schema: str | None, table: str) -> str:
        """See `Source.relation`: the reader of the file.

        Raises:
            ConfigError: `table_missing`.
        """
        path = None if schema is not None else self._files().get(table)
        if path is None:
            raise ConfigError(
                "table_missing",
                f"Source {self.name} has no file for the table.",
                hint="A table is named as the file is, without .parquet or .csv.",
            )
        return _reader(path)

    def readable(self, column: ColumnInfo) -> str:
        """See `Source.readable`."""
        return readable(column)

    def unfit(self, column: ColumnInfo) -> str | None:
        """See `Source.unfit`."""
        return unfit(column)

    def describe(self, query: str) -> Sequence[ColumnInfo]:
        """See `Source.describe`. The types of a CSV file are found by reading it."""
        with self.session(write=False) as session:
            return session.describe(query)

    def tables(self) -> Sequence[TableInfo]:
        """See `Source.tables`."""
        with self.session(write=False) as session:
            return [
                TableInfo(
                    schema=None,
                    name=stem,
                    columns=session.describe(f"SELECT * FROM {_reader(path)}"),
                )
                for stem, path in self._files().items()
            ]

    def check(self, *, write: bool) -> None:
        """See `Source.check`."""
        with self.session(write=write) as session:
            session.table("SELECT 1")

    def facts(self) -> ServerFacts:
        """See `Source.facts`. The engine runs in this process."""
        return ServerFacts(engine=f"DuckDB {duckdb.__version__}")

    def computes_with(self) -> str | None:
        """See `EmbeddedSource`."""
        return self.facts().engine

    def _connect(self) -> duckdb.DuckDBPyConnection:
        files = [str(p) for p in self._files().values()]
        settings: dict[str, str | bool | int | float | list[str]] = dict(self._settings)
        # The engine opens exactly these files; allowing must come before shutting the door.
        del settings["enable_external_access"]
        listed = ", ".join(literal(f) for f in files)
        with translated():
            connection = duckdb.connect(":memory:", config=settings)
            connection.execute(f"SET allowed_paths = [{listed}]")
            connection.execute("SET enable_external_access = false")
            pin(connection)
        return connection

    def _files(self) -> dict[str, Path]:
        """Stem and path of each file, in order of their names."""
        if self._path.is_symlink() or not self._path.is_dir():
            raise ConfigError(
                "folder_missing",
                f"The path of source {self.name} is not a folder (links are not followed).",
                hint=f"Check `path` of source {self.name}.",
            )
        found: dict[str, Path] = {}
        folded: set[str] = set()
        for path in sorted(self._path.resolve().iterdir()):
            if path.suffix.lower() not in _ENDINGS:
                continue
            if path.is_symlink() or not path.is_file():
                raise ConfigError(
                    "symbolic_link",
                    f"The folder of source {self.name} holds a link or folder named like a table.",
                    hint="Put the files themselves into the folder.",
                )
            if _PATTERN.search(str(path)):
                raise ConfigError(
                    "path_pattern",
                    f"The path of source {self.name} or of one of its files holds *, ? or [, "
                    "which the engine takes for a pattern.",
                    hint="Rename the file or folder.",
                )
            if path.stem.casefold() in folded:
                raise ConfigError(
                    "table_ambiguous",
                    f"The folder of source {self.name} holds two files of one stem.",
                    hint="Keep one of them, or rename it: a table is the stem of a file.",
                )
            folded.add(path.stem.casefold())
            found[path.stem] = path
        return found


def _reader(path: Path) -> str:
    name = literal(str(path))
    if path.suffix.lower() == ".parquet":
        return f"read_parquet({name})"
    return f"read_csv({name}, header = true, sample_size = -1)"


def _open_source(request: SourceRequest) -> FilesSource:
    settings = request.settings
    return FilesSource(
        settings.name, request.path(), memory_limit=settings.memory_limit or DEFAULT_MEMORY
    )


def _grants(request: GrantRequest) -> Sequence[str]:
    folder = request.source.shown_path()
    return [f"-- The user of Mayfly needs read permission on {folder} and the files in it."]


SPEC = SourceSpec(
    type="files", open=_open_source, dialect=DuckdbDialect, hosts=no_hosts, grants=_grants
)
