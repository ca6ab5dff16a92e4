"""Tables in files of their own, read whole and as they are written: nothing is guessed of types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from mayfly.connectors.sources.duckdb_session import LOCKED_SETTINGS
from mayfly.domain.errors import ConfigError
from mayfly.planning.sql.dialect import literal
from mayfly.privacy.detect import shown_name

ENDINGS = (".parquet", ".csv", ".tsv")


def tables_below(paths: list[Path]) -> dict[str, Path]:
    """Files by the name of their table, which is their own without its ending.

    Args:
        paths: files, and folders whose files are taken.

    Raises:
        ConfigError: `file_not_found`, `unknown_file` of another ending, `table_ambiguous` where two
            files have one name.
    """
    found: dict[str, Path] = {}
    for file in (file for path in paths for file in _files(path)):
        if file.suffix.lower() not in ENDINGS:
            raise ConfigError(
                "unknown_file",
                f"{shown_name(str(file))} is neither Parquet nor CSV.",
                hint=f"A table's file ends in {', '.join(ENDINGS)}.",
            )
        if file.stem in found:
            raise ConfigError(
                "table_ambiguous",
                f"{shown_name(str(file))} has the name of another file: tables have theirs.",
                hint="Give them one at a time.",
            )
        found[file.stem] = file
    return found


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(f for f in path.iterdir() if f.suffix.lower() in ENDINGS)
    elif path.is_file():
        yield path
    else:
        raise ConfigError(
            "file_not_found",
            f"{shown_name(str(path))} is neither a file nor a folder.",
            hint="A table of a source is written SOURCE.TABLE.",
        )


def read_table_file(path: Path) -> dict[str, pa.ChunkedArray]:
    """Columns of a file by name; those of CSV are texts, so that no zero before a number is lost.

    Raises:
        ConfigError: `unreadable`.
    """
    try:
        table = pq.read_table(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except (duckdb.Error, pa.ArrowException, OSError, UnicodeDecodeError):
        raise ConfigError(
            "unreadable",
            f"{shown_name(str(path))} cannot be read to its end.",
            hint="Parquet, or CSV in UTF-8 with a header.",
        ) from None
    return dict(zip(table.column_names, table.columns, strict=True))


def _csv(path: Path) -> pa.Table:
    settings: dict[str, str | bool | int | float | list[str]] = {**LOCKED_SETTINGS, "threads": 2}
    # The engine opens this file alone; allowing must come before shutting the door.
    del settings["enable_external_access"]
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute(f"SET allowed_paths = [{literal(str(path.resolve()))}]")
        connection.execute("SET enable_external_access = false")
        reader = f"read_csv({literal(str(path.resolve()))}, header = true, all_varchar = true)"
        return connection.sql(f"SELECT * FROM {reader}").to_arrow_table()
