"""Logs, warnings and hooks of libraries, closed: what they print holds rows, requests and secrets.

They are closed and not filtered: a filter knows only the forms of a value that somebody thought of.
What Mayfly itself has to tell goes another way, as `mayfly.services.events`.
"""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from typing import Any

LIBRARIES = (
    *("adbc_driver_manager", "adbc_driver_postgresql", "asyncssh", "boto3", "botocore", "certifi"),
    *("cronsim", "dbos", "tzdata"),
    *(
        "cryptography",
        "databricks",
        "duckdb",
        "faker",
        "fsspec",
        "google",
        "grpc",
        "httpcore",
        "httpx",
        "hvac",
        "jwt",
    ),
    *("multipart", "obstore", "orjson", "phonenumbers", "pkcs11", "polars", "polars_hash"),
    *(
        "presidio-analyzer",
        "presidio_analyzer",
        "spacy",
        "thinc",
        "tldextract",
    ),
    *("psycopg", "pyarrow", "pydantic", "pymysql", "python_multipart", "requests", "rfc8785"),
    *("rich", "ruamel", "s3transfer", "snowflake", "sniffio", "sqlalchemy", "sqlglot", "stdnum"),
    *("opentelemetry", "prometheus_client", "tenacity", "thrift", "typer", "urllib3"),
    *("uvicorn", "starlette"),
)
"""First names of the loggers of every library that runs on Mayfly's behalf."""
_NEVER = logging.CRITICAL + 1


def close_logs(*libraries: str) -> None:
    """Close the loggers of some libraries, those that are made later included.

    Nothing passes a library's first logger, so that a handler of the root sees none of it, at any
    level. May be repeated.
    """
    for name in libraries:
        first = logging.getLogger(name)
        first.propagate = False
        first.setLevel(_NEVER)
        for logger in (first, *_below(name)):
            logger.disabled = True
            logger.handlers = []
        first.addHandler(logging.NullHandler())


def logs_are_closed() -> bool:
    """Whether nothing passes the first logger of any library."""
    found = [logging.getLogger(name) for name in LIBRARIES]
    return all(not log.propagate and log.level >= _NEVER for log in found)


def silence_process() -> None:
    """Close all that prints a foreign text, for a process that is Mayfly's alone.

    That are the loggers of every library, now and later; warnings; and what Python prints where an
    exception ends a thread or nobody can catch it: its type is said, its message never.
    """
    logging.disable(sys.maxsize)
    warnings.showwarning = _dropped
    threading.excepthook = lambda failed: _say("a thread", failed.exc_type)
    sys.unraisablehook = lambda failed: _say("a finaliser", failed.exc_type)


def _below(name: str) -> list[logging.Logger]:
    known = dict(logging.root.manager.loggerDict)
    return [
        logger
        for child, logger in known.items()
        if child.startswith(f"{name}.") and isinstance(logger, logging.Logger)
    ]


def _dropped(*given: Any, **named: Any) -> None:
    del given, named


def _say(where: str, kind: type[BaseException] | None) -> None:
    name = kind.__name__ if kind is not None else "error"
    if sys.stderr is not None:
        sys.stderr.write(f"mayfly: unexpected {name} in {where}\n")
