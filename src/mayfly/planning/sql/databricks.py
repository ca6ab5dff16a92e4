"""Databricks SQL. Compiled, not run: written after its documentation, never asked of one."""

from __future__ import annotations

from collections.abc import Mapping

from mayfly.planning.sql.dialect import TARGET
from mayfly.planning.sql.spark import SparkSql


class DatabricksDialect(SparkSql):
    """Databricks, on a SQL warehouse, whose sessions have temporary tables.

    Each statement commits by itself. What a Delta table held before stays readable until it is
    vacuumed.
    """

    def drop_schema(self, schema: str) -> str:
        """Refused where anything is in it."""
        return f"DROP SCHEMA {self.quote(schema)} RESTRICT"

    def give_schema(self, schema: str) -> str:
        """An owner is a principal, not a role."""
        return f"ALTER SCHEMA {self.quote(schema)} OWNER TO the principal of the source's token."

    def create_table(self, name: str, columns: str, *, temporary: bool = False) -> str:
        """A temporary one cannot be made where it is not there alone."""
        if temporary:
            return f"CREATE TEMPORARY TABLE {name} ({columns})"
        return super().create_table(name, columns)

    def rename_table(self, name: str, new: str) -> str:
        """A bare new name would be one of the session's own schema."""
        schema = name[: name.rindex(".`") + 1]
        return f"ALTER TABLE {name} RENAME TO {schema}{self.quote(new)}"

    def add_column(self, table: str, column: str, kind: str) -> str:
        """Refused where it is there."""
        return f"ALTER TABLE {table} ADD COLUMN {column} {kind}"

    def insert_missing(self, table: str, values: Mapping[str, str], *, key: str) -> str:
        """No key is enforced; of two merges that write at once one fails."""
        given = ", ".join(f"{value} AS {name}" for name, value in values.items())
        return (
            f"MERGE INTO {table} AS {TARGET} USING (SELECT {given}) AS mf_s "
            f"ON {TARGET}.{key} = mf_s.{key} WHEN NOT MATCHED THEN INSERT ({', '.join(values)}) "
            f"VALUES ({', '.join(f'mf_s.{name}' for name in values)})"
        )

    def update(
        self, table: str, changes: Mapping[str, str], where: str, *, source: str | None = None
    ) -> str:
        """An update looks at one table: values of another come by a merge."""
        if source is None:
            return super().update(table, changes, where)
        changed = ", ".join(f"{column} = {value}" for column, value in changes.items())
        return (
            f"MERGE INTO {table} AS {TARGET} USING {source} ON {where} "
            f"WHEN MATCHED THEN UPDATE SET {changed}"
        )
