"""`mayfly import drt`: what is written, what is left, and that nothing gets looser on the way."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
from typer.testing import CliRunner

from drt_projects import HUBSPOT, LEFT_OUT, OUTRIGHT, POSTGRES, drt_project
from mayfly.bench.rivals.programs import programs
from mayfly.cli.commands import app
from mayfly.config.findings import ConfigProblemsError
from mayfly.config.load import load_project
from mayfly.domain.errors import ConfigError, UsageError

SCHEMA = Path(__file__).parents[3] / "docs/reference/json/import.schema.json"


def imported(root: Path, ours: Path, code: int) -> dict[str, list[dict[str, str]]]:
    """What the command prints as JSON, held to its schema."""
    words = ["--profiles", str(root / ".drt/profiles.yml"), "--project", str(ours)]
    result = CliRunner().invoke(app, ["import", "drt", str(root), *words, "--output", "json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    document: dict[str, list[dict[str, str]]] = json.loads(result.stdout)
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)
    return document


def written(ours: Path, section: str, name: str) -> dict[str, object]:
    """One entry of a file."""
    text = (ours / section / f"{name}.yml").read_text("utf-8")
    found: dict[str, object] = YAML(typ="safe").load(text)[section][name]
    return found


def test_a_sync_to_tables_is_carried_over(tmp_path: Path) -> None:
    """With keys and renamed columns; what drt changes on the way is not sent, and is named."""
    root = drt_project(tmp_path / "theirs", scores=POSTGRES)
    document = imported(root, tmp_path / "ours", 0)
    sync = written(tmp_path / "ours", "syncs", "scores")
    assert (sync["mode"], sync["table"], sync["key"]) == ("mirror", "scores", ["person_id"])
    assert sync["mapping"] == {"person_id": "id", "score": "score"}
    model = written(tmp_path / "ours", "models", "scores")
    assert model["primary_key"] == ["id"]
    assert model["sql"] == "SELECT id, email, phone, score\nFROM people"
    destination = written(tmp_path / "ours", "destinations", "scores")
    assert (destination["dsn"], destination["schema"]) == ("env:CRM_DSN", "crm")
    left = {each["key"]: each["line"] for each in document["left"]}
    assert left["sync.mask.email"] == POSTGRES.splitlines().index("  mask: {email: hash}") + 1
    assert "sync.computed_fields.phone" in left
    assert "sync.dlq" in left
    project = load_project(tmp_path / "ours")
    assert list(project.syncs) == ["scores"]
    assert not (tmp_path / "ours/approvals.lock").exists()


def test_no_secret_is_carried_over(tmp_path: Path) -> None:
    """A password of drt's files stands in no file of ours and in no line that is printed."""
    root = drt_project(tmp_path / "theirs", everything=OUTRIGHT)
    document = imported(root, tmp_path / "ours", 0)
    assert "hunter2" not in json.dumps(document)
    texts = [p.read_text("utf-8") for p in (tmp_path / "ours").rglob("*") if p.is_file()]
    assert texts
    assert not any("hunter2" in text for text in texts)
    assert written(tmp_path / "ours", "destinations", "everything")["dsn"] == "env:EVERYTHING_DSN"
    reasons = [each["reason"] for each in document["left"] if each["key"] == "destination"]
    assert any("a password stands in the file" in reason for reason in reasons)
    # Of `*` only what the files name leaves.
    assert written(tmp_path / "ours", "syncs", "everything")["mapping"] == {"id": "id"}
    load_project(tmp_path / "ours")


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_would_send_something_else_is_not_carried_over(name: str, tmp_path: Path) -> None:
    """It is named with its line, the command ends with 1, and no file of it is there."""
    root = drt_project(tmp_path / "theirs", everything=LEFT_OUT[name])
    document = imported(root, tmp_path / "ours", 1)
    assert len(document["missed"]) == 1
    assert document["syncs"] == []
    assert not (tmp_path / "ours/syncs").exists()
    wanted = {
        "update_only": "sync.match_policy",
        "fill_empty": "sync.write_policy",
        "replaced": "sync.mode",
        "templated": "model",
        "posted": "destination.type",
        "keyless": "destination",
    }
    assert wanted[name] in {each["key"] for each in document["left"]}


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    """It is listed as kept; the others are written."""
    root = drt_project(tmp_path / "theirs", scores=POSTGRES)
    mine = tmp_path / "ours/syncs/scores.yml"
    mine.parent.mkdir(parents=True)
    mine.write_text("syncs: {}\n", encoding="utf-8")
    document = imported(root, tmp_path / "ours", 0)
    assert document["kept"] == ["syncs/scores.yml"]
    assert mine.read_text("utf-8") == "syncs: {}\n"
    assert "models/scores.yml" in document["written"]


def test_a_query_of_its_own_file_is_taken(tmp_path: Path) -> None:
    """`ref` names `syncs/models/NAME.sql` before it names a table."""
    root = drt_project(tmp_path / "theirs", contacts=HUBSPOT)
    (root / "syncs/models").mkdir()
    (root / "syncs/models/people.sql").write_text("SELECT email, city FROM p\n", encoding="utf-8")
    imported(root, tmp_path / "ours", 0)
    model = written(tmp_path / "ours", "models", "contacts_to_hubspot")
    assert model["sql"] == "SELECT email, city FROM p"
    assert "table" not in model


def test_what_drt_does_not_have_is_asked_for_by_validate(tmp_path: Path) -> None:
    """The Hub ID is missing, at its place; nothing is made up."""
    root = drt_project(tmp_path / "theirs", contacts=HUBSPOT)
    imported(root, tmp_path / "ours", 0)
    with pytest.raises(ConfigProblemsError) as raised:
        load_project(tmp_path / "ours")
    assert [problem.code for problem in raised.value.problems] == ["missing_key"]
    assert "account_id" in raised.value.problems[0].message


@pytest.mark.parametrize(
    ("profile", "source"),
    [
        (
            "{type: sqlite, database: a/shop.sqlite}",
            {"type": "sqlite", "path": "../t/a/shop.sqlite"},
        ),
        (
            "{type: postgres, host: h, dbname: d, password_env: PW}",
            {"type": "postgres", "dsn": "env:LOCAL_DSN"},
        ),
        ("{type: duckdb}", None),
        ("{type: bigquery, project: p, dataset: d}", None),
    ],
)
def test_connections_become_sources(
    profile: str, source: dict[str, str] | None, tmp_path: Path
) -> None:
    """Files by their path from our folder, servers by a reference; others are left."""
    root = drt_project(tmp_path / "t", scores=POSTGRES)
    (root / ".drt/profiles.yml").write_text(f"local: {profile}\n", encoding="utf-8")
    document = imported(root, tmp_path / "ours", 0 if source else 1)
    assert any(each["file"] == "profiles.yml" for each in document["left"]) is (
        source is None or source["type"] == "postgres"
    )
    if source is None:
        assert document["missed"] == ["scores"]
    else:
        assert written(tmp_path / "ours", "sources", "local") == source


def test_it_says_what_is_no_project_of_drt(tmp_path: Path) -> None:
    """A folder without its file; its own folder as ours; a file that is no YAML."""
    with pytest.raises(UsageError, match=r"There is no drt_project\.yml"):
        imported(tmp_path, tmp_path / "ours", 64)
    root = drt_project(tmp_path / "theirs", scores="a: [")
    with pytest.raises(UsageError, match="into drt's own"):
        imported(root, root, 64)
    with pytest.raises(ConfigProblemsError, match=r"syncs/scores\.yml"):
        imported(root, tmp_path / "ours", 1)


@pytest.mark.slow
@pytest.mark.soak
def test_drt_reads_these_projects(tmp_path: Path) -> None:
    """Its own loader takes each project of these tests: they are in its format."""
    try:
        program = programs().drt
    except ConfigError:
        pytest.skip("needs drt (make rivals)")
    syncs = {"hubspot": HUBSPOT, "postgres": POSTGRES, "outright": OUTRIGHT, **LEFT_OUT}
    root = drt_project(tmp_path / "theirs", **syncs)
    script = (
        "import sys; from pathlib import Path; from drt.config.parser import load_project, "
        "load_syncs; root = Path(sys.argv[1]); load_project(root); print(len(load_syncs(root)))"
    )
    asked = [str(program.with_name("python")), "-I", "-c", script, str(root)]
    environment = {"HOME": str(tmp_path), "DO_NOT_TRACK": "1"}
    done = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(len(syncs)), done.stderr[-500:]
