"""CSV files in a folder: their types are found once, and are those that the engine finds."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mayfly.connectors.sources.csv_columns import CsvColumns
from mayfly.connectors.sources.files import FilesSource
from mayfly.domain.errors import EngineError

_CELLS = st.one_of(
    st.just(""),
    st.integers(-(10**6), 10**6).map(str),
    st.sampled_from(
        ["true", "f", "1.5", "-0", "1e3", "2026-01-02", "2026-01-02 03:04:05", "12:30:00", "NULL"]
    ),
    st.sampled_from(["a,b", 'say "x"', "x;y", "Zoé", "two\nlines", " padded ", "1,000", "\\"]),
)


def _rows(folder: Path, table: str = "people") -> list[dict[str, Any]]:
    source = FilesSource("exports", folder)
    with source.session(write=False) as session:
        return session.table(f"SELECT * FROM {source.relation(None, table)}").to_pylist()


def _types(folder: Path) -> dict[str, str]:
    [table] = FilesSource("exports", folder).tables()
    return {column.name: column.sql_type for column in table.columns}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=8), st.sampled_from(",;\t|"))
def test_a_file_is_read_as_the_engine_reads_it(
    tmp_path: Path, cells: list[tuple[str, str]], delimiter: str
) -> None:
    """Names, types and values of the columns are the same as when they are looked for each time."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(["first", "second name"])
    writer.writerows(cells)
    path = tmp_path / "people.csv"
    path.write_text(text.getvalue(), encoding="utf-8")
    found = f"read_csv('{path}', header = true, sample_size = -1)"
    with duckdb.connect() as connection:
        meant = CsvColumns().reader(connection, path, found)
        try:
            wanted = connection.sql(f"SELECT * FROM {found}")
            expected = (wanted.columns, [str(t) for t in wanted.types], wanted.fetchall())
        except duckdb.Error:
            assert meant == found
            return
        had = connection.sql(f"SELECT * FROM {meant}")
        assert (had.columns, [str(t) for t in had.types], had.fetchall()) == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["01000", "75001"], "VARCHAR"),
        (["0612345678", "0798765432"], "VARCHAR"),
        (["+33639981234", "33639981235"], "VARCHAR"),
        (["012345678901234567890", "1"], "VARCHAR"),
        (["0" + "1" * 40, "1"], "VARCHAR"),
        (["12345678901234567", "1.5"], "VARCHAR"),
        (["1" * 40, "1"], "BIGNUM"),
        (["12345678901234567890", "1"], "HUGEINT"),
        (["1000", "75001"], "BIGINT"),
        (["0", "-7"], "BIGINT"),
        (["0.5", "-0.25"], "DOUBLE"),
    ],
)
def test_what_a_number_would_not_come_back_from_is_text(
    tmp_path: Path, values: list[str], kind: str
) -> None:
    """A postcode keeps its zero, a phone its plus, and a long id its last digits."""
    (tmp_path / "people.csv").write_text(
        "id,code\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values))
    )
    assert _types(tmp_path) == {"id": "BIGINT", "code": kind}
    if kind == "VARCHAR":
        assert [row["code"] for row in _rows(tmp_path)] == values


def test_a_file_that_was_written_anew_is_looked_at_anew(tmp_path: Path) -> None:
    """Nobody reads letters as the numbers that stood there before."""
    source, path = FilesSource("exports", tmp_path), tmp_path / "people.csv"
    for content, kind in (("code\n1\n", "BIGINT"), ("code\nletters\n", "VARCHAR")):
        path.write_text(content)
        [table] = source.tables()
        assert [c.sql_type for c in table.columns] == [kind]


def test_types_are_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next session reads the file once, and not twice."""
    (tmp_path / "people.csv").write_text("id,code\n1,a\n")
    source = FilesSource("exports", tmp_path)
    source.tables()
    with source.session(write=False) as session:
        assert "columns = {" in session._prepared(f"FROM {source.relation(None, 'people')}")

    def refuse(*_: object) -> str:
        raise AssertionError

    monkeypatch.setattr("mayfly.connectors.sources.csv_columns._typed", refuse)
    with source.session(write=False) as session:
        assert session.table("SELECT code FROM people").column("code").to_pylist() == ["a"]


def test_a_file_that_cannot_be_read_is_refused_with_a_code(tmp_path: Path) -> None:
    """As ever: in our words, without what stands in it."""
    (tmp_path / "people.csv").write_bytes(b"id,name\n1,\xff\xfe marked\n")
    with pytest.raises(EngineError) as refused:
        _rows(tmp_path)
    assert "marked" not in str(refused.value)


def test_a_file_that_goes_away_is_refused_with_a_code(tmp_path: Path) -> None:
    """Also where it goes between the look at the folder and the look at the file."""
    path = tmp_path / "people.csv"
    path.write_text("code\n1\n")
    source = FilesSource("exports", tmp_path)
    with source.session(write=False) as session:
        path.unlink()
        with pytest.raises(EngineError) as refused:
            session.table("SELECT code FROM people")
    assert str(tmp_path) not in str(refused.value)
