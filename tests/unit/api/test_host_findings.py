"""What `doctor` makes of a machine's facts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mayfly.adapters.host import HostFacts, Swap
from mayfly.api.examine import WARNINGS
from mayfly.api.host import HOST_CODES, host_findings

CLOSED = HostFacts(
    swaps=(),
    swap_barred=False,
    core_pattern="core",
    core_limit=0,
    writes_no_dump=True,
    temporary_type="tmpfs",
    temporary_mode=0o700,
)
DUMPED: dict[str, Any] = {"writes_no_dump": False}
PIPE: dict[str, Any] = {"core_pattern": "|/usr/share/apport/apport %p"}


def codes(**facts: Any) -> list[str]:
    """Of a machine that is closed but for some facts."""
    return [found["code"] for found in host_findings(replace(CLOSED, **facts))]


def test_a_closed_machine_has_no_findings() -> None:
    """Nor one that swaps to memory or through a cipher, or whose group gets no swap."""
    assert codes() == []
    assert codes(swaps=(Swap.MEMORY, Swap.ENCRYPTED)) == []
    assert codes(swaps=(Swap.PLAIN, Swap.UNKNOWN), swap_barred=True) == []
    assert codes(swaps=None, swap_barred=True) == []


def test_swap_in_clear_is_told() -> None:
    """Beside one that is closed, too; and what is not known beside it."""
    assert codes(swaps=(Swap.MEMORY, Swap.PLAIN)) == ["swap_open"]
    assert codes(swaps=(Swap.PLAIN, Swap.UNKNOWN)) == ["swap_open", "host_unknown"]
    assert codes(swaps=(Swap.UNKNOWN,)) == ["host_unknown"]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        (PIPE, ""),
        ({"core_limit": -1}, ""),
        (DUMPED, ""),
        (DUMPED | {"core_limit": -1}, "to a file"),
        (DUMPED | {"core_limit": 4096, "core_pattern": ""}, "to a file"),
        (DUMPED | PIPE, "handler"),
        (DUMPED | {"core_pattern": "@/run/coredump.socket"}, "handler"),
    ],
)
def test_a_core_dump_is_told_where_one_could_be_written(facts: dict[str, Any], told: str) -> None:
    """A process that is not dumped is safe from both; a limit of 0 keeps no handler away."""
    found = host_findings(replace(CLOSED, **facts))
    assert [f["code"] for f in found] == (["core_dump_open"] if told else [])
    assert all(told in f["message"] for f in found)


def test_a_temporary_folder_on_a_disk_is_told() -> None:
    """Of any type that is not memory, those of containers included."""
    for kind in ("ext4", "xfs", "overlay", "nfs4", "fuse.sshfs"):
        assert codes(temporary_type=kind) == ["temporary_on_disk"]
    assert codes(temporary_type="ramfs") == []


@pytest.mark.parametrize(
    ("mode", "told"),
    [(0o1777, False), (0o700, False), (0o770, False), (0o777, True), (0o755, True), (0o701, True)],
)
def test_a_temporary_folder_open_to_others_is_told(mode: int, told: bool) -> None:
    """The sticky bit keeps what others may do there from each other's files."""
    assert codes(temporary_mode=mode) == (["temporary_shared"] if told else [])


def test_what_is_not_told_is_named_in_one_finding() -> None:
    """As on a system without /proc: each question that has no answer, and no other."""
    [found] = host_findings(
        replace(CLOSED, swaps=None, core_pattern=None, temporary_type=None, writes_no_dump=False)
    )
    assert found["code"] == "host_unknown"
    assert found["message"] == (
        "This machine does not tell: whether memory is swapped to a disk in clear; where core "
        "dumps go; whether temporary files lie on a disk."
    )
    assert codes(temporary_mode=None) == ["host_unknown"]
    assert codes(core_pattern=None) == []


def test_no_finding_of_the_machine_fails_the_command() -> None:
    """And none holds a path or a name of the machine."""
    every = host_findings(
        HostFacts(
            swaps=(Swap.PLAIN, Swap.UNKNOWN),
            swap_barred=False,
            core_pattern="|/opt/secret/handler",
            core_limit=-1,
            writes_no_dump=False,
            temporary_type="ext4",
            temporary_mode=0o777,
        )
    )
    assert {f["code"] for f in every} == set(HOST_CODES) <= set(WARNINGS)
    assert not any("secret" in f["message"] + f["hint"] for f in every)
