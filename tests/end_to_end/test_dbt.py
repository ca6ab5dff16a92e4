"""From a model of dbt to a table: marks decide what leaves, and what must be approved again."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from typer.testing import CliRunner

from dbt_projects import CUSTOMERS, TEXT, Json, column, marked, write
from mayfly.api import load
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.config.load import ConfigProblemsError
from mayfly.domain.approval import Compiled, approval_document
from mayfly.domain.errors import ConfigError
from mayfly.services.approvals_lock import read_lock

PARTNER = TEXT.replace("kind: internal, owner: care, reason: answers", "kind: external").replace(
    "    key: [id]\n", "    key: [id]\n    purpose: ads\n"
)
ADS = "    consent: {ads: {column: vip, equals: true, constant: all agreed}}\ndestinations:\n"
PARTNER = PARTNER.replace("destinations:\n", ADS).replace("id: {}", "id: {rule: pseudonym}")


def shop(root: Path, text: str = TEXT, **how: Any) -> Path:
    """A project whose warehouse dbt has built."""
    write(root, text, **how)
    with duckdb.connect(str(root / "shop.duckdb")) as con:
        con.execute("CREATE SCHEMA IF NOT EXISTS analytics")
        con.execute(
            "CREATE OR REPLACE TABLE analytics.dim_customers_v2 AS SELECT i AS id, "
            "'p' || i || '@example.com' AS email, 'Lyon' AS city, TRUE AS vip, i % 5 AS score "
            "FROM range(20) AS r(i)"
        )
    initialise(root)
    return root


def call(root: Path, *words: str) -> tuple[int, Json]:
    """A command's exit code and its document."""
    ended = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    return ended.exit_code, json.loads(ended.stdout)


def remark(root: Path, **meta: object) -> None:
    """The mark of `city` is another."""
    write(root, (root / "mayfly.yml").read_text(), marked("city", **meta))


def test_a_model_of_dbt_arrives(tmp_path: Path) -> None:
    """By validate, plan, approve and run; the plan's bill has the classes that dbt's files give."""
    shop(tmp_path)
    assert call(tmp_path, "validate")[0] == 0
    assert call(tmp_path, "approve", "--all")[0] == 0
    code, planned = call(tmp_path, "plan")
    [sync] = planned["syncs"]
    assert (code, sync["rows"]["added"]) == (0, 20)
    classes = {c["from"]: c["class"] for c in sync["columns"]}
    assert classes == {"id": "none", "email": "email", "city": "personal"}
    assert call(tmp_path, "run")[1]["syncs"][0]["rows"]["delivered"] == 20
    with sqlite3.connect(tmp_path / "crm.sqlite") as crm:
        assert crm.execute("SELECT count(*), max(email) FROM people").fetchone() == (
            20,
            "p9@example.com",
        )


def test_a_model_of_dbt_arrives_from_postgres(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its schema and alias, with the same marks."""
    monkeypatch.setenv("SHOP_DSN", postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as con:
        con.execute("CREATE SCHEMA analytics")
        con.execute(
            "CREATE TABLE analytics.dim_customers_v2 AS SELECT i AS id, "
            "'p' || i || '@example.com' AS email, 'Lyon' AS city, TRUE AS vip, 1 AS score "
            "FROM generate_series(1, 20) AS r(i)"
        )
    text = TEXT.replace(
        "{type: duckdb, path: shop.duckdb}", "{type: postgres, dsn: 'env:SHOP_DSN'}"
    )
    write(tmp_path, text, lambda m: m["metadata"].update(adapter_type="postgres"))
    initialise(tmp_path)
    load(tmp_path).approve(actor="tester")
    [planned] = call(tmp_path, "plan")[1]["syncs"]
    assert [c["class"] for c in planned["columns"]] == ["none", "email", "personal"]
    assert call(tmp_path, "run")[1]["syncs"][0]["rows"]["delivered"] == 20


def test_a_marked_e_mail_is_suppressed(tmp_path: Path) -> None:
    """Though the project files say nothing of it."""
    project = load(shop(tmp_path))
    project.suppress("add", [b'{"kind": "email", "value": "p3@example.com"}'])
    project.approve(actor="tester")
    done = project.run().to_dict()["syncs"][0]
    assert (done["rows"]["delivered"], done["rows"]["suppressed"]) == (19, 1)


def test_a_changed_mark_is_approved_again(tmp_path: Path) -> None:
    """Whether it says more or less; one of a column that is not sent changes nothing."""
    root = shop(tmp_path)
    load(root).approve(actor="tester")
    for meta in ({"mayfly": {"class": "city"}}, {}):
        remark(root, **meta)
        code, refused = call(root, "run")
        assert (code, refused["syncs"][0]["error"]["code"]) == (3, "approval_changed")
        waiting = call(root, "approve")[1]["pending"]
        assert [w["column"] for w in waiting] == ["city"]
        assert "mark" in waiting[0]["change"]
        load(root).approve(actor="tester")
    write(root, change=lambda m: (column("city", {})(m), marked("vip", pii=True)(m)))
    assert call(root, "run")[0] == 0


def test_without_marks_an_approval_is_what_it_was(tmp_path: Path) -> None:
    """A manifest that says nothing of privacy changes no fingerprint."""

    def silent(manifest: Json) -> None:
        manifest["nodes"][CUSTOMERS]["columns"] = {}

    plain = TEXT.replace("ref: dim_customers", "table: analytics.dim_customers_v2")
    root = shop(tmp_path, plain.replace("dbt: {manifest: dbt/manifest.json}\n", ""))
    load(root).approve(actor="tester")
    before = read_lock(root)
    write(root, change=silent)
    project = load(root)
    project.approve(actor="tester")
    assert read_lock(root) == before
    document = approval_document(project.app.project, "to_crm", Compiled())
    assert [c for c in document["columns"] if "mark" in c] == []


def refusals(root: Path) -> set[tuple[str, str | None]]:
    """Why the plan refuses, but for the approval."""
    found = call(root, "plan")[1]["syncs"][0]["refusals"]
    return {(r["code"], r["column"]) for r in found} - {("not_approved", None)}


@pytest.mark.parametrize(
    ("city", "mark", "refused"),
    [
        ("values: [Lyon]", {}, False),
        ("values: [Lyon]", {"pii": True}, True),
        ("class: none, values: [Lyon]", {"pii": True}, True),
        ("values: [Lyon]", {"mayfly": {"class": "country"}}, True),
        ("", {"mayfly": {"class": "country"}}, True),
        ("class: city, values: [Lyon]", {"pii": True}, False),
        ("class: city, values: [Lyon]", {"mayfly": {"class": "city"}}, False),
        ("rule: pseudonym", {"pii": True}, False),
    ],
)
def test_what_is_marked_does_not_go_to_a_third_party_in_clear(
    tmp_path: Path, city: str, mark: Json, refused: bool
) -> None:
    """Except where the project files say as much, and how it may leave all the same."""
    text = PARTNER.replace("email: {}, city: {}", f"email: {{rule: pseudonym}}, city: {{{city}}}")
    shop(tmp_path, text, change=marked("city", **mark))
    assert refusals(tmp_path) == ({("marked_in_dbt", "city")} if refused else set())


def test_a_special_category_never_goes_to_a_third_party(tmp_path: Path) -> None:
    """Whatever the project files say of it."""
    text = PARTNER.replace("email: {}, city: {}", "email: {rule: pseudonym}, city: {class: city}")
    shop(tmp_path, text, change=marked("city", mayfly={"class": "special"}))
    assert refusals(tmp_path) == {("special_category", "city")}


def test_what_waits_is_ended_without_a_manifest(tmp_path: Path) -> None:
    """Dbt removes the file as it likes; nothing else can be done meanwhile."""
    root = shop(tmp_path)
    load(root).approve(actor="tester")
    (root / "dbt/manifest.json").unlink()
    assert [call(root, words)[0] for words in ("sweep", "purge", "validate")] == [0, 0, 1]
    with pytest.raises(ConfigProblemsError, match="missing_file"):
        load(root)
    with pytest.raises(ConfigError, match="dbt_not_read"):
        load(root, ending=True).plan()


TO_META = """  meta:
    type: meta_ads
    account_id: "1"
    access_token: env:META_TOKEN
    endpoint: sandbox
syncs:
  to_meta:
    id: to_meta
    model: customers
    destination: meta
    mode: audience
    audience: VIP
    purpose: ads
    mapping: {EMAIL: email, MADID: city}
"""


def to_meta(root: Path, mark: Json, *, alias: str = "dim_customers_v2") -> Path:
    """A project that sends `city` in the one clear field that is an identifier."""

    def change(manifest: Json) -> None:
        marked("city", **mark)(manifest)
        manifest["nodes"][CUSTOMERS]["alias"] = alias

    shop(root, PARTNER.partition("syncs:\n")[0] + TO_META, change=change)
    with duckdb.connect(str(root / "shop.duckdb")) as con:
        con.execute(
            f"CREATE VIEW IF NOT EXISTS analytics.{alias} AS FROM analytics.dim_customers_v2"
        )
    return root


@pytest.mark.parametrize(
    ("mark", "refused"),
    [
        ({}, False),
        ({"mayfly": {"class": "device_id"}}, False),
        ({"mayfly": {"class": "username"}}, True),
    ],
)
def test_a_clear_field_of_a_platform_takes_no_other_class(
    tmp_path: Path, mark: Json, refused: bool
) -> None:
    """That the project files say nothing of the column does not make it fit."""
    to_meta(tmp_path, mark)
    assert refusals(tmp_path) == ({("marked_in_dbt", "city")} if refused else set())


def test_a_marked_class_does_not_quiet_the_guard(tmp_path: Path) -> None:
    """A table of telephone numbers warns of each column whose class nobody declared."""
    project = load(to_meta(tmp_path, {"mayfly": {"class": "device_id"}}, alias="phone_numbers"))
    policy = project.app.compile(project.app.project.syncs["to_meta"], run="plan").policy
    assert policy is not None
    assert [f.says_phone for f in policy.fields if f.name == "MADID"] == [True]


def test_a_blocked_column_leaves_by_no_command(tmp_path: Path) -> None:
    """What would open the project says where the mapping stands."""
    root = shop(tmp_path)
    load(root).approve(actor="tester")
    remark(root, blocked=True)
    code, said = call(root, "validate")
    assert code == 1
    assert [(p["file"], p["line"], p["code"]) for p in said["problems"]] == [
        ("mayfly.yml", 25, "mark_blocked")
    ]
    with pytest.raises(ConfigProblemsError, match="mark_blocked"):
        load(root)
