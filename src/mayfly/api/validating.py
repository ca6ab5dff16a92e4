"""`validate`: the project files, and what was delivered that they do not name any more."""

from __future__ import annotations

from pathlib import Path

from mayfly.adapters.ledgers.folder import recipients_in
from mayfly.bootstrap.keeping import ledger_path
from mayfly.config.load import load_project, validate_project
from mayfly.domain.settings import Problem
from mayfly.services.left_behind import HINT, left_behind, said_of


def validate(root: Path, *, target: str) -> list[Problem]:
    """Every problem of the files; where they have none, recipients that no sync goes to any more,
    by the ledger that lies in the folder. Nothing is connected to: of a ledger in a shared store
    `mayfly status` tells.
    """
    problems = validate_project(root, target=target)
    if problems:
        return problems
    project = load_project(root, target=target)
    if project.store.url != "sqlite":
        return []
    return [
        Problem(
            file="mayfly.yml",
            line=1,
            column=1,
            code="left_behind",
            message=said_of(recipient),
            hint=HINT,
        )
        for recipient in left_behind(recipients_in(ledger_path(project)), project)
    ]
