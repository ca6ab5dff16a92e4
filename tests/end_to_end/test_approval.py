"""What an approval pins of a real source, and what asks for another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from end_to_end.projects import approved, change, make_project, rewritten
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.domain.errors import EngineError
from mayfly.services.approvals_lock import LOCK_FILE, read_lock
from ssh_keys import NAMESPACE, ssh_person

CRM = """
destinations:
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: mirror
    table: people
    key: [id]
    mapping: {id: id, score: score}
"""
VIEW = (
    """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: scores
    primary_key: [id]
    columns: {id: {}, score: {}}
"""
    + CRM
)
SQL = VIEW.replace("table: scores", "sql: SELECT id, length(city) AS score FROM people")
SCORES = "CREATE OR REPLACE VIEW scores AS SELECT id, length(city) AS score FROM people"


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command; of an error that reaches its caller what that prints."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    if isinstance(done.exception, EngineError):
        return type(done.exception).exit_code, {"error": done.exception.to_dict()}
    return done.exit_code, json.loads(done.stdout)


def shop(root: Path, text: str = VIEW) -> Path:
    """The project with a view over its people, approved."""
    make_project(root, "", text=text)
    change(root, SCORES)
    approved(root)
    return root


def refused(root: Path) -> tuple[str, str]:
    """Code and message of the refusal of a run."""
    [ended] = load(root).run().to_dict()["syncs"]
    assert ended["status"] == "refused", ended
    return ended["error"]["code"], ended["error"]["message"]


def test_a_view_that_changed_is_not_what_was_approved(tmp_path: Path) -> None:
    """Its text decides what leaves, and so does a view below it; its layout does not."""
    shop(tmp_path)
    assert load(tmp_path).run().exit_code == 0
    change(tmp_path, SCORES.replace("SELECT id,", "SELECT\n  id , /* who */ "))
    assert load(tmp_path).run().exit_code == 0
    change(tmp_path, SCORES.replace("length(city)", "email"))
    code, message = refused(tmp_path)
    assert code == "approval_changed"
    assert "views (main.scores)" in message
    assert "column score (lineage" in message
    approved(tmp_path)
    change(tmp_path, "CREATE VIEW below AS SELECT * FROM people", SCORES.replace("people", "below"))
    approved(tmp_path)
    assert load(tmp_path).run().exit_code == 0
    change(tmp_path, "CREATE OR REPLACE VIEW below AS SELECT * FROM people WHERE id > 1")
    assert "views (main.below)" in refused(tmp_path)[1]


def test_the_layout_of_model_sql_is_not_pinned(tmp_path: Path) -> None:
    """Comments and line breaks ask for nothing; another meaning does."""
    shop(tmp_path, SQL)
    rewritten(
        tmp_path,
        "SELECT id, length(city) AS score FROM people",
        '"select id,  length(city) as score /* c */ from people -- all"',
    )
    assert load(tmp_path).run().exit_code == 0
    rewritten(tmp_path, "length(city)", "length(email)")
    assert refused(tmp_path)[0] == "approval_changed"


def test_an_address_does_not_pass_as_an_approved_score(tmp_path: Path) -> None:
    """Of the same name and type, and of another column: the refusal says which part differs."""
    shop(tmp_path, SQL.replace("length(city)", "city"))
    assert load(tmp_path).run().exit_code == 0
    rewritten(tmp_path, "city AS score", "email AS score")
    code, message = refused(tmp_path)
    assert code == "approval_changed"
    assert "column score (lineage)" in message


def test_a_view_of_postgresql_is_pinned(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the text that the server gives of it."""
    monkeypatch.setenv("SHOP_DSN", postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as owner:
        owner.execute("CREATE TABLE people (id int, email text, city text)")
        owner.execute("INSERT INTO people VALUES (1, 'a@example.com', 'Lyon')")
        owner.execute("CREATE VIEW scores AS SELECT id, city AS score FROM people")
        own = '{type: postgres, dsn: "env:SHOP_DSN"}'
        text = VIEW.replace("{type: duckdb, path: shop.duckdb}", own)
        tmp_path.joinpath("mayfly.yml").write_text(text, "utf-8")
        initialise(tmp_path)
        approved(tmp_path)
        assert load(tmp_path).run().exit_code == 0
        owner.execute("CREATE OR REPLACE VIEW scores AS SELECT id, email AS score FROM people")
    message = refused(tmp_path)[1]
    assert "column score (lineage)" in message
    assert "views (public.scores)" in message


THIRD = """
destinations:
  shared: {type: sqlite, path: crm.sqlite}
syncs:
  to_shared:
    id: to_shared
    model: people
    destination: shared
    mode: upsert
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, score: score}
"""


def third_party(root: Path, score: str, made_of: str) -> list[tuple[str, str | None]]:
    """Why a plan that sends a number of people to a third party is refused."""
    text = VIEW.replace(CRM, THIRD).replace("{id: {}, score: {}}", score)
    text = text.replace(
        "    primary_key: [id]\n",
        "    primary_key: [id]\n    consent: {ads: {column: ads, equals: true}}\n",
    )
    make_project(root, "", text=text)
    change(
        root,
        f"CREATE OR REPLACE VIEW scores AS SELECT id, {made_of} AS score, id > 0 AS ads "
        "FROM people",
    )
    [sync] = load(root).plan().to_dict()["syncs"]
    return [(r["code"], r["column"]) for r in sync["refusals"]]


def test_a_third_party_gets_no_class_that_nobody_declared(tmp_path: Path) -> None:
    """What a column is made of says what it is, unless it is declared with a reason."""
    bare = "{id: {rule: pseudonym}, score: {minimum: 0, maximum: 99999}}"
    waits = ("not_approved", None)
    number = "length(phone)"
    closed = ("class_undeclared", "score")
    assert third_party(tmp_path / "a", bare, "CAST(id AS INTEGER)") == [waits]
    assert third_party(tmp_path / "b", bare, number) == [closed]
    reasoned = bare.replace("{minimum", "{class: none, reason: five digits, minimum")
    assert third_party(tmp_path / "c", reasoned, number) == [waits]
    hidden = "{id: {rule: pseudonym}, score: {rule: pseudonym}}"
    assert third_party(tmp_path / "d", hidden, "email") == [waits]
    project = load(tmp_path / "d").app
    assert project.compile(project.project.syncs["to_shared"], run="plan").pinned.found == {}


def test_what_was_rejected_does_not_run(tmp_path: Path) -> None:
    """As it is; what was approved before it runs still, and what it becomes is asked for anew."""
    shop(tmp_path, SQL)
    rewritten(tmp_path, "length(city)", "length(email)")
    assert refused(tmp_path)[0] == "approval_changed"
    assert call(tmp_path, "status")[1]["syncs"][0]["paused"] is True
    code, said = call(tmp_path, "approve", "to_crm", "--reject")
    assert (code, [r["sync"] for r in said["rejected"]]) == (0, ["to_crm"])
    assert refused(tmp_path)[0] == "approval_rejected"
    assert call(tmp_path, "run")[0] == 3
    waiting = call(tmp_path, "approve")[1]
    assert (waiting["pending"], waiting["syncs"][0]["state"]) == ([], "rejected")
    assert call(tmp_path, "status")[1]["pending"] == []
    rewritten(tmp_path, "length(email)", "length(city)")
    assert load(tmp_path).run().exit_code == 0
    rewritten(tmp_path, "length(city)", "length(phone)")
    assert refused(tmp_path)[0] == "approval_changed"
    rewritten(tmp_path, "length(phone)", "length(email)")
    approved(tmp_path)
    assert load(tmp_path).run().exit_code == 0


def test_an_approval_that_is_taken_back_holds_no_more(tmp_path: Path) -> None:
    """To reject what was approved takes it out of the file that reviewers see, too."""
    shop(tmp_path, SQL)
    assert call(tmp_path, "approve", "to_crm", "--reject")[0] == 0
    assert read_lock(tmp_path) == {}
    assert refused(tmp_path)[0] == "approval_rejected"
    assert call(tmp_path, "status")[1]["syncs"][0]["paused"] is True


def test_states_follow_each_other(tmp_path: Path) -> None:
    """Discovered, pending once a run was refused, approved by the only member, and shown so."""

    def state() -> str:
        return str(call(tmp_path, "approve")[1]["syncs"][0]["state"])

    make_project(tmp_path, "", text=SQL)
    assert state() == "discovered"
    assert refused(tmp_path)[0] == "not_approved"
    assert state() == "pending"
    code, said = call(tmp_path, "approve", "--all")
    assert (code, said["approved"][0]["self_approved"]) == (0, True)
    assert state() == "approved"
    shown = CliRunner().invoke(app, ["approve", "--all", "--project", str(tmp_path)]).stdout
    assert "(self-approved by the only member)" in shown


def test_old_and_new_are_shown_with_the_rule_that_is_suggested(tmp_path: Path) -> None:
    """And why: what an approver has to know of each column."""
    shop(tmp_path, SQL.replace("length(city)", "city"))
    rewritten(tmp_path, "city AS score", "email AS score")
    [query, score] = call(tmp_path, "approve")[1]["pending"]
    assert (query["change"], query["column"]) == ("changed: query_sha256", None)
    assert (score["column"], score["old"], score["new"]) == (
        "score",
        'lineage: ["people.city"]',
        'lineage: ["people.email"]',
    )
    columns = {c["column"]: c for c in call(tmp_path, "approve")[1]["columns"]}
    assert columns["score"] == {
        "sync": "to_crm",
        "field": "score",
        "column": "score",
        "class": "email",
        "made_of": ["people.email"],
        "rule": "clear",
        "suggested": "clear",
        "why": "Column score is made of people.email, whose name says email. "
        "It goes to a system of one's own.",
    }
    shown = CliRunner().invoke(app, ["approve", "--project", str(tmp_path)]).stdout
    assert 'old: lineage: ["people.city"]' in shown
    assert "score as score (email): suggested clear. Column score is made of" in shown


def test_two_people_approve_by_commands(tmp_path: Path) -> None:
    """Each writes what is to be signed, signs it with a key of theirs, and hands it in."""
    root = tmp_path / "shop"
    alice, bob = (ssh_person(tmp_path, name) for name in ("alice", "bob"))
    people = f"people: {{alice: ['{alice.public}'], bob: ['{bob.public}']}}"
    held = SQL.replace("{name: shop}", f"{{name: shop, approvals: two_people, {people}}}")
    make_project(root, "", text=held)
    file, signature = tmp_path / "statement", tmp_path / "signature"

    def signed(who: Any, *words: str) -> tuple[int, dict[str, Any]]:
        assert call(root, "approve", *words, "--to-sign", str(file))[0] == 0
        signature.write_text(who.sign(file.read_bytes()), "ascii")
        return call(root, "approve", *words, "--sign", str(signature))

    assert call(root, "approve", "--all")[1]["error"]["code"] == "people_not_accepted"
    shown = call(root, "approve", "--people")[1]["people"]
    assert (shown["names"], shown["in_force"]) == (["alice", "bob"], None)
    assert call(root, "approve", "--people", "--all")[1]["people"]["in_force"] == shown["digest"]
    assert refused(root)[0] == "not_approved"
    code, said = signed(alice, "to_crm", "--request")
    assert (code, said["requested"][0]["author"]) == (0, "alice")
    assert signed(alice, "to_crm")[1]["error"]["code"] == "approval_same_person"
    code, said = signed(bob, "to_crm")
    assert (code, said["approved"][0]["actor"]) == (0, "bob")
    assert load(root).run().exit_code == 0
    assert call(root, "approve")[1]["syncs"][0]["author"] == "alice"
    text = (root / LOCK_FILE).read_text("utf-8")
    assert "a comment" not in text
    (root / ".mayfly").rename(tmp_path / "away")
    code, said = call(root, "approve", "--check")
    assert (code, [c["code"] for c in said["checked"]]) == (0, [None, None])
    forged = text.replace('"actor": "bob"', '"actor": "carol"')
    (root / LOCK_FILE).write_text(forged, "utf-8")
    code, said = call(root, "approve", "--check")
    assert (code, [c["code"] for c in said["checked"]]) == (3, [None, "approval_signature"])
    (tmp_path / "away").rename(root / ".mayfly")
    (root / LOCK_FILE).write_text(text.replace('"approved": "U', '"approved": "V'), "utf-8")
    assert refused(root)[0] == "approval_signature"
    (root / LOCK_FILE).write_text(text, "utf-8")
    rewritten(root, "approvals: two_people, ", "")
    assert refused(root)[0] == "people_changed"
    rewritten(root, "{name: shop, ", "{name: shop, approvals: two_people, ")
    carol = ssh_person(tmp_path, "carol")
    rewritten(root, "bob: [", f"carol: ['{carol.public}'], bob: [")
    assert refused(root)[0] == "people_changed"
    assert signed(carol, "--people", "--request")[1]["error"]["code"] == "approval_signature"
    assert signed(bob, "--people", "--request")[0] == 0
    assert signed(alice, "--people")[0] == 0
    assert load(root).run().exit_code == 0
    assert NAMESPACE in file.read_text("ascii")
    file.write_text("no signature", "ascii")
    odd = call(root, "approve", "to_crm", "--request", "--sign", str(file))
    assert (odd[0], odd[1]["error"]["code"]) == (3, "approval_signature")


def test_a_first_list_that_is_replaced_is_told_where_another_is_known(tmp_path: Path) -> None:
    """Who writes both files makes them agree: a store, or a digest given to CI, knows the list that
    was accepted; so does either where the files say nothing of two people any more.
    """
    root = tmp_path / "shop"
    alice, bob, mallory = (ssh_person(tmp_path, name) for name in ("alice", "bob", "mallory"))
    people = f"people: {{alice: ['{alice.public}'], bob: ['{bob.public}']}}"
    held = SQL.replace("{name: shop}", f"{{name: shop, approvals: two_people, {people}}}")
    make_project(root, "", text=held)
    digest = call(root, "approve", "--people", "--all")[1]["people"]["digest"]
    code, said = call(root, "approve", "--check")
    assert (code, said["checked"][0]["known"]) == (0, digest)
    rewritten(root, bob.public, mallory.public)
    (root / LOCK_FILE).unlink()
    (root / ".mayfly").rename(tmp_path / "away")
    initialise(root)
    assert call(root, "approve", "--people", "--all")[0] == 0
    (root / ".mayfly").rename(tmp_path / "theirs")
    code, said = call(root, "approve", "--check")
    assert (code, said["checked"][0]["known"]) == (0, None)
    believed = CliRunner().invoke(app, ["approve", "--check", "--project", str(root)]).stdout
    assert "by the file's own first list: give --known DIGEST" in believed
    assert call(root, "approve", "--check", "--known", digest)[0] == 3
    (tmp_path / "away").rename(root / ".mayfly")
    code, said = call(root, "approve", "--check")
    assert (code, said["checked"][0]["code"]) == (3, "people_changed")
    rewritten(root, "approvals: two_people, ", "")
    (root / LOCK_FILE).unlink()
    assert call(root, "approve", "--check")[0] == 3
    (root / ".mayfly").rename(tmp_path / "gone")
    assert call(root, "approve", "--check")[0] == 0
    assert call(root, "approve", "--check", "--known", digest)[0] == 3


def test_to_reject_takes_no_signature(tmp_path: Path) -> None:
    """It only makes stricter: one person stops what two have approved, and two let it go again."""
    root = tmp_path / "shop"
    alice, bob = (ssh_person(tmp_path, name) for name in ("alice", "bob"))
    people = f"people: {{alice: ['{alice.public}'], bob: ['{bob.public}']}}"
    held = SQL.replace("{name: shop}", f"{{name: shop, approvals: two_people, {people}}}")
    make_project(root, "", text=held)
    assert call(root, "approve", "--people", "--all")[0] == 0
    file, signature = tmp_path / "statement", tmp_path / "signature"

    def signed(who: Any, *words: str) -> int:
        assert call(root, "approve", *words, "--to-sign", str(file))[0] == 0
        signature.write_text(who.sign(file.read_bytes()), "ascii")
        return call(root, "approve", *words, "--sign", str(signature))[0]

    def both() -> None:
        assert signed(alice, "to_crm", "--request") == 0
        assert signed(bob, "to_crm") == 0

    both()
    assert load(root).run().exit_code == 0
    assert call(root, "approve", "to_crm", "--reject")[0] == 0
    assert refused(root)[0] == "approval_rejected"
    assert call(root, "approve", "--all")[1]["error"]["code"] == "approval_rejected"
    both()
    assert load(root).run().exit_code == 0


def test_nothing_is_read_before_the_first_approval(tmp_path: Path) -> None:
    """Of a model whose every row fails to be read nobody notices, until it was approved."""
    make_project(tmp_path, "", text=VIEW)
    change(
        tmp_path,
        "CREATE VIEW scores AS SELECT id, CAST(error('read ' || id) AS VARCHAR) AS score "
        "FROM people",
    )
    assert call(tmp_path, "approve")[0] == 0
    [sync] = load(tmp_path).plan().to_dict()["syncs"]
    assert [r["code"] for r in sync["refusals"]] == ["not_approved"]
    assert refused(tmp_path)[0] == "not_approved"
    assert not (tmp_path / "crm.sqlite").exists()
    assert call(tmp_path, "approve", "--all")[0] == 0
    [ended] = load(tmp_path).run().to_dict()["syncs"]
    assert ended["status"] == "failed"
