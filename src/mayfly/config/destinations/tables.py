"""Databases, as destinations."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mayfly.config.destinations.base import Owned
from mayfly.config.fields import Line, Login


class Tables(Owned):
    """Base of the databases."""

    modes = ("upsert", "mirror", "append")
    needs = ("table",)
    takes = ("key",)
    keyed = ("upsert", "mirror")
    table_name = True


class PostgresDestination(Tables):
    """Tables of a PostgreSQL database."""

    type: Literal["postgres"] = Field(description="Kind of destination.")
    dsn: Login = Field(
        description="Reference to the dsn, or `connection:NAME`, see `mayfly connect`.",
        examples=["env:CRM_DSN"],
    )
    schema_: Line | None = Field(
        default=None, alias="schema", description="Schema; `public` by default."
    )


class MysqlDestination(Tables):
    """Tables of a MariaDB database."""

    type: Literal["mysql"] = Field(description="Kind of destination.")
    dsn: Login = Field(
        description="Reference to the dsn, mysql://user:password@host:3306/database, or "
        "`connection:NAME`, see `mayfly connect`.",
        examples=["env:CRM_DSN"],
    )


class DuckdbDestination(Tables):
    """Tables of a DuckDB file."""

    type: Literal["duckdb"] = Field(description="Kind of destination.")
    path: Line = Field(description="The file, from the project's folder.")


class SqliteDestination(Tables):
    """Tables of a SQLite file."""

    type: Literal["sqlite"] = Field(description="Kind of destination.")
    path: Line = Field(description="The file, from the project's folder.")
