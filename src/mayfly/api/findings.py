"""One finding of `doctor`, as every part of it hands them over."""

from __future__ import annotations

from typing import Any

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
