"""SQLite's errors as ours. Its texts may carry values, so that none is passed on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

_PRIMARY = 0xFF
_LOOK = "Run `mayfly discover` to see what the source has."


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Args:
        name: of the source.
    """
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ours(error, name) from None
    except (OverflowError, UnicodeError):
        raise _value(name) from None


def code_of(error: Exception) -> int:
    """SQLite's own number of an error; 0 where it has none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0)


def ours(error: Exception, name: str) -> EngineError:
    """What is said of an error."""
    known = _BY_CODE.get(code_of(error) & _PRIMARY)
    if known is not None:
        return known(name)
    text = str(error)
    for mark, translate in _BY_TEXT:
        if mark in text:
            return translate(name)
    return ContractError(
        "query_failed", f"The source refused a statement ({type(error).__name__})."
    )


def locked(name: str) -> EngineError:
    """Another program holds the file."""
    return TransientError(
        "database_locked",
        f"The database file of source {name} is being written by another program.",
        hint="Wait until that program has ended its transaction, or copy the file with "
        "`sqlite3 FILE '.backup COPY'` and read the copy.",
    )


def not_accessible(name: str) -> EngineError:
    """The system does not let us."""
    return ConfigError(
        "file_not_accessible",
        f"The database file of source {name} may not be opened this way.",
        hint="Give this user read and write permission on the file and its folder, or set "
        "`state: local` on the source.",
    )


def _full(name: str) -> EngineError:
    del name
    return ConfigError(
        "disk_full",
        "The disk of the source is full; nothing was changed.",
        hint="Make room there and run again: what was delivered by then is remembered.",
    )


def _unreadable(name: str) -> EngineError:
    return ConfigError(
        "database_unreadable",
        f"The file of source {name} is no SQLite database, or is damaged.",
        hint="Check the path; `sqlite3 FILE 'PRAGMA integrity_check'` says what is wrong with it.",
    )


def _read_only(name: str) -> EngineError:
    del name
    return ConfigError("read_only_session", "The session may not change the source.")


def _access(name: str) -> EngineError:
    del name
    return ConfigError(
        "access_refused",
        "The statement reaches what a session may not: other files, settings, or tables it may "
        "not write.",
    )


def _io(name: str) -> EngineError:
    del name
    return TransientError("source_io", "Reading or writing the file of the source failed.")


def _memory(name: str) -> EngineError:
    del name
    return ConfigError(
        "memory_limit",
        "The query needs more memory than there is.",
        hint="Let the model read fewer columns or rows.",
    )


def _value(name: str) -> EngineError:
    del name
    return ConfigError(
        "value_conversion",
        "A value of the source cannot be read as the text or number it is stored as.",
        hint="Texts must be UTF-8; leave such rows out in the model.",
    )


def _constraint(name: str) -> EngineError:
    del name
    return ContractError("constraint", "A constraint of a table refused the change.")


def _interrupted(name: str) -> EngineError:
    del name
    return TransientError("interrupted", "The query was interrupted.")


def _config(code: str, message: str, hint: str = "") -> Callable[[str], EngineError]:
    return lambda _: ConfigError(code, message, hint=hint)


_BY_CODE: dict[int, Callable[[str], EngineError]] = {
    sqlite3.SQLITE_BUSY: locked,
    sqlite3.SQLITE_LOCKED: locked,
    sqlite3.SQLITE_FULL: _full,
    sqlite3.SQLITE_CANTOPEN: not_accessible,
    sqlite3.SQLITE_PERM: not_accessible,
    sqlite3.SQLITE_READONLY: _read_only,
    sqlite3.SQLITE_AUTH: _access,
    sqlite3.SQLITE_NOTADB: _unreadable,
    sqlite3.SQLITE_CORRUPT: _unreadable,
    sqlite3.SQLITE_IOERR: _io,
    sqlite3.SQLITE_NOMEM: _memory,
    sqlite3.SQLITE_TOOBIG: _value,
    sqlite3.SQLITE_MISMATCH: _value,
    sqlite3.SQLITE_CONSTRAINT: _constraint,
    sqlite3.SQLITE_INTERRUPT: _interrupted,
}
_SYNTAX = _config("query_syntax", "The source cannot parse the query.")
_TABLE = "A table or view the query names does not exist."
_COLUMN = "A column the query names does not exist."
_FUNCTION = "The query uses a function this engine lacks."
_TWICE = "The query names a column that exists twice."
_NO_FIT = "The types or names in the query do not fit together."
_DEEP = "The query is nested deeper than this engine reads."
_AS_VIEW = "Make the model's query a view of the file, and let the model read that view."
_WIDE = "The query has more columns than this engine takes: 2,000."
_BY_TEXT: tuple[tuple[str, Callable[[str], EngineError]], ...] = (
    ("no such table", _config("table_missing", _TABLE, _LOOK)),
    ("no such column", _config("column_missing", _COLUMN, _LOOK)),
    ("no such function", _config("function_missing", _FUNCTION)),
    ("ambiguous column", _config("column_ambiguous", _TWICE)),
    ("syntax error", _SYNTAX),
    ("incomplete input", _SYNTAX),
    ("unrecognized token", _SYNTAX),
    ("already exists", _config("table_exists", "A table of this name exists already.")),
    ("not authorized", _access),
    ("prohibited", _access),
    ("Could not decode", _value),
    ("wrong number of arguments", _config("query_invalid", _NO_FIT)),
    ("stack overflow", _config("query_invalid", _DEEP, _AS_VIEW)),
    ("too many columns", _config("query_invalid", _WIDE)),
)
