"""What every source promises, as a suite of tests. Subclass it and give a `SourceWorld`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from mayfly.domain.errors import ConfigError, EngineError, TransientError
from mayfly.planning.lineage import lineage_of
from mayfly.planning.sql.dialect import SqlDialect
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.ports.source import ColumnInfo, Source, SqlSession, ViewSource, views_among
from mayfly.services.find_views import find_views

MARK = "marked-7f3a"
"""A value that stands in rows and may stand in no error."""
ODD_NAMES = (
    'qu"ote',
    "apo'strophe; --",
    "two words",
    "a.b",
    "back\\slash`tick",
    "select",
    "{column}",
    "%s $1 ?",
    "naïve 😀 名前",
    "UPPER",
    "x" * 63,
    *("k0", "fp", "c", "n", "batch", "pos", "x0", "v0", "s0", "w", "here", "dk", "unfit", "m"),
)
"""Names that must be quoted, that are as long as any engine takes, or that are our own."""
_RIGHTS_MAX = 10
_GONE_SECONDS = 20.0


@dataclass(frozen=True)
class TypeCase:
    """One type of an engine.

    Args:
        sql: an expression of the type.
        arrow: the Arrow type that is described and streamed, as its text.
        value: what arrives.
        unfit: whether the value arrives as null and is told by `unfit`.
    """

    sql: str
    arrow: str
    value: object = None
    unfit: bool = False


@dataclass(frozen=True, kw_only=True)
class Reduced:
    """A source whose role may connect and no more.

    Args:
        source: of that role, over the same tables.
        query: of the table `people`.
        paste: runs a statement as the owner of everything would.
    """

    source: Source
    query: str
    paste: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SourceWorld:
    """A source that holds a table `people` of 1,000 rows: `id` from 0, and `name`, which is
    `MARK` in every row. `writable` tells whether it takes writes.

    What an engine does not have is left out; its tests then have nothing to show.

    Args:
        schema: that the tables are in, where others may have some of the same names.
        sql: the dialect of the engine; without it DuckDB's.
        make: makes a table of a name from Arrow columns.
        owner: runs a statement as the owner of the tables would, where the engine has views that
            it tells of.
        odd_names: of a table's columns, as the engine can tell them apart.
        odd_tables: names of tables.
        types: every type of the engine.
        types_of: FROM clause of the one row that their expressions are over, where they need one.
        other_settings: within it, sessions of the role begin with other settings.
        cutter: what ends the connection of an idle session at the server, then or later.
        running: how many statements of ours the server works on.
        reduced: a role without rights; gone with the context.
        checks_casts: whether a text that is no number fails to become one.
        counts_changes: whether a statement tells how many rows it changed.
        tells_bytes: whether bytes are of another type than texts; where not, they come as text.
        pairs: how many tables a large result is joined of; fewer where an engine works out the
            whole of it first.
        pieces: of a large result that are read.
    """

    source: Source
    writable: bool
    schema: str | None = None
    sql: SqlDialect = field(default_factory=DuckdbDialect)
    make: Callable[[str, pa.Table], None] | None = None
    owner: Callable[[str], object] | None = None
    odd_names: Sequence[str] = ODD_NAMES
    odd_tables: Sequence[str] = ('o"dd', "two words.é'; --", "select", "UPPER")
    types: Mapping[str, TypeCase] = field(default_factory=dict)
    types_of: str = ""
    other_settings: Callable[[], AbstractContextManager[object]] = nullcontext
    cutter: Callable[[SqlSession], Callable[[], None]] | None = None
    running: Callable[[], int] | None = None
    reduced: Callable[[], AbstractContextManager[Reduced]] | None = None
    checks_casts: bool = True
    counts_changes: bool = True
    tells_bytes: bool = True
    pairs: int = 4
    pieces: int = 100

    def query(self, where: str = "TRUE") -> str:
        """A query of the table."""
        return f"SELECT id, name FROM {self.source.relation(None, 'people')} WHERE {where}"

    def endless(self) -> str:
        """A query that no engine ends in a day, and that gives rows from the beginning."""
        people = self.source.relation(None, "people")
        pairs = ", ".join(f"{people} p{i}" for i in range(self.pairs))
        shown = ", ".join(f"p{i}.id AS c{i}" for i in range(self.pairs))
        return f"SELECT {shown} FROM {pairs}"

    def of_types(self) -> str:
        """One row with every type."""
        shown = ", ".join(
            f"{case.sql} AS {self.sql.quote(name)}" for name, case in self.types.items()
        )
        return f"SELECT {shown}{self.types_of}"

    def read(self, session: SqlSession, query: str) -> tuple[Sequence[ColumnInfo], pa.Table]:
        """The columns of a query, and its rows as they are read for a destination."""
        columns = self.source.describe(query)
        quote = self.sql.quote
        shown = ", ".join(f"{self.source.readable(c)} AS {quote(c.name)}" for c in columns)
        return columns, pa.Table.from_batches(session.stream(f"SELECT {shown} FROM ({query}) AS q"))


class SourceContract:
    """The tests. They leave the table as they found it."""

    @pytest.fixture
    def world(self) -> SourceWorld:
        """The source under test."""
        raise NotImplementedError

    def test_tables_are_found_with_their_columns(self, world: SourceWorld) -> None:
        """Discovery names the table and the columns, in order."""
        tables = [t for t in world.source.tables() if world.schema in (None, t.schema)]
        assert {t.name: [c.name for c in t.columns] for t in tables}["people"] == ["id", "name"]

    def test_who_tells_of_views_is_held_to_it(self, world: SourceWorld) -> None:
        """By `ViewContract`, which needs an owner who makes them."""
        assert isinstance(world.source, ViewSource) is (world.owner is not None)
        assert isinstance(self, ViewContract) is isinstance(world.source, ViewSource)

    def test_described_types_are_streamed(self, world: SourceWorld) -> None:
        """What `readable` selects has the Arrow types `describe` told."""
        columns = world.source.describe(world.query())
        quote = world.sql.quote
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
            back = back if world.tells_bytes else back.cast(rows.schema)
            joined = session.table(
                f"SELECT count(*) AS n FROM ({world.query()}) q JOIN mf_load_1 l ON l.n = q.id"
            )
        assert sorted(map(str, back.to_pylist())) == sorted(map(str, rows.to_pylist()))
        assert joined.to_pylist() == [{"n": 2}]

    def test_a_reading_session_makes_temporary_tables(self, world: SourceWorld) -> None:
        """A plan that writes nothing still needs working copies."""
        with world.source.session(write=False) as session:
            scan = world.sql.quote("mf_scan")
            session.execute(world.sql.create_as(scan, world.query("id < 7"), temporary=True))
            changed = session.execute(world.sql.update(scan, {"id": "id + 1"}, "TRUE"))
            counted = world.counts_changes and not world.sql.rewrites
            assert changed == (7 if counted else 0)
            kept = session.table(f"SELECT id FROM {scan} ORDER BY id").column("id")
            assert kept.to_pylist() == list(range(1, 8))

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
            ("SELECT FROM WHERE (", "query_syntax"),
            ("SELECT no_such_function(1)", "function_missing"),
            ("SELECT CAST(name AS {integer}) FROM ({query}) q", "value_conversion|query_failed"),
        ],
    )
    def test_errors_are_ours_and_carry_no_value(
        self, world: SourceWorld, sql: str, code: str
    ) -> None:
        """Each failure has its code; the engine's text and the rows' values stay out."""
        if "CAST" in sql and not world.checks_casts:
            return
        asked = sql.replace("{integer}", world.sql.integer).replace("{query}", world.query())
        with (
            world.source.session(write=False) as session,
            pytest.raises(EngineError, match=code) as caught,
        ):
            list(session.stream(asked))
        assert MARK not in str(caught.value) + caught.value.hint
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_checking_a_readable_source_passes(self, world: SourceWorld) -> None:
        """A source that works is not complained about."""
        world.source.check(write=False)

    # -- names ----------------------------------------------------------------------------------

    def test_odd_names_are_only_names(self, world: SourceWorld) -> None:
        """Of tables and columns: found, described and read under themselves, each with its own
        values.
        """
        if world.make is None:
            return
        names = list(world.odd_names)
        for offset, table in enumerate(world.odd_tables):
            rows = {n: pa.array([offset + 100 * i], pa.int64()) for i, n in enumerate(names)}
            world.make(table, pa.table(rows))
            found = {t.name: [c.name for c in t.columns] for t in world.source.tables()}
            assert found[table] == names
            query = f"SELECT * FROM {world.source.relation(None, table)}"
            with world.source.session(write=False) as session:
                columns, read = world.read(session, query)
                session.execute(world.sql.create_as("mf_odd", query, temporary=True))
                shown = ", ".join(map(world.sql.quote, names))
                kept = session.table(f"SELECT {shown} FROM mf_odd")
            assert [c.name for c in columns] == names
            assert read.to_pylist() == kept.to_pylist() == pa.table(rows).to_pylist()

    # -- types ----------------------------------------------------------------------------------

    def test_every_type_arrives_as_itself_or_is_told(self, world: SourceWorld) -> None:
        """Described, streamed and counted as unfit as the engine's list of types says."""
        if not world.types:
            return
        query = world.of_types()
        with world.source.session(write=False) as session:
            columns, read = world.read(session, query)
            unfit = {c.name: world.source.unfit(c) for c in columns}
            asked = {n: f"SELECT 1 AS n FROM ({query}) AS q WHERE {u}" for n, u in unfit.items()}
            told = {n for n, u in unfit.items() if u and session.table(asked[n]).num_rows}
        assert {c.name: str(c.arrow_type) for c in columns} == {
            name: case.arrow for name, case in world.types.items()
        }
        assert [f.type for f in read.schema] == [c.arrow_type for c in columns]
        assert told == {name for name, case in world.types.items() if case.unfit}
        [row] = read.to_pylist()
        assert row == {name: case.value for name, case in world.types.items()}

    def test_settings_of_a_session_change_neither_values_nor_fingerprints(
        self, world: SourceWorld
    ) -> None:
        """Whatever a role or a database sets: what is read and what rows are judged by stays."""
        if not world.types:
            return

        def look() -> list[object]:
            query = world.of_types()
            with world.source.session(write=False) as session:
                columns, read = world.read(session, query)
                rendered = [
                    world.sql.render(world.sql.quote(c.name), c.arrow_type) for c in columns
                ]
                shown = ", ".join(f"{r} AS r{i}" for i, r in enumerate(rendered))
                prints = session.table(
                    f"SELECT {world.sql.hex(world.sql.fingerprint(rendered))} AS fp, {shown} "
                    f"FROM ({query}) AS q"
                )
            return [columns, read.to_pylist(), prints]

        before = look()
        with world.other_settings():
            after = look()
        assert after == before

    # -- what goes wrong ------------------------------------------------------------------------

    def test_a_lost_connection_can_be_tried_again(self, world: SourceWorld) -> None:
        """Between statements, in the midst of a stream and in a transaction, which is undone."""
        people = world.source.relation(None, "people")
        if world.cutter is None:
            return
        with world.source.session(write=False) as session:
            world.cutter(session)()
            with pytest.raises(TransientError, match="connection_lost"):
                session.table(world.query())
        with world.source.session(write=False) as session:
            cut = world.cutter(session)
            stream = session.stream(world.endless(), rows=100)
            next(stream)
            cut()
            with pytest.raises(TransientError, match="connection_lost"):
                list(stream)
        if not world.writable:
            return
        with world.source.session(write=True) as session:
            session.begin()
            session.execute(f"DELETE FROM {people} WHERE id < 10")
            world.cutter(session)()
            with pytest.raises(TransientError, match="connection_lost"):
                session.commit()
        with world.source.session(write=False) as session:
            assert session.table(world.query()).num_rows == 1000

    def test_a_statement_that_nobody_waits_for_ends(self, world: SourceWorld) -> None:
        """A stream left early is cancelled at the server, too."""
        if world.running is None:
            return
        before = world.running()
        with world.source.session(write=False) as session:
            stream = session.stream(world.endless(), rows=10)
            next(stream)
            assert world.running() == before + 1
            del stream
        wait_until(lambda: world.running is None or world.running() == before)

    def test_a_missing_right_prints_the_statement_that_gives_it(self, world: SourceWorld) -> None:
        """Pasted one after the other as they are printed, they are all that a run needs."""
        if world.reduced is None:
            return
        with world.reduced() as role:
            for step in (
                lambda: role.source.describe(role.query),
                lambda: _use(world.sql, role, write=False),
                lambda: role.source.check(write=world.writable),
                lambda: _use(world.sql, role, write=world.writable),
            ):
                pasted = _until_it_works(step, role.paste)
                assert len(pasted) == len(set(pasted)), "a statement did not give what it says"
            assert role.source.tables()

    def test_two_sessions_see_only_what_is_committed(self, world: SourceWorld) -> None:
        """A reader beside a writer has all rows or none of the change, or is asked to wait."""
        if not world.writable:
            return
        people = world.source.relation(None, "people")
        with world.source.session(write=True) as writer:
            writer.begin()
            writer.execute(f"DELETE FROM {people} WHERE id < 10")
            try:
                with world.source.session(write=False) as reader:
                    assert reader.table(world.query()).num_rows == 1000
            except TransientError:
                pass
            writer.rollback()

    def test_a_large_result_is_never_in_memory_as_a_whole(self, world: SourceWorld) -> None:
        """A million rows and more, of which some pieces are read: none grows."""
        with world.source.session(write=False) as session:
            stream = session.stream(world.endless(), rows=10_000)
            pieces = [next(stream) for _ in range(world.pieces)]
            assert max(p.num_rows for p in pieces) <= 10_000
            assert max(p.nbytes for p in pieces) < 8_000_000
            del stream


def _use(sql: SqlDialect, role: Reduced, *, write: bool) -> None:
    """What a plan does with a source: working copies of the model, and our own schema."""
    made = sql.ours("_mayfly", "mf_right")
    with role.source.session(write=write) as session:
        session.execute(sql.create_as("mf_right", role.query, temporary=True))
        session.load("mf_load_right", pa.table({"n": pa.array([1], pa.int64())}))
        if not write:
            return
        if sql.transactional_ddl:
            session.begin()
        session.execute(sql.create_schema("_mayfly"))
        session.execute(sql.create_table(made, f"n {sql.bigint}"))
        if sql.transactional_ddl:
            session.rollback()
        else:
            session.execute(sql.drop_table(made))


def _until_it_works(step: Callable[[], object], paste: Callable[[str], None]) -> Sequence[str]:
    """Do what a message says until nothing is missing; the statements."""
    pasted: list[str] = []
    for _ in range(_RIGHTS_MAX):
        try:
            step()
        except ConfigError as error:
            if error.code != "missing_grant":
                raise
            pasted.append(error.hint)
            paste(error.hint)
        else:
            return pasted
    raise AssertionError(f"{_RIGHTS_MAX} statements are not enough")


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does.

    Raises:
        AssertionError: it does not within 20 s.
    """
    end = time.monotonic() + _GONE_SECONDS
    while not true():
        assert time.monotonic() < end, "what was to end goes on"
        time.sleep(0.02)


class ViewContract(SourceContract):
    """Of a source that tells what its views are made of, too."""

    def test_views_say_what_they_are_made_of(self, world: SourceWorld) -> None:
        """Also one over another; a table is none, and what a view was changed to is told."""
        assert world.owner is not None
        asked = [(None, "people"), (None, "seen"), (None, "seen_again"), (None, "no_such")]
        world.owner("CREATE VIEW seen AS SELECT id, name AS score FROM people")
        world.owner("CREATE VIEW seen_again AS SELECT id, score FROM seen")
        try:
            found = views_among(world.source, asked)
            assert set(found) == {(None, "seen"), (None, "seen_again")}
            below = find_views(world.source, [(None, "seen_again")])
            made = lineage_of((None, "seen_again"), ["score"], below.queries)["score"]
            assert {origin.column for origin in made} == {"name"}
            before = below.pinned
            world.owner("DROP VIEW seen_again")
            world.owner("CREATE VIEW seen_again AS SELECT id, id AS score FROM people")
            after = find_views(world.source, [(None, "seen_again")]).pinned
            assert (len(before), len(after), after.items() <= before.items()) == (2, 1, False)
            assert find_views(world.source, [(None, "people")]).pinned == {}
        finally:
            world.owner("DROP VIEW seen_again")
            world.owner("DROP VIEW seen")
