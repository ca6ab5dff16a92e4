"""The suppression list as its operator meets it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.privacy.rules import (
    CANONICAL_KINDS,
    CanonicalKind,
    canonical_rule,
    canonical_rules,
    worker_canonical,
)
from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.canonical import CANONICAL
from mayfly.services.suppress import canonical_of, change, entries_of, listed_forms, listing

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = bytes(range(32))
MARK = "marked-7f3a"


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """An empty store."""
    made = SqlStore("sqlite", tmp_path)
    made.create(workspace_id="shop-1", name="shop", installation_id="i", now=NOW)
    return made


def line(kind: str, value: object, country: object = None) -> bytes:
    """One line of input."""
    entry = {"kind": kind, "value": value}
    return json.dumps(entry if country is None else {**entry, "default_country": country}).encode()


def entries(*lines: bytes) -> list[tuple[str, bytes]]:
    """What the lines stand for."""
    return entries_of(lines, key=KEY, canonical=canonical_of)


def test_an_entry_is_keyed_over_the_canonical_digest() -> None:
    """HMAC-SHA-256 of the SHA-256 of the canonical form; nothing of the value itself."""
    (found,) = entries(line("email", " A@Example.com "))
    canonical = hashlib.sha256(b"a@example.com").digest()
    assert found == ("email", hmac.new(KEY, canonical, hashlib.sha256).digest())


def test_spellings_of_one_identifier_are_one_entry() -> None:
    """Whatever case, spaces or national form it was written in."""
    assert len(set(entries(line("email", "A@example.com"), line("email", "a@EXAMPLE.com ")))) == 1
    phones = [
        line("phone", "+44 7700 900123"),
        line("phone", "07700 900123", "GB"),
        line("phone", "07700900123", "gb"),
    ]
    assert len({entry for entry in entries(*phones) if entry[0] == "phone"}) == 1


def test_a_phone_stands_for_each_digest_it_can_have() -> None:
    """A column of ready digests was hashed with the + or without; both are on the list."""
    number = "447700900123"
    wanted = {
        hmac.new(KEY, hashlib.sha256(text.encode()).digest(), hashlib.sha256).digest()
        for text in (number, f"+{number}")
    }
    assert {digest for _, digest in entries(line("phone", f"+{number}"))} == wanted
    ready = pa.array([hashlib.sha256(number.encode()).hexdigest(), "+447700900123"])
    canonical = worker_canonical(canonical_rule("phone"), ready, default_country=None).to_pylist()
    assert canonical == [hashlib.sha256(text.encode()).digest() for text in (number, f"+{number}")]


def test_a_phone_counts_once(store: SqlStore) -> None:
    """What is kept beside it is no entry of its own, and goes with it."""
    phone = entries(line("phone", "+44 7700 900123"))
    done = change(store, "add", phone, NOW)
    assert (done["added"], done["total"]) == (1, 1)
    assert listing(store)["kinds"] == {"email": 0, "phone": 1, "primary_key": 0}
    assert len(store.suppression_digests()) == 2
    assert change(store, "remove", phone, NOW)["removed"] == 1
    assert len(store.suppression_digests()) == 0


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release whose canonical e-mail has no `+tag`, after one whose e-mail has."""
    first = canonical_rule("email")
    plain = e.Join((e.Before(e.Before(first.normal, "@"), "+"), "@", e.After(first.normal, "@")))
    known = tuple(CANONICAL["email"])
    second = replace(first, normal=plain, valid=e.EmailShape(plain), version=len(known) + 1)
    monkeypatch.setitem(CANONICAL, "email", (*known, second))


def test_who_was_listed_by_an_earlier_form_stays_and_counts_once(
    store: SqlStore, request: pytest.FixtureRequest
) -> None:
    """Which forms the list needs is known until everybody on it was given again."""
    ann, bob = line("email", "ann+shop@example.com"), line("email", "bob@example.com")
    change(store, "add", entries(ann, bob), NOW)
    assert listed_forms(store)["email"] == {2}
    request.getfixturevalue("later")
    done = change(store, "add", entries(ann), NOW)
    assert (done["added"], done["total"]) == (0, 2)
    assert listed_forms(store)["email"] == {2, 3}
    assert len(store.suppression_digests()) == 3
    assert change(store, "remove", entries(ann), NOW)["removed"] == 1
    assert change(store, "remove", entries(bob), NOW)["removed"] == 1
    assert len(store.suppression_digests()) == 0


def test_an_entry_stands_for_its_earlier_forms(later: None) -> None:
    """A state that was made before holds those; what both forms make is kept once."""
    made = dict(entries(line("email", "ann+shop@example.com")))
    wanted = [hashlib.sha256(t).digest() for t in (b"ann@example.com", b"ann+shop@example.com")]
    assert made == {
        kind: hmac.new(KEY, digest, hashlib.sha256).digest()
        for kind, digest in zip(("email", "email_past"), wanted, strict=True)
    }
    assert [kind for kind, _ in entries(line("email", "ann@example.com"))] == ["email"]


def test_a_list_of_a_newer_release_is_refused() -> None:
    """Who is on it cannot be told; nothing may leave past it."""
    with pytest.raises(PolicyError) as caught:
        canonical_rule("email", 9)
    assert (caught.value.code, caught.value.exit_code) == ("suppression_newer", 3)


# Of each version of a form: what an entry made by it stands for, for ever.
PINNED: dict[tuple[CanonicalKind, int], dict[str, str | None]] = {
    ("email", 1): {
        " A.b+C@Example.COM\t": "a.b+c@example.com",
        "\u00a0ÄNN@exämple.org\u2003": "änn@exämple.org",
        "İ@example.com": "i\u0307@example.com",
        "a b@example.com": None,
        "a@b": None,
        "a@": None,
    },
    ("email", 2): {
        " A.b+C@Example.COM\t": "a.b+c@example.com",
        "A.d.a+News@GMail.com": "ada@gmail.com",
        "ada@googlemail.com": "ada@gmail.com",
        "ada+x@mail.gmail.com": "ada+x@mail.gmail.com",
        "\u00a0ÄNN@exämple.org\u2003": "änn@exämple.org",
        "İ@example.com": "i\u0307@example.com",
        ".+x@gmail.com": ".+x@gmail.com",
        "a b@example.com": None,
        "a@b": None,
        "a@": None,
    },
    ("phone", 1): {
        "+33 6 39 98 12 34": "+33639981234",
        "+44 (0)20 7946 0958": "+442079460958",
        "1 (650) 555-0100": "+16505550100",
        "0639981234": None,
        "7": None,
    },
}


@pytest.mark.parametrize(("kind", "version"), sorted(PINNED))
def test_a_canonical_form_never_changes(kind: CanonicalKind, version: int) -> None:
    """Lists hold digests alone, so that nothing could be brought to another form."""
    values, wanted = zip(*PINNED[kind, version].items(), strict=True)
    rule = canonical_rule(kind, version)
    made = worker_canonical(rule, pa.array(values, pa.string()), default_country=None)
    assert made.to_pylist() == [
        None if text is None else hashlib.sha256(text.encode()).digest() for text in wanted
    ]


def test_every_canonical_form_is_pinned() -> None:
    """Versions count from 1 without a gap, so that each is found, and each has its answers here."""
    found = [(kind, rule.version) for kind in CANONICAL_KINDS for rule in canonical_rules(kind)]
    assert sorted(found) == sorted(PINNED)
    for kind in CANONICAL_KINDS:
        rules = canonical_rules(kind)
        assert [rule.version for rule in rules] == list(range(1, len(rules) + 1))


def test_a_primary_key_may_be_a_number() -> None:
    """7 and "7" are the same key."""
    one, two = entries(line("primary_key", 7), line("primary_key", "7"))
    assert one == two


def test_empty_lines_are_passed_over() -> None:
    """And still counted, so that a bad line has the number an editor shows."""
    assert len(entries(b"\n", line("primary_key", "1"), b"  \r\n")) == 1
    with pytest.raises(ConfigError) as caught:
        entries(b"\n", line("primary_key", "1"), b"{")
    assert "Line 3 " in caught.value.message


BAD = {
    "not json": MARK.encode(),
    "cut": b'{"kind": "email", "value": "marked-7f3a@example.com"',
    "not utf-8": b'{"kind": "email", "value": "marked-7f3a\xff@example.com"}',
    "deep": b"[" * 100_000,
    "list": b'["email", "marked-7f3a@example.com"]',
    "other key": b'{"kind": "email", "value": "a@example.com", "marked-7f3a": 1}',
    "no kind": b'{"value": "marked-7f3a@example.com"}',
    "other kind": line(MARK, "a@example.com"),
    "kind list": b'{"kind": ["marked-7f3a"], "value": "a@example.com"}',
    "no value": b'{"kind": "email"}',
    "empty": line("email", ""),
    "null": line("email", None),
    "number": line("email", 7),
    "true": line("primary_key", True),
    "float": line("primary_key", 7.5),
    "no email": line("email", MARK),
    "no phone": line("phone", MARK),
    "no country": line("phone", "07700 900123"),
    "unknown country": line("phone", "07700 900123", MARK),
    "country number": line("phone", "07700 900123", 44),
    "lone surrogate": b'{"kind": "email", "value": "marked-7f3a\\ud800@example.com"}',
    "surrogate key": b'{"kind": "primary_key", "value": "marked-7f3a\\udfff"}',
    "surrogate country": line("phone", "07700 900123", "\ud800"),
    "huge number": b'{"kind": "primary_key", "value": ' + b"7" * 5000 + b"}",
}


@pytest.mark.parametrize("name", sorted(BAD))
@pytest.mark.parametrize("act", ["add", "remove"])
def test_a_bad_line_changes_nothing(store: SqlStore, name: str, act: str) -> None:
    """It is refused with its number, and neither it nor its neighbours are taken or shown."""
    change(store, "add", entries(line("email", "kept@example.com")), NOW)
    version = store.suppression_version()
    neighbours = line("email", "kept@example.com"), line("email", f"{MARK}@example.com")
    with pytest.raises(ConfigError) as caught:
        change(store, act, entries(neighbours[0], BAD[name], neighbours[1]), NOW)
    error = caught.value
    assert (error.code, error.exit_code) == ("bad_line", 1)
    assert "Line 2 " in error.message
    assert MARK not in json.dumps(error.to_dict())
    assert error.__suppress_context__ or error.__context__ is None
    assert store.suppression_version() == version
    assert listing(store)["total"] == 1


def test_a_surrogate_pair_is_text() -> None:
    """An escaped character outside the basic plane is no half of anything."""
    assert entries(b'{"kind": "primary_key", "value": "\\ud83d\\ude00"}') == entries(
        line("primary_key", "\U0001f600")
    )


def test_duplicates_count_once(store: SqlStore) -> None:
    """Within one input and between two; the total is of the whole list."""
    twice = entries(line("email", "a@example.com"), line("email", "A@example.com"))
    assert change(store, "add", twice, NOW) == {
        "schema": "mayfly/suppress/1",
        "ok": True,
        "added": 1,
        "total": 1,
    }
    more = entries(line("email", "a@example.com"), line("primary_key", 7))
    done = change(store, "add", more, NOW)
    assert (done["added"], done["total"]) == (1, 2)


def test_removing_takes_what_there_is(store: SqlStore) -> None:
    """By any spelling; what was not on the list is not counted."""
    change(store, "add", entries(line("email", "a@example.com"), line("primary_key", 7)), NOW)
    gone = entries(line("email", " A@EXAMPLE.COM"), line("primary_key", "8"))
    assert change(store, "remove", gone, NOW) == {
        "schema": "mayfly/suppress/1",
        "ok": True,
        "removed": 1,
        "total": 1,
    }


def test_nothing_given_is_nothing_done(store: SqlStore) -> None:
    """An empty input succeeds with zero and leaves the list's version."""
    version = store.suppression_version()
    assert change(store, "add", entries(), NOW)["added"] == 0
    assert store.suppression_version() == version


def test_the_listing_counts_each_kind(store: SqlStore) -> None:
    """Kinds without an entry included; nothing that stands for a person."""
    both = entries(line("email", "a@example.com"), line("phone", "+447700900123"))
    change(store, "add", both, NOW)
    assert listing(store) == {
        "schema": "mayfly/suppress/1",
        "ok": True,
        "kinds": {"email": 1, "phone": 1, "primary_key": 0},
        "total": 2,
    }


def test_the_store_holds_no_identifier(store: SqlStore, tmp_path: Path) -> None:
    """Neither clear nor as the plain digest that anybody could make."""
    change(store, "add", entries(line("email", f"{MARK}@example.com")), NOW)
    store.close()
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    plain = hashlib.sha256(f"{MARK}@example.com".encode())
    assert MARK.encode() not in held
    assert plain.digest() not in held
    assert plain.hexdigest().encode() not in held
