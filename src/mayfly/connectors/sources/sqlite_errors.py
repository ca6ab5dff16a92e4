"""SQLite's errors as ours. Its texts may carry values, so that none is passed on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    DISK_FULL,
    FUNCTION_MISSING,
    NO_FIT,
    READ_ONLY,
    SYNTAX,
    TABLE_EXISTS,
    TABLE_MISSING,
    Refused,
    refusal,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

_PRIMARY = 0xFF


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
        raise _VALUE(name) from None


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


def _unreadable(name: str) -> EngineError:
    return ConfigError(
        "database_unreadable",
        f"The file of source {name} is no SQLite database, or is damaged.",
        hint="Check the path; `sqlite3 FILE 'PRAGMA integrity_check'` says what is wrong with it.",
    )


def _told(known: Refused) -> Callable[[str], EngineError]:
    return lambda _: refusal(known)


_ACCESS = _told(
    (
        "access_refused",
        "The statement reaches what a session may not: other files, settings, or tables it may not "
        "write.",
        "",
    )
)
_MEMORY = _told(
    (
        "memory_limit",
        "The query needs more memory than there is.",
        "Let the model read fewer columns or rows.",
    )
)
_VALUE = _told(
    (
        "value_conversion",
        "A value of the source cannot be read as the text or number it is stored as.",
        "Texts must be UTF-8; leave such rows out in the model.",
    )
)


def _io(name: str) -> EngineError:
    del name
    return TransientError("source_io", "Reading or writing the file of the source failed.")


def _constraint(name: str) -> EngineError:
    del name
    return ContractError("constraint", "A constraint of a table refused the change.")


def _interrupted(name: str) -> EngineError:
    del name
    return TransientError("interrupted", "The query was interrupted.")


_BY_CODE: dict[int, Callable[[str], EngineError]] = {
    sqlite3.SQLITE_BUSY: locked,
    sqlite3.SQLITE_LOCKED: locked,
    sqlite3.SQLITE_FULL: _told(DISK_FULL),
    sqlite3.SQLITE_CANTOPEN: not_accessible,
    sqlite3.SQLITE_PERM: not_accessible,
    sqlite3.SQLITE_READONLY: _told(READ_ONLY),
    sqlite3.SQLITE_AUTH: _ACCESS,
    sqlite3.SQLITE_NOTADB: _unreadable,
    sqlite3.SQLITE_CORRUPT: _unreadable,
    sqlite3.SQLITE_IOERR: _io,
    sqlite3.SQLITE_NOMEM: _MEMORY,
    sqlite3.SQLITE_TOOBIG: _VALUE,
    sqlite3.SQLITE_MISMATCH: _VALUE,
    sqlite3.SQLITE_CONSTRAINT: _constraint,
    sqlite3.SQLITE_INTERRUPT: _interrupted,
}
_DEEP: Refused = (
    "query_invalid",
    "The query is nested deeper than this engine reads.",
    "Make the model's query a view of the file, and let the model read that view.",
)
_WIDE: Refused = (
    "query_invalid",
    "The query has more columns than this engine takes: 2,000.",
    "",
)
_BY_TEXT: tuple[tuple[str, Callable[[str], EngineError]], ...] = (
    ("no such table", _told(TABLE_MISSING)),
    ("no such column", _told(COLUMN_MISSING)),
    ("no such function", _told(FUNCTION_MISSING)),
    ("ambiguous column", _told(COLUMN_TWICE)),
    ("syntax error", _told(SYNTAX)),
    ("incomplete input", _told(SYNTAX)),
    ("unrecognized token", _told(SYNTAX)),
    ("already exists", _told(TABLE_EXISTS)),
    ("not authorized", _ACCESS),
    ("prohibited", _ACCESS),
    ("Could not decode", _VALUE),
    ("wrong number of arguments", _told(NO_FIT)),
    ("stack overflow", _told(_DEEP)),
    ("too many columns", _told(_WIDE)),
)
