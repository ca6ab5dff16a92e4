"""What the columns of a CSV file are: found by reading all of it, once for as long as it stays as
it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from mayfly.planning.sql.dialect import literal, quote

_EMPTY = "(empty)"
# What would not come back from a number: postcodes, phones and ids are texts.
_NO_INTEGER = r"\s*(\+|-?0[0-9]).*"
_NO_FLOAT = r"\s*(\+|-?0[0-9]|-?[0-9]{16,}\s*$).*"
_NO_NUMBER = {
    **dict.fromkeys(("BIGINT", "HUGEINT", "BIGNUM"), _NO_INTEGER),
    "DOUBLE": _NO_FLOAT,
}
_FORMATS = {"DateFormat": "dateformat", "TimestampFormat": "timestampformat"}
_SIGNS = {"Delimiter": "delim", "Quote": "quote", "Escape": "escape", "Comment": "comment"}


class CsvColumns:
    """The readers of CSV files, with the types of their columns spelt out."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], str]] = {}

    def reader(self, connection: duckdb.DuckDBPyConnection, path: Path, found: str) -> str:
        """The call that reads a file, without looking for its types again.

        Args:
            connection: that may open the file.
            path: of the file.
            found: the call that finds them itself: returned for a file that cannot be read this
                way, of which the engine then tells why.
        """
        try:
            stat = path.stat()
            version = (stat.st_mtime_ns, stat.st_size)
            known = self._known.get(path)
            if known is None or known[0] != version:
                known = self._known[path] = version, _typed(connection, path)
        except (OSError, duckdb.Error):
            return found
        return known[1]


def _typed(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    name = literal(str(path))
    query = f"FROM sniff_csv({name}, header = true, sample_size = -1)"
    [found] = connection.sql(query).to_arrow_table().to_pylist()
    types = {column["name"]: column["type"] for column in found["Columns"]}
    form = _form(found)
    texts = _call(name, form, dict.fromkeys(types, "VARCHAR"))
    numbers = {c: t for c, t in types.items() if t in _NO_NUMBER}
    if numbers:
        asked = ", ".join(
            f"coalesce(bool_or(regexp_full_match({quote(c)}, {literal(_NO_NUMBER[t])})), FALSE)"
            for c, t in numbers.items()
        )
        [answers] = connection.sql(f"SELECT {asked} FROM {texts}").fetchall()
        types |= {c: "VARCHAR" for c, no in zip(numbers, answers, strict=True) if no}
    return _call(name, form, types)


def _form(found: dict[str, Any]) -> dict[str, str]:
    """How the file is written, as options."""
    form = {option: literal(_sign(found[name])) for name, option in _SIGNS.items()}
    form |= {o: literal(str(found[name])) for name, o in _FORMATS.items() if found[name]}
    return form | {"skip": str(int(found["SkipRows"]))}


def _sign(text: str) -> str:
    return "" if text == _EMPTY else text


def _call(name: str, form: dict[str, str], types: dict[str, str]) -> str:
    columns = ", ".join(f"{literal(c)}: {literal(t)}" for c, t in types.items())
    options = ", ".join(f"{option} = {value}" for option, value in form.items())
    return (
        f"read_csv({name}, auto_detect = false, header = true, {options}, columns = {{{columns}}})"
    )
