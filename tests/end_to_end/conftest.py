"""What every end-to-end test stands on: a token, and a sandbox to send to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mayfly.sandbox.server import SandboxServer


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("META_TOKEN", "t0ken")


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    """A sandbox on a free port."""
    with SandboxServer(port=0) as server:
        yield server
