"""What Spark's error classes mean. Its texts carry values: they are never passed on."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    FUNCTION_MISSING,
    NO_FIT,
    READ_ONLY,
    SEE,
    SYNTAX,
    TABLE_EXISTS,
    Refused,
    refusal,
    value_conversion,
)
from mayfly.connectors.sources.spark_protocol import messages
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

_GRANTS = "`mayfly doctor --grants` lists what it must read."
_TABLE: Refused = (
    "table_missing",
    "A table or view the query names does not exist.",
    SEE + " Some catalogs say the same of what may not be seen.",
)
_MEMORY: Refused = (
    "memory_limit",
    "Spark has too little memory for a statement.",
    "Raise spark.driver.memory, spark.executor.memory or spark.driver.maxResultSize of the server; "
    "or let the model read fewer columns.",
)
_FEW_RIGHTS: Refused = (
    "missing_grant",
    "The server may not read a table or file that the query names.",
    f"Give that right to the user that it reads as: {_GRANTS}",
)
_NO_SCHEMA: Refused = (
    "schema_missing",
    "The catalog or schema does not exist.",
    "Check `catalog` and `schema` of the source.",
)
_CONFIG: tuple[tuple[str, Refused], ...] = (
    ("TABLE_OR_VIEW_NOT_FOUND", _TABLE),
    ("SCHEMA_NOT_FOUND", _NO_SCHEMA),
    ("CATALOG_NOT_FOUND", _NO_SCHEMA),
    ("REQUIRES_SINGLE_PART_NAMESPACE", _NO_SCHEMA),
    ("TEMP_TABLE_OR_VIEW_ALREADY_EXISTS", TABLE_EXISTS),
    ("TABLE_OR_VIEW_ALREADY_EXISTS", TABLE_EXISTS),
    ("UNRESOLVED_COLUMN", COLUMN_MISSING),
    ("UNRESOLVED_FIELD", COLUMN_MISSING),
    ("UNRESOLVED_MAP_KEY", COLUMN_MISSING),
    ("FIELD_NOT_FOUND", COLUMN_MISSING),
    ("AMBIGUOUS", COLUMN_TWICE),
    ("COLUMN_ALREADY_EXISTS", COLUMN_TWICE),
    ("UNRESOLVED_ROUTINE", FUNCTION_MISSING),
    ("UNRESOLVABLE_TABLE_VALUED_FUNCTION", FUNCTION_MISSING),
    ("ROUTINE_NOT_FOUND", FUNCTION_MISSING),
    ("PARSE_", SYNTAX),
    ("PARSE_SYNTAX_ERROR", SYNTAX),
    ("INVALID_SQL_SYNTAX", SYNTAX),
    ("UNBOUND_SQL_PARAMETER", SYNTAX),
    ("DATATYPE_MISMATCH", NO_FIT),
    ("INSUFFICIENT_PERMISSIONS", _FEW_RIGHTS),
    ("UNABLE_TO_ACQUIRE_MEMORY", _MEMORY),
    ("UNABLE_TO_BROADCAST_TABLE", _MEMORY),
    ("EXCEED_LIMIT_LENGTH", _MEMORY),
    ("RUN_ON_FILES", _TABLE),
)
"""By the beginning of an error class, in the order they are looked for."""
_VALUES = (
    *("CAST_", "CANNOT_PARSE", "ARITHMETIC_OVERFLOW", "BINARY_ARITHMETIC_OVERFLOW"),
    *("NUMERIC_VALUE_OUT_OF_RANGE", "NUMERIC_OUT_OF", "DIVIDE_BY_ZERO", "REMAINDER_BY_ZERO"),
    *("INVALID_ARRAY_INDEX", "INVALID_FRACTION", "DATETIME_OVERFLOW", "INTERVAL_"),
    *("CONVERSION_INVALID_INPUT", "MALFORMED_", "INVALID_VARIANT", "FAILED_PARSE"),
    *("INCONSISTENT_BEHAVIOR_CROSS_VERSION", "SCALAR_SUBQUERY_TOO_MANY_ROWS"),
    *("INVALID_UTF8_STRING", "COLLECTION_SIZE_LIMIT", "DUPLICATED_MAP_KEY"),
    *("UNSUPPORTED_DATATYPE", "UNSUPPORTED_ARROWTYPE", "INVALID_TIMEZONE"),
)
_CHANGED = ("FAILED_READ_FILE", "CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND", "FILE_NOT_EXIST")
_DENIED = ("AccessControlException", "AccessDeniedException", "SecurityException")
_OUT_OF_MEMORY = ("OutOfMemoryError", "SparkOutOfMemoryError")
_NO_FILE = ("FileNotFoundException", "NoSuchFileException")
_MEMORY_MARKS = ("maxResultSize", "Java heap space", "OutOfMemory", "GC overhead limit")
_MACHINE_MARKS = ("ExecutorLostFailure", "FetchFailed", "executor lost")
_DENIED_MARK = "Permission denied"
_MARKS = (*_MEMORY_MARKS, *_MACHINE_MARKS, _DENIED_MARK)
"""Words of texts that tell apart what has one class of error, or none. No other word is kept."""
_GONE = ("INVALID_HANDLE", "INVALID_CURSOR", "SESSION_CHANGED")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What an answer says of an error, but for its text.

    Args:
        status: of gRPC.
        error_class: of Spark; empty where it has none.
        sql_state: of Spark.
        types: names of the exception and of those it was made for, without their packages.
        error_id: by which the server tells more.
        marks: those of `_MARKS` that its text holds.
    """

    status: str
    marks: frozenset[str] = frozenset()
    error_class: str = ""
    sql_state: str = ""
    types: tuple[str, ...] = ()
    error_id: str = ""

    def says(self, *beginnings: str) -> bool:
        """Whether its error class begins so."""
        return self.error_class.startswith(beginnings)


def failure(error: Any) -> Failure:
    """What an error of gRPC says."""
    status, text = str(error.code().name), str(error.details() or "")
    marks = frozenset(mark for mark in _MARKS if mark in text)
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return replace(_detailed(status, bytes(value)), marks=marks)
    return Failure(status=status, marks=marks)


def _detailed(status: str, data: bytes) -> Failure:
    known = messages()
    for detail in known["Status"].FromString(data).details:
        if detail.type_url.endswith("/google.rpc.ErrorInfo"):
            info = known["ErrorInfo"].FromString(detail.value)
            told = {entry.key: entry.value for entry in info.metadata}
            return Failure(
                status=status,
                error_class=told.get("errorClass", ""),
                sql_state=told.get("sqlState", ""),
                types=_types([info.reason, *_listed(told.get("classes", ""))]),
                error_id=told.get("errorId", ""),
            )
    return Failure(status=status)


def _listed(text: str) -> list[str]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [str(name) for name in found] if isinstance(found, list) else []


def _types(names: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.rpartition(".")[2] for name in names))


def with_causes(known: Failure, answer: Any) -> Failure:
    """The same with what the server tells of the errors behind it.

    Args:
        known: so far.
        answer: FetchErrorDetailsResponse.
    """
    names = [name for error in answer.errors for name in error.error_type_hierarchy]
    thrown = [error.spark_throwable for error in answer.errors]
    classes = [t.error_class for t in thrown if t.error_class]
    states = [t.sql_state for t in thrown if t.sql_state]
    return replace(
        known,
        # The last is the cause of all.
        error_class=classes[-1] if classes else known.error_class,
        sql_state=states[-1] if states else known.sql_state,
        types=_types([*known.types, *names]),
    )


def is_gone(known: Failure) -> bool:
    """Whether the server does not know the session, or its statement, any more."""
    return known.says(*_GONE)


def is_away(known: Failure) -> bool:
    """Whether nobody answers, and asking again may help."""
    is_cut = known.status in ("UNAVAILABLE", "CANCELLED") and not known.error_class
    return is_cut or known.says("INVALID_CURSOR.DISCONNECTED")


def ours(known: Failure) -> EngineError:
    """Our error for that of a statement."""
    if known.marks & set(_MEMORY_MARKS):
        return refusal(_MEMORY)
    if is_gone(known) or is_away(known):
        return lost()
    if known.status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return refused()
    if known.says("OPERATION_CANCEL", "JOB_CANCEL", "SPARK_JOB_CAN"):
        return TransientError("source_busy", "Somebody cancelled a statement of the source.")
    if known.marks & set(_MACHINE_MARKS):
        return TransientError("source_busy", "Spark lost a machine that worked on a statement.")
    for beginning, told in _CONFIG:
        if known.says(beginning):
            return refusal(told)
    if known.says(*_VALUES) or known.sql_state.startswith("22"):
        return value_conversion("Use try_cast, or filter such rows in the model.")
    return _by_type(known)


def _by_type(known: Failure) -> EngineError:
    denied = set(known.types) & set(_DENIED) or _DENIED_MARK in known.marks
    if denied or known.sql_state.startswith("42501"):
        return refusal(_FEW_RIGHTS)
    if known.says(*_CHANGED) or set(known.types) & set(_NO_FILE):
        return TransientError(
            "source_changed",
            "Files of a table went away, or cannot be read, while the statement read them.",
            hint="Run again once they are written; check that the server may read them.",
        )
    if set(known.types) & set(_OUT_OF_MEMORY) or known.status == "RESOURCE_EXHAUSTED":
        return refusal(_MEMORY)
    if "ParseException" in known.types:
        return refusal(SYNTAX)
    if "AnalysisException" in known.types or known.sql_state.startswith("42"):
        shown = _shown(known)
        return ConfigError("query_invalid", f"The source refuses the query{shown}.")
    return ContractError("query_failed", f"The source refused a statement{_shown(known)}.")


def _shown(known: Failure) -> str:
    """An error class is one of a closed list; what is none is left out."""
    plain = re.fullmatch(r"[A-Z0-9_.]{1,120}", known.error_class)
    return f" ({known.error_class})" if plain else ""


def lost() -> TransientError:
    """The session ended, or nothing answers."""
    return TransientError(
        "connection_lost",
        "The connection to the source was lost.",
        hint="Run again when Spark answers; nothing is left half done.",
    )


def read_only() -> ConfigError:
    """A statement that is none of those that a session takes."""
    return refusal(READ_ONLY)


def refused(source: str | None = None) -> ConfigError:
    """Nobody may come in."""
    return ConfigError(
        "source_refused",
        f"Spark refuses the token of source {source}."
        if source
        else "Spark refuses the token of the source.",
        hint="Check `token` of the source, and `remote`: it may want one where none is given.",
    )


def not_connected(source: str, known: Failure, text: str, *, tls: bool) -> EngineError:
    """Our error for a session that did not begin.

    Args:
        source: its name.
        known: of the first call.
        text: of gRPC, which has one status for every way not to arrive; it is looked at alone.
        tls: whether the connection was to be one of TLS.
    """
    lowered = text.lower()
    if known.status in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
        return refused(source)
    marks = ("certificate", "handshake", "ssl", "tls")
    if tls and known.status == "UNAVAILABLE" and any(mark in lowered for mark in marks):
        return ConfigError(
            "tls_not_verified",
            f"The server of source {source} could not be verified.",
            hint="Name the authority that signed its certificate with `ca_file`, and the host as "
            "the certificate names it.",
        )
    if known.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED"):
        return TransientError(
            "source_away",
            f"The server of source {source} does not answer.",
            hint="Check `remote` of the source, and that Spark Connect runs there.",
        )
    if known.status in ("UNIMPLEMENTED", "UNKNOWN"):
        return ConfigError(
            "source_refused",
            f"What answers for source {source} is no Spark Connect.",
            hint="Check host and port of `remote`: Spark Connect's port is 15002.",
        )
    return ours(known)
