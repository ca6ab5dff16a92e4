"""Rows as files: Parquet, CSV or JSON Lines. Pure."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from mayfly.connectors.destinations.values import json_texts
from mayfly.connectors.unsendable import is_bytes
from mayfly.domain.errors import ConfigError, ContractError

FORMATS = ("parquet", "csv", "jsonl")
_NESTED = {b"mayfly": b"json"}
_BEYOND = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def require_format(file_format: str) -> None:
    """Refuse what is none of FORMATS.

    Raises:
        ConfigError: `bad_format`.
    """
    if file_format not in FORMATS:
        raise ConfigError("bad_format", f"format must be one of {', '.join(FORMATS)}.")


def write_file(file: IO[bytes], file_format: str, given: Iterable[pa.Table]) -> None:
    """Write tables of one schema, one after the other, as one file.

    Args:
        file: that is written to.
        file_format: one of FORMATS.
        given: at least one table; for CSV and JSON Lines as `in_text` gives it.

    Raises:
        ContractError: `batch_refused`, the format cannot hold a type.
    """
    tables = iter(given)
    with _told():
        _write(file, file_format, tables)


def file_bytes(rows: pa.Table, file_format: str) -> bytes:
    """One table as a whole file.

    Raises:
        ContractError: `batch_refused`, the format cannot hold a type or a value.
    """
    file = io.BytesIO()
    write_file(file, file_format, [rows if file_format == "parquet" else in_text(rows)])
    return file.getvalue()


def _write(file: IO[bytes], file_format: str, tables: Iterator[pa.Table]) -> None:
    if file_format == "parquet":
        first = next(tables)
        with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(table.cast(first.schema))
        return
    for number, table in enumerate(tables):
        if file_format == "csv":
            frame = pl.from_arrow(table)
            if isinstance(frame, pl.DataFrame):
                frame.write_csv(file, include_header=number == 0)
        else:
            for row in zip(
                *(_json_values(table, name) for name in table.column_names), strict=True
            ):
                named = dict(zip(table.column_names, row, strict=True))
                file.write(orjson.dumps(named, default=str) + b"\n")


def in_text(rows: pa.Table) -> pa.Table:
    """Rows as CSV and JSON Lines can hold them: nested values as JSON text, bytes in hex.

    Raises:
        ContractError: `batch_refused`, a nested value has no JSON.
    """
    made = rows
    for place, field in enumerate(rows.schema):
        column = rows.column(place)
        if pa.types.is_nested(field.type):
            texts = json_texts(column)
            _require_json(texts)
            marked = pa.field(field.name, pa.string(), metadata=_NESTED)
            made = made.set_column(place, marked, pa.array(texts, pa.string()))
        elif is_bytes(field.type):
            digits = [None if v is None else v.hex() for v in column.to_pylist()]
            made = made.set_column(place, field.name, pa.array(digits, pa.string()))
    return made


def _require_json(texts: Sequence[str | None]) -> None:
    try:
        for text in texts:
            orjson.loads(text or "null")
    except orjson.JSONDecodeError:
        raise ContractError(
            "batch_refused",
            "A batch holds a nested value that cannot be written as JSON, such as NaN in a list.",
        ) from None


def _json_values(table: pa.Table, name: str) -> list[Any]:
    """A column's values for JSON, which has no number for NaN and infinity: they go as text."""
    field = table.schema.field(name)
    values: list[Any] = table.column(name).to_pylist()
    if field.metadata == _NESTED:
        return [None if text is None else orjson.Fragment(text) for text in values]
    if pa.types.is_floating(field.type):
        return [v if v is None or math.isfinite(v) else _BEYOND[str(v)] for v in values]
    return values


@contextmanager
def _told() -> Iterator[None]:
    """Texts of the libraries carry values."""
    try:
        yield
    except (pa.ArrowException, pl.exceptions.PolarsError):
        raise ContractError(
            "batch_refused", "A batch holds a type that the file format cannot."
        ) from None
