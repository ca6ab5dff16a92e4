"""Small projects for end-to-end tests."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from pathlib import Path
from textwrap import dedent
from typing import Any

import duckdb

from mayfly.api import Project, RunRequest, load
from mayfly.bootstrap import initialise
from mayfly.sandbox.server import SandboxServer

SHOP = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}, phone: {class: phone, default_country: FR}, city: {}}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
"""
SHOP_WITH_ADS = """
version: 1
workspace: {name: shop}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}, city: {class: city}, ads: {}}
    consent:
      ads: {column: ads, equals: true, constant: all agreed}
"""
"""Whether they agreed may be sent, too."""
PEOPLE_TO_META = """models:
  people:
    source: warehouse
    table: people
    primary_key: [id]
    columns:
      id: {}
      email: {class: email}
      first_name: {class: first_name}
    consent:
      ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}
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
    mapping: {EMAIL: email, FN: first_name}
"""
"""What follows a source called `warehouse`; `URL` is the sandbox's."""
TO_LOG = """
destinations:
  log: {type: sqlite, path: log.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_log:
    id: to_log
    model: people
    destination: log
    mode: append
    table: people
    purpose: ads
    mapping: {id: id, email: email}
"""
FILES = (
    SHOP
    + """destinations:
  meta: {type: meta_ads, account_id: "123", access_token: "env:META_TOKEN", endpoint: "URL"}
  crm: {type: sqlite, path: crm.sqlite, kind: internal, owner: care, reason: answers}
syncs:
  to_meta:
    id: to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone}
  to_crm:
    id: to_crm
    model: people
    destination: crm
    mode: mirror
    table: people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, city: city}
"""
)


def get(url: str) -> Any:
    """JSON of a sandbox page."""
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.loads(reply.read())


def members(sandbox: SandboxServer) -> set[str]:
    """E-mail digests of the only audience."""
    [audience] = get(f"{sandbox.url}/_sandbox/audiences")
    found = get(f"{sandbox.url}/_sandbox/members?audience={audience['id']}")
    return set(found["fields"].get("EMAIL", []))


def graph(sandbox: SandboxServer, method: str, path: str) -> None:
    """A call as the audience's owner would make it."""
    request = urllib.request.Request(f"{sandbox.url}/v26.0/{path}", method=method)
    request.add_header("authorization", "Bearer t0ken")
    with urllib.request.urlopen(request, timeout=10) as reply:
        reply.read()


def only_audience(sandbox: SandboxServer) -> str:
    """Its id."""
    [audience] = get(f"{sandbox.url}/_sandbox/audiences")
    return str(audience["id"])


def phones(sandbox: SandboxServer) -> set[str]:
    """Phone digests of the only audience."""
    found = get(f"{sandbox.url}/_sandbox/members?audience={only_audience(sandbox)}")
    return set(found["fields"].get("PHONE", []))


def make_people(path: Path, rows: int) -> None:
    """A warehouse with `people`."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE people AS SELECT i AS id, "
            "'p' || i || '@example.com' AS email, "
            "'06 39 98 ' || lpad((i // 100 % 100)::VARCHAR, 2, '0') || ' ' "
            "|| lpad((i % 100)::VARCHAR, 2, '0') AS phone, "
            f"'Lyon' AS city, TRUE AS ads FROM range({int(rows)}) AS r(i)"
        )


def make_project(root: Path, url: str, *, rows: int = 100, text: str = FILES) -> Path:
    """Project files and warehouse, initialised."""
    root.mkdir(parents=True, exist_ok=True)
    make_people(root / "shop.duckdb", rows)
    (root / "mayfly.yml").write_text(dedent(text).replace("URL", url), encoding="utf-8")
    initialise(root)
    return root


def rewritten(root: Path, old: str, new: str) -> None:
    """Other project files."""
    path = root / "mayfly.yml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def change(root: Path, *statements: str) -> None:
    """In the warehouse."""
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


def address_digest(address: str) -> str:
    """SHA-256 of it as it stands, in hex."""
    return hashlib.sha256(address.encode()).hexdigest()


def digests(*addresses: str) -> set[str]:
    """Of several."""
    return {address_digest(each) for each in addresses}


def approved(root: Path) -> Project:
    """The project with every sync approved."""
    project = load(root)
    project.app.sleep = _no_sleep
    project.approve(actor="tester")
    return project


async def _no_sleep(seconds: float) -> None:
    """Retries follow at once."""


def ran(project: Project, **asked: Any) -> dict[str, Any]:
    """How a run of the project's one sync ended."""
    [ended] = project.run(request=RunRequest(**asked)).to_dict()["syncs"]
    return dict(ended)


def run(root: Path, sync: str) -> dict[str, Any]:
    """How a run of one sync of an approved project ended."""
    ended: dict[str, Any] = approved(root).run(sync).to_dict()["syncs"][0]
    return ended
