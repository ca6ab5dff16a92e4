"""The disk of the project fills up while batches are being sealed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from disks import Disk, small_disk
from end_to_end.holding import HOLD, ROWS, come_back, leave, sealed, verified, waiting
from end_to_end.projects import approved, make_project, members
from mayfly.adapters.spools.spool import SealedSpool
from mayfly.api import load
from mayfly.domain.errors import TransientError
from mayfly.domain.held import HeldBatch
from mayfly.ports.spool import SealedReceipt
from mayfly.sandbox.server import SandboxServer
from mayfly.services.scan_paths import scan_paths

BLOCK = 4096


def fill_before(
    patch: pytest.MonkeyPatch, disk: Disk, folder: Path, *, nth: int, room: int
) -> None:
    """Before a batch is sealed the disk has room for some blocks more."""
    hold, calls = SealedSpool.hold, 0

    def filling(
        self: SealedSpool,
        held: HeldBatch,
        content: bytes,
        *,
        announce: Callable[[str], None] | None = None,
    ) -> SealedReceipt:
        nonlocal calls
        calls += 1
        if calls == nth:
            (folder / "room").write_bytes(bytes(BLOCK * room))
            disk.fill()
            (folder / "room").unlink()
        return hold(self, held, content, announce=announce)

    patch.setattr(SealedSpool, "hold", filling)


def unfinished(root: Path) -> Sequence[str]:
    """Files that were begun and not finished."""
    return [path.name for path in (root / ".mayfly").rglob("*.part")]


@pytest.mark.parametrize(("nth", "room"), [(1, 0), (1, 2), (1, 12), (1, 40), (3, 0), (3, 4)])
def test_a_disk_that_fills_up_while_batches_are_sealed(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, nth: int, room: int
) -> None:
    """At the first batch or a later one, with more room or less: what was sealed by then waits
    whole, of the rest nothing is left behind, and with room again everybody arrives.
    """
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)
    root = tmp_path / "project"
    with small_disk(root / ".mayfly") as disk:
        make_project(root, sandbox.url, text=HOLD)
        project = approved(root)
        leave(sandbox)
        with monkeypatch.context() as patch:
            fill_before(patch, disk, root / ".mayfly", nth=nth, room=room)
            try:
                statuses = {s.status for s in project.run("to_meta").syncs}
            except TransientError as error:
                statuses = {error.code}
        assert statuses <= {"held", "disk_full"}
        disk.empty()
        assert scan_paths([root / ".mayfly"]) == []
        # Whatever can be opened was sealed whole.
        spool = load(root).app.spool()
        whole = [spool.open(held.id) for held in waiting(root)]
        assert len(whole) == nth - 1 if room == 0 else len(whole) >= nth - 1
        come_back(sandbox)
        ended = load(root).run("to_meta").to_dict()["syncs"][0]
        assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
        assert len(members(sandbox)) == ROWS
        assert (sealed(root), unfinished(root), waiting(root)) == ([], [], [])
        assert verified(root) == (0, 0, 0)
