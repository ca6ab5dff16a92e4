"""Schema and reference page say what the loader accepts, and are up to date."""

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from mayfly.config.codes import CODES
from mayfly.config.load import project_schema, validate_project
from mayfly.config.reference import PAGE, SCHEMA, reference_page, schema_text, write
from mayfly.privacy.guard import classes_in

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "docs" / "reference"
HOWTO = ROOT / "docs" / "howto" / "project-files.md"
CONFIG = ROOT / "src" / "mayfly" / "config"
EXAMPLE = Path(__file__).parent / "example.yml"


def _errors(data: object) -> list[str]:
    return [error.message for error in Draft202012Validator(project_schema()).iter_errors(data)]


def _example() -> dict[str, Any]:
    data = YAML(typ="safe", pure=True).load(EXAMPLE.read_text("utf-8"))
    assert isinstance(data, dict)
    return data


def test_schema_is_a_schema() -> None:
    """The schema itself is valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(project_schema())
    assert project_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_holds_nothing_that_a_scan_finds() -> None:
    """It is written into every project, which the demo looks through."""
    assert classes_in(schema_text()) == []


def test_schema_accepts_the_documented_example() -> None:
    """The example with every section is valid as one file, and section by section."""
    data = _example()
    assert _errors(data) == []
    assert _errors({"syncs": data["syncs"]}) == []


def _without(*path: str) -> dict[str, Any]:
    data = _example()
    inner = data
    for part in path[:-1]:
        inner = inner[part]
    del inner[path[-1]]
    return data


def _with(value: object, *path: str) -> dict[str, Any]:
    data = _example()
    inner = data
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    return data


@pytest.mark.parametrize(
    "data",
    [
        _without("version"),
        _without("syncs", "vip_to_meta", "id"),
        _without("models", "customers", "table"),
        _without("models", "customers", "consent", "ads", "equals"),
        _with("select 1", "models", "customers", "sql"),
        _with({}, "models", "customers", "columns", "email", "clas"),
        _with("mail", "models", "customers", "columns", "email", "class"),
        _with("hunter2", "destinations", "meta", "access_token"),
        _with("x", "destinations", "meta", "dsn"),
        _with("http://localhost:80", "destinations", "meta", "endpoint"),
        _with({"type": "sqlite", "path": "a", "kind": "internal"}, "destinations", "own"),
        _with({"type": "files", "path": "a"}, "sources", "Shop"),
    ],
)
def test_schema_refuses_what_the_loader_refuses(data: object) -> None:
    """Missing, unknown and mistyped keys, literal secrets and bad names are invalid."""
    assert _errors(data) != []


def test_files_are_current(tmp_path: Path) -> None:
    """The stored page and schema are what the models say now."""
    write(tmp_path)
    for name in (PAGE, SCHEMA):
        assert (REFERENCE / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8")
    assert (REFERENCE / SCHEMA).read_text("utf-8") == schema_text()


def test_page_names_every_key() -> None:
    """Each key of each part has a row with a meaning."""
    page = reference_page()
    for definition in project_schema()["$defs"].values():
        for key in definition["properties"]:
            assert f"| `{key}` |" in page
    assert "|  |\n" not in page


def test_every_code_is_used() -> None:
    """The closed list of codes has none that no rule reports, and is in order."""
    source = "".join(
        path.read_text("utf-8") for path in CONFIG.glob("*.py") if path.name != "codes.py"
    )
    built = {"unknown_model", "unknown_destination"}
    assert {code for code in CODES if f'"{code}"' not in source} == built
    assert list(CODES) == sorted(CODES)


def test_how_to_example_loads(tmp_path: Path) -> None:
    """The project of the how-to page is sound, and a slip in it is reported as shown there."""
    page = HOWTO.read_text("utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "mayfly.yml").write_text(text, "utf-8")
    assert validate_project(tmp_path) == []
    slip = text.replace("mode: audience", "mode: audiance")
    (tmp_path / "mayfly.yml").write_text(slip, "utf-8")
    (problem,) = validate_project(tmp_path)
    assert f"$ mayfly validate\n{problem.to_text()}\n```" in page
