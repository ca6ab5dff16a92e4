"""What was measured beside programs of others, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from mayfly.bench.rivals.over_http import DEFAULT_ROWS_MAX

_BY = {
    "mayfly": "mayfly, 1,000 rows a request",
    "drt": "drt, 1,000 rows a request",
    "dlt": "dlt, 1,000 rows a request, from Arrow",
    "drt_default": "drt, one row a request (its default)",
    "dlt_default": "dlt, ten rows a request (its default)",
}
_UPSERTS = {
    "first": "from PostgreSQL, of new rows",
    "again": "from PostgreSQL, of rows that all changed",
    "csv_first": "from a CSV file, of new rows",
    "csv_again": "from a CSV file, of rows that all changed",
}


def show_rivals(console: Console, measured: Mapping[str, Any]) -> None:
    """Both parts of it."""
    _show_http(console, measured["http"])
    _show_upserts(console, measured)


def _show_http(console: Console, measured: Mapping[str, Any]) -> None:
    console.print(
        f"DuckDB to HTTP, {measured['columns']} columns, beside drt {measured['drt_version']} and "
        f"dlt {measured['dlt_version']} (their defaults for up to {DEFAULT_ROWS_MAX:,} rows)"
    )
    table = Table("by", "rows", "seconds", "CPU s", "rows/s", box=None)
    for name, title in _BY.items():
        took = measured[name]
        rows, seconds, cpu = took["rows"], took["seconds"], took["cpu_seconds"]
        table.add_row(title, f"{rows:,}", f"{seconds:.1f}", f"{cpu:.1f}", f"{rows / seconds:,.0f}")
    console.print(table)
    console.print()


def _show_upserts(console: Console, measured: Mapping[str, Any]) -> None:
    console.print(
        f"Upsert to PostgreSQL of {measured['rows']:,} rows of {measured['columns']} "
        f"columns beside ingestr {measured['ingestr_version']}"
    )
    table = Table("upsert", "by", "seconds", "CPU s", box=None)
    for which, title in _UPSERTS.items():
        for name in ("mayfly", "ingestr"):
            took = measured[which][name]
            table.add_row(title, name, f"{took['seconds']:.1f}", f"{took['cpu_seconds']:.1f}")
    console.print(table)
    console.print()
