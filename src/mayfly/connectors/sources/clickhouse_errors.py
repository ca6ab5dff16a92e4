"""What ClickHouse's numbers of errors mean. Its texts carry values and are never passed on."""

from __future__ import annotations

import re

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
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

CODE_HEADER = "X-ClickHouse-Exception-Code"
_LOCKED = 373
_MARKED = re.compile(r"__exception__\s+(?:\w+\s+)?Code: (\d{1,5})\.")
_CODE = re.compile(r"Code: (\d{1,5})\. DB::")
_NAME = r"(?:`(?:\\.|[^`\\])+`|[\w*]+)"
# A right and where it is needed: names alone, quoted as the server quotes them.
_LACKED = re.compile(
    rf"necessary to have the grant (?P<right>[A-Z][A-Z ]*(?:\({_NAME}(?:, {_NAME})*\))?) "
    rf"ON (?P<place>{_NAME}(?:\.{_NAME})?)"
)
_LIMITS: Refused = (
    "source_limit",
    "A limit of the role stops the statement: it would read, keep or return too much.",
    "Raise max_rows_to_read, max_bytes_to_read, max_result_rows and their like in the settings "
    "profile of the role: a plan reads the whole model in one statement.",
)
_SETTINGS: Refused = (
    "settings_refused",
    "The server does not let the role choose the settings of its requests.",
    "A plan needs them: give the role a settings profile without `readonly = 1` (2 is as safe: it "
    "writes nothing), and without constraints on settings of formats, joins and limits.",
)
_SESSIONS: Refused = (
    "settings_refused",
    "The server keeps sessions for less than the ten minutes that a plan asks for.",
    "Raise max_session_timeout in the server's configuration to 600 or more.",
)
_NULLS: Refused = (
    "query_invalid",
    "A query or view does not fit what it reads.",
    "A view with an outer join, made under join_use_nulls = 1, says so itself: CREATE VIEW … AS "
    "SELECT … SETTINGS join_use_nulls = 1.",
)
_CONFIG: dict[int, Refused] = {
    **dict.fromkeys((60, 82), TABLE_MISSING),
    81: ("database_missing", "A database does not exist.", "Check `database` of the source."),
    **dict.fromkeys((8, 10, 16, 47), COLUMN_MISSING),
    **dict.fromkeys((46, 63), FUNCTION_MISSING),
    62: SYNTAX,
    57: TABLE_EXISTS,
    **dict.fromkeys((15, 179, 207, 352), (*COLUMN_TWICE[:2], "Name each column once, with AS.")),
    **dict.fromkeys((36, 42, 43, 44, 48, 50, 53, 70, 181, 184, 206, 215, 258, 386, 403), NO_FIT),
    80: _NULLS,
    164: READ_ONLY,
    **dict.fromkeys((115, 452), _SETTINGS),
    374: _SESSIONS,
    **dict.fromkeys((158, 191, 307, 396, 290), _LIMITS),
    243: DISK_FULL,
    241: (
        "memory_limit",
        "The statement needs more memory than the role or the server allows.",
        "Raise max_memory_usage in the settings profile of the role, or let the model read fewer "
        "columns.",
    ),
    **dict.fromkeys((167, 168, 306), (
        "query_invalid",
        "The query is too long or nested too deep.",
        "Make a part of it a view.",
    )),
}  # fmt: skip
_VALUES = frozenset(
    {6, 25, 26, 27, 38, 41, 69, 72, 117, 131, 153, 321, 349, 376, 395, 407, 441, 467, 675, 676, 691}
)
_LOGIN = frozenset({192, 193, 194, 516})
_BUSY = {
    159: "A statement of the source ran into a time limit of the role (max_execution_time).",
    201: "A quota of the role is used up.",
    202: "The source works on as many statements as it may.",
    394: "Somebody cancelled a statement of the source.",
}
_UNAVAILABLE = frozenset({3, 203, 209, 210, 218, 225, 236, 242, 279, 319, 425, 439, 519, 594, 999})
_GONE = 372


class StillWorkingError(TransientError):
    """The session has an earlier statement that the server has not ended yet."""


def code_in(text: str) -> int | None:
    """The number of the error that a text of the server's tells: behind its mark, where it has one,
    since rows may stand before it.
    """
    found = _MARKED.findall(text) or _CODE.findall(text)
    return int(found[-1]) if found else None


def from_code(number: int, text: str) -> EngineError:
    """Our error for an error's number.

    Args:
        number: of the error.
        text: of the server: names of a missing right are taken from it, and nothing else.
    """
    if number == 497:
        return ConfigError(
            "missing_grant", "The role may not do what the statement does.", hint=lacked(text)
        )
    if number in _CONFIG:
        return refusal(_CONFIG[number])
    if number in _VALUES:
        return unfit_value()
    if number in _LOGIN:
        return refused()
    if number == _LOCKED:
        return StillWorkingError(
            "source_busy", "The source still works on an earlier statement of the session."
        )
    if number in _BUSY:
        return TransientError("source_busy", _BUSY[number], hint="Run again.")
    if number == _GONE:
        return lost()
    if number in _UNAVAILABLE:
        return TransientError("source_busy", "The source could not serve the statement now.")
    return ContractError("query_failed", f"The source refused a statement (error {number}).")


def lacked(text: str) -> str:
    """A missing right as the beginning of its GRANT; empty where it cannot be told."""
    found = _LACKED.search(text)
    return "" if found is None else f"GRANT {found.group('right')} ON {found.group('place')}"


def answer_error(status: int) -> EngineError:
    """Our error for an answer that is none of ClickHouse's own."""
    if status in (401, 403):
        return refused()
    if status in (408, 429, 500, 502, 503, 504):
        return TransientError("source_away", f"The source is not served now (HTTP {status}).")
    return ConfigError(
        "source_refused",
        f"What answers at the endpoint of the source is not ClickHouse (HTTP {status}).",
        hint="Check `endpoint`: its port is 8443 with TLS and 8123 without, not that of another "
        "interface, and a redirect is not followed.",
    )


def refused() -> ConfigError:
    """The log-in failed."""
    return ConfigError(
        "source_refused",
        "ClickHouse refuses the log-in.",
        hint="Check user and password of the source, and from which hosts the user may come.",
    )


def lost() -> TransientError:
    """The connection or the session is gone."""
    return TransientError(
        "connection_lost",
        "The connection to the source was lost.",
        hint="Run again when the server answers; nothing is left half done.",
    )


def unfit_value() -> ConfigError:
    """A conversion failed."""
    return value_conversion("Use toInt64OrNull and its like, or filter such rows in the model.")
