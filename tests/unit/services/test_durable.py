"""Files that outlive a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mayfly.services.durable import write_private


def test_a_private_file_is_its_owners_only(tmp_path: Path) -> None:
    """Whatever the umask gives or takes."""
    for umask in (0, 0o777):
        before = os.umask(umask)
        try:
            write_private(tmp_path / f"{umask}", b"content")
        finally:
            os.umask(before)
        assert (tmp_path / f"{umask}").read_bytes() == b"content"
        assert (tmp_path / f"{umask}").stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    """Nor what a link leads to."""
    (tmp_path / "there").write_bytes(b"earlier")
    (tmp_path / "link").symlink_to("target")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            write_private(tmp_path / name, b"content")
    assert (tmp_path / "there").read_bytes() == b"earlier"
    assert not (tmp_path / "target").exists()
