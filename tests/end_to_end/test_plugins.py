"""A source of another distribution: the main job with it, and what keeps it out."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from end_to_end.projects import FILES, _no_sleep, members
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.config.load import load_project, schema_for, validate_project
from mayfly.domain.approval import Compiled, approval_document
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.sandbox.server import SandboxServer
from plugin_world import example, install, on_the_path

_NAMED = 'plugins: [{distribution: mayfly-jsonl, version: "1.0.0"}]\n'
_MARK = "marked-text-91"


def _write(root: Path, *, url: str = "sandbox", named: str = _NAMED, people: int = 20) -> Path:
    root.mkdir(exist_ok=True)
    text = FILES.replace("{type: duckdb, path: shop.duckdb}", "{type: jsonl, path: data}")
    (root / "mayfly.yml").write_text(text.replace("URL", url) + named, "utf-8")
    (root / "data").mkdir(exist_ok=True)
    rows = [
        {"id": i, "email": f"p{i}@example.com", "phone": None, "city": "Lyon", "ads": True}
        for i in range(people)
    ]
    lines = "".join(f"{json.dumps(row | {'phone': '06 39 98 00 01'})}\n" for row in rows)
    (root / "data" / "people.jsonl").write_text(lines)
    return root


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A folder on the path to install into."""
    folder = tmp_path / "site"
    folder.mkdir()
    with on_the_path(folder):
        yield folder


def test_the_main_job_with_a_source_of_another_distribution(
    tmp_path: Path, site: Path, sandbox: SandboxServer
) -> None:
    """Planned, delivered, and then only what changed; `doctor` and `discover` know it, too."""
    install(site, example())
    root = _write(tmp_path / "shop", url=sandbox.url)
    initialise(root)
    project = load(root)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    assert project.plan().ok
    assert project.run().exit_code == 0
    assert len(members(sandbox)) == 20
    _write(root, url=sandbox.url, people=21)
    again = {s["sync"]: s["rows"]["delivered"] for s in load(root).run().to_dict()["syncs"]}
    assert again == {"to_meta": 1, "to_crm": 1}
    with sqlite3.connect(root / "crm.sqlite") as crm:
        assert crm.execute("SELECT count(*) FROM people").fetchone() == (21,)
    for words in (["discover", "shop"], ["doctor", "--grants", "shop"], ["state", "list"]):
        done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
        assert done.exit_code == 0, done.output
    (root / "data" / "people.jsonl").write_text('{"a": "x@example.com",')
    with pytest.raises(ConfigError, match="not JSON Lines") as caught:
        load(root).app.source("shop").check(write=False)
    assert "x@example.com" not in str(caught.value)


def test_only_what_is_named_is_imported(tmp_path: Path, site: Path) -> None:
    """An installed plug-in that the project does not name is told how to be, and not loaded."""
    install(site, example())
    root = _write(tmp_path / "shop", named="")
    [problem] = validate_project(root)
    assert problem.code == "plugin_undeclared"
    assert 'plugins: [{distribution: mayfly-jsonl, version: "1.0.0"}]' in problem.hint
    assert "mayfly_jsonl" not in sys.modules
    (root / "mayfly.yml").write_text((root / "mayfly.yml").read_text() + _NAMED)
    assert validate_project(root) == []
    assert "mayfly_jsonl" in sys.modules


def _as_is(site: Path) -> None:
    install(site, example())


def _elsewhere(site: Path) -> None:
    """The module comes first on the path, and is no file of the distribution."""
    install(site, example())
    site.joinpath("mayfly_jsonl.py").rename(site / "other.py")
    before = Path(sys.path[0])
    assert before == site
    shadow = site.parent / "before"
    shadow.mkdir()
    (shadow / "mayfly_jsonl.py").write_text(example())
    sys.path.insert(1, str(shadow))


def _twice(site: Path) -> None:
    install(site, example())
    install(site.parent / "before", example())
    sys.path.insert(1, str(site.parent / "before"))


_FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "none installed": (lambda site: None, "plugin_missing"),
    "another version": (lambda s: install(s, example(), version="1.0.1"), "plugin_version"),
    "two installed": (_twice, "plugin_faulty"),
    "no kind of source": (
        lambda s: install(s, example(), entries={"x y": "mayfly_jsonl:PLUGIN"}),
        "plugin_faulty",
    ),
    "a type that Mayfly has": (
        lambda s: install(
            s, example().replace('"jsonl"', '"files"'), entries={"files": "mayfly_jsonl:PLUGIN"}
        ),
        "plugin_faulty",
    ),
    "another type than it says": (
        lambda s: install(s, example().replace('Literal["jsonl"]', 'Literal["ndjson"]')),
        "plugin_faulty",
    ),
    "something else": (lambda s: install(s, "PLUGIN = 1"), "plugin_faulty"),
    "nothing of that name": (lambda s: install(s, "OTHER = 1"), "plugin_faulty"),
    "code that fails": (lambda s: install(s, f"raise RuntimeError('{_MARK}')"), "plugin_faulty"),
    "no list of files": (lambda s: install(s, example(), record=False), "plugin_faulty"),
    "a module of another": (_elsewhere, "plugin_faulty"),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_what_is_not_as_it_was_named_is_refused(tmp_path: Path, site: Path, fault: str) -> None:
    """As a problem in the project files, where the distribution is named; without its text."""
    make, code = _FAULTS[fault]
    before = list(sys.path)
    try:
        make(site)
        problems = validate_project(_write(tmp_path / "shop"))
    finally:
        sys.path[:] = before
    line = len((tmp_path / "shop/mayfly.yml").read_text().splitlines())
    found = [p for p in problems if p.code.startswith("plugin_") and p.line == line]
    assert [p.code for p in found] == [code], problems
    assert _MARK not in str(problems)


def test_settings_of_a_plug_in_are_checked_as_all_others(tmp_path: Path, site: Path) -> None:
    """Unknown keys, missing ones and literal secrets, with their place; no coercion."""
    text = example().replace("    path: Line\n", "    path: Line\n    token: Reference\n")
    install(site, text.replace("    Line,\n", "    Line,\n    Reference,\n"))
    root = _write(tmp_path / "shop")
    whole = (root / "mayfly.yml").read_text()
    for keys, code in (
        ("path: data, token: hunter2", "literal_secret"),
        ("path: 3, token: env:T", "wrong_type"),
        ("token: env:T", "missing_key"),
        ("path: data, token: env:T, tokn: x", "unknown_key"),
        ("path: data, token: env:T, dsn: env:T", "key_of_other_type"),
    ):
        (root / "mayfly.yml").write_text(whole.replace("path: data", keys))
        [problem] = validate_project(root)
        assert (problem.code, problem.line) == (code, 5), problem
        assert "hunter2" not in str(problem)
    (root / "mayfly.yml").write_text(whole.replace("path: data", "path: data, token: env:T"))
    project = load_project(root)
    assert repr(project.sources["shop"].options["token"]) == "SecretRef(env:T)"
    address = approval_document(project, "to_crm", Compiled())["source"]
    assert (address["plugin"], address["token"]) == ("mayfly-jsonl", "SecretRef(env:T)")


def test_the_schema_knows_the_keys_of_named_plug_ins(tmp_path: Path, site: Path) -> None:
    """And of no others: for a project without it the type is refused."""
    install(site, example())
    root = _write(tmp_path / "shop")
    sources = {"shop": {"type": "jsonl", "path": "data"}}
    whole = {"version": 1, "workspace": {"name": "shop"}, "sources": sources}
    named = Draft202012Validator(schema_for(root))
    assert named.is_valid(whole)
    assert not named.is_valid(whole | {"sources": {"shop": {"type": "jsonl"}}})
    assert not Draft202012Validator(schema_for(tmp_path)).is_valid(whole)


def test_it_connects_to_nothing_that_it_did_not_name(
    tmp_path: Path, site: Path, sandbox: SandboxServer
) -> None:
    """The guard refuses its sockets, wherever a session is opened."""
    call = "        import socket; socket.create_connection(('127.0.0.1', PORT)).close()\n"
    call = call.replace("PORT", sandbox.url.rpartition(":")[2])
    head = "    def session(self, *, write: bool) -> Iterator[DuckdbSession]:\n"
    assert head in example()
    install(site, example().replace(head, head + call))
    root = _write(tmp_path / "shop", url=sandbox.url)
    initialise(root)
    with pytest.raises(PolicyError, match="host_not_allowed"):
        load(root).app.source("shop").tables()
