"""What every source promises, as a suite of tests. Subclass it and give a `SourceWorld`."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pytest

from mayfly.domain.errors import ConfigError, EngineError
from mayfly.planning.sql.dialect import quote
from mayfly.ports.source import Source

MARK = "marked-7f3a"
"""A value that stands in rows and may stand in no error."""


@dataclass(frozen=True, kw_only=True)
class SourceWorld:
    """A source that holds a table `people` of 1,000 rows: `id` from 0, and `name`, which is
    `MARK` in every row. `writable` tells whether it takes writes.
    """

    source: Source
    writable: bool

    def query(self, where: str = "TRUE") -> str:
        """A query of the table."""
        return f"SELECT id, name FROM {self.source.relation(None, 'people')} WHERE {where}"


class SourceContract:
    """The tests. They leave the table as they found it."""

    @pytest.fixture
    def world(self) -> SourceWorld:
        """The source under test."""
        raise NotImplementedError

    def test_tables_are_found_with_their_columns(self, world: SourceWorld) -> None:
        """Discovery names the table and the columns, in order."""
        found = {t.name: [c.name for c in t.columns] for t in world.source.tables()}
        assert found["people"] == ["id", "name"]

    def test_described_types_are_streamed(self, world: SourceWorld) -> None:
        """What `readable` selects has the Arrow types `describe` told."""
        columns = world.source.describe(world.query())
        shown = ", ".join(f"{world.source.readable(c)} AS {quote(c.name)}" for c in columns)
        with world.source.session(write=False) as session:
            batch = next(session.stream(f"SELECT {shown} FROM ({world.query()}) AS q"))
        assert [f.type for f in batch.schema] == [c.arrow_type for c in columns]

    def test_a_stream_gives_what_a_table_gives_in_bounded_pieces(self, world: SourceWorld) -> None:
        """No row is lost between pieces."""
        with world.source.session(write=False) as session:
            pieces = list(session.stream(world.query(), rows=100))
            whole = session.table(world.query())
        streamed = pa.Table.from_batches(pieces)
        assert whole.num_rows == 1000
        assert streamed.sort_by("id").equals(whole.sort_by("id"))

    def test_an_empty_result_keeps_its_schema(self, world: SourceWorld) -> None:
        """No row is no error."""
        with world.source.session(write=False) as session:
            assert session.table(world.query("id < 0")).column_names == ["id", "name"]
            assert sum(b.num_rows for b in session.stream(world.query("id < 0"))) == 0

    def test_a_stream_left_early_frees_the_session(self, world: SourceWorld) -> None:
        """Closing a stream lets the next statement run."""
        with world.source.session(write=False) as session:
            stream = session.stream(world.query(), rows=10)
            next(stream)
            del stream
            assert session.table("SELECT 1 AS a").to_pylist() == [{"a": 1}]

    def test_loaded_columns_join(self, world: SourceWorld) -> None:
        """Arrow columns become a temporary table of a session that may not write."""
        rows = pa.table(
            {
                "n": pa.array([1, 2, None], pa.int64()),
                "d": pa.array([b"\x00\xff", None, b""], pa.binary()),
                "s": pa.array(['é😀"', "", None], pa.string()),
                "b": pa.array([True, False, None], pa.bool_()),
            }
        )
        with world.source.session(write=False) as session:
            session.load("mf_load_1", rows)
            back = session.table("SELECT n, d, s, b FROM mf_load_1")
            joined = session.table(
                f"SELECT count(*) AS n FROM ({world.query()}) q JOIN mf_load_1 l ON l.n = q.id"
            )
        assert sorted(map(str, back.to_pylist())) == sorted(map(str, rows.to_pylist()))
        assert joined.to_pylist() == [{"n": 2}]

    def test_a_reading_session_makes_temporary_tables(self, world: SourceWorld) -> None:
        """A plan that writes nothing still needs working copies."""
        with world.source.session(write=False) as session:
            session.execute(f'CREATE TEMPORARY TABLE "mf_scan" AS {world.query("id < 7")}')
            assert session.execute('UPDATE "mf_scan" SET id = id + 1') == 7
            assert session.table('SELECT count(*) AS n FROM "mf_scan"').to_pylist() == [{"n": 7}]

    def test_a_reading_session_refuses_writes(self, world: SourceWorld) -> None:
        """The engine itself refuses to create, and the table stays."""
        table = world.source.relation(None, "people") if world.writable else "people"
        for statement in (f"DELETE FROM {table}", f"DROP TABLE {table}"):
            with world.source.session(write=False) as session, pytest.raises(EngineError):
                session.execute(statement)
        with world.source.session(write=False) as session:
            assert session.table(world.query()).num_rows == 1000

    def test_a_writing_session_writes_or_is_refused(self, world: SourceWorld) -> None:
        """Rollback, and leaving without commit, undo; a folder refuses to begin."""
        if not world.writable:
            with pytest.raises(ConfigError, match="read_only_source"):
                world.source.check(write=True)
            return
        world.source.check(write=True)
        table = world.source.relation(None, "people")
        with world.source.session(write=True) as session:
            session.begin()
            assert session.execute(f"DELETE FROM {table} WHERE id < 10") == 10
            session.rollback()
            session.begin()
            session.execute(f"DELETE FROM {table} WHERE id < 10")
        with world.source.session(write=False) as session:
            assert session.table(world.query()).num_rows == 1000

    @pytest.mark.parametrize(
        ("sql", "code"),
        [
            ("SELECT * FROM no_such_table", "table_missing"),
            ("SELECT no_such_column FROM ({query}) q", "column_missing"),
            ("SELECT FROM WHERE", "query_syntax"),
            ("SELECT no_such_function(1)", "function_missing"),
            ("SELECT CAST(name AS integer) FROM ({query}) q", "value_conversion|query_failed"),
        ],
    )
    def test_errors_are_ours_and_carry_no_value(
        self, world: SourceWorld, sql: str, code: str
    ) -> None:
        """Each failure has its code; the engine's text and the rows' values stay out."""
        with (
            world.source.session(write=False) as session,
            pytest.raises(EngineError, match=code) as caught,
        ):
            list(session.stream(sql.replace("{query}", world.query())))
        assert MARK not in str(caught.value) + caught.value.hint
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_checking_a_readable_source_passes(self, world: SourceWorld) -> None:
        """A source that works is not complained about."""
        world.source.check(write=False)
