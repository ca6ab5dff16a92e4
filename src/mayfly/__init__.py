"""Mayfly moves customer data from a warehouse to the platforms that act on it, and keeps none of it."""

__all__ = ["__version__", "load"]

__version__ = "0.1.0"

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from mayfly.api import Project


def load(project_dir: "str | Path", *, target: str = "dev") -> "Project":
    """The project in a folder; see `mayfly.api.load`. Imported late: `mayfly --help` is quick."""
    from mayfly.api import load as load_project

    return load_project(project_dir, target=target)
