"""A release with another canonical form meets lists and states of the release before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from end_to_end.projects import FILES, approved, make_project, members
from end_to_end.test_tiktok_ads import TO_TIKTOK
from mayfly.api import Project
from mayfly.privacy.rules import canonical_rule
from mayfly.privacy.rules import expression as e
from mayfly.privacy.rules.canonical import CANONICAL
from mayfly.sandbox.server import SandboxServer

ANN = b'{"kind": "email", "value": "p3+shop@example.com"}'
Upgrade = Callable[[], None]


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Upgrade:
    """The next release knows an e-mail without its `+tag`; its lists hold that of everybody."""
    first = canonical_rule("email")
    plain = e.Join((e.Before(e.Before(first.normal, "@"), "+"), "@", e.After(first.normal, "@")))
    known = tuple(CANONICAL["email"])
    second = replace(first, normal=plain, valid=e.EmailShape(plain), version=len(known) + 1)
    return lambda: monkeypatch.setitem(CANONICAL, "email", (*known, second))


def shop(root: Path, url: str) -> Project:
    """Twenty people, one of whom writes a tag."""
    make_project(root, url, rows=20, text=FILES)
    change(root, "UPDATE people SET email = 'p3+shop@example.com' WHERE id = 3")
    return approved(root)


def change(root: Path, sql: str) -> None:
    """The warehouse's owner changes it."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(sql)


def rows(root: Path) -> dict[str, Any]:
    """Counts of one run by sync, in a process of its own release."""
    return {s["sync"]: s["rows"] for s in approved(root).run().to_dict()["syncs"]}


@pytest.mark.parametrize("delivered_before", [True, False])
def test_who_was_listed_before_an_upgrade_stays_out(
    tmp_path: Path, sandbox: SandboxServer, upgrade: Upgrade, delivered_before: bool
) -> None:
    """The entry cannot be brought to the new form: the old one is computed as well."""
    project = shop(tmp_path, sandbox.url)
    if delivered_before:
        rows(tmp_path)
    project.suppress("add", [ANN])
    upgrade()
    found = rows(tmp_path)
    for sync in ("to_meta", "to_crm"):
        assert found[sync]["suppressed"] == 1
        assert found[sync]["delivered"] == (0 if delivered_before else 19)
    assert len(members(sandbox)) == 19
    change(tmp_path, "UPDATE people SET city = 'Nice' WHERE id = 3")
    assert rows(tmp_path)["to_crm"]["delivered"] == 0


def test_who_is_listed_after_an_upgrade_is_found_in_an_older_state(
    tmp_path: Path, sandbox: SandboxServer, upgrade: Upgrade
) -> None:
    """By the form the state was made with, and by the new one in what is planned from then on."""
    shop(tmp_path, sandbox.url)
    rows(tmp_path)
    upgrade()
    project = approved(tmp_path)
    project.suppress("add", [ANN])
    change(tmp_path, "INSERT INTO people SELECT 77, 'p3@example.com', phone, city, ads FROM people "
           "WHERE id = 4")  # fmt: skip
    found = rows(tmp_path)
    assert found["to_meta"]["suppressed"] == 2
    assert (found["to_crm"]["suppressed"], found["to_crm"]["delivered"]) == (2, 0)
    assert len(members(sandbox)) == 19


def test_an_upgrade_alone_sends_nothing(
    tmp_path: Path, sandbox: SandboxServer, upgrade: Upgrade
) -> None:
    """What leaves is as it was; the state is compared once and then knows the new form."""
    shop(tmp_path, sandbox.url)
    rows(tmp_path)
    upgrade()
    for _ in range(2):
        assert {r["delivered"] for r in rows(tmp_path).values()} == {0}
    assert len(members(sandbox)) == 20


def test_who_is_listed_by_one_spelling_is_never_sent_again(
    tmp_path: Path, sandbox: SandboxServer, upgrade: Upgrade, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a Gmail address: whatever the warehouse writes, by a later form of the rule, with another
    key, and at a platform that is added later.
    """
    monkeypatch.setenv("TIKTOK_TOKEN", "t0ken")
    spellings = (
        "Ada.Lovelace@gmail.com",
        "adalovelace+shop@googlemail.com",
        "a.dalovelace@Gmail.com",
    )
    project = shop(tmp_path, sandbox.url)
    project.suppress("add", [b'{"kind": "email", "value": "adalove.lace+news@gmail.com"}'])

    def respelled(number: int) -> dict[str, Any]:
        change(tmp_path, f"UPDATE people SET email = '{spellings[number]}' WHERE id = 3")
        return rows(tmp_path)

    assert {r["delivered"] for r in respelled(0).values()} == {19}
    upgrade()
    assert {r["delivered"] for r in respelled(1).values()} == {0}
    assert approved(tmp_path).keys("rotate")["rewrapped"] > 0
    assert {r["delivered"] for r in respelled(2).values()} == {0}
    files = (tmp_path / "mayfly.yml").read_text()
    destination, sync = TO_TIKTOK.replace("URL", sandbox.url).split("syncs:\n")
    files = files.replace("destinations:\n", destination).replace("syncs:\n", f"syncs:\n{sync}")
    (tmp_path / "mayfly.yml").write_text(files)
    found = rows(tmp_path)
    assert {name: r["delivered"] for name, r in found.items()} == {
        "to_meta": 0,
        "to_crm": 0,
        "to_tiktok": 19,
    }
    assert {r["suppressed"] for r in found.values()} == {1}
