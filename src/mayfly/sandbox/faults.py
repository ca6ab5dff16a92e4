"""Faults the sandbox plays on demand."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    {
        "503",
        "429",
        "401",
        "100",
        "reset",
        "accept_then_hang",
        "partial_failure",
        "garbage",
        "redirect",
    }
)


@dataclass(kw_only=True)
class Fault:
    """One fault with how many requests it still hits.

    Args:
        path: a path's beginning, or a pattern with `*` and `?`.
        retry_after_seconds: sent as Retry-After with 503 and 429.
    """

    path: str
    kind: str
    left: int
    retry_after_seconds: int | None = None

    def hits(self, path: str) -> bool:
        """Whether a request to this path meets the fault."""
        return self.left > 0 and (
            path.startswith(self.path) or fnmatch.fnmatchcase(path, self.path)
        )


@dataclass(kw_only=True)
class Faults:
    """The faults in force, first planned first played."""

    planned: list[Fault] = field(default_factory=list)

    def add(self, asked: Any) -> str | None:
        """Plan one fault from a decoded body; the answer names the first wrong member."""
        if not isinstance(asked, dict):
            return "body"
        path, kind = asked.get("path", "/"), str(asked.get("kind"))
        count, wait = asked.get("count", 1), asked.get("retry_after_seconds")
        if not isinstance(path, str) or not path:
            return "path"
        if kind not in KINDS:
            return "kind"
        if type(count) is not int or count < 1:
            return "count"
        if wait is not None and (type(wait) not in (int, float) or wait < 0):
            return "retry_after_seconds"
        self.planned.append(
            Fault(
                path=path,
                kind=kind,
                left=count,
                retry_after_seconds=None if wait is None else int(wait),
            )
        )
        return None

    def take(self, path: str) -> Fault | None:
        """The fault this request meets, one count less afterwards."""
        for fault in self.planned:
            if fault.hits(path):
                fault.left -= 1
                if not fault.left:
                    self.planned.remove(fault)
                return fault
        return None
