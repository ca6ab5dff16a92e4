"""Each fault in the project files is reported with its file, line, column, code and way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mayfly.config.load import ConfigProblemsError, load_project, validate_project
from mayfly.domain.settings import Problem

EXAMPLE = (Path(__file__).parent / "example.yml").read_text("utf-8")
Change = Callable[[str], str]


def _swap(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert text.count(old) == 1, old
        return text.replace(old, new)

    return change


def _add(new: str) -> Change:
    return lambda text: text + new


def _found(root: Path, text: str, *, target: str = "dev") -> list[Problem]:
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    return validate_project(root, target=target)


CRM = "destinations:\n  crm: {type: sqlite, path: crm.db, kind: internal, owner: a, reason: b}\n"


def _to_crm(sync: str) -> Change:
    """The example with a second sync into a database; it stands in line 36."""

    def change(text: str) -> str:
        text = text.replace("destinations:\n", CRM, 1)
        head = "id: own, model: customers, destination: crm"
        return f"{text}  own: {{{head}, {sync}}}\n"

    return change


# The change to the example; line, column and code of the one problem; a part of message or hint.
RULES: dict[str, tuple[Change, int, int, str, str]] = {
    "unknown key at the top": (_add("sorces: {}\n"), 35, 1, "unknown_key", "Did you mean sources?"),
    "unknown key of a sync": (
        _swap("    purpose: ads", "    purpos: ads"),
        32,
        5,
        "unknown_key",
        "Did you mean purpose?",
    ),
    "unknown key of a column": (
        _swap("{class: email}", "{clas: email}"),
        15,
        15,
        "unknown_key",
        "Did you mean class?",
    ),
    "unknown key of residency": (
        _swap("geography: eu", "geograpy: eu"),
        2,
        68,
        "unknown_key",
        "Did you mean geography?",
    ),
    "unknown key in a target": (
        _swap("prod: {}", "prod: {destination: {}}"),
        5,
        68,
        "unknown_key",
        "Did you mean destinations?",
    ),
    "missing key": (_swap("    id: vip_to_meta\n", ""), 26, 3, "missing_key", "Names its state;"),
    "missing account": (
        _swap('    account_id: "1234567890"\n', ""),
        21,
        3,
        "missing_key",
        "`account_id` is missing The ad account, quoted. For instance 1234567890.",
    ),
    "missing version": (_swap("version: 1\n", ""), 1, 1, "missing_key", "`version`"),
    "missing type": (_swap("type: duckdb, ", ""), 7, 3, "missing_key", "duckdb, files, postgres"),
    "another version": (_swap("version: 1", "version: 2"), 1, 10, "not_allowed", "Allowed: 1"),
    "value not allowed": (
        _swap("mode: audience", "mode: audiance"),
        30,
        11,
        "not_allowed",
        "Did you mean audience? Allowed: upsert, mirror, append, audience.",
    ),
    "type not allowed": (
        _swap("type: meta_ads", "type: meta"),
        22,
        11,
        "not_allowed",
        "Did you mean meta_ads?",
    ),
    "class not allowed": (
        _swap("{class: phone", "{class: phne"),
        16,
        22,
        "not_allowed",
        "Did you mean phone?",
    ),
    "rule not allowed": (
        _swap("rule: pseudonym", "rule: pseudonim"),
        17,
        26,
        "not_allowed",
        "Did you mean pseudonym?",
    ),
    "number for text": (
        _swap('"1234567890"', "1234567890"),
        23,
        17,
        "wrong_type",
        "Quote it.",
    ),
    "text for a list": (
        _swap("[customer_id]", "customer_id"),
        12,
        18,
        "wrong_type",
        "expected a list, found text",
    ),
    "bad name of a source": (
        _swap("  shop: {type", "  Shop: {type"),
        7,
        3,
        "bad_name",
        "begin with a letter",
    ),
    "name that is SQL": (
        _swap("  vip_to_meta:\n", '  "x */ ; drop table customers; --":\n'),
        26,
        3,
        "bad_name",
        "drop table",
    ),
    "bad id": (_swap("id: vip_to_meta", "id: vip-to-meta"), 27, 9, "bad_name", "at most 63"),
    "bad purpose": (
        _swap("      ads: {column", "      Ads: {column"),
        19,
        7,
        "bad_name",
        "at most 63",
    ),
    "literal token": (
        _swap("env:META_TOKEN", "hunter2secret"),
        24,
        19,
        "literal_secret",
        "env:NAME",
    ),
    "bad variable": (_swap("env:META_TOKEN", "env:a b"), 24, 19, "bad_reference", "META_TOKEN"),
    "relative secret": (
        _swap("env:META_TOKEN", "file:token"),
        24,
        19,
        "relative_secret",
        "file:~/token",
    ),
    "literal secret of the app": (
        _swap("env:META_TOKEN", "env:A\n    app_secret: abcdef"),
        25,
        17,
        "literal_secret",
        "env:NAME",
    ),
    "literal dsn": (
        _swap("type: duckdb, path: shop.duckdb", "type: postgres, dsn: 'host=a password=b'"),
        7,
        31,
        "literal_secret",
        "env:NAME",
    ),
    "password in the store": (
        _swap("url: sqlite", "url: 'postgresql+psycopg://a:b@db/x'"),
        4,
        14,
        "literal_secret",
        "env:NAME",
    ),
    "password in the store's options": (
        _swap("url: sqlite", "url: 'postgresql+psycopg://db/x?password=b'"),
        4,
        14,
        "literal_secret",
        "env:NAME",
    ),
    "literal secret in a target's store": (
        _swap("dev: {", "dev: {store: {url: 'postgresql+psycopg://a:b@c/d'}, "),
        5,
        30,
        "literal_secret",
        "env:NAME",
    ),
    "literal secret in the store of a target not chosen": (
        _swap("prod: {}", "prod: {store: {url: 'postgresql+psycopg://a:b@c/d'}}"),
        5,
        81,
        "literal_secret",
        "env:NAME",
    ),
    "account that is no number": (
        _swap('"1234567890"', "vip"),
        23,
        17,
        "bad_format",
        "Ads Manager",
    ),
    "version of the API": (
        _swap("    account_id:", "    api_version: latest\n    account_id:"),
        23,
        18,
        "bad_format",
        "v26.0",
    ),
    "memory without a unit": (
        _swap("state: source}", "memory_limit: '2'}"),
        7,
        57,
        "bad_format",
        "2GB",
    ),
    "another store": (_swap("url: sqlite", "url: mysql"), 4, 14, "store_url", "sqlite"),
    "key of another destination": (
        _swap("    account_id:", "    dsn: env:A\n    account_id:"),
        23,
        5,
        "key_of_other_type",
        "no key of type meta_ads, but of postgres",
    ),
    "key of another source": (
        _swap("path: shop.duckdb,", "path: a, dsn: env:A,"),
        7,
        33,
        "key_of_other_type",
        "no key of type duckdb, but of postgres",
    ),
    "an ad platform is not internal": (
        _swap("    account_id:", "    kind: internal\n    account_id:"),
        23,
        11,
        "not_allowed",
        "external",
    ),
    "a folder keeps no state": (
        _swap("type: duckdb, path: shop.duckdb", "type: files, path: exports"),
        7,
        45,
        "not_allowed",
        "local",
    ),
    "endpoint elsewhere": (
        _swap("endpoint: sandbox", "endpoint: 'http://evil.example'"),
        5,
        49,
        "endpoint_refused",
        "sandbox",
    ),
    "endpoint by name": (
        _swap("endpoint: sandbox", "endpoint: 'http://localhost:9000'"),
        5,
        49,
        "endpoint_refused",
        "127.0.0.1",
    ),
    "endpoint without a port": (
        _swap("endpoint: sandbox", "endpoint: 'http://127.0.0.1:0'"),
        5,
        49,
        "endpoint_refused",
        "127.0.0.1",
    ),
    "fault of a target not chosen": (
        _swap("prod: {}", "prod: {destinations: {meta: {acount_id: '1'}}}"),
        5,
        90,
        "unknown_key",
        "Did you mean account_id?",
    ),
    "equals and in": (
        _swap("equals: true,", "equals: true, in: [true],"),
        19,
        47,
        "consent_values",
        "one of equals and in",
    ),
    "neither equals nor in": (
        _swap("equals: true, ", ""),
        19,
        7,
        "consent_values",
        "one of equals and in",
    ),
    "consent without a column": (
        _swap("column: ads_opt_in, ", ""),
        19,
        7,
        "missing_key",
        "`column`",
    ),
    "no such source": (
        _swap("source: shop", "source: shp"),
        10,
        13,
        "unknown_source",
        "Did you mean shop?",
    ),
    "no such model": (
        _swap("model: customers", "model: custmers"),
        28,
        12,
        "unknown_model",
        "Did you mean customers?",
    ),
    "no such destination": (
        _swap("destination: meta", "destination: mta"),
        29,
        18,
        "unknown_destination",
        "Did you mean meta?",
    ),
    "no such column": (
        _swap("EMAIL: email", "EMAIL: emial"),
        33,
        22,
        "unknown_column",
        "Did you mean email?",
    ),
    "empty mapping": (
        _swap("{EMAIL: email, PHONE: phone}", "{}"),
        33,
        14,
        "empty",
        "at least one",
    ),
    "primary key not declared": (
        _swap("[customer_id]", "[customer_id, custmer]"),
        12,
        32,
        "unknown_column",
        "Did you mean customer_id?",
    ),
    "primary key twice": (
        _swap("[customer_id]", "[customer_id, customer_id]"),
        12,
        32,
        "duplicate_column",
        "stands twice",
    ),
    "no primary key": (_swap("[customer_id]", "[]"), 12, 18, "empty", "at least one"),
    "table and sql": (
        _swap("table: customers", "table: customers\n    sql: select 1"),
        12,
        5,
        "model_body",
        "found table and sql",
    ),
    "neither table nor sql": (_swap("    table: customers\n", ""), 9, 3, "model_body", "none"),
    "bad table": (
        _swap("table: customers", "table: a.b.c"),
        11,
        12,
        "bad_table",
        "schema.name",
    ),
    "country in small letters": (
        _swap("default_country: FR", "default_country: fr"),
        16,
        46,
        "bad_country",
        "FR",
    ),
    "two countries": (
        _swap("default_country: FR", "default_country: FR, default_country_column: land"),
        16,
        50,
        "two_countries",
        "one of default_country and",
    ),
    "minimum above maximum": (
        _swap("rule: pseudonym", "minimum: 2, maximum: 1"),
        17,
        29,
        "out_of_range",
        "minimum is above maximum",
    ),
    "threshold above one": (
        _swap("schedule: every 15 minutes", "withheld_threshold: 2"),
        34,
        25,
        "out_of_range",
        "at most 1",
    ),
    "batch without rows": (
        _swap("schedule: every 15 minutes", "batch_rows: 0"),
        34,
        17,
        "out_of_range",
        "more than 0",
    ),
    "audience missing": (
        _swap("    audience: VIP customers\n", ""),
        26,
        3,
        "missing_key",
        "`audience`",
    ),
    "table for an audience": (
        _swap("    audience: VIP", "    table: a\n    audience: VIP"),
        31,
        5,
        "key_of_other_type",
        "`table` means nothing",
    ),
    "mode of a database": (
        _swap("mode: audience", "mode: mirror"),
        30,
        11,
        "mode_not_supported",
        "Allowed: audience, upsert.",
    ),
    "table missing": (
        _to_crm("mode: upsert, key: [id], mapping: {id: customer_id}"),
        36,
        3,
        "missing_key",
        "`table`",
    ),
    "key missing": (
        _to_crm("mode: mirror, table: t, mapping: {id: customer_id}"),
        36,
        3,
        "missing_key",
        "`key`",
    ),
    "key not mapped": (
        _to_crm("mode: upsert, table: t, key: [ida], mapping: {id: customer_id}"),
        36,
        84,
        "key_not_mapped",
        "Did you mean id?",
    ),
    "audience for a database": (
        _to_crm("mode: append, table: t, audience: a, mapping: {id: customer_id}"),
        36,
        78,
        "key_of_other_type",
        "`audience` means nothing",
    ),
    "internal without an owner": (
        lambda text: _to_crm("mode: append, table: t, mapping: {id: customer_id}")(text).replace(
            "owner: a, ", ""
        ),
        21,
        37,
        "missing_key",
        "`owner`",
    ),
    "internal without a reason": (
        lambda text: _to_crm("mode: append, table: t, mapping: {id: customer_id}")(text).replace(
            ", reason: b", ""
        ),
        21,
        37,
        "missing_key",
        "`reason`",
    ),
    "duplicate id": (
        lambda text: _to_crm("mode: append, table: t, mapping: {id: customer_id}")(text).replace(
            "id: own", "id: vip_to_meta"
        ),
        36,
        13,
        "duplicate_id",
        "vip_to_meta",
    ),
    "no such file": (
        _swap("table: customers", "file: models/none.sql"),
        11,
        11,
        "missing_file",
        "no such file",
    ),
    "file outside": (_swap("table: customers", "file: ../a.sql"), 11, 11, "bad_file", "below"),
    "duplicate YAML key": (
        _add("version: 1\n"),
        35,
        1,
        "duplicate_key",
        "first in line 1",
    ),
    "anchor": (_swap("{class: email}", "&a {class: email}"), 15, 14, "anchor", "Write the value"),
    "tag": (_swap("{class: email}", "!x {class: email}"), 15, 14, "tag", "`!`"),
    "merge key": (_swap("{class: email}", "{<<: {class: email}}"), 15, 15, "merge_key", "keys out"),
    "directive": (lambda text: "%YAML 1.1\n---\n" + text, 1, 1, "directive", "%"),
    "tab": (_swap("  shop: {type", "\tshop: {type"), 7, 1, "tab", "Use spaces."),
    "control character": (_swap("VIP", "V\x07P"), 31, 16, "control_character", ""),
    "escaped control character": (
        _swap("audience: VIP customers", 'audience: "a\\0b"'),
        31,
        15,
        "control_character",
        "",
    ),
    "number as a key": (_swap("EMAIL: email", "1: email"), 33, 15, "bad_key", "Quote"),
    "second colon": (_swap("mode: audience", "mode: a: b"), 30, 12, "yaml", "Quote the text."),
    "second document": (_add("---\nversion: 1\n"), 35, 1, "yaml", "one document"),
    "a list": (lambda text: "- 1\n", 1, 1, "wrong_type", "key: …"),
    "too deep": (lambda text: "a: " + "[" * 40 + "]" * 40, 1, 33, "too_deep", "30 levels"),
    "line too long": (_swap("VIP customers", "x" * 256), 31, 15, "bad_text", "255"),
}


@pytest.mark.parametrize("rule", RULES)
def test_fault_is_reported_where_it_stands(tmp_path: Path, rule: str) -> None:
    """One fault gives one problem, at the line and column of the key or value concerned."""
    change, line, column, code, part = RULES[rule]
    problems = _found(tmp_path, change(EXAMPLE))
    assert [(p.file, p.line, p.column, p.code) for p in problems] == [
        ("mayfly.yml", line, column, code)
    ]
    assert part in f"{problems[0].message} {problems[0].hint}"


def test_example_has_no_fault(tmp_path: Path) -> None:
    """What the faults are made in is sound, with every target."""
    assert _found(tmp_path, EXAMPLE) == []
    assert _found(tmp_path, EXAMPLE, target="prod") == []
    text = _to_crm("mode: upsert, table: t, key: [id], mapping: {id: customer_id}")(EXAMPLE)
    assert _found(tmp_path, text) == []


@pytest.mark.parametrize(
    "secret",
    ["hunter2secret", "env:has space hunter2", "file:hunter2"],
)
def test_secret_is_never_repeated(tmp_path: Path, secret: str) -> None:
    """A secret written into the files appears in no problem and no error text."""
    (tmp_path / "mayfly.yml").write_text(EXAMPLE.replace("env:META_TOKEN", secret), "utf-8")
    with pytest.raises(ConfigProblemsError) as caught:
        load_project(tmp_path)
    assert "hunter2" not in str(caught.value) + repr(caught.value.problems)


def test_all_problems_are_collected(tmp_path: Path) -> None:
    """Faults in several parts are all reported, in the order of the file."""
    text = EXAMPLE.replace("version: 1", "version: 3").replace("{class: phone", "{class: fone")
    text = text.replace("    audience: VIP customers\n", "").replace("env:META_TOKEN", "abc")
    (tmp_path / "mayfly.yml").write_text(text + "extra: 1\n", "utf-8")
    with pytest.raises(ConfigProblemsError) as caught:
        load_project(tmp_path)
    assert [(p.line, p.code) for p in caught.value.problems] == [
        (1, "not_allowed"),
        (16, "not_allowed"),
        (24, "literal_secret"),
        (34, "unknown_key"),
    ]
    assert "(and 3 more)" in caught.value.message


def test_faulty_part_is_not_called_missing(tmp_path: Path) -> None:
    """A sync that names a faulty model is not itself reported."""
    problems = _found(tmp_path, EXAMPLE.replace("[customer_id]", "[]"))
    assert [p.code for p in problems] == ["empty"]


@pytest.mark.parametrize(
    ("target", "text", "hint"),
    [
        ("pord", EXAMPLE, "Did you mean prod? Allowed: dev, prod."),
        ("prod", "version: 1\nworkspace: {name: shop}\n", "Allowed: dev."),
        ("dev", "version: 1\nworkspace: {name: shop}\ntargets: {live: {}}\n", "Allowed: live."),
    ],
)
def test_unknown_target_names_those_that_exist(
    tmp_path: Path, target: str, text: str, hint: str
) -> None:
    """A target that is not declared is refused, `dev` too where others are declared."""
    problems = _found(tmp_path, text, target=target)
    assert [(p.code, p.hint) for p in problems] == [("unknown_target", hint)]


def test_problem_as_text_and_json(tmp_path: Path) -> None:
    """A problem prints as one clickable line and its hint, and as a flat document."""
    (problem,) = _found(tmp_path, EXAMPLE + "sorces: {}\n")
    first, second = problem.to_text().split("\n")
    assert first == 'mayfly.yml:35:1: unknown key "sorces" [unknown_key]'
    assert second.startswith("  → Did you mean sources? Allowed: version, workspace, ")
    assert problem.to_dict() == {
        "file": "mayfly.yml",
        "line": 35,
        "column": 1,
        "code": "unknown_key",
        "message": 'unknown key "sorces"',
        "hint": problem.hint,
    }
