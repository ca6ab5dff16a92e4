"""Arrow columns as the data of a LOAD DATA LOCAL: statement, and lines. Pure.

Bytes and texts go in hex: whatever they hold, a line is a line.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from mayfly.planning.sql.mysql import MysqlDialect

_NULL = "\\N"
_ROWS = 10_000
_SQL = MysqlDialect()


def table_statement(name: str, schema: pa.Schema) -> str:
    """A temporary table of those columns; what rows are found by is indexed."""
    columns = {_SQL.quote(f.name): _type(f.type) for f in schema}
    numbers = [[_SQL.quote(f.name)] for f in schema if pa.types.is_integer(f.type)][:1]
    defined = [f"{column} {kind}" for column, kind in columns.items()]
    defined += _SQL.indexes(columns, *numbers)
    made = _SQL.create_table(_SQL.quote(name), ", ".join(defined), temporary=True)
    return made.replace(" IF NOT EXISTS", "", 1)


def load_statement(name: str, schema: pa.Schema) -> str:
    """Takes lines as `lines_of` writes them."""
    places = [_SQL.quote(f.name) if _is_plain(f.type) else f"@c{i}" for i, f in enumerate(schema)]
    changed = [
        f"{_SQL.quote(f.name)} = {_value(f.type, f'@c{i}')}"
        for i, f in enumerate(schema)
        if not _is_plain(f.type)
    ]
    made = f" SET {', '.join(changed)}" if changed else ""
    return (
        f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {_SQL.quote(name)} CHARACTER SET utf8mb4 "
        r"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
        f"({', '.join(places)}){made}"
    )


def lines_of(rows: pa.Table) -> Iterator[bytes]:
    """The rows, a piece at a time."""
    for batch in rows.to_batches(max_chunksize=_ROWS):
        columns = [_texts(column) for column in batch.columns]
        yield "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)).encode()


def _texts(column: pa.Array) -> list[str]:
    values = column.to_pylist()
    if pa.types.is_boolean(column.type):
        return [_NULL if v is None else str(int(v)) for v in values]
    if _is_plain(column.type):
        return [_NULL if v is None else str(v) for v in values]
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return [_NULL if v is None else v.encode().hex() for v in values]
    return [_NULL if v is None else v.hex() for v in values]


def _is_plain(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "longtext"
    return "longblob"


def _value(kind: pa.DataType, variable: str) -> str:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return f"CONVERT(unhex({variable}) USING utf8mb4)"
    return f"unhex({variable})"
