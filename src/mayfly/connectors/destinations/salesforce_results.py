"""A file of results, read piece by piece as it comes: nothing of it is kept."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence

import pyarrow as pa
from pyarrow import csv as arrow_csv

from mayfly.connectors.destinations.salesforce_answers import unfit

BLOCK_BYTES = 1 << 20
RECORD_BYTES_MAX = 16 << 20
_QUOTE, _LINE = b'"', b"\n"


class ResultFile:
    """Takes pieces and hands whole records on, those columns that are asked for.

    Args:
        columns: their names; the file may have others.
        take: called with some neighbouring records, all of them text.
    """

    def __init__(self, columns: Sequence[str], take: Callable[[pa.Table], None]) -> None:
        self._columns = tuple(columns)
        self._take = take
        self._header: list[str] | None = None
        self._waiting = bytearray()

    def feed(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            ContractError: `unknown_answer`, the file is none of results.
        """
        self._waiting += piece
        if len(self._waiting) >= BLOCK_BYTES:
            self._flush(_end_of_records(self._waiting))
            if len(self._waiting) > RECORD_BYTES_MAX:
                raise unfit("has a file with a record without an end")

    def end(self) -> None:
        """There is no more; a last record may have no line feed, and a file may be empty.

        Raises:
            ContractError: as `feed`.
        """
        self._flush(len(self._waiting))

    def _flush(self, until: int) -> None:
        block = bytes(self._waiting[:until])
        del self._waiting[:until]
        if self._header is None and block:
            first = _end_of_first(block)
            self._header = _names(block[:first])
            block = block[first:]
        if self._header is not None and block:
            self._hand_on(block, self._header)

    def _hand_on(self, block: bytes, header: list[str]) -> None:
        missing = [name for name in self._columns if header.count(name) != 1]
        if missing:
            raise unfit("has a file of results without the columns of the rows")
        options = arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            include_columns=list(self._columns),
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        )
        rows = _read(block, arrow_csv.ReadOptions(column_names=header, use_threads=False), options)
        if rows.num_rows:
            self._take(rows)


def _names(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8")], strict=True))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        raise unfit("has a file of results without a header") from None


def _read(
    block: bytes, reading: arrow_csv.ReadOptions, options: arrow_csv.ConvertOptions
) -> pa.Table:
    try:
        return arrow_csv.read_csv(
            pa.BufferReader(block),
            reading,
            arrow_csv.ParseOptions(newlines_in_values=True),
            options,
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        raise unfit("has a file of results that is no CSV") from None


def _end_of_records(block: bytearray) -> int:
    """Where the last whole record ends: after a line feed with an even number of quotes before."""
    quotes, end = block.count(_QUOTE), len(block)
    while (found := block.rfind(_LINE, 0, end)) >= 0:
        quotes -= block.count(_QUOTE, found, end)
        if quotes % 2 == 0:
            return found + 1
        end = found
    return 0


def _end_of_first(block: bytes) -> int:
    """Where the first record ends."""
    end = block.find(_LINE)
    return len(block) if end < 0 else end + 1
