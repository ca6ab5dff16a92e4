"""Temporary tables of a session, which Spark does not have.

Each is rows that Spark has worked out and keeps (a local checkpoint), under the name of a view of
the session. To insert is to keep more rows; to change some is to keep all of them anew. What Spark
has lost of it, with a machine, is an error there and never worked out again: a number that a row
was given must not become another's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import pyarrow as pa

from mayfly.connectors.sources.spark_client import SparkClient
from mayfly.connectors.sources.spark_errors import read_only
from mayfly.connectors.sources.spark_protocol import all_of, message, sql_relation
from mayfly.connectors.sources.spark_results import result
from mayfly.connectors.sources.spark_types import columns_of
from mayfly.domain.errors import ContractError
from mayfly.planning.sql.spark import NUMBERED, quote

LOADED_BYTES = 16_000_000
"""What goes with one message; a server takes 128 MB."""
KEPT_BYTES = 500_000
"""Loaded rows above it move to the workers, and do not stay in the memory of the driver."""
_NAME = r"(?P<name>`(?:[^`]|``)+`|[A-Za-z_]\w*)"
_TEMPORARY = (
    r"CREATE\s+(?P<replace>OR\s+REPLACE\s+)?TEMPORARY\s+TABLE\s+"
    rf"(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s*"
)
_FLAGS = re.IGNORECASE | re.DOTALL
_MADE = re.compile(rf"{_TEMPORARY}AS\s+(?P<query>(?:/\*.*?\*/\s*)?(?:SELECT\b|\().*)", _FLAGS)
_DEFINED = re.compile(rf"{_TEMPORARY}\((?P<columns>.*)\)\s*", _FLAGS)
_INSERTED = re.compile(
    rf"INSERT\s+INTO\s+{_NAME}\s+(?:\((?P<columns>[^()]*)\)\s*)?(?P<query>SELECT\b.*)", _FLAGS
)
_DROPPED = re.compile(rf"DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s*", _FLAGS)
_ROW_BITS = 33
"""Of the number that Spark gives a row by itself: the lower ones count within a part."""
_NOT_NULL = re.compile(r"\s+NOT\s+NULL\b", re.IGNORECASE)
_SCHEMA = {
    pa.int64(): "BIGINT",
    pa.binary(): "BINARY",
    pa.string(): "STRING",
    pa.bool_(): "BOOLEAN",
}


@dataclass
class _Table:
    """What is kept of one table.

    Attributes:
        relations: of its rows.
        is_empty: whether it was only defined so far.
        kept: those that Spark keeps rows of.
        views: that its relations are over.
        columns: type by name, once asked for.
    """

    relations: list[Any] = field(default_factory=list)
    is_empty: bool = False
    kept: list[Any] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    columns: dict[str, str] | None = None


class WorkingTables:
    """The temporary tables of one session.

    Args:
        client: of the session.
    """

    def __init__(self, client: SparkClient) -> None:
        self._client = client
        self._tables: dict[str, _Table] = {}
        self._parts = 0

    def execute(self, body: str, comment: str) -> None:
        """Do what a statement says.

        Args:
            body: the statement.
            comment: that stood before it, and goes with what Spark is asked.

        Raises:
            ConfigError: `read_only_session`, it is of another kind or on a table of the source.
        """
        forms: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], None]], ...] = (
            (_MADE, self._make),
            (_DEFINED, self._define),
            (_INSERTED, self._insert),
            (_DROPPED, self._drop),
        )
        for form, act in forms:
            found = form.fullmatch(body)
            if found is not None:
                act(found, comment)
                return
        raise read_only()

    def load(self, name: str, rows: pa.Table) -> None:
        """A table of Arrow columns; they stand in no statement."""
        columns = ", ".join(f"{quote(f.name)} {_SCHEMA[f.type]}" for f in rows.schema)
        made = _Table(relations=[_local(piece, columns) for piece in _pieces(rows)])
        if rows.nbytes > KEPT_BYTES:
            made.kept = [self._keep(relation) for relation in made.relations]
            made.relations = [_of_kept(kept) for kept in made.kept]
        self._put(quote(name), made)

    def close(self) -> None:
        """Drop every view: a session's catalog may outlive it, and would hold their rows."""
        while self._tables:
            name, table = self._tables.popitem()
            self._drop_views([name, *table.views])

    def _make(self, found: re.Match[str], comment: str) -> None:
        name, before = _name(found), self._tables.get(_name(found))
        if found.group("replace") is not None and before is None:
            raise read_only()
        if found.group("replace") is None and before is not None:
            raise ContractError("query_failed", "A temporary table of this name exists already.")
        table = _Table()
        self._add(table, comment + found.group("query"))
        self._put(name, table)
        if before is not None:
            self._forget(before)

    def _define(self, found: re.Match[str], comment: str) -> None:
        del comment
        if _name(found) in self._tables:
            return
        schema = _NOT_NULL.sub("", found.group("columns"))
        empty = message("Relation", local_relation=message("LocalRelation", schema=schema))
        self._put(_name(found), _Table(relations=[empty], is_empty=True))

    def _insert(self, found: re.Match[str], comment: str) -> None:
        name, listed = _name(found), found.group("columns")
        table = self._required(name)
        known = self._columns(name, table)
        named = list(known) if listed is None else [_bare(c) for c in listed.split(",")]
        shown = ", ".join(
            f"CAST({'mf_q.' + quote(c) if c in named else 'NULL'} AS {kind}) AS {quote(c)}"
            for c, kind in known.items()
        )
        aliases = ", ".join(map(quote, named))
        if table.is_empty:
            table.relations, table.is_empty = [], False
        given = f"({found.group('query')}) AS mf_q ({aliases})"
        self._add(table, f"{comment}SELECT {shown} FROM {given}")
        self._put(name, table)

    def _drop(self, found: re.Match[str], comment: str) -> None:
        del comment
        table = self._required(_name(found))
        del self._tables[_name(found)]
        self._drop_views([_name(found)])
        self._forget(table)

    def _required(self, name: str) -> _Table:
        table = self._tables.get(name)
        if table is None:
            raise read_only()
        return table

    def _columns(self, name: str, table: _Table) -> dict[str, str]:
        if table.columns is None:
            schema = self._client.schema(sql_relation(f"SELECT * FROM {name}"))
            table.columns = {c.name: c.sql_type for c in columns_of(schema)}
        return table.columns

    def _add(self, table: _Table, query: str) -> None:
        """The rows of a query, worked out now; where they are to be numbered, those that are."""
        numbered = NUMBERED.search(query)
        if numbered is None:
            kept = self._keep(sql_relation(query))
            table.kept.append(kept)
            table.relations.append(_of_kept(kept))
            return
        before, after = query[: numbered.start()], query[numbered.end() :]
        inner = f"SELECT monotonically_increasing_id() AS mf_id, mf_u.* FROM ({numbered['query']})"
        kept = self._keep(sql_relation(f"{_comment(before)}{inner} AS mf_u"))
        table.kept.append(kept)
        part, view = self._part(), self._part()
        table.views += [part, view]
        self._view(part, _of_kept(kept))
        self._view(view, sql_relation(self._as_they_lie(part, numbered["name"])))
        table.relations.append(sql_relation(f"{before}SELECT * FROM {view}{after}"))

    def _as_they_lie(self, part: str, name: str) -> str:
        """Query of the rows of a view with their number: how many lie in the parts before their
        own, and their place in it.
        """
        place, row = f"shiftright(mf_id, {_ROW_BITS})", f"mf_id & {(1 << _ROW_BITS) - 1}"
        counted = f"SELECT {place} AS p, count(*) AS n FROM {part} GROUP BY 1"
        counts = {int(r["p"]): int(r["n"]) for r in result(self._client, counted).to_pylist()}
        sizes = [counts.get(p, 0) for p in range(max(counts, default=0))]
        offsets = ", ".join(f"{n}L" for n in accumulate(sizes, initial=0))
        first = f"element_at(array({offsets}), CAST({place} AS INT) + 1)"
        return f"SELECT {first} + ({row}) AS {name}, * EXCEPT (mf_id) FROM {part}"

    def _part(self) -> str:
        self._parts += 1
        return quote(f"mf_part_{self._parts}")

    # -- what the server is asked ---------------------------------------------------------------

    def _put(self, name: str, table: _Table) -> None:
        self._view(name, all_of(table.relations))
        self._tables[name] = table

    def _view(self, name: str, relation: Any) -> None:
        view = message("CreateView", input=relation, name=_bare(name), replace=True)
        self._command(create_dataframe_view=view)

    def _keep(self, relation: Any) -> Any:
        """Rows that are worked out now and kept."""
        asked = message("Checkpoint", relation=relation, local=True, eager=True)
        for answer in self._answers(checkpoint_command=asked):
            if answer.WhichOneof("kind") == "checkpoint_command_result":
                return answer.checkpoint_command_result.relation
        raise ContractError("query_failed", "Spark kept no rows of a temporary table.")

    def _forget(self, table: _Table) -> None:
        """What a table was made of, and nothing refers to any more."""
        self._drop_views(table.views)
        for kept in table.kept:
            removed = message("RemoveCached", relation=kept)
            self._command(remove_cached_remote_relation_command=removed)

    def _drop_views(self, names: Sequence[str]) -> None:
        for name in names:
            self._command(sql_command=message("SqlCommand", sql=f"DROP VIEW IF EXISTS {name}"))

    def _command(self, **command: Any) -> None:
        for _ in self._answers(**command):
            pass

    def _answers(self, **command: Any) -> Any:
        return self._client.run(message("Plan", command=message("Command", **command)))


def _name(found: re.Match[str]) -> str:
    """Always quoted."""
    return quote(_bare(found.group("name")))


def _bare(name: str) -> str:
    name = name.strip()
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _comment(sql: str) -> str:
    """That a statement begins with."""
    end = sql.find("*/") + 2
    return sql[:end] + " " if sql.startswith("/*") and end > 1 else ""


def _of_kept(kept: Any) -> Any:
    return message("Relation", cached_remote_relation=kept)


def _pieces(rows: pa.Table) -> list[pa.Table]:
    step = max(1, rows.num_rows * LOADED_BYTES // max(1, rows.nbytes))
    return [rows.slice(first, step) for first in range(0, max(1, rows.num_rows), step)]


def _local(rows: pa.Table, columns: str) -> Any:
    if not rows.num_rows:
        return message("Relation", local_relation=message("LocalRelation", schema=columns))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows.combine_chunks())
    data = sink.getvalue().to_pybytes()
    relation = message("LocalRelation", data=data, schema=columns)
    return message("Relation", local_relation=relation)
