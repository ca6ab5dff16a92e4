"""What the tests of key providers share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from key_services.worlds import AWS_ENVIRONMENT, WORLDS, World
from mayfly.domain.errors import EngineError

CANARY = "canary"


@pytest.fixture
def only_these_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials but these, whatever the machine has."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "GOOGLE_", "VAULT_"))]:
        monkeypatch.delenv(name)
    for name, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def make_world(tmp_path: Path, only_these_credentials: None) -> Iterator[Callable[[str], World]]:
    """A maker of worlds, which end with the test."""
    open_worlds = []

    def make(name: str) -> World:
        context = WORLDS[name](tmp_path)
        open_worlds.append(context)
        return context.__enter__()

    yield make
    for context in open_worlds:
        context.__exit__(None, None, None)


def refusal(call: Callable[[], object]) -> EngineError:
    """The error that a call ends with; it names no text of a library or service."""
    with pytest.raises(EngineError) as caught:
        call()
    assert CANARY not in f"{caught.value!r} {caught.value.message} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value
