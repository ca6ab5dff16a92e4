"""Mayfly from Python: `mayfly.load(dir)` gives a `Project`.

Results have `.to_dict()`, equal to what the commands print as JSON. Commands are thin covers of
the calls here.
"""

from __future__ import annotations

from pathlib import Path

from mayfly.api.project import Project
from mayfly.api.results import PlanResult, RunResult
from mayfly.api.running import RunRequest
from mayfly.bootstrap import open_app

__all__ = ["PlanResult", "Project", "RunRequest", "RunResult", "load"]


def load(project_dir: str | Path, *, target: str = "dev", ending: bool = False) -> Project:
    """The project in a folder, which `mayfly init` has prepared.

    From here on this process writes no core dump, which would hold rows.

    Args:
        project_dir: the folder.
        target: one of the project's targets.
        ending: only `sweep` and `purge` are wanted, which need no manifest of dbt.

    Raises:
        ConfigProblemsError: the project files are faulty; `.problems` lists them.
        PolicyError: `not_initialised`.
    """
    return Project(open_app(Path(project_dir), target=target, ending=ending))
