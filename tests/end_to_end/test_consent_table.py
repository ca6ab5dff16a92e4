"""Consent from a table of events beside the model, on real engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from end_to_end.projects import approved, digests, members
from mayfly.api import Project, load
from mayfly.api.grants import least_grants
from mayfly.bootstrap import initialise
from mayfly.cli.render import run_text
from mayfly.domain.errors import ConfigError
from mayfly.sandbox.server import SandboxServer
from mayfly.services.events import Event, WithdrawalsLate

FILES = """
version: 1
workspace: {name: shop}
sources:
  shop: SOURCE
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}}
    consent:
      ads:
        lawful_basis: consent
        notice_version: "2026-03"
        table:
          name: consents
          subject: person
          purpose: about
          purposes: [ads, Ads]
          state: said
          granted: [given]
          time: told_at
          valid_until: ends
          without_end: true
destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email}
"""
MADE = (
    "CREATE TABLE people (id bigint, email varchar)",
    "CREATE TABLE consents (person bigint, about varchar, said varchar, told_at timestamp, "
    "ends timestamp)",
    "INSERT INTO people VALUES (1, 'p1@example.com'), (2, 'p2@example.com'), "
    "(3, 'p3@example.com'), (4, 'p4@example.com'), (5, 'p5@example.com'), (6, 'p6@example.com')",
    "INSERT INTO consents VALUES (1, 'ads', 'given', '2026-01-01', NULL), "
    "(2, 'Ads', 'given', '2026-01-01', '2099-01-01'), (3, 'ads', 'given', '2026-01-01', "
    "'2026-02-01'), (4, 'mail', 'given', '2026-01-01', NULL), (5, 'ads', 'Given', '2026-01-01', "
    "NULL), (6, 'ads', 'withdrawn', '2026-01-01', NULL), (6, 'ads', 'given', '2026-01-02', NULL)",
)
Change = Callable[[str], None]


@pytest.fixture(params=["duckdb", "duckdb beside", "postgres", "postgres beside"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, Change]:
    """A source as the project file names it, and what changes it; its state in it or beside it."""
    beside = ", state: local" if "beside" in request.param else ""
    if request.param.startswith("duckdb"):

        def change(statement: str) -> None:
            with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
                connection.execute(statement)

        text = f"{{type: duckdb, path: shop.duckdb{beside}}}"
    else:
        dsn = request.getfixturevalue("postgres_database")
        monkeypatch.setenv("WAREHOUSE_DSN", dsn)

        def change(statement: str) -> None:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(statement.encode())

        text = f'{{type: postgres, dsn: "env:WAREHOUSE_DSN"{beside}}}'
    for statement in MADE:
        change(statement)
    return text, change


def begin(root: Path, source: str, url: str, text: str = FILES) -> Project:
    """The approved project."""
    written = text.replace("SOURCE", source).replace("URL", url)
    (root / "mayfly.yml").write_text(written, encoding="utf-8")
    initialise(root)
    return approved(root)


def people(*numbers: int) -> set[str]:
    """What the audience holds of them."""
    return digests(*(f"p{n}@example.com" for n in numbers))


def test_the_latest_event_decides(
    shop: tuple[str, Change], tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Who agreed is sent; of who withdraws, or agrees to nothing clear, all is taken back."""
    source, change = shop
    project = begin(tmp_path, source, sandbox.url)
    assert project.run().exit_code == 0
    assert members(sandbox) == people(1, 2, 6)
    change("INSERT INTO consents VALUES (1, 'ads', 'withdrawn', '2026-03-01', NULL)")
    change("INSERT INTO consents VALUES (3, 'ads', 'given', '2026-03-01', NULL)")
    change("INSERT INTO consents VALUES (6, 'ads', 'withdrawn', '2026-01-02', NULL)")
    assert project.run().exit_code == 0
    assert members(sandbox) == people(2, 3)
    assert project.run().to_dict()["syncs"][0]["status"] == "no_changes"


@pytest.mark.parametrize("shop", ["duckdb"], indirect=True)
def test_a_plan_tells_the_basis_and_counts(
    shop: tuple[str, Change], tmp_path: Path, sandbox: SandboxServer
) -> None:
    """Table, basis and notice, how many rows grant and how many are withheld."""
    source, _ = shop
    [plan] = begin(tmp_path, source, sandbox.url).plan().to_dict()["syncs"]
    assert plan["consent"] == {
        "column": None,
        "table": "consents",
        "lawful_basis": "consent",
        "notice_version": "2026-03",
        "granted": 3,
        "constant": False,
        "constant_reason": None,
    }
    assert plan["rows"]["withheld_consent"] == 3


@pytest.mark.parametrize("shop", ["duckdb", "postgres beside"], indirect=True)
def test_column_and_table_must_agree(
    shop: tuple[str, Change], tmp_path: Path, sandbox: SandboxServer
) -> None:
    """A yes of one and a no of the other is a no."""
    source, change = shop
    change("ALTER TABLE people ADD COLUMN ads boolean")
    change("UPDATE people SET ads = id IN (1, 3)")
    text = FILES.replace(
        "        table:\n", "        column: ads\n        equals: true\n        table:\n"
    )
    project = begin(tmp_path, source, sandbox.url, text)
    assert project.run().exit_code == 0
    assert members(sandbox) == people(1)


def refusals(project: Project) -> list[tuple[str, str | None]]:
    """Of the plan."""
    [plan] = project.plan().to_dict()["syncs"]
    return [(r["code"], r["column"]) for r in plan["refusals"]]


@pytest.mark.parametrize(
    ("change", "code", "column"),
    [
        (("told_at timestamp", "told_at varchar"), "consent_time_type", "told_at"),
        (("ends timestamp", "ends bigint"), "consent_time_type", "ends"),
        (("person bigint", "person varchar"), "consent_subject_type", "person"),
        (("said varchar", "said boolean"), "consent_spelling_type", "said"),
    ],
)
def test_types_are_checked_when_planned(
    tmp_path: Path, sandbox: SandboxServer, change: tuple[str, str], code: str, column: str
) -> None:
    """What cannot be compared is refused by its column, before a row is read."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in MADE[:2]:
            connection.execute(statement.replace(*change))
    text = FILES.replace("SOURCE", "{type: duckdb, path: shop.duckdb}").replace("URL", sandbox.url)
    (tmp_path / "mayfly.yml").write_text(text)
    initialise(tmp_path)
    assert (code, column) in refusals(load(tmp_path))


@pytest.mark.parametrize("shop", ["duckdb", "postgres"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "code", "words"),
    [
        ("DROP TABLE consents", "table_missing", "Consent table consents (purpose ads)"),
        ("ALTER TABLE consents DROP COLUMN said", "column_missing", "Consent table consents"),
    ],
)
def test_a_table_that_is_not_there_is_named(
    shop: tuple[str, Change],
    tmp_path: Path,
    sandbox: SandboxServer,
    statement: str,
    code: str,
    words: str,
) -> None:
    """When planned, with what is missing."""
    source, change = shop
    project = begin(tmp_path, source, sandbox.url)
    change(statement)
    with pytest.raises(ConfigError) as caught:
        project.plan()
    assert (caught.value.code, words in caught.value.message) == (code, True)


def test_another_binding_needs_another_approval(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Spellings of yes are part of it."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in MADE:
            connection.execute(statement)
    begin(tmp_path, "{type: duckdb, path: shop.duckdb}", sandbox.url)
    path = tmp_path / "mayfly.yml"
    path.write_text(path.read_text().replace("granted: [given]", "granted: [given, Given]"))
    ended: dict[str, Any] = load(tmp_path).run().to_dict()["syncs"][0]
    assert (ended["status"], ended["error"]["code"]) == ("refused", "approval_changed")
    assert "consent (table)" in ended["error"]["message"]


def test_a_table_that_grants_all_needs_a_word(tmp_path: Path, sandbox: SandboxServer) -> None:
    """It is counted in the plan, refused in plan and run, and let through once it is approved."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in MADE[:2]:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO people SELECT i, 'p' || i || '@example.com' FROM range(100) r(i)"
        )
        connection.execute(
            "INSERT INTO consents SELECT i, 'ads', 'given', TIMESTAMP '2026-01-01', NULL "
            "FROM range(100) r(i)"
        )
    project = begin(tmp_path, "{type: duckdb, path: shop.duckdb}", sandbox.url)
    [plan] = project.plan().to_dict()["syncs"]
    assert (plan["consent"]["granted"], plan["consent"]["constant"]) == (100, True)
    assert refusals(project) == [("consent_constant", None)]
    result = project.run()
    assert result.exit_code == 3
    assert result.to_dict()["syncs"][0]["error"]["code"] == "consent_constant"
    path = tmp_path / "mayfly.yml"
    word = "        constant: only members are in the model\n"
    path.write_text(path.read_text().replace("        table:\n", f"{word}        table:\n"))
    assert load(tmp_path).run().exit_code == 3  # nobody has approved the word yet
    assert approved(tmp_path).run().exit_code == 0
    assert len(members(sandbox)) == 100


def test_it_is_told_how_long_a_withdrawal_took(
    tmp_path: Path, sandbox: SandboxServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the table's time to the answer; past a day that is an alert."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in MADE:
            connection.execute(statement)
    project = begin(tmp_path, "{type: duckdb, path: shop.duckdb}", sandbox.url)
    [first] = project.run().to_dict()["syncs"]
    assert first["withdrawal_seconds"]["answered"] == 0
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "INSERT INTO consents "
            "SELECT i, 'ads', 'withdrawn', now()::TIMESTAMP - to_hours(h), NULL "
            "FROM (VALUES (1, 2), (2, 30)) AS t(i, h)"
        )
    heard: list[Event] = []
    project.app.tell = heard.append
    result = project.run()
    late = [e for e in heard if isinstance(e, WithdrawalsLate)]
    assert [(e.sync, e.late, e.waiting) for e in late] == [("to_meta", 1, 0)]
    told = result.to_dict()["syncs"][0]["withdrawal_seconds"]
    assert (told["answered"], told["waiting"], told["late"]) == (2, 0, 1)
    assert 7_200 <= told["p50"] < 7_800
    assert 108_000 <= told["p95"] == told["max"] < 108_600
    run_text(result)
    shown = capsys.readouterr().out
    assert "withdrawals answered: 2, after p50 2.0 h, p95 30.0 h, longest 30.0 h" in shown
    assert "1 withdrawals were not answered within 24 hours" in shown


def test_a_column_may_say_since_when(tmp_path: Path, sandbox: SandboxServer) -> None:
    """`withdrawn_at`, of a binding by column."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@example.com' AS email, "
            "TRUE AS ads, NULL::TIMESTAMPTZ AS left_at FROM range(3) r(i)"
        )
    before, _, after = FILES.partition("        table:\n")
    after = after.partition("destinations:")[2]
    bound = "        column: ads\n        equals: true\n        withdrawn_at: left_at\n"
    text = f"{before}{bound}destinations:{after}"
    project = begin(tmp_path, "{type: duckdb, path: shop.duckdb}", sandbox.url, text)
    assert project.run().exit_code == 0
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(
            "UPDATE people SET ads = FALSE, left_at = now() - INTERVAL 5 HOUR WHERE id = 1"
        )
        connection.execute("UPDATE people SET ads = FALSE WHERE id = 2")
    [ended] = project.run().to_dict()["syncs"]
    told = ended["withdrawal_seconds"]
    assert (told["answered"], ended["rows"]["removed"]) == (1, 2)
    assert 18_000 <= told["max"] < 18_600


@pytest.mark.parametrize(
    ("written", "refused"),
    [
        ("TRUE AS ads", True),
        ("CASE WHEN 1 = 1 THEN TRUE END AS ads", True),
        ("ads", False),
        ("id > 0 AS ads", False),
        ("EXISTS (SELECT 1 FROM consents c WHERE c.person = id) AS ads", False),
        ("(SELECT count(*) > 0 FROM consents) AS ads", False),
    ],
)
def test_a_model_that_writes_the_answer_itself_needs_a_word(
    tmp_path: Path, sandbox: SandboxServer, written: str, refused: bool
) -> None:
    """Of one row, too."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute(MADE[1])
        connection.execute(
            "CREATE TABLE people AS SELECT 1 AS id, 'p1@example.com' AS email, TRUE AS ads"
        )
    before, _, after = FILES.partition("        table:\n")
    after = after.partition("destinations:")[2]
    bound = "        column: ads\n        equals: true\n"
    text = f"{before}{bound}destinations:{after}".replace(
        "    table: people\n", f'    sql: "SELECT id, email, {written} FROM people"\n'
    )
    project = begin(tmp_path, "{type: duckdb, path: shop.duckdb}", sandbox.url, text)
    assert (("consent_constant", "ads") in refusals(project)) is refused
    assert project.run().exit_code == (3 if refused else 0)
    word = "        constant: the list is of members\n"
    path = tmp_path / "mayfly.yml"
    path.write_text(path.read_text().replace(bound, f"{bound}{word}"))
    assert approved(tmp_path).run().exit_code == 0


def test_a_trial_needs_no_consent_table(tmp_path: Path, sandbox: SandboxServer) -> None:
    """Who does not exist has said nothing: they are sent, and taken back."""
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        for statement in MADE:
            connection.execute(statement)
    project = begin(tmp_path, "{type: duckdb, path: shop.duckdb}", sandbox.url)
    document = project.test("meta")
    assert (document["ok"], document["left"]) == (True, 0)
    assert members(sandbox) == set()


def test_the_least_grants_name_the_consent_table(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its columns that are read, and no other."""
    monkeypatch.setenv("WAREHOUSE_DSN", postgres_database)
    text = FILES.replace("SOURCE", '{type: postgres, dsn: "env:WAREHOUSE_DSN"}')
    (tmp_path / "mayfly.yml").write_text(text.replace("URL", "http://127.0.0.1:9"))
    initialise(tmp_path)
    script = " ".join(least_grants(tmp_path, "shop", target="dev")["grants"])
    assert "consents" in script
    for column in ("person", "about", "said", "told_at", "ends"):
        assert column in script
