"""What Snowflake's numbers of errors mean. Its texts carry values and are never passed on."""

from __future__ import annotations

from mayfly.connectors.sources.refusals import (
    COLUMN_TWICE,
    SEE,
    SYNTAX,
    TABLE_EXISTS,
    Refused,
    refusal,
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

_SEE = SEE + (
    " Snowflake says the same of what the role "
    "may not see: `mayfly doctor --grants` prints the GRANT statements. Names that are not quoted "
    "there are written small here."
)
_CONFIG: dict[int, Refused] = {
    2003: ("table_missing", "A table or view the query names does not exist.", _SEE),
    2043: ("table_missing", "A table, schema or database does not exist.", _SEE),
    904: ("column_missing", "A column the query names does not exist.", _SEE),
    2002: TABLE_EXISTS,
    1003: SYNTAX,
    2140: ("function_missing", "The query uses a function that is missing.", ""),
    2141: ("function_missing", "The query uses a function that is missing.", ""),
    1065: COLUMN_TWICE,
    2025: ("column_ambiguous", "A column is named twice.", ""),
    2028: COLUMN_TWICE,
    2031: ("query_invalid", "The query uses a subquery in a way Snowflake does not support.", ""),
    606: (
        "warehouse_missing",
        "The session has no warehouse: there is none of that name, or the role may not use it.",
        "GRANT USAGE ON WAREHOUSE … TO ROLE …; and check `warehouse` of the source.",
    ),
    90073: (
        "warehouse_suspended",
        "The warehouse may not be resumed: a resource monitor has stopped it.",
        "Raise its quota, or name another warehouse.",
    ),
    90105: ("database_missing", "The session has no database.", "Check `database` of the source."),
    90106: ("schema_missing", "The session has no schema.", "Check `schema` of the source."),
    3001: (
        "missing_grant",
        "The role may not do what the statement does.",
        "`mayfly doctor --grants` prints the GRANT statements.",
    ),
}
_BUSY = {
    604: "Somebody cancelled a statement of the source.",
    625: "The source ended a statement: another transaction holds its table.",
    630: "A statement of the source ran into its STATEMENT_TIMEOUT_IN_SECONDS.",
    684: "The source ended the session's transaction.",
}
_SESSION_GONE = (390104, 390110, 390111, 390112, 390114, 390115)
_NETWORK = range(250_000, 260_000)
_SERVICE = range(390_000, 400_000)


def from_number(number: int | None, state: str | None) -> EngineError:
    """Our error for an error's number and SQLSTATE."""
    number = -1 if number is None else number
    if number in _CONFIG:
        return refusal(_CONFIG[number])
    if number in _BUSY:
        return TransientError("source_busy", _BUSY[number])
    if number in _SESSION_GONE or number in _NETWORK or (state or "").startswith("08"):
        return lost()
    group = (state or "")[:2]
    if group == "22" or 100_000 <= number < 100_200:
        return unfit_value()
    if group == "57":
        return TransientError("source_busy", "The source could not serve the statement now.")
    if group == "42":
        return ConfigError("query_invalid", f"The source refuses the query (error {number}).")
    return ContractError("query_failed", f"The source refused a statement (error {number}).")


def lost() -> TransientError:
    """The session ended, or nothing answers."""
    return TransientError(
        "connection_lost",
        "The connection to the source was lost.",
        hint="Run again when Snowflake answers; nothing is left half done.",
    )


def unfit_value() -> ConfigError:
    """A cast failed."""
    return value_conversion("Use TRY_CAST, or filter such rows in the model.")


def not_connected(source: str, number: int | None, text: str) -> EngineError:
    """Our error for a login that failed.

    Args:
        source: its name.
        number: of the error.
        text: of the driver, looked at where it has one number for several failures.
    """
    lowered = text.lower()
    if any(mark in lowered for mark in ("certificate", "tls", "revocation", "crl")):
        return ConfigError(
            "tls_required",
            f"The server of source {source} could not be verified.",
            hint="Check that the account is right, and that the lists of revoked certificates "
            "which its certificates name can be read from here (SYSTEM$ALLOWLIST, type "
            "CRL_DISTRIBUTION_POINT).",
        )
    if number in _SERVICE or "incorrect" in lowered or "jwt" in lowered or "390" in lowered:
        return ConfigError(
            "source_refused",
            f"Snowflake refuses the login of source {source}.",
            hint="Check account, user, key and role of the source; that ALTER USER … SET "
            "RSA_PUBLIC_KEY was run with this key; and the network policy of the user.",
        )
    return TransientError(
        "source_away",
        f"The server of source {source} does not answer.",
        hint="Check `account` of the source, and that this machine may reach it.",
    )
