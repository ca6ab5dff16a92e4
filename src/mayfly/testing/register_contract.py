"""What every store promises of the register, as a suite of tests. Subclass it, give a `world`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mayfly.domain.register_changes import Objection, RegisterVersion, SentNotice, Subscriber
from mayfly.testing.store_world import NOW, StoreWorld

VERSION = RegisterVersion(digest="a" * 64, document='{"processors":[]}', recorded_at=NOW)
NOTICE = SentNotice(
    recipient="legal",
    content="c" * 64,
    processor="cloud",
    what="added",
    widens=True,
    at=NOW,
    failure="sending",
)
LEGAL = Subscriber(name="legal", kind="mail", told="a" * 64, since=NOW)


class RegisterStoreContract:
    """Subclasses give the fixture `world`."""

    @pytest.fixture
    def world(self) -> StoreWorld:
        """The place under test."""
        raise NotImplementedError

    def test_a_version_is_archived_once_and_stays(self, world: StoreWorld) -> None:
        """The first of a digest is kept as it was, and the order is that of times."""
        store: Any = world.made()
        later = RegisterVersion(digest="0" * 64, document="{}", recorded_at=NOW + timedelta(days=1))
        for version in (VERSION, later, replace(VERSION, document="other")):
            store.archive_register(version)
        assert list(world.open().register_versions()) == [VERSION, later]  # type: ignore[attr-defined]

    def test_who_subscribes_is_told_from_then_on(self, world: StoreWorld) -> None:
        """Who is there already stays as it was; what is known is moved on, or ends."""
        store: Any = world.made()
        other = replace(LEGAL, name="a", kind="webhook")
        assert [store.subscribe(s) for s in (LEGAL, other, replace(LEGAL, kind="webhook"))] == [
            *(True, True, False)
        ]
        store.note_told("legal", "b" * 64)
        assert list(store.subscribers()) == [other, replace(LEGAL, told="b" * 64)]
        assert [store.unsubscribe(name) for name in ("a", "a")] == [True, False]
        assert [s.name for s in store.subscribers()] == ["legal"]

    def test_a_notice_is_claimed_by_one_and_never_once_it_was_sent(self, world: StoreWorld) -> None:
        """What failed is claimed again; what a process died over, only where somebody says so."""
        store: Any = world.made()

        def claim(again: bool = False) -> bool:
            return bool(world.open().claim_notice(NOTICE, again=again))  # type: ignore[attr-defined]

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(lambda _: claim(), range(4))) == [False, False, False, True]
        assert claim(again=True)
        store.note_notice("legal", "c" * 64, at=NOW, failure="alert_away")
        assert claim()
        store.note_notice("legal", "c" * 64, at=NOW + timedelta(1), failure="")
        assert not claim(again=True)
        assert list(store.notices()) == [replace(NOTICE, at=NOW + timedelta(1), failure="")]

    def test_an_objection_is_the_first_until_it_is_taken_back(self, world: StoreWorld) -> None:
        """Of each entry one."""
        store: Any = world.made()
        first = Objection(processor="cloud", actor="ada", at=NOW)
        assert [store.object(o) for o in (first, replace(first, actor="bob"))] == [True, False]
        assert list(world.open().objections()) == [first]  # type: ignore[attr-defined]
        assert [store.withdraw_objection("cloud") for _ in "ab"] == [True, False]
        assert list(store.objections()) == []
