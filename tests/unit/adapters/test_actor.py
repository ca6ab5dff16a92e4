"""Who acts, as an id."""

from __future__ import annotations

import os
import pwd

import pytest

from mayfly.adapters.processes import actor_id
from mayfly.domain.errors import ConfigError


def _user(name: str) -> pwd.struct_passwd:
    return pwd.struct_passwd((name, "x", 1, 1, "", "/", "/bin/sh"))


def test_the_environment_comes_first() -> None:
    """A pipeline says who it is; an empty text says nothing."""
    assert actor_id({"MAYFLY_ACTOR": "release-bot.7"}) == "release-bot.7"
    assert actor_id({"MAYFLY_ACTOR": ""}) == actor_id({})


@pytest.mark.parametrize("given", ["a@example.com", "two words", "-x", "x" * 65, "a\n"])
def test_what_is_no_id_is_refused_and_not_repeated(given: str) -> None:
    """An address would stand in a file that goes into Git."""
    with pytest.raises(ConfigError) as caught:
        actor_id({"MAYFLY_ACTOR": given})
    assert caught.value.code == "bad_actor"
    assert given not in str(caught.value)


def test_the_system_s_user_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its account, not by LOGNAME, which anybody sets; by number where the name is no id."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _: _user("operator"))
    assert actor_id({"LOGNAME": "somebody", "USER": "somebody"}) == "operator"
    monkeypatch.setattr(pwd, "getpwuid", lambda _: _user("op@example.com"))
    assert actor_id({}) == f"uid-{os.getuid()}"


def test_a_user_without_an_account_acts_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under any number."""

    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert actor_id({}) == f"uid-{os.getuid()}"
