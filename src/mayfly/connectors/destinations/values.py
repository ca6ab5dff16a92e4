"""Values that some databases cannot hold as they are, nested ones as JSON, and columns as CSV."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from mayfly.domain.errors import ContractError

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896
"""0001-01-01 and 9999-12-31 in days since 1970."""
_DAY_US = 86_400_000_000
_Check = Callable[[pa.ChunkedArray], pa.ChunkedArray | None]


# No file, no download, and rows are never spilled to a disk.
_SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",
}


def json_texts(column: pa.ChunkedArray) -> list[str | None]:
    """Lists and structs as JSON text: numbers with all their digits, bytes in hex.

    Raises:
        ContractError: `batch_refused`, a value has no such text.
    """
    try:
        with duckdb.connect(config=dict(_SETTINGS)) as engine:
            engine.execute("SET TimeZone = 'UTC'")
            engine.register("given", pa.table({"v": column}))
            found = engine.execute("SELECT CAST(to_json(v) AS VARCHAR) FROM given").fetchall()
    except duckdb.Error:
        # The engine's text may hold a value; halving the batch finds the row.
        raise ContractError(
            "batch_refused", "A batch holds a nested value that cannot be written as JSON."
        ) from None
    return [text for (text,) in found]


def csv_frame(
    rows: pa.Table,
    *,
    bytes_prefix: str = "",
    utc: str = "",
    booleans: pa.DataType | None = None,
) -> pl.DataFrame:
    """Columns as CSV can hold them: JSON for nested ones, hex for bytes, ISO for times.

    Args:
        rows: with any columns.
        bytes_prefix: before the hex of bytes.
        utc: behind a timestamp that has a zone.
        booleans: what they are written as; text by default.
    """
    columns: dict[str, pl.Series] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        kind = column.type
        if pa.types.is_nested(kind):
            columns[name] = pl.Series(json_texts(column), dtype=pl.String)
        elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            columns[name] = bytes_prefix + pl.Series(column.cast(pa.binary())).bin.encode("hex")
        elif pa.types.is_timestamp(kind):
            series = pl.Series(column.cast(pa.timestamp("us")))
            columns[name] = series.dt.to_string(f"%Y-%m-%d %H:%M:%S%.6f{utc if kind.tz else ''}")
        elif pa.types.is_floating(kind):
            columns[name] = pl.Series(column.cast(pa.float64())).cast(pl.String)
        elif pa.types.is_boolean(kind):
            columns[name] = pl.Series(column.cast(booleans or pa.string()))
        elif pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            columns[name] = pl.Series(column.cast(pa.string()))
        else:
            columns[name] = pl.Series(column)
    return pl.DataFrame(columns)


def rows_with_nul(rows: pa.Table) -> Mapping[int, str]:
    """Rows with a NUL character in a text."""
    return _found(rows, "nul_character", _has_nul)


def rows_without_number(rows: pa.Table) -> Mapping[int, str]:
    """Rows with a float that is not a number."""
    return _found(rows, "not_a_number", _is_nan)


def rows_not_finite(rows: pa.Table) -> Mapping[int, str]:
    """Rows with a float that is infinite or not a number."""
    return _found(rows, "not_a_finite_number", _is_not_finite)


def rows_out_of_calendar(rows: pa.Table) -> Mapping[int, str]:
    """Rows with a day outside the years 1 to 9999, or with the time 24:00."""
    return _found(rows, "time_out_of_range", _out_of_calendar)


def _found(rows: pa.Table, reason: str, check: _Check) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for column in rows.columns:
        hits = check(column)
        if hits is not None:
            found |= dict.fromkeys(
                pc.indices_nonzero(pc.fill_null(hits, False)).to_pylist(), reason
            )
    return found


def _has_nul(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.match_substring(column, "\x00")
    return None


def _is_nan(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    return pc.is_nan(column) if pa.types.is_floating(column.type) else None


def _is_not_finite(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    if not pa.types.is_floating(column.type):
        return None
    return pc.invert(pc.is_finite(column.cast(pa.float64())))


def _out_of_calendar(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    kind = column.type
    if pa.types.is_date32(kind):
        return _outside(column.cast(pa.int32()), _FIRST_DAY, _LAST_DAY)
    if pa.types.is_timestamp(kind) and kind.unit == "us":
        first, after = _FIRST_DAY * _DAY_US, (_LAST_DAY + 1) * _DAY_US
        return _outside(column.cast(pa.int64()), first, after - 1)
    if pa.types.is_time64(kind) and kind.unit == "us":
        return _outside(column.cast(pa.int64()), 0, _DAY_US - 1)
    return None


def _outside(numbers: pa.ChunkedArray, least: int, most: int) -> pa.ChunkedArray:
    return pc.or_(pc.less(numbers, least), pc.greater(numbers, most))
