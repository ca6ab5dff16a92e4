"""BigQuery's errors as ours. Its texts carry values: they are read, and not passed on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.refusals import (
    COLUMN_MISSING,
    COLUMN_TWICE,
    FUNCTION_MISSING,
    SEE,
    SYNTAX,
    TABLE_EXISTS,
    TABLE_MISSING,
    Refused,
    refusal,
    value_conversion,
)
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError

_DENIED = re.compile(
    r"Access Denied: (Table|View|Dataset) ([\w-]+):(\w+)(?:\.(\w+))?", re.IGNORECASE
)
_WRITES = re.compile(r"bigquery\.(tables\.(create|update|delete)|datasets\.(create|update))")
_BUSY = ("ratelimitexceeded", "quotaexceeded", "backenderror", "jobbackenderror", "internalerror")
# Of a refused query, in the order they are looked for.
_QUERY: tuple[tuple[str, Refused], ...] = (
    ("syntax error|unclosed |unexpected end|illegal ", SYNTAX),
    ("function not found|unknown function", FUNCTION_MISSING),
    (
        "duplicate column names|ambiguous",
        (*COLUMN_TWICE[:2], "Give each column of the query its own name with AS."),
    ),
    (
        "unrecognized name|not found inside|referenced column|not found in from",
        COLUMN_MISSING,
    ),
    ("not found: table|table .* was not found|must be qualified with a dataset", TABLE_MISSING),
    ("already exists", TABLE_EXISTS),
    (
        "resources exceeded|memory",
        (
            "memory_limit",
            "The query needs more memory than BigQuery gives it.",
            "Let the model read fewer columns, or aggregate less.",
        ),
    ),
)
_VALUES = re.compile(
    "bad |could not cast|invalid |cannot parse|could not parse|out of range|overflow|conversion"
    "|no matching signature|division by zero",
    re.IGNORECASE,
)
_CONFLICT = re.compile(
    r"aborted due to concurrent|could not serialize|concurrent update|transaction is aborted",
    re.IGNORECASE,
)
_SESSION_GONE = re.compile(r"session .*(expired|terminated|not found|aborted)", re.IGNORECASE)


@contextmanager
def translated(member: str) -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        member: whom rights are given to, as GRANT names it.
    """
    import google.api_core.exceptions as api
    import google.auth.exceptions as auth
    import requests

    try:
        yield
    except api.GoogleAPICallError as error:
        raise ours(error, member) from None
    except auth.TransportError:
        raise away() from None
    except auth.GoogleAuthError as error:
        raise (away() if getattr(error, "retryable", False) else refused()) from None
    except (api.RetryError, requests.RequestException, TimeoutError, ConnectionError):
        raise away() from None
    except (pa.ArrowException, OverflowError):
        raise ContractError(
            "query_failed", "The source stopped in the middle of a result."
        ) from None


def ours(error: Any, member: str) -> EngineError:
    """Our error for an answer of the service."""
    status, text = int(error.code or 0), str(error.message or "")
    reasons = {str(e.get("reason", "")).lower() for e in error.errors or () if isinstance(e, dict)}
    if _CONFLICT.search(text):
        return TransientError(
            "transaction_conflict",
            "Another run changed the same table at the same time, and BigQuery let that one win.",
            hint="Run again.",
        )
    if status in {429, 500, 502, 503, 504} or reasons & set(_BUSY):
        return TransientError("source_busy", "BigQuery could not serve the statement now.")
    if status == 401:
        return refused()
    if status == 403:
        return denied(text, member)
    if _SESSION_GONE.search(text):
        return TransientError(
            "connection_lost", "The session at BigQuery has ended.", hint="Run again."
        )
    return _of_query(status, text)


def _of_query(status: int, text: str) -> EngineError:
    if status == 404 and re.search(r"not found: dataset", text, re.IGNORECASE):
        return ConfigError("table_missing", "A dataset the query names does not exist.", hint=SEE)
    if status == 404:
        return refusal(TABLE_MISSING)
    for pattern, known in _QUERY:
        if re.search(pattern, text, re.IGNORECASE):
            return refusal(known)
    if _VALUES.search(text):
        return value_conversion("Use SAFE_CAST, or filter such rows in the model.")
    if status in {400, 409} or re.search("not supported in transactions|ddl", text, re.IGNORECASE):
        return ConfigError("query_invalid", "The source refuses the query.")
    return ContractError("query_failed", f"The source refused a statement (HTTP {status}).")


def denied(text: str, member: str) -> ConfigError:
    """A missing right, with the statement that gives it: on a dataset, where the answer names one,
    else to run queries at all.
    """
    found = _DENIED.search(text)
    if found is None:
        return ConfigError(
            "missing_grant",
            "The account may not run queries in this project.",
            hint="gcloud projects add-iam-policy-binding PROJECT "
            f"--member={member} --role=roles/bigquery.jobUser",
        )
    _, project, dataset, _ = found.groups()
    role = "dataEditor" if _WRITES.search(text) else "dataViewer"
    return ConfigError(
        "missing_grant",
        "The account may not read or write a table or dataset the statement names.",
        hint=f'GRANT `roles/bigquery.{role}` ON SCHEMA `{project}`.`{dataset}` TO "{member}";',
    )


def away() -> TransientError:
    """No answer."""
    return TransientError(
        "source_away",
        "BigQuery does not answer.",
        hint="Check that this machine reaches bigquery.googleapis.com; nothing is left half done.",
    )


def refused() -> ConfigError:
    """The credentials do not work."""
    return ConfigError(
        "source_refused",
        "BigQuery refuses the credentials of the source.",
        hint="Check `credentials` of the source, or the application default credentials.",
    )
