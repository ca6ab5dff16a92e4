"""Checkpoints in a table of the customer's own warehouse."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa

from mayfly.adapters.planstores.tables import make_schema
from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.ports.source import Source

TABLE = "checkpoints"


class SourceAnchor:
    """Table `checkpoints` in our schema: one row for each, never changed by us.

    Args:
        source: that is written.
        sql: its dialect.
        schema: ours there.
    """

    def __init__(self, source: Source, sql: SqlDialect, *, schema: str) -> None:
        self._source = source
        self._sql = sql
        self._schema = schema

    def publish(self, note: str, *, size: int, at: datetime) -> None:
        """See `Anchor.publish`."""
        sql = self._sql
        table = sql.ours(self._schema, TABLE)
        columns = f"entries {sql.bigint} NOT NULL, published_at {sql.text} NOT NULL, "
        columns += f"note {sql.text} NOT NULL"
        row = pa.table({"size": [size], "at": [at.isoformat()], "note": [note]})
        try:
            with self._source.session(write=True) as session:
                if sql.transactional_ddl:
                    session.begin()
                make_schema(session, sql, self._schema)
                session.execute(sql.create_table(table, columns))
                session.load("mf_note", row)
                session.execute(
                    f"INSERT INTO {table} SELECT n.size, n.at, n.note FROM mf_note n WHERE NOT "
                    f"EXISTS (SELECT 1 FROM {table} t WHERE t.note = n.note)"
                )
                if sql.transactional_ddl:
                    session.commit()
        except TransientError:
            raise TransientError(
                "anchor_away", "The warehouse that keeps checkpoints is away."
            ) from None
        except EngineError as error:
            raise ConfigError(
                "anchor_refused",
                f"The warehouse does not take a checkpoint [{error.code}].",
                hint=error.hint or "`mayfly doctor` says which right is missing.",
            ) from None
