"""Mayfly moves customer data from a warehouse to the platforms that act on it, and keeps none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mayfly.domain import version

if TYPE_CHECKING:
    from pathlib import Path

    from mayfly.api import Project

__all__ = ["__version__", "load"]

__version__ = version.VERSION


def load(project_dir: str | Path, *, target: str = "dev") -> Project:
    """The project in a folder; see `mayfly.api.load`. Imported late: `mayfly --help` is quick."""
    from mayfly.api import load as load_project

    return load_project(project_dir, target=target)
