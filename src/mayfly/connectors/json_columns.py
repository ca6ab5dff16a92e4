"""Whole columns as JSON text: one pass for all rows that have the same fields.

A shape says how one row looks; `rows_of` writes it for every row. What a row has no value for is
left out, and so is an object or list that nothing is left of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
import pyarrow as pa
import pyarrow.compute as pc

# Scalars with their types: of a bare Python value Arrow finds the type out, at every call, by
# looking for a module on the disk.
_NOTHING, _COMMA = (pa.scalar(text, pa.string()) for text in ("", ","))
_CELLS_MAX = 60


@dataclass(frozen=True, eq=False)
class Cell:
    """One value a row, as JSON between the quotes where it has some; null where it has none."""

    column: pa.Array
    is_quoted: bool


@dataclass(frozen=True)
class Constant:
    """The same JSON in every row."""

    value: object


@dataclass(frozen=True, eq=False)
class Object:
    """An object of those fields that are there.

    Args:
        fields: by key.
        is_whole: left out, too, where one of its fields is.
    """

    fields: Mapping[str, Shape]
    is_whole: bool = False


@dataclass(frozen=True, eq=False)
class Items:
    """A list of those items that are there."""

    items: Sequence[Shape]


Shape = Cell | Constant | Object | Items


def plain(column: pa.Array | pa.ChunkedArray) -> Cell:
    """Text that needs no escape, such as digests."""
    return Cell(_flat(column).cast(pa.string()), is_quoted=True)


def text(column: pa.Array | pa.ChunkedArray) -> Cell:
    """Any text."""
    flat = _flat(column).cast(pa.string())
    if _needs_escape(flat):
        values = (
            orjson.dumps(v)[1:-1].decode() if v is not None else None for v in flat.to_pylist()
        )
        flat = pa.array(values, pa.string())
    return Cell(flat, is_quoted=True)


def number(column: pa.Array | pa.ChunkedArray) -> Cell:
    """Whole numbers and truth values."""
    return Cell(_flat(column).cast(pa.string()), is_quoted=False)


def raw(column: pa.Array | pa.ChunkedArray) -> Cell:
    """What is JSON already."""
    return Cell(_flat(column), is_quoted=False)


def rows_of(shape: Object, rows: int) -> pa.Array:
    """One JSON object a row. Pure.

    Args:
        shape: of cells whose columns have that many rows; at most 60 of them with nulls.
        rows: how many there are.

    Raises:
        ValueError: more cells have nulls.
    """
    cells = [cell for cell in _cells(shape) if cell.column.null_count]
    if len(cells) > _CELLS_MAX:
        raise ValueError("a shape has too many cells")
    present = pa.repeat(pa.scalar(0, pa.int64()), rows)
    for bit, cell in enumerate(cells):
        has = pc.is_valid(cell.column).cast(pa.int64())
        present = pc.add(present, pc.multiply(has, pa.scalar(1 << bit, pa.int64())))
    patterns = pc.unique(present).to_pylist() or [0]
    if len(patterns) == 1:
        return _written(shape, cells, patterns[0], None, rows)
    made, places = [], []
    for pattern in patterns:
        here = pc.indices_nonzero(pc.equal(present, pa.scalar(pattern, pa.int64())))
        made.append(_written(shape, cells, pattern, here, len(here)))
        places.append(here)
    return pa.concat_arrays(made).take(pc.array_sort_indices(pa.concat_arrays(places)))


def array_of(items: pa.Array) -> bytes:
    """All rows as one JSON array. Pure.

    Args:
        items: JSON text without nulls.
    """
    whole = pa.ListArray.from_arrays(pa.array([0, len(items)], pa.int32()), items)
    return b"".join([b"[", memoryview(pc.binary_join(whole, _COMMA)[0].as_buffer()), b"]"])


def _written(
    shape: Object, cells: Sequence[Cell], pattern: int, here: pa.Array | None, rows: int
) -> pa.Array:
    """Rows that all have the same of those cells that may be missing."""
    number_of = {id(cell): bit for bit, cell in enumerate(cells)}

    def is_there(cell: Cell) -> bool:
        bit = number_of.get(id(cell))
        return bit is None or bool(pattern >> bit & 1)

    pieces: list[pa.Array | pa.Scalar] = []
    literal = b""
    for piece in _pieces(shape, is_there):
        if isinstance(piece, bytes):
            literal += piece
            continue
        pieces += [pa.scalar(literal.decode(), pa.string())] if literal else []
        pieces.append(piece.column if here is None else piece.column.take(here))
        literal = b""
    ending = pa.scalar(literal.decode(), pa.string())
    if not pieces:
        return pa.repeat(ending, rows)
    return pc.binary_join_element_wise(*pieces, ending, _NOTHING)


def _pieces(shape: Shape, is_there: Callable[[Cell], bool]) -> Iterator[bytes | Cell]:
    """A row as it is written: JSON that is the same in all rows, and cells."""
    match shape:
        case Cell(is_quoted=True):
            yield from (b'"', shape, b'"')
        case Cell():
            yield shape
        case Constant(value):
            yield orjson.dumps(value)
        case Object(fields=fields):
            found = {k: field for k, field in fields.items() if _remains(field, is_there)}
            yield b"{"
            for place, (name, field) in enumerate(found.items()):
                yield (b"," if place else b"") + orjson.dumps(name) + b":"
                yield from _pieces(field, is_there)
            yield b"}"
        case Items(items=items):
            yield b"["
            for place, item in enumerate(x for x in items if _remains(x, is_there)):
                yield b"," if place else b""
                yield from _pieces(item, is_there)
            yield b"]"


def _remains(shape: Shape, is_there: Callable[[Cell], bool]) -> bool:
    """Whether anything of it is there. What has no cells at all always is."""
    match shape:
        case Cell():
            return is_there(shape)
        case Constant():
            return True
        case Object(fields=fields, is_whole=True):
            return all(_remains(field, is_there) for field in fields.values())
        case _:
            cells = list(_cells(shape))
            within = shape.fields.values() if isinstance(shape, Object) else shape.items
            varying = [x for x in within if any(True for _ in _cells(x))]
            return not cells or any(_remains(x, is_there) for x in varying)


def _cells(shape: Shape) -> Iterator[Cell]:
    match shape:
        case Cell():
            yield shape
        case Object(fields=fields):
            for field in fields.values():
                yield from _cells(field)
        case Items(items=items):
            for item in items:
                yield from _cells(item)


def _needs_escape(column: pa.Array) -> bool:
    """Whether a value holds what JSON escapes: then the escaped text of all is longer."""
    whole = pa.ListArray.from_arrays(
        pa.array([0, len(column)], pa.int32()), pc.fill_null(column, _NOTHING)
    )
    joined = pc.binary_join(whole, _NOTHING)[0].as_buffer()
    return len(orjson.dumps(str(joined, "utf-8"))) != len(joined) + 2


def _flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
