"""The project files load, and what is wrong in them is refused."""

from pathlib import Path

from mayfly.config.load import validate_project

HEAD = "version: 1\nworkspace: {name: shop}\n"


def _codes(root: Path, text: str) -> list[str]:
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    return [problem.code for problem in validate_project(root)]


def test_smallest_project_is_accepted(tmp_path: Path) -> None:
    """A version and a workspace are enough."""
    assert _codes(tmp_path, HEAD) == []


def test_unknown_and_repeated_keys_are_refused(tmp_path: Path) -> None:
    """A misspelt key and a key that stands twice are problems."""
    assert _codes(tmp_path, HEAD + "sorces: {}\n") == ["unknown_key"]
    assert _codes(tmp_path, HEAD + "version: 1\n") == ["duplicate_key"]


def test_literal_secret_is_refused(tmp_path: Path) -> None:
    """A secret must be a reference."""
    text = HEAD + "sources: {a: {type: postgres, dsn: hunter2}}\n"
    assert _codes(tmp_path, text) == ["literal_secret"]
