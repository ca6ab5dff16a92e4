"""What errors of Databricks and of its driver mean. Their texts carry values: none is passed on.

Compiled, not run: states are those of its documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    FUNCTION_MISSING,
    NO_FIT,
    SEE,
    SYNTAX,
    TABLE_EXISTS,
    TABLE_MISSING,
    Refused,
    refusal,
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

_STATE = re.compile(r"SQLSTATE:? ?\(?([0-9A-Z]{5})\b")
_REFUSED = (401, 403)
_CONFIG: dict[str, Refused] = {
    "42P01": TABLE_MISSING,
    "42703": COLUMN_MISSING,
    "42702": COLUMN_TWICE,
    "42704": ("schema_missing", "A schema or catalog the query names does not exist.", SEE),
    "42883": FUNCTION_MISSING,
    "42P07": TABLE_EXISTS,
    "42601": SYNTAX,
    "42K09": NO_FIT,
    "42501": (
        "missing_grant",
        "The token's principal may not read or write what the statement names.",
        "`mayfly doctor --grants` prints the GRANT statements.",
    ),
}


def from_error(text: str, context: Mapping[str, object], *, answered: bool) -> EngineError:
    """Our error for one of the driver's.

    Args:
        text: of the error, of which the SQLSTATE is taken and nothing else.
        context: of the error: `http-code`, where there was one.
        answered: whether the warehouse itself refused a statement.
    """
    if context.get("http-code") in _REFUSED:
        return refused_login()
    found = _STATE.search(text)
    if not answered and found is None:
        return lost()
    state = found.group(1) if found else ""
    if state in _CONFIG:
        return refusal(_CONFIG[state])
    group = state[:2]
    if group == "22":
        return unfit_value()
    if group == "42":
        return ConfigError("query_invalid", f"The source refuses the query (SQLSTATE {state}).")
    if group in {"57", "08", "40", "53"}:
        return TransientError(
            "source_busy", f"The source could not serve the statement now (SQLSTATE {state})."
        )
    shown = f"SQLSTATE {state}" if state else "without a SQLSTATE"
    return ContractError("query_failed", f"The source refused a statement ({shown}).")


def lost() -> TransientError:
    """The session ended, or nothing answers."""
    return TransientError(
        "connection_lost",
        "The connection to the source was lost.",
        hint="Run again when the warehouse answers; nothing is left half done.",
    )


def refused_login() -> ConfigError:
    """The token is none that works there."""
    return ConfigError(
        "source_refused",
        "Databricks refuses the log-in of the source.",
        hint="Check host, http_path and token of the source, that the token has not expired, and "
        "that its principal has CAN USE on the SQL warehouse.",
    )


def unfit_value() -> ConfigError:
    """A cast failed, here or there."""
    return value_conversion("Filter such rows in the model, use try_cast, or cast it to string.")
