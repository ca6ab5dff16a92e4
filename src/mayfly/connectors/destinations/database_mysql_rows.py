"""Arrow columns as the data of a LOAD DATA LOCAL into columns of MariaDB. Pure."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mayfly.connectors.destinations.values import csv_frame
from mayfly.planning.sql.mysql import MysqlDialect

_NULL = "NULL"
"""Without escapes, the word outside quotation marks; every text stands within."""
_ROWS = 10_000
_MEMBERS = re.compile(r"(?P<kind>enum|set)(?P<list>\(.*\))", re.DOTALL)
_MEMBER_MAX = 255
"""Characters of a member of an enum or a set."""
_SQL = MysqlDialect()


@dataclass(frozen=True)
class Target:
    """A column of the target: its name and type, and what its texts are written and compared by."""

    name: str
    kind: str
    charset: str | None = None
    collation: str | None = None


def stage_statement(name: str, columns: Sequence[Target]) -> str:
    """A temporary table with the target's types, in which every column takes nulls."""
    defined = ", ".join(f"{_SQL.quote(c.name)} {_type(c)} NULL" for c in columns)
    return f"CREATE TEMPORARY TABLE {name} ({defined}) ENGINE=InnoDB"


def _type(column: Target) -> str:
    if column.charset is None or column.collation is None:
        return column.kind
    return f"{column.kind} CHARACTER SET {column.charset} COLLATE {column.collation}"


def load_statement(name: str, schema: pa.Schema, columns: Sequence[Target]) -> str:
    """Takes what `csv_pieces` writes.

    Args:
        name: of the table, quoted.
        schema: of the rows.
        columns: of the table, in the order of the schema.
    """
    places, changed = [], []
    for number, (field, column) in enumerate(zip(schema, columns, strict=True)):
        value = _value(field.type, column, f"@c{number}")
        places.append(_SQL.quote(column.name) if value is None else f"@c{number}")
        if value is not None:
            changed.append(f"{_SQL.quote(column.name)} = {value}")
    made = f" SET {', '.join(changed)}" if changed else ""
    return (
        f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {name} CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
        f"LINES TERMINATED BY '\\n' ({', '.join(places)}){made}"
    )


def _value(kind: pa.DataType, column: Target, variable: str) -> str | None:
    """What is made of a field before it is stored; None where it is as it comes."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return f"unhex({variable})"
    if column.kind.startswith("bit"):
        return f"CAST({variable} AS UNSIGNED)"
    members = _MEMBERS.fullmatch(column.kind)
    if members is not None:
        # A number would stand for the member at its place, or for some of a set.
        is_number = f"{variable} REGEXP '^[0-9]+$' AND " if members["kind"] == "set" else ""
        strange = f"{is_number}BINARY {variable} NOT IN {members['list']}"
        return f"IF({strange}, repeat('-', {_MEMBER_MAX + 1}), {variable})"
    return None


def csv_pieces(rows: pa.Table) -> Iterator[bytes]:
    """The rows, a piece at a time: the server takes one while the next is written."""
    for first in range(0, rows.num_rows, _ROWS):
        buffer = io.BytesIO()
        frame = csv_frame(rows.slice(first, _ROWS), booleans=pa.int8())
        frame.write_csv(buffer, include_header=False, null_value=_NULL, quote_style="non_numeric")
        yield buffer.getvalue()
