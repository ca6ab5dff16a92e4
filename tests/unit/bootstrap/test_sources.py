"""The table of kinds of sources, and what a source's connector is given."""

from __future__ import annotations

import socket
from pathlib import Path

import duckdb
import pytest

from mayfly.bootstrap.connectors import open_source, source_hosts
from mayfly.bootstrap.registry import SOURCES
from mayfly.config.load import load_project
from mayfly.config.parse import variants
from mayfly.domain.errors import ConfigError, PolicyError
from mayfly.domain.settings import Project, SecretRef
from mayfly.planning.model_reads import TableRead
from mayfly.ports.source_spec import GrantRequest, SourceRequest

_PROJECT = """\
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
  exports: {type: files, path: exports}
  crm: {type: postgres, dsn: env:CRM_DSN, schema: sales}
  lake:
    type: snowflake
    account: my_org-shop
    user: svc
    private_key: env:LAKE_KEY
    role: MAYFLY
    warehouse: 'odd "w"'
    database: shop
    schema: PUBLIC
  stream: {type: spark, remote: 'sc://spark.example.com', catalog: lake, user: 'sv`c'}
"""

_UNTESTED = """\
version: 1
workspace: {name: shop}
sources:
  wh: {type: redshift, dsn: env:WH_DSN, schema: sales}
  lake:
    type: databricks
    host: shop.cloud.databricks.com
    http_path: /sql/1.0/warehouses/0123456789abcdef
    token: env:LAKE_TOKEN
    catalog: shop
    volume: shop.mayfly.loads
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One source of each kind."""
    (tmp_path / "mayfly.yml").write_text(_PROJECT)
    return load_project(tmp_path)


class _Dsn:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text


def _grants(project: Project, name: str, *reads: TableRead, dsn: str = "") -> list[str]:
    request = SourceRequest(
        settings=project.sources[name], root=project.root, resolve=lambda _: _Dsn(dsn)
    )
    spec = SOURCES[project.sources[name].type]
    return list(spec.grants(GrantRequest(source=request, reads=reads)))


def test_every_type_of_the_project_files_has_a_connector() -> None:
    """What the files may name can be opened, and nothing else is in the table."""
    assert SOURCES.keys() == variants("sources").keys()
    assert all(spec.type == type_ for type_, spec in SOURCES.items())


def test_sources_are_opened_by_their_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dialect of each is that of its engine; only a server has hosts."""
    monkeypatch.setenv("CRM_DSN", "postgresql://u@db.example.com,127.0.0.1/crm")
    opened = {name: open_source(project, name) for name in project.sources}
    assert {n: s.dialect for n, s in opened.items()} == {
        "shop": "duckdb",
        "exports": "duckdb",
        "crm": "postgres",
        "lake": "snowflake",
        "stream": "spark",
    }
    assert opened["crm"].relation(None, "people") == '"sales"."people"'
    assert opened["lake"].relation(None, "people") == '"PUBLIC"."PEOPLE"'
    assert opened["stream"].relation(None, "people") == "`lake`.`default`.`people`"
    assert {n: source_hosts(project, n) for n in opened} == {
        "shop": frozenset(),
        "exports": frozenset(),
        "crm": {"db.example.com", "127.0.0.1"},
        "lake": {"my-org-shop.snowflakecomputing.com"},
        "stream": {"spark.example.com"},
    }


def test_a_source_whose_secret_is_not_there_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither opened nor asked for its hosts without it."""
    monkeypatch.delenv("CRM_DSN", raising=False)
    assert project.sources["crm"].dsn == SecretRef(kind="env", name="CRM_DSN")
    for act in (open_source, source_hosts):
        with pytest.raises(ConfigError, match="secret_missing"):
            act(project, "crm")


def test_files_need_permissions_and_no_grants(project: Project) -> None:
    """One line each, with the path as it stands in the project."""
    assert _grants(project, "shop") == [
        "-- The user of Mayfly needs read and write permission on shop.duckdb and its folder."
    ]
    assert _grants(project, "exports") == [
        "-- The user of Mayfly needs read permission on exports and the files in it."
    ]


def test_postgres_grants_quote_every_name(project: Project) -> None:
    """A name cannot end its quotes; the role is made where it is not there."""
    read = TableRead(schema='a"b', name="T", columns=("x", 'y"'))
    found = _grants(
        project, "crm", read, dsn="host=h user='o''x' dbname='d\"b'".replace("''", "\\'")
    )
    assert found == [
        "DO 'BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ''o''''x'') "
        "THEN CREATE ROLE \"o''x\" LOGIN; END IF; END';",
        'GRANT CONNECT, TEMPORARY ON DATABASE "d""b" TO "o\'x";',
        'GRANT USAGE ON SCHEMA "a""b" TO "o\'x";',
        'GRANT SELECT ("x", "y""") ON "a""b"."T" TO "o\'x";',
        'CREATE SCHEMA IF NOT EXISTS "_mayfly" AUTHORIZATION "o\'x";',
        'GRANT USAGE, CREATE ON SCHEMA "_mayfly" TO "o\'x";',
    ]


def test_snowflake_grants_are_of_a_role(project: Project) -> None:
    """Names are quoted as Snowflake has them; of a state no more than making tables and views."""
    reads = [
        TableRead(schema=None, name="people", columns=("email",)),
        TableRead(schema="Crm", name="T", columns=None),
    ]
    assert _grants(project, "lake", *reads) == [
        'CREATE ROLE IF NOT EXISTS "MAYFLY";',
        'GRANT ROLE "MAYFLY" TO USER "SVC";',
        'GRANT USAGE ON WAREHOUSE "odd ""w""" TO ROLE "MAYFLY";',
        'GRANT USAGE ON DATABASE "SHOP" TO ROLE "MAYFLY";',
        'GRANT USAGE ON SCHEMA "SHOP"."PUBLIC" TO ROLE "MAYFLY";',
        'GRANT USAGE ON SCHEMA "SHOP"."Crm" TO ROLE "MAYFLY";',
        'GRANT SELECT ON TABLE "SHOP"."PUBLIC"."PEOPLE" TO ROLE "MAYFLY";  -- of a view: ON VIEW',
        'GRANT SELECT ON TABLE "SHOP"."Crm"."t" TO ROLE "MAYFLY";  -- of a view: ON VIEW',
        'CREATE TRANSIENT SCHEMA IF NOT EXISTS "SHOP"."_MAYFLY" DATA_RETENTION_TIME_IN_DAYS = 0;',
        'GRANT USAGE, CREATE TABLE, CREATE VIEW ON SCHEMA "SHOP"."_MAYFLY" TO ROLE "MAYFLY";',
    ]


@pytest.mark.parametrize("name", ["wh", "lake"])
def test_a_source_of_an_engine_that_was_never_asked_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the project says that it knows; its state is beside it, and nowhere else."""
    monkeypatch.setenv("WH_DSN", "postgresql://u@127.0.0.1/wh")
    (tmp_path / "mayfly.yml").write_text(_UNTESTED)
    found = load_project(tmp_path)
    assert found.sources[name].state == "local"
    with pytest.raises(PolicyError, match="source_untested") as caught:
        open_source(found, name)
    assert "compiled, not run" in caught.value.message
    assert "accept_untested: true" in caught.value.hint
    text = _UNTESTED.replace("schema: sales}", "schema: sales, accept_untested: true}")
    (tmp_path / "mayfly.yml").write_text(f"{text}    accept_untested: true\n")
    assert (
        open_source(load_project(tmp_path), name).dialect == SOURCES[found.sources[name].type].type
    )


def test_only_engines_that_were_never_asked_want_that_word() -> None:
    """Every other kind opens without it."""
    assert {t for t, spec in SOURCES.items() if spec.never_asked} == {"redshift", "databricks"}


def test_grants_of_engines_that_were_never_asked(tmp_path: Path) -> None:
    """Reading and temporary tables; of Databricks the volume, too."""
    (tmp_path / "mayfly.yml").write_text(_UNTESTED)
    found = load_project(tmp_path)
    reads = [
        TableRead(schema=None, name="people", columns=("email", 'i"d')),
        TableRead(schema="crm", name="T", columns=None),
    ]
    assert _grants(found, "wh", *reads, dsn="postgresql://mayfly@127.0.0.1/wh") == [
        'CREATE USER "mayfly" PASSWORD DISABLE;  -- where there is none; give it its log-in',
        'GRANT TEMPORARY ON DATABASE "wh" TO "mayfly";',
        'GRANT USAGE ON SCHEMA "sales" TO "mayfly";',
        'GRANT USAGE ON SCHEMA "crm" TO "mayfly";',
        'GRANT SELECT ("email", "i""d") ON "sales"."people" TO "mayfly";',
        'GRANT SELECT ON "crm"."T" TO "mayfly";  -- all columns: a model\'s SQL does not say which',
    ]
    assert _grants(found, "lake", *reads)[2:] == [
        "GRANT USE CATALOG ON CATALOG `shop` TO `PRINCIPAL`;",
        "GRANT USE SCHEMA ON SCHEMA `shop`.`default` TO `PRINCIPAL`;",
        "GRANT USE SCHEMA ON SCHEMA `shop`.`crm` TO `PRINCIPAL`;",
        "GRANT USE SCHEMA ON SCHEMA `shop`.`mayfly` TO `PRINCIPAL`;",
        "GRANT SELECT ON TABLE `shop`.`default`.`people` TO `PRINCIPAL`;",
        "GRANT SELECT ON TABLE `shop`.`crm`.`T` TO `PRINCIPAL`;",
        "CREATE VOLUME IF NOT EXISTS `shop`.`mayfly`.`loads`;",
        "GRANT READ VOLUME, WRITE VOLUME ON VOLUME `shop`.`mayfly`.`loads` TO `PRINCIPAL`;",
    ]


def test_what_spark_must_read_is_told(project: Project) -> None:
    """It has no rights of its own; names are quoted, in the catalog that the model means."""
    reads = [
        TableRead(schema=None, name="people", columns=("email", "a`b")),
        TableRead(schema="other.crm", name="t", columns=None),
    ]
    assert _grants(project, "stream", *reads) == [
        "-- Spark has no rights of its own: it reads as the user of its server, or as its catalog",
        "-- lets user `sv``c` read. Mayfly needs these tables, and writes none:",
        "-- `lake`.`default`.`people`: `email`, `a``b`",
        "-- `other`.`crm`.`t`: all columns",
    ]


@pytest.mark.parametrize("dsn", ["host=h user=u", "host=h dbname=d", "host", "postgresql://h/"])
def test_postgres_grants_need_user_and_database(project: Project, dsn: str) -> None:
    """Rights are for a role in a database; neither is guessed."""
    with pytest.raises(ConfigError, match="dsn_invalid"):
        _grants(project, "crm", dsn=dsn)


def test_a_source_of_any_kind_is_read_behind_the_guard(project: Project) -> None:
    """A driver that would call home is refused while the source is open."""
    duckdb.connect(str(project.root / "shop.duckdb")).close()
    source = open_source(project, "shop")
    with (
        pytest.raises(PolicyError, match="host_not_allowed"),
        source.session(write=False),
    ):
        socket.getaddrinfo("home.example", 443)
