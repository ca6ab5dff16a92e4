"""What the numbers of errors of MariaDB and its driver mean. Texts carry values and go nowhere."""

from __future__ import annotations

from mayfly.connectors.mysql_connect import LOST, NOT_VERIFIED, REFUSED, TLS_HINT
from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    DISK_FULL,
    READ_ONLY,
    SEE,
    SYNTAX,
    TABLE_EXISTS,
    TABLE_MISSING,
    Refused,
    refusal,
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

MISSING_RIGHT = frozenset({1044, 1142, 1143, 1227, 1370, 1345, 1419})
_BUSY = frozenset({1040, 1203, 1205, 1213, 1226, 1317, 1412, 1969, 3024})
_VALUES = frozenset({1264, 1265, 1292, 1300, 1301, 1366, 1406, 1411, 1690, 1918, 4038})
_CONFIG: dict[int, Refused] = {
    1146: TABLE_MISSING,
    1051: TABLE_MISSING,
    1347: TABLE_MISSING,
    1049: ("schema_missing", "A database the query names does not exist.", SEE),
    1054: COLUMN_MISSING,
    1052: COLUMN_TWICE,
    1060: (
        "column_ambiguous",
        "Columns of the query have the name of another.",
        "Give each column of the query its own name with AS; names that differ only in case are "
        "the same.",
    ),
    1305: ("function_missing", "The query uses a function that is missing.", ""),
    1064: SYNTAX,
    1149: SYNTAX,
    1050: TABLE_EXISTS,
    1792: READ_ONLY,
    1290: (
        "read_only_source",
        "The server of the source takes no writes.",
        "Connect to the primary server; with `state: local` nothing lasting is written to it.",
    ),
    1021: DISK_FULL,
    1114: DISK_FULL,
    1037: ("memory_limit", "The source is out of memory.", ""),
    1038: ("memory_limit", "The source is out of memory.", ""),
    1041: ("memory_limit", "The source is out of memory.", ""),
    3948: (
        "local_infile_off",
        "The server of the source takes no data from its clients.",
        "Set local_infile = ON there: keys and digests come by it, not in statements, which logs "
        "would keep.",
    ),
    1665: (
        "binlog_format",
        "The server of the source writes its binary log as statements.",
        "Set binlog_format to MIXED or ROW there.",
    ),
}
_CONFIG[1148] = _CONFIG[4166] = _CONFIG[3948]


def lost() -> TransientError:
    """The connection is gone."""
    return TransientError(
        "connection_lost",
        "The connection to the source was lost.",
        hint="Run again when the server answers; nothing is left half done. Where it comes again, "
        "see wait_timeout and net_write_timeout of the server.",
    )


def unfit() -> ConfigError:
    """A value that its type does not take."""
    return value_conversion("Filter such rows in the model, or cast the column to text.")


def from_number(number: int) -> EngineError:
    """Our error for a number of the server or the driver."""
    if number in LOST:
        return lost()
    if number in MISSING_RIGHT:
        return ConfigError(
            "missing_grant",
            "The role may not read or write a table the statement names.",
            hint="See the rights of the role with SHOW GRANTS.",
        )
    if number in _CONFIG:
        return refusal(_CONFIG[number])
    if number in _BUSY:
        return TransientError(
            "source_busy",
            f"The source could not serve the statement now (error {number}).",
            hint="Another session may hold a table locked, or a time limit of the server ran out: "
            "see SHOW PROCESSLIST, max_statement_time and innodb_lock_wait_timeout.",
        )
    if number in _VALUES:
        return unfit()
    if 1046 <= number <= 1300:
        return ConfigError("query_invalid", f"The source refuses the query (error {number}).")
    return ContractError("query_failed", f"The source refused a statement (error {number}).")


def not_connected(source: str, number: int, *, tls: bool) -> EngineError:
    """Our error for a connection that was not made.

    Args:
        source: its name.
        number: of the server or the driver.
        tls: whether it failed while the server was verified.
    """
    if tls or number == NOT_VERIFIED:
        return ConfigError(
            "tls_not_verified",
            f"The server of source {source} could not be verified.",
            hint=TLS_HINT,
        )
    if number in REFUSED:
        return ConfigError(
            "source_refused",
            f"The server of source {source} refuses this role or database.",
            hint="Check user, password and database in the dsn, and from which host the role may "
            "connect.",
        )
    return TransientError(
        "source_away",
        f"The server of source {source} does not answer.",
        hint="Check that it runs and that host and port in the dsn are right.",
    )
