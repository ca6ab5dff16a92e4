"""What the numbers of errors of MariaDB and its driver mean for a destination. Texts carry values
and go nowhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from mayfly.connectors.mysql_connect import LOST, NOT_VERIFIED, REFUSED, TLS_HINT
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.planning.sql.mysql import MysqlDialect

_LOCKED = frozenset({1020, 1205, 1213, 1412})
_BUSY = frozenset({1040, 1037, 1038, 1041, 1203, 1226, 1317, 1969, 3024})
_FULL = frozenset({3, 20, 1021, 1026, 1114})
_ENGINE, _NO_SPACE = 1030, "error 28"
_MISSING_RIGHT = frozenset({1044, 1142, 1143, 1227, 1345, 1370, 1410, 1419})
_READ_ONLY = frozenset({1036, 1290, 1792, 1836})
_NO_DATA = frozenset({1148, 3948, 4166})
_TOO_WIDE = frozenset({1070, 1071, 1117, 1118})
_VALUES = frozenset(
    {
        *(1022, 1048, 1062, 1138, 1169, 1216, 1217, 1263, 1264, 1265, 1292, 1300, 1301, 1364, 1365),
        *(1366, 1367, 1406, 1411, 1416, 1451, 1452, 1526, 1557, 1586, 1644, 1690, 1748, 1761, 1762),
        *(1867, 1906, 1918, 4025, 4038),
    }
)
"""A type or a constraint does not take a value."""


@contextmanager
def translated(database: str) -> Iterator[None]:
    """Errors of the driver as ours; only their number is passed on."""
    from pymysql import err

    try:
        yield
    except err.MySQLError as error:
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if number == _ENGINE and _NO_SPACE in str(error.args[-1]):
            raise _disk_full() from None
        raise from_number(number, database) from None
    except (OSError, RuntimeError, struct.error):
        raise _away() from None


def from_number(number: int, database: str) -> EngineError:
    """Our error for a number of the server or the driver.

    Args:
        number: 0 where there is none.
        database: for the statement that gives a right.
    """
    if number in LOST or number in _BUSY:
        return _away()
    if number in _LOCKED:
        return TransientError(
            "database_locked",
            "Another session holds the destination's table or rows of it for too long.",
            hint="End that session: SHOW PROCESSLIST and information_schema.innodb_trx on the "
            "server show it.",
        )
    if number in _FULL:
        return _disk_full()
    if number in _VALUES:
        return refused(number)
    return _config(number, database) or ContractError(
        "database_error", f"MariaDB refused a statement (error {number})."
    )


def _config(number: int, database: str) -> ConfigError | None:
    if number in _MISSING_RIGHT:
        quoted = MysqlDialect().quote(database)
        return ConfigError(
            "missing_grant",
            f"The role may not read, write or create tables in database {database}.",
            hint="GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON "
            f"{quoted}.* TO <role>",
        )
    if number in _READ_ONLY:
        return ConfigError(
            "database_unwritable",
            "The destination's server or table takes no writes.",
            hint="Connect to the primary server, and to a table that is not read-only.",
        )
    if number in _NO_DATA:
        return ConfigError(
            "local_infile_off",
            "The destination's server takes no data from its clients.",
            hint="Set local_infile = ON there: rows come by it, not in statements, which logs "
            "would keep.",
        )
    if number in _TOO_WIDE:
        return ConfigError(
            "too_many_columns",
            "The destination's table cannot be made: its rows or its key would be too long.",
            hint="Map fewer fields, send them to two tables with two syncs, or make the table "
            "yourself with shorter columns.",
        )
    return None


def refused(number: int) -> ContractError:
    """A value of a batch that the table does not take."""
    return ContractError(
        "batch_refused",
        "The destination's table refused a value of a batch.",
        hint=f"Error {number}: compare its types and constraints with the model's.",
    )


def not_connected(number: int, tls: bool) -> EngineError:
    """Our error for a connection that was not made.

    Args:
        number: of the server or the driver.
        tls: whether it failed while the server was verified.
    """
    if tls or number == NOT_VERIFIED:
        return ConfigError(
            "tls_not_verified", "The destination's server could not be verified.", hint=TLS_HINT
        )
    if number in REFUSED:
        return ConfigError(
            "login_refused",
            "The destination's server refuses this role or database.",
            hint="Check user, password and database in the dsn, and from which host the role may "
            "connect.",
        )
    return _away()


def _away() -> TransientError:
    return TransientError(
        "database_unavailable",
        "The destination's server is away or busy.",
        hint="Check that it runs and that host and port in the dsn are right.",
    )


def _disk_full() -> TransientError:
    return TransientError(
        "disk_full",
        "The disk of the destination's server is full; the batch was not written.",
        hint="Make room there; the next run goes on.",
    )
