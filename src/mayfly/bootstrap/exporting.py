"""A project's ledger as files, without its keys: evidence may be asked for where they are away."""

from __future__ import annotations

import os
from pathlib import Path

from mayfly.adapters.ledgers.export import export_ledger
from mayfly.adapters.ledgers.folder import folder_ledger
from mayfly.adapters.ledgers.in_store import stored_ledger
from mayfly.adapters.processes import close_leaks, refuse_key_log
from mayfly.bootstrap.keeping import ledger_path, open_store
from mayfly.config.load import load_project
from mayfly.domain.errors import PolicyError
from mayfly.privacy.closed_logs import LIBRARIES, close_logs


def export_project_ledger(root: Path, folder: Path, *, target: str = "dev") -> int:
    """Write the ledger's files into a folder, whether it verifies or not; how many entries it has.

    Raises:
        PolicyError: `not_initialised`, `ledger_missing`.
        EngineError: as `load_project` and `export_ledger`.
    """
    close_leaks()
    close_logs(*LIBRARIES)
    refuse_key_log(os.environ)
    project = load_project(root, target=target)
    store = open_store(project)
    if not store.is_shared:
        with folder_ledger(ledger_path(project)) as stored:
            return export_ledger(stored, folder)
    found = stored_ledger(store)
    if found is None:
        raise PolicyError(
            "ledger_missing",
            "The ledger of this workspace is not in its store.",
            hint="Run `mayfly init`, or restore the store from a backup.",
        )
    return export_ledger(found, folder)
