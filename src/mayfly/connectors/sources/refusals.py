"""What is said of a query that an engine refuses, alike for every engine.

Each as code, message and hint. An engine's own text may carry values and is never passed on.
"""

from __future__ import annotations

from mayfly.domain.errors import ConfigError

Refused = tuple[str, str, str]

SEE = "Run `mayfly discover` to see what the source has."
TABLE_MISSING: Refused = ("table_missing", "A table or view the query names does not exist.", SEE)
COLUMN_MISSING: Refused = ("column_missing", "A column the query names does not exist.", SEE)
COLUMN_TWICE: Refused = ("column_ambiguous", "The query names a column that exists twice.", "")
FUNCTION_MISSING: Refused = (
    "function_missing",
    "The query uses a function this engine lacks.",
    "",
)
TABLE_EXISTS: Refused = ("table_exists", "A table of this name exists already.", "")
SYNTAX: Refused = ("query_syntax", "The source cannot parse the query.", "")
NO_FIT: Refused = (
    "query_invalid",
    "The types or names in the query do not fit together.",
    "",
)
DISK_FULL: Refused = (
    "disk_full",
    "The disk of the source is full; nothing was changed.",
    "Make room there and run again: what was delivered by then is remembered.",
)
READ_ONLY: Refused = ("read_only_session", "The session may not change the source.", "")


def refusal(known: Refused) -> ConfigError:
    """The error of one of these."""
    code, message, hint = known
    return ConfigError(code, message, hint=hint)


def value_conversion(hint: str) -> ConfigError:
    """A value that its type does not take.

    Args:
        hint: what to do about it on this engine.
    """
    return ConfigError(
        "value_conversion",
        "A value of the source does not fit the type the query gives it.",
        hint=hint,
    )
