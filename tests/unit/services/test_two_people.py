"""Two people approve: who asked, and who gave it, both by their own signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.crypto.sshsig import SshKey
from mayfly.domain.approval import Compiled
from mayfly.domain.errors import EngineError, PolicyError, UsageError
from mayfly.domain.settings import Project, Workspace
from mayfly.services.approvals_lock import LOCK_FILE, Locked, changing_lock, read_lock
from mayfly.services.approve import approve_syncs, reject_syncs, require_approved, standings
from mayfly.services.approve_signed import approve_signed, request_signed, statement
from mayfly.services.people import accept_people, change_statement, require_people, sign_change
from mayfly.services.two_people import sync_statement
from ssh_keys import SshPerson, ssh_person
from unit.services.test_approve import NOW, SYNC, TYPES, types_of, with_sync
from unit.services.test_approve import project as project
from unit.services.test_approve import store as store

People = Mapping[str, SshPerson]
KNOWN: dict[str, Any] = {"now": NOW, "compiled_of": types_of}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    """Four with keys of their own."""
    folder = tmp_path_factory.mktemp("people")
    return {name: ssh_person(folder, name) for name in ("alice", "bob", "carol", "eve")}


@pytest.fixture
def two(project: Project, store: SqlStore, people: People) -> Project:
    """A workspace of Alice, Bob and Carol, whose list was accepted."""
    made = listed(project, people, "alice", "bob", "carol")
    accept_people(made, store)
    return made


def listed(project: Project, people: People, *names: str, approvals: str = "two_people") -> Project:
    """The project with some people."""
    keys = {name: (SshKey.parse(people[name].public).line(),) for name in names}
    workspace = Workspace(name="shop", approvals=approvals, people=keys)  # type: ignore[arg-type]
    return replace(project, workspace=workspace)


def ask(two: Project, store: SqlStore, who: SshPerson) -> None:
    """Sign a request."""
    message = statement(two, store, SYNC, "request", **KNOWN)
    request_signed(two, store, SYNC, who.sign(message), **KNOWN)


def give(two: Project, store: SqlStore, who: SshPerson) -> None:
    """Sign an approval."""
    message = statement(two, store, SYNC, "approve", **KNOWN)
    approve_signed(two, store, SYNC, who.sign(message), **KNOWN)


def code_of(act: Callable[[], object]) -> str:
    """How something is refused."""
    with pytest.raises(EngineError) as caught:
        act()
    return caught.value.code


def refusal(project: Project, store: SqlStore, compiled: Compiled = TYPES) -> str:
    """How a run is refused."""
    return code_of(lambda: require_approved(project, store, SYNC, compiled))


def test_two_people_approve(two: Project, store: SqlStore, people: People) -> None:
    """The lock file has both signatures, and every run verifies them from the file alone."""
    assert refusal(two, store) == "not_approved"
    ask(two, store, people["alice"])
    [waits] = standings(two, store, [SYNC], **KNOWN)
    assert (waits.state, waits.author) == ("pending", "alice")
    assert waits.changes[0].requested_by == "alice"
    assert refusal(two, store) == "not_approved"
    give(two, store, people["bob"])
    require_approved(two, store, SYNC, TYPES)
    record = store.approval("vip_id", "dev")
    assert record is not None
    assert (record.actor, record.self_approved) == ("bob", False)
    [stands] = standings(two, store, [SYNC], **KNOWN)
    assert (stands.state, stands.actor, stands.author) == ("approved", "bob", "alice")
    assert refusal(with_sync(two, mode="mirror"), store) == "approval_changed"


def test_nobody_approves_his_own_change(two: Project, store: SqlStore, people: People) -> None:
    """Not by signing twice, and not by taking over the other's part in the file."""
    ask(two, store, people["alice"])
    assert code_of(lambda: give(two, store, people["alice"])) == "approval_same_person"
    give(two, store, people["bob"])
    with changing_lock(two.root) as lock:
        good = lock["vip_id", "dev"]
    mark = good.fingerprint
    own = stated(two, "vip_id", mark, "approve", "alice")
    forged = replace(good, actor="alice", approved=kept(people["alice"].sign(own)))
    assert tampered(two, store, forged) == "approval_same_person"
    assert tampered(two, store, replace(forged, actor="bob")) == "approval_same_person"


def stated(
    two: Project, sync: str, mark: str, act: str, author: str = "", asked_on: str = "2026-03-01"
) -> bytes:
    """What is signed of a sync, asked for on the day of the tests."""
    return sync_statement(two, sync, mark, act, asked_on=asked_on, author=author)  # type: ignore[arg-type]


def kept(signature: str) -> str:
    """As the lock file has it."""
    return "".join(signature.splitlines()[1:-1])


def tampered(two: Project, store: SqlStore, locked: Locked) -> str:
    """How a run is refused with another line in the lock file."""
    with changing_lock(two.root) as lock:
        lock["vip_id", "dev"] = locked
    return refusal(two, store)


def test_no_part_of_the_proof_may_differ(two: Project, store: SqlStore, people: People) -> None:
    """Names, signatures, whom they are by, and what they are over: each is refused."""
    ask(two, store, people["alice"])
    give(two, store, people["bob"])
    good = read_lock(two.root)["vip_id", "dev"]
    mark = good.fingerprint

    def signed(who: str, *parts: str) -> str:
        act, author = parts[0], parts[1] if len(parts) > 1 else ""
        message = stated(two, "vip_id", mark, act, author)
        return kept(people[who].sign(message))

    wrong = {
        "no signature": replace(good, approved=""),
        "no request": replace(good, requested=""),
        "not base64": replace(good, approved="?"),
        "cut": replace(good, approved=good.approved[:-8]),
        "swapped": replace(good, approved=good.requested, requested=good.approved),
        "the request twice": replace(good, approved=good.requested),
        "a stranger asks": replace(good, author="eve", requested=signed("eve", "request")),
        "a stranger approves": replace(
            good, actor="eve", approved=signed("eve", "approve", "alice")
        ),
        "of another author": replace(good, approved=signed("bob", "approve", "carol")),
        "without an author": replace(good, approved=signed("bob", "approve")),
        "asked on another day": replace(good, asked_on="2026-02-28"),
        "asked on no day": replace(good, asked_on=""),
        "asked on a day and more": replace(good, asked_on="2026-03-01\nauthor: alice"),
        "approved as asked on another day": replace(
            good,
            approved=kept(
                people["bob"].sign(stated(two, "vip_id", mark, "approve", "alice", "2026-02-28"))
            ),
        ),
        "another name": replace(good, actor="carol"),
        "another author's name": replace(good, author="carol"),
        "another sync": replace(
            good,
            approved=kept(people["bob"].sign(stated(two, "x", mark, "approve", "alice"))),
        ),
        "another target": replace(
            good,
            approved=kept(
                people["bob"].sign(
                    stated(replace(two, target="prod"), "vip_id", mark, "approve", "alice")
                )
            ),
        ),
        "for another purpose": replace(
            good,
            approved=kept(
                people["bob"].sign(stated(two, "vip_id", mark, "approve", "alice"), "file")
            ),
        ),
    }
    for name, locked in wrong.items():
        found = tampered(two, store, locked)
        assert found in ("approval_signature", "approval_unsigned"), name
        [stands] = standings(two, store, [SYNC], **KNOWN)
        assert stands.state != "approved", name
    with changing_lock(two.root) as lock:
        lock["vip_id", "dev"] = good
    require_approved(two, store, SYNC, TYPES)


def test_a_signature_is_of_one_fingerprint(two: Project, store: SqlStore, people: People) -> None:
    """What was signed of a sync is worth nothing once it is another."""
    message = statement(two, store, SYNC, "request", **KNOWN)
    signature = people["alice"].sign(message)
    other = with_sync(two, mode="mirror")
    assert code_of(lambda: request_signed(other, store, SYNC, signature, **KNOWN)) == (
        "approval_signature"
    )
    ask(two, store, people["alice"])
    assert code_of(lambda: give(other, store, people["bob"])) == "approval_not_asked"


def test_a_request_waits_for_thirty_days(two: Project, store: SqlStore, people: People) -> None:
    """From the day that its author signed, whenever it is handed in; what was approved holds on."""
    later: dict[str, Any] = {**KNOWN, "now": NOW + timedelta(days=30, hours=23)}
    too_late: dict[str, Any] = {**KNOWN, "now": NOW + timedelta(days=31)}
    signature = people["alice"].sign(statement(two, store, SYNC, "request", **KNOWN))
    late = code_of(lambda: request_signed(two, store, SYNC, signature, **too_late))
    assert late == "approval_signature"
    request_signed(two, store, SYNC, signature, **later)
    assert code_of(lambda: statement(two, store, SYNC, "approve", **too_late)) == "approval_expired"
    yes = people["bob"].sign(statement(two, store, SYNC, "approve", **later))
    assert code_of(lambda: approve_signed(two, store, SYNC, yes, **too_late)) == "approval_expired"
    [waits] = standings(two, store, [SYNC], **later)
    assert waits.author == "alice"
    [waits] = standings(two, store, [SYNC], **too_late)
    assert waits.author == ""
    approve_signed(two, store, SYNC, yes, **later)
    require_approved(two, store, SYNC, TYPES)


def test_nothing_is_approved_without_a_request(
    two: Project, store: SqlStore, people: People
) -> None:
    """Nor by `--all`: what two people have not signed is not taken over."""
    assert code_of(lambda: give(two, store, people["bob"])) == "approval_not_asked"
    all_ = lambda: approve_syncs(two, store, [SYNC], actor="root", **KNOWN)  # noqa: E731
    assert code_of(all_) == "approval_unsigned"
    ask(two, store, people["alice"])
    assert code_of(all_) == "approval_unsigned"
    assert store.approval("vip_id", "dev") is None


def test_an_approval_of_one_is_none_of_two(
    project: Project, store: SqlStore, people: People
) -> None:
    """What the only member approved before has to be signed now."""
    approve_syncs(project, store, [SYNC], actor="operator", **KNOWN)
    two = listed(project, people, "alice", "bob")
    accept_people(two, store)
    assert refusal(two, store) == "approval_unsigned"


def test_another_installation_takes_over_what_was_signed(
    two: Project, store: SqlStore, people: People, tmp_path: Path
) -> None:
    """From the lock file, after it accepted the list; not what it has rejected itself."""
    ask(two, store, people["alice"])
    give(two, store, people["bob"])
    fresh = SqlStore("sqlite", tmp_path / "fresh")
    fresh.create(workspace_id="shop-2", name="shop", installation_id="j", now=NOW)
    assert refusal(two, fresh) == "people_not_accepted"
    accept_people(two, fresh)
    assert refusal(two, fresh) == "not_approved"
    [record] = approve_syncs(two, fresh, [SYNC], actor="root", **KNOWN)
    assert record.actor == "bob"
    require_approved(two, fresh, SYNC, TYPES)
    lock = (two.root / LOCK_FILE).read_text("utf-8")
    reject_syncs(two, fresh, [SYNC], actor="root", **KNOWN)
    (two.root / LOCK_FILE).write_text(lock, "utf-8")
    again = code_of(lambda: approve_syncs(two, fresh, [SYNC], actor="root", **KNOWN))
    assert (again, refusal(two, fresh)) == ("approval_rejected", "approval_rejected")


def test_who_left_the_list_approves_nothing(two: Project, store: SqlStore, people: People) -> None:
    """Neither from now on nor what was approved before."""
    ask(two, store, people["alice"])
    give(two, store, people["bob"])
    smaller = listed(two, people, "alice", "carol")
    change_list(smaller, store, people["alice"], people["carol"])
    assert refusal(smaller, store) == "approval_signature"


def change_list(new: Project, store: SqlStore, author: SshPerson, approver: SshPerson) -> None:
    """Let another list in."""
    sign_change(new, store, "request", author.sign(change_statement(new, store, "request")))
    sign_change(new, store, "approve", approver.sign(change_statement(new, store, "approve")))


def test_only_the_people_before_let_others_in(
    two: Project, store: SqlStore, people: People
) -> None:
    """Two of them; who would come in, and who is alone, is not taken."""
    ask(two, store, people["alice"])
    give(two, store, people["bob"])
    new = listed(two, people, "alice", "bob", "carol", "eve")
    assert refusal(new, store) == "people_changed"
    assert code_of(lambda: accept_people(new, store)) == "people_changed"
    for author, approver, code in (
        ("eve", "alice", "approval_signature"),
        ("alice", "eve", "approval_signature"),
        ("alice", "alice", "approval_same_person"),
    ):
        found = code_of(lambda a=author, b=approver: change_list(new, store, people[a], people[b]))  # type: ignore[misc]
        assert (found, refusal(new, store)) == (code, "people_changed")
    change_list(new, store, people["alice"], people["bob"])
    require_approved(new, store, SYNC, TYPES)
    assert refusal(two, store) == "people_changed"


def test_a_chain_of_lists_is_followed(
    two: Project, store: SqlStore, people: People, tmp_path: Path
) -> None:
    """By an installation that knows the first, and by a new one; a broken chain leads nowhere."""
    first = SqlStore("sqlite", tmp_path / "first")
    first.create(workspace_id="shop-2", name="shop", installation_id="j", now=NOW)
    first.note_people(store.people())
    second = listed(two, people, "alice", "bob", "eve")
    change_list(second, store, people["alice"], people["bob"])
    third = listed(two, people, "bob", "eve")
    change_list(third, store, people["eve"], people["bob"])
    require_people(third, first, note=False)
    assert first.people() != store.people()
    require_people(third, first, note=True)
    assert first.people() == store.people()
    fresh = SqlStore("sqlite", tmp_path / "fresh")
    fresh.create(workspace_id="shop-3", name="shop", installation_id="k", now=NOW)
    file = two.root / LOCK_FILE
    whole = file.read_text("utf-8")
    lines = whole.splitlines(keepends=True)
    for number in range(1, len(lines) - 1):
        file.write_text("".join(lines[:number] + lines[number + 1 :]), "utf-8")
        if number > 1:
            assert code_of(lambda: accept_people(third, fresh)) == "people_changed"
    file.write_text(whole.replace('"eve"', '"mallory"', 1), "utf-8")
    assert code_of(lambda: accept_people(third, fresh)) == "people_changed"
    file.write_text(whole, "utf-8")
    accept_people(third, fresh)


def test_one_person_is_not_enough_to_be_one_again(
    two: Project, store: SqlStore, people: People
) -> None:
    """To let one approve alone takes two, once; the lock file says so to a new installation."""
    one = listed(two, people, "alice", "bob", "carol", approvals="one")
    assert code_of(lambda: approve_syncs(one, store, [SYNC], actor="o", **KNOWN)) == (
        "people_changed"
    )
    bare = replace(two, workspace=Workspace(name="shop"))
    assert code_of(lambda: approve_syncs(bare, store, [SYNC], actor="o", **KNOWN)) == (
        "people_changed"
    )
    fresh = SqlStore("sqlite", two.root / "fresh")
    fresh.create(workspace_id="shop-2", name="shop", installation_id="j", now=NOW)
    assert refusal(bare, fresh) == "people_not_accepted"
    assert code_of(lambda: accept_people(bare, fresh)) == "people_changed"
    change_list(bare, store, people["alice"], people["carol"])
    approve_syncs(bare, store, [SYNC], actor="o", **KNOWN)
    require_approved(bare, store, SYNC, TYPES)
    accept_people(two, store)
    assert refusal(two, store) == "approval_unsigned"
    accept_people(two, fresh)
    assert fresh.people() == store.people()


def test_signatures_are_of_workspaces_of_two(project: Project, store: SqlStore) -> None:
    """Elsewhere nothing asks for one."""
    with pytest.raises(UsageError, match="nothing_to_sign"):
        statement(project, store, SYNC, "request", **KNOWN)
    with pytest.raises(UsageError, match="no_people"):
        accept_people(project, store)


def test_what_is_signed_is_plain(two: Project, store: SqlStore) -> None:
    """Whoever signs can read it: the same bytes for ever."""
    mark = standings(two, store, [SYNC], **KNOWN)[0].fingerprint
    assert statement(two, store, SYNC, "request", **KNOWN).decode() == (
        "mayfly-approval/1\nact: request\nworkspace: shop\ntarget: dev\nsync: vip_id\n"
        f"fingerprint: {mark}\nasked-on: 2026-03-01\n"
    )
    assert stated(two, "vip_id", mark, "approve", "alice").decode() == (
        "mayfly-approval/1\nact: approve\nworkspace: shop\ntarget: dev\nsync: vip_id\n"
        f"fingerprint: {mark}\nasked-on: 2026-03-01\nauthor: alice\n"
    )


def test_a_policy_error_says_what_to_do(two: Project, store: SqlStore) -> None:
    """With the commands."""
    with pytest.raises(PolicyError) as caught:
        approve_syncs(two, store, [SYNC], actor="o", **KNOWN)
    assert "ssh-keygen -Y sign -n mayfly-approval" in caught.value.hint
