"""Load a project, list what is wrong with it, and give the schema of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mayfly.config.build import build, read_sql_files
from mayfly.config.check import Checker
from mayfly.config.dbt import Found, read_dbt
from mayfly.config.files import read_files
from mayfly.config.findings import ConfigProblemsError, Findings
from mayfly.config.parse import parse, source_union, variants
from mayfly.config.plugins import find_plugins
from mayfly.config.schema import project_schema
from mayfly.config.targets import check_others, check_target, with_target
from mayfly.domain.settings import Problem, Project

__all__ = [
    "ConfigProblemsError",
    "load_project",
    "project_schema",
    "schema_for",
    "validate_project",
]


def load_project(root: Path, *, target: str = "dev", ending: bool = False) -> Project:
    """The project in the folder `root`, as `target` sees it.

    Args:
        root: folder that holds `mayfly.yml`.
        target: one of the targets declared, or `dev` where none is.
        ending: only what waits is to be ended. dbt's manifest is not read: a file that dbt makes
            and removes keeps nothing from its deadline.

    Raises:
        ConfigProblemsError: the files are faulty; it holds every problem found, in all files.
    """
    findings = Findings()
    merged = read_files(root, findings)
    if not merged.broken:
        check_target(merged, target, findings)
    merged.plugins = find_plugins(merged, variants("sources"), findings)
    seen = with_target(merged, target)
    parsed = parse(seen, findings)
    check_others(merged, target, findings)
    Checker(seen, parsed, findings).check()
    texts = read_sql_files(seen, parsed, findings)
    dbt = Found(read=False) if ending else read_dbt(seen, parsed, texts, findings)
    findings.raise_any()
    return build(seen, parsed, texts, target, dbt)


def validate_project(root: Path, *, target: str = "dev") -> list[Problem]:
    """Every problem found in the project files; empty where the project loads."""
    try:
        load_project(root, target=target)
    except ConfigProblemsError as error:
        return list(error.problems)
    return []


def schema_for(root: Path) -> dict[str, Any]:
    """The JSON Schema for the project in a folder, with what its plug-ins add; without a project
    that of any.
    """
    merged = read_files(root, Findings())
    plugins = find_plugins(merged, variants("sources"), Findings())
    return project_schema(source_union(model for _, model in plugins.values()) if plugins else None)
