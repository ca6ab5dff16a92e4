"""What the parts of `doctor` share: a finding as all hand them over, and a source by its name."""

from __future__ import annotations

from typing import Any

from mayfly.domain.errors import UsageError
from mayfly.domain.settings import Project

Finding = dict[str, Any]


def finding(
    code: str, message: str, hint: str, *, file: str = "", line: int = 0, column: int = 0
) -> Finding:
    """A finding as it is printed; without a file where it is not about the project's text."""
    return {
        "file": file,
        "line": line,
        "column": column,
        "code": code,
        "message": message,
        "hint": hint,
    }


def require_source(project: Project, name: str) -> None:
    """Refuse a name that no source has.

    Raises:
        UsageError: `unknown_source`.
    """
    if name not in project.sources:
        raise UsageError(
            "unknown_source",
            f"There is no source {name!r}.",
            hint=f"The project has: {', '.join(sorted(project.sources)) or 'none'}.",
        )
