"""What Redshift's SQLSTATEs mean. Its texts carry values and are never passed on.

Compiled, not run: codes are PostgreSQL's, as its documentation says of them.
"""

from __future__ import annotations

from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    DISK_FULL,
    FUNCTION_MISSING,
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

_CONFIG: dict[str, Refused] = {
    "42P01": TABLE_MISSING,
    "3F000": ("schema_missing", "A schema the query names does not exist.", SEE),
    "42703": COLUMN_MISSING,
    "42702": COLUMN_TWICE,
    "42701": ("column_ambiguous", "A column is named twice.", ""),
    "42883": FUNCTION_MISSING,
    "42P07": TABLE_EXISTS,
    "42601": SYNTAX,
    "42501": (
        "missing_grant",
        "The user may not read or write a table the statement names.",
        "`mayfly doctor --grants` prints the GRANT statements.",
    ),
    "25006": READ_ONLY,
    "53100": DISK_FULL,
    "53200": ("memory_limit", "The source is out of memory.", ""),
}


def from_state(state: str | None) -> EngineError:
    """Our error for a SQLSTATE; none at all means that the connection is gone."""
    if not state:
        return TransientError(
            "connection_lost",
            "The connection to the source was lost.",
            hint="Run again when Redshift answers; nothing is left half done. Where it comes "
            "again, a time limit may end the session (SESSION TIMEOUT of the user).",
        )
    if state in _CONFIG:
        return refusal(_CONFIG[state])
    if state == "57014":
        return TransientError(
            "source_busy",
            "The source cancelled a statement: a time limit ran out, or somebody did it.",
            hint="A plan reads the whole model in one statement. See statement_timeout, and the "
            "rules of the queue it runs in.",
        )
    group = state[:2]
    if group == "57":
        # Whoever ends a session or a server tells it so.
        return from_state(None)
    if group in {"08", "53", "40", "55"}:
        return TransientError(
            "source_busy", f"The source could not serve the statement now (SQLSTATE {state})."
        )
    if group == "22":
        return unfit_value()
    if group == "42":
        return ConfigError("query_invalid", f"The source refuses the query (SQLSTATE {state}).")
    return ContractError("query_failed", f"The source refused a statement (SQLSTATE {state}).")


def unfit_value() -> ConfigError:
    """A cast failed, here or there."""
    return value_conversion("Filter such rows in the model, use TRY_CAST, or cast it to text.")
