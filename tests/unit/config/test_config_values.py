"""What the layers above get from sound project files, and where secrets come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.config.load import load_project, validate_project
from mayfly.config.secrets import Secret, parse_reference, resolve, resolve_store_url
from mayfly.domain.classes import CLASSES
from mayfly.domain.errors import ConfigError
from mayfly.domain.names import is_name, nearest
from mayfly.domain.settings import (
    ColumnSettings,
    ConsentBinding,
    ConsentTableSettings,
    Project,
    SecretRef,
)

HEAD = "version: 1\nworkspace: {name: shop}\n"
EXAMPLE = (Path(__file__).parent / "example.yml").read_text("utf-8")


def _load(root: Path, text: str, *, target: str = "dev") -> Project:
    (root / "mayfly.yml").write_text(text, encoding="utf-8")
    return load_project(root, target=target)


def test_example_as_values(tmp_path: Path) -> None:
    """The documented example gives the settings it describes."""
    project = _load(tmp_path, EXAMPLE)
    root = tmp_path.resolve()
    assert (project.root, project.target, project.store.url) == (root, "dev", "sqlite")
    assert (project.workspace.name, project.workspace.geography) == ("shop", "eu")
    source, model = project.sources["shop"], project.models["customers"]
    assert (source.type, source.path, source.state) == ("duckdb", root / "shop.duckdb", "source")
    assert (model.table, model.sql, model.primary_key) == (
        (None, "customers"),
        None,
        ("customer_id",),
    )
    assert model.columns["phone"] == ColumnSettings(name="phone", cls="phone", default_country="FR")
    assert model.columns["loyalty_no"] == ColumnSettings(name="loyalty_no", rule="pseudonym")
    assert model.consent["ads"] == ConsentBinding(
        purpose="ads", column="ads_opt_in", equals=True, lawful_basis="consent"
    )
    sync = project.syncs["vip_to_meta"]
    assert (sync.mode, sync.audience, sync.purpose) == ("audience", "VIP customers", "ads")
    assert dict(sync.mapping) == {"EMAIL": "email", "PHONE": "phone"}


def test_targets_change_what_they_name(tmp_path: Path) -> None:
    """`dev` sends to the sandbox, `prod` to the vendor itself; the rest is shared."""
    dev, prod = _load(tmp_path, EXAMPLE), _load(tmp_path, EXAMPLE, target="prod")
    assert dev.destinations["meta"].endpoint == "http://127.0.0.1:8765"
    assert prod.destinations["meta"].endpoint is None
    options = {
        "account_id": "1234567890",
        "access_token": SecretRef(kind="env", name="META_TOKEN"),
    }
    assert dev.destinations["meta"].options == prod.destinations["meta"].options == options


def test_target_may_have_its_own_store_and_sources(tmp_path: Path) -> None:
    """A target replaces single keys of sources and the store's address."""
    text = EXAMPLE.replace(
        "prod: {}", "prod: {store: {url: env:STORE}, sources: {shop: {path: big.duckdb}}}"
    )
    project = _load(tmp_path, text, target="prod")
    assert project.store.url == "env:STORE"
    assert project.sources["shop"].path == tmp_path.resolve() / "big.duckdb"
    assert _load(tmp_path, text).store.url == "sqlite"


@pytest.mark.parametrize("key", ["store", "dbt"])
def test_what_is_no_part_of_a_target_is_refused(tmp_path: Path, key: str) -> None:
    """Not passed over, as if the target had none of its own."""
    text = EXAMPLE.replace("prod: {}", f"prod: {{{key}: 5}}")
    (tmp_path / "mayfly.yml").write_text(text, encoding="utf-8")
    codes = {t: [p.code for p in validate_project(tmp_path, target=t)] for t in ("dev", "prod")}
    assert codes == {"dev": ["wrong_type"], "prod": ["wrong_type"]}


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("sandbox", "http://127.0.0.1:8765"),
        ("'http://127.0.0.1:9000'", "http://127.0.0.1:9000"),
        ("'https://graph.facebook.com'", None),
    ],
)
def test_endpoints_accepted(tmp_path: Path, written: str, endpoint: str | None) -> None:
    """The sandbox, a literal loopback address, and the vendor's own."""
    project = _load(tmp_path, EXAMPLE.replace("endpoint: sandbox", f"endpoint: {written}"))
    assert project.destinations["meta"].endpoint == endpoint


def test_every_type_has_its_own_keys(tmp_path: Path) -> None:
    """Each type of source and destination loads with the keys it is documented with."""
    project = _load(
        tmp_path,
        HEAD
        + """\
store: {url: "postgresql+psycopg://db.example.com/mayfly"}
sources:
  a: {type: files, path: exports, memory_limit: 1GB}
  b: {type: postgres, dsn: file:/run/secrets/dsn, schema: crm, state: local, state_schema: _mf}
models:
  a: {source: a, table: orders.2026, primary_key: [id], columns: {id: }}
  b: {source: b, table: crm.people, primary_key: [id], columns: {id: {values: [x, y]}},
      consent: {ads: {column: c, in: [1, "yes", true]}, mail: {notice_version: "2026-03", table: {
          name: crm.consents, subject: person, purpose: about, state: said, granted: [given, 1],
          time: at, valid_until: ends, without_end: true}}}}
destinations:
  pg: {type: postgres, dsn: env:DSN, schema: x, kind: internal, owner: Data, reason: our own}
  lite: {type: sqlite, path: /srv/own.db}
  out: {type: files, path: out, format: jsonl}
syncs:
  s: {id: s, model: b, destination: pg, mode: upsert, table: t, key: [k], mapping: {k: id},
      tags: [daily], batch_rows: 1000, withheld_threshold: 0, recheck_after: 2h}
  f: {id: f, model: a, destination: out, mode: append, mapping: {k: id}}
""",
    )
    root = tmp_path.resolve()
    assert project.sources["a"].state == "local"
    assert project.sources["b"].dsn == SecretRef(kind="file", name="/run/secrets/dsn")
    assert (project.sources["b"].schema, project.sources["b"].state_schema) == ("crm", "_mf")
    assert project.models["a"].table == (None, "orders.2026")
    assert project.models["b"].table == ("crm", "people")
    assert project.models["b"].columns["id"].values == ("x", "y")
    assert project.models["b"].consent["ads"].in_ == (1, "yes", True)
    assert project.models["b"].consent["mail"] == ConsentBinding(
        purpose="mail",
        notice_version="2026-03",
        table=ConsentTableSettings(
            name=("crm", "consents"),
            subject="person",
            matches="id",
            purpose="about",
            purposes=("mail",),
            state="said",
            granted=("given", 1),
            time="at",
            valid_until="ends",
            without_end=True,
        ),
    )
    pg, lite, out = (project.destinations[name] for name in ("pg", "lite", "out"))
    assert (pg.kind, pg.owner, pg.reason) == ("internal", "Data", "our own")
    assert pg.options == {"dsn": SecretRef(kind="env", name="DSN"), "schema": "x"}
    assert (lite.kind, lite.options) == ("external", {"path": Path("/srv/own.db")})
    assert out.options == {"path": root / "out", "format": "jsonl"}
    sync = project.syncs["s"]
    assert (sync.key, sync.tags, sync.batch_rows) == (("k",), ("daily",), 1000)
    assert (sync.withheld_threshold, sync.recheck_after_seconds) == (0, 7_200)
    assert project.syncs["f"].recheck_after_seconds == 900
    assert project.warnings == ()


def test_what_is_not_enforced_is_listed(tmp_path: Path) -> None:
    """Accepted keys without effect are warnings at their own place, and no problems."""
    text = EXAMPLE.replace("state: source}", "classify: true}")
    project = _load(tmp_path, text)
    assert validate_project(tmp_path) == []
    found = [(w.line, w.column, w.code, w.message.split(" ")[0]) for w in project.warnings]
    assert found == [
        (7, 43, "not_enforced", "sources.shop.classify"),
    ]


def test_purpose_that_is_not_bound_is_left_to_the_plan(tmp_path: Path) -> None:
    """Only the plan knows whether the destination needs consent."""
    _load(tmp_path, EXAMPLE.replace("purpose: ads", "purpose: support"))


def test_secret_comes_from_the_environment() -> None:
    """`env:NAME` is that variable; an unset or empty one is refused by name."""
    ref = SecretRef(kind="env", name="TOKEN")
    assert resolve(ref, {"TOKEN": "abc"}).reveal() == "abc"
    for env in ({}, {"TOKEN": ""}):
        with pytest.raises(ConfigError) as caught:
            resolve(ref, env)
        assert caught.value.code == "secret_missing"
        assert "TOKEN" in caught.value.message


def test_secret_comes_from_a_file(tmp_path: Path) -> None:
    """`file:` is the file's text without its last line end; `~/` is the home given."""
    (tmp_path / "token").write_text("a b\n", "utf-8")
    assert resolve(SecretRef(kind="file", name=f"{tmp_path}/token"), {}).reveal() == "a b"
    home = {"HOME": str(tmp_path)}
    assert resolve(SecretRef(kind="file", name="~/token"), home).reveal() == "a b"


@pytest.mark.parametrize(
    ("kind", "name", "code"),
    [
        ("file", "/nonexistent/token", "secret_missing"),
        ("file", "token", "secret_missing"),
        ("file", "~/token", "secret_missing"),
        ("file", "/a\0b", "secret_missing"),
        ("vault", "x", "secret_kind_unsupported"),
    ],
)
def test_secret_that_cannot_be_read_is_refused(kind: str, name: str, code: str) -> None:
    """A missing file, a relative path, no home and a kind not built yet are ConfigErrors."""
    with pytest.raises(ConfigError) as caught:
        resolve(SecretRef(kind=kind, name=name), {})
    assert caught.value.code == code


def test_store_address_may_be_a_secret() -> None:
    """A reference is followed once, and must lead to an address of a store."""
    url = "postgresql+psycopg://a:b@db.example.com/mayfly"
    assert resolve_store_url("sqlite", {}) == "sqlite"
    assert resolve_store_url("env:STORE", {"STORE": url}) == url
    with pytest.raises(ConfigError) as caught:
        resolve_store_url("env:STORE", {"STORE": "mysql://hunter2"})
    assert caught.value.code == "store_url"
    assert "hunter2" not in str(caught.value)


def test_secret_does_not_print() -> None:
    """Neither repr nor str of a secret shows it."""
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret!r} {secret}"


@given(st.text(max_size=70))
def test_references_are_recognised(text: str) -> None:
    """Only a known kind with a name is a reference."""
    assert parse_reference(f"env:{text}") == (SecretRef(kind="env", name=text) if text else None)
    assert parse_reference(f"x{text}") is None


def test_names() -> None:
    """A name is a-z, then a-z, 0-9 and _, 63 characters at most, with no line end."""
    assert all(is_name(text) for text in ("a", "a1_b", "a" * 63))
    bad = ("", "A", "1a", "_a", "a-b", "a\n", "ä", "a" * 64, "x */ ; drop table customers; --")
    assert not any(is_name(text) for text in bad)


def test_nearest_word() -> None:
    """A slip finds its word, whatever the case; something else finds none."""
    assert nearest("Audiance", ["audience", "append"]) == "audience"
    assert nearest("email", ["EMAIL", "PHONE"]) == "EMAIL"
    assert nearest("zzz", ["audience", "append"]) is None


def test_classes_are_those_of_the_documentation() -> None:
    """The list is closed and has no double."""
    assert len(CLASSES) == len({*CLASSES}) == 28
    assert {"email", "special", "dirty_hashed", "opaque_id", "none"} < {*CLASSES}
