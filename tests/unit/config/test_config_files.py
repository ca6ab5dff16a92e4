"""Which files make a project, how they are merged, and which are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mayfly.config.load import ConfigProblemsError, load_project, validate_project
from mayfly.domain.settings import Problem

HEAD = "version: 1\nworkspace: {name: shop}\n"
EXAMPLE = (Path(__file__).parent / "example.yml").read_text("utf-8")
MODEL = "{source: shop, table: t, primary_key: [id], columns: {id: {}}}"


def _write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_yml", ".yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def _places(problems: list[Problem]) -> list[tuple[str, int, int, str]]:
    return [(p.file, p.line, p.column, p.code) for p in problems]


def _found(root: Path) -> list[tuple[str, int, int, str]]:
    return _places(validate_project(root))


def test_files_are_merged(tmp_path: Path) -> None:
    """The example cut into one file per section, one in a folder below, is the same project."""
    _write(tmp_path / "one", mayfly_yml=EXAMPLE)
    head, rest = EXAMPLE.split("sources:\n")
    source, rest = rest.split("models:\n")
    model, rest = rest.split("destinations:\n")
    destination, sync = rest.split("syncs:\n")
    _write(
        tmp_path / "many",
        mayfly_yml=head,
        sources__a_yml="version: 1\nsources:\n" + source,
        models__deep__er__b_yml="models:\n" + model,
        destinations__c_yml="# a comment\ndestinations:\n" + destination,
        syncs__d_yml="syncs:\n" + sync,
        syncs__empty_yml="# nothing yet\n",
    )
    one, many = load_project(tmp_path / "one"), load_project(tmp_path / "many")
    assert many.models == one.models
    assert many.destinations == one.destinations
    assert many.syncs == one.syncs
    assert many.sources["shop"].path == tmp_path.resolve() / "many" / "shop.duckdb"


def test_empty_sections_are_nothing(tmp_path: Path) -> None:
    """A section, target or column with nothing below it is empty."""
    text = HEAD + "targets: {dev: }\nsyncs:\nmodels:\nsources:\n"
    project = load_project(_write(tmp_path, mayfly_yml=text))
    assert (project.target, dict(project.syncs)) == ("dev", {})


def test_problems_name_their_own_file(tmp_path: Path) -> None:
    """Faults in several files are all found, `mayfly.yml` first, each at its own place."""
    _write(
        tmp_path,
        mayfly_yml=HEAD + "extra: 1\n",
        models__a_yml=f"models:\n  m: {MODEL}\n",
        sources__b_yml="sources:\n  other:\n    type: duckdb\n    pth: x\n",
        syncs__c_yml="- 1\n",
        syncs__d_yml="syncs: [1]\n",
    )
    assert _found(tmp_path) == [
        ("mayfly.yml", 3, 1, "unknown_key"),
        ("sources/b.yml", 2, 3, "missing_key"),
        ("sources/b.yml", 4, 5, "unknown_key"),
        ("syncs/c.yml", 1, 1, "wrong_type"),
        ("syncs/d.yml", 1, 8, "wrong_type"),
    ]


def test_reference_across_files_is_placed(tmp_path: Path) -> None:
    """A model that names no source is reported in the model's file."""
    _write(tmp_path, mayfly_yml=HEAD, models__a_yml=f"models:\n  m: {MODEL}\n")
    assert _found(tmp_path) == [("models/a.yml", 2, 15, "unknown_source")]


def test_name_defined_twice_is_refused(tmp_path: Path) -> None:
    """The second definition is reported, and says where the first stands."""
    source = "sources:\n  shop: {type: duckdb, path: a}\n"
    _write(tmp_path, mayfly_yml=HEAD + source, sources__b_yml="\n" + source)
    problems = validate_project(tmp_path)
    assert _places(problems) == [("sources/b.yml", 3, 3, "defined_twice")]
    assert "mayfly.yml, line 4" in problems[0].hint


@pytest.mark.parametrize("key", ["workspace", "keys", "store", "targets"])
def test_main_keys_stand_in_the_main_file_only(tmp_path: Path, key: str) -> None:
    """The other files may not hold what concerns the whole project."""
    _write(tmp_path, mayfly_yml=HEAD, syncs__a_yml=f"version: 1\n{key}: {{}}\n")
    assert _found(tmp_path) == [("syncs/a.yml", 2, 1, "main_file_only")]


def test_other_keys_of_other_files_are_refused(tmp_path: Path) -> None:
    """An entry without its section, and another version, are refused with what is allowed."""
    _write(tmp_path, mayfly_yml=HEAD, syncs__a_yml="version: 2\nsync: {}\n")
    problems = validate_project(tmp_path)
    assert _places(problems) == [
        ("syncs/a.yml", 1, 10, "not_allowed"),
        ("syncs/a.yml", 2, 1, "unknown_key"),
    ]
    assert "Did you mean syncs?" in problems[1].hint


def test_no_project_here(tmp_path: Path) -> None:
    """A folder without `mayfly.yml`, and one that does not exist, say so once."""
    assert _found(tmp_path) == [("mayfly.yml", 1, 1, "missing_file")]
    assert _found(tmp_path / "none") == [("mayfly.yml", 1, 1, "missing_file")]


def test_main_file_of_another_name_is_refused(tmp_path: Path) -> None:
    """`mayfly.yaml` is not read, and the hint says how it is called."""
    (tmp_path / "mayfly.yaml").write_text(HEAD, "utf-8")
    (problem,) = validate_project(tmp_path)
    assert (problem.file, problem.code) == ("mayfly.yaml", "wrong_file_name")
    assert "mayfly.yml" in problem.hint


def test_faulty_main_file_is_reported_once(tmp_path: Path) -> None:
    """Nothing is said to be missing that may stand in a file that cannot be read."""
    _write(tmp_path, mayfly_yml=HEAD + "a: [\n", models__a_yml=f"models: {{m: {MODEL}}}\n")
    assert [code for *_, code in _found(tmp_path)] == ["yaml"]


@pytest.mark.parametrize("name", ["notes.txt", "a.yml~", "a.json", ".DS_Store", "deep/a.py"])
def test_stray_files_are_refused(tmp_path: Path, name: str) -> None:
    """Only YAML files may stand in the four folders."""
    _write(tmp_path, mayfly_yml=HEAD)
    path = tmp_path / "syncs" / name
    path.parent.mkdir(parents=True)
    path.write_text("x", "utf-8")
    assert _found(tmp_path) == [(f"syncs/{name}", 1, 1, "stray_file")]


def test_folders_too_deep_are_refused(tmp_path: Path) -> None:
    """Folders are followed ten levels down."""
    _write(tmp_path, mayfly_yml=HEAD)
    (tmp_path / "syncs" / "/".join("a" * 200)).mkdir(parents=True)
    (problem,) = validate_project(tmp_path)
    assert (problem.code, problem.file) == ("too_deep", "syncs" + "/a" * 10)


def test_placeholder_of_an_empty_folder_is_accepted(tmp_path: Path) -> None:
    """Git keeps no empty folder, so that its placeholder may stand there."""
    _write(tmp_path, mayfly_yml=HEAD)
    (tmp_path / "syncs").mkdir()
    (tmp_path / "syncs" / ".gitkeep").touch()
    assert _found(tmp_path) == []


@pytest.mark.parametrize("link", ["mayfly.yml", "syncs", "syncs/a.yml", "syncs/deep"])
def test_symbolic_links_are_refused(tmp_path: Path, link: str) -> None:
    """Neither a file nor a folder of the project may be a link."""
    root, away = tmp_path / "project", tmp_path / "away"
    _write(root, mayfly_yml=HEAD)
    _write(away, mayfly_yml=HEAD, syncs__a_yml="", syncs__deep__b_yml="")
    (root / link).unlink(missing_ok=True)
    (root / link).parent.mkdir(exist_ok=True)
    (root / link).symlink_to(away / link)
    assert _found(root) == [(link, 1, 1, "symlink")]


def test_link_above_the_project_is_followed(tmp_path: Path) -> None:
    """Where the project itself lies is the operator's affair."""
    _write(tmp_path / "real", mayfly_yml=HEAD)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert load_project(tmp_path / "link").root == (tmp_path / "real").resolve()


def test_what_is_not_a_small_text_file_is_refused(tmp_path: Path) -> None:
    """Pipes, folders, files over 1 MB and files that are not UTF-8 are not read."""
    _write(tmp_path, mayfly_yml=HEAD)
    (tmp_path / "syncs").mkdir()
    os.mkfifo(tmp_path / "syncs" / "a.yml")
    (tmp_path / "syncs" / "b.yml").write_bytes(b"#" * 1_000_001)
    (tmp_path / "syncs" / "c.yml").write_bytes("# ü\n# é".encode() + b"\xff\n")
    (tmp_path / "models").touch()
    assert _found(tmp_path) == [
        ("models", 1, 1, "not_a_folder"),
        ("syncs/a.yml", 1, 1, "not_a_file"),
        ("syncs/b.yml", 1, 1, "too_large"),
        ("syncs/c.yml", 2, 4, "not_utf8"),
    ]
    (tmp_path / "mayfly.yml").unlink()
    (tmp_path / "mayfly.yml").mkdir()
    assert ("mayfly.yml", 1, 1, "not_a_file") in _found(tmp_path)


def test_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """A file saved by an editor that marks UTF-8 loads, and columns are not shifted."""
    _write(tmp_path, mayfly_yml="\ufeffversio: 1\nversion: 1\nworkspace: {name: shop}\n")
    assert _found(tmp_path) == [("mayfly.yml", 1, 1, "unknown_key")]


def _sql_project(root: Path, file: str) -> Path:
    model = MODEL.replace("table: t", f"file: {file}")
    sources = "sources: {shop: {type: duckdb, path: a}}\n"
    return _write(root, mayfly_yml=f"{HEAD}{sources}models: {{m: {model}}}\n")


@pytest.mark.parametrize("file", ["models/m.sql", "sql/m.sql", "./sql/../models/m.sql"])
def test_sql_file_is_read(tmp_path: Path, file: str) -> None:
    """A model's SQL may stand in a file of the project, under models/ or elsewhere."""
    _sql_project(tmp_path, file)
    (tmp_path / "sql").mkdir()
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("select 1 as id -- ü\n", "utf-8")
    assert load_project(tmp_path).models["m"].sql == "select 1 as id -- ü\n"


def test_sql_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """A link could lead out of the project."""
    _sql_project(tmp_path, "sql/m.sql")
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "m.sql").write_text("select 1", "utf-8")
    (tmp_path / "sql").symlink_to(tmp_path / "away")
    assert _found(tmp_path) == [("sql/m.sql", 1, 1, "symlink")]


def test_sql_file_that_no_model_names_is_refused(tmp_path: Path) -> None:
    """SQL under models/ that nothing uses would look as if it were in force."""
    _write(tmp_path, mayfly_yml=HEAD)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "old.sql").touch()
    assert _found(tmp_path) == [("models/old.sql", 1, 1, "stray_file")]


def _raises_nothing_else(root: Path, content: bytes) -> None:
    (root / "mayfly.yml").write_bytes(content)
    try:
        load_project(root)
    except ConfigProblemsError as error:
        lines = content.count(b"\n") + content.count(b"\r") + 2
        for problem in error.problems:
            assert 1 <= problem.line <= lines, problem
            assert problem.column >= 1


_PIECES = st.sampled_from(
    [piece.encode() for piece in "{ } [ ] # % @ ~ , . \\ ' \" > null .inf true syncs".split()]
    + [b": ", b"- ", b"\n", b"\r", b"  ", b"&a ", b"*a", b"!x ", b"|\n", b"? ", b"<<: ", b"---\n"]
    + [b"\\0", b"1e999", b"0x", b"9" * 40, b"...", b"2026-01-01", b"\x00", b"\xff", b"env:A"]
    + ["\u2028".encode(), "\ufeff".encode(), b'"\\ud800"', b"version", b"targets"]
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(_PIECES, max_size=25).map(b"".join) | st.binary(max_size=60))
def test_any_bytes_are_loaded_or_refused(tmp_path: Path, content: bytes) -> None:
    """Bytes that look a little like YAML raise nothing but the documented error."""
    _raises_nothing_else(tmp_path, content)
    _raises_nothing_else(tmp_path, HEAD.encode() + content)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 12), _PIECES), max_size=4))
def test_any_damage_is_loaded_or_refused(
    tmp_path: Path, damage: list[tuple[int, int, bytes]]
) -> None:
    """The example with pieces cut out and put in raises nothing but the documented error."""
    content = EXAMPLE.encode()
    for start, length, piece in damage:
        content = content[:start] + piece + content[start + length :]
    _raises_nothing_else(tmp_path, content)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["dev"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dev", "a", "type", "meta", "sources"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(["workspace", "keys", "store", "targets", "sources", "models", "syncs"]),
    _VALUES,
)
def test_any_shape_is_loaded_or_refused(tmp_path: Path, key: str, value: object) -> None:
    """Well-formed YAML of any shape raises nothing but the documented error."""
    text = json.dumps({"version": 1, key: value})
    _raises_nothing_else(tmp_path, text.encode())
