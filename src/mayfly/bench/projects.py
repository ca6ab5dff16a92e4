"""What is measured: one table of people, in DuckDB and PostgreSQL, and projects that send it."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

from mayfly.api import load
from mayfly.bootstrap import initialise

TO_HTTP = "people_to_meta"
TO_POSTGRES = "people_to_crm"
BETWEEN = "people_to_other"
TO_WEBHOOK = "people_to_own"
TABLE = "crm_people"
CHANGE = "UPDATE people SET email = 'n' || email WHERE id % 100 = 0"
"""Another e-mail for one person in a hundred."""
CHANGE_ALL = "UPDATE people SET points = points + 1"
COLUMNS = ("id", "email", "phone", "first_name", "last_name", "zip", "city", "points")

_DUCKDB = "{type: duckdb, path: shop.duckdb, memory_limit: LIMIT}"
_POSTGRES = "{type: postgres, dsn: env:MAYFLY_BENCH_DSN}"
_PROJECT = """version: 1
workspace: {name: bench}
sources: {shop: SOURCE}
models:
  people:
    source: shop
    table: people
    primary_key: [id]
    columns: {id: {}, email: {class: email}, phone: {class: phone}, zip: {class: postal_code},
      first_name: {class: first_name}, last_name: {class: last_name}, city: {}, points: {}}
    consent: {ads: {column: ads, equals: true, lawful_basis: consent, constant: all agreed}}
destinations:
"""
_HTTP = """
  meta: {type: meta_ads, account_id: "1", access_token: env:MAYFLY_BENCH_TOKEN, endpoint: "URL"}
syncs:
  people_to_meta:
    id: people_to_meta
    model: people
    destination: meta
    mode: audience
    audience: People
    purpose: ads
    mapping: {EMAIL: email, PHONE: phone, FN: first_name, LN: last_name, ZIP: zip}
"""
_UPSERT = """
  crm: {type: postgres, dsn: env:MAYFLY_BENCH_DSN, kind: internal, owner: me, reason: measured}
syncs:
  people_to_crm:
    id: people_to_crm
    model: people
    destination: crm
    mode: upsert
    table: crm_people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, phone: phone, first_name: first_name, last_name: last_name,
      zip: zip, city: city, points: points}
"""
_BETWEEN = """
  other: {type: postgres, dsn: env:MAYFLY_BENCH_OTHER_DSN, kind: internal, owner: me,
    reason: measured}
syncs:
  people_to_other:
    id: people_to_other
    model: people
    destination: other
    mode: upsert
    table: crm_people
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, phone: phone, first_name: first_name, last_name: last_name,
      zip: zip, city: city, points: points, ads: ads}
"""
_WEBHOOK = """
  own: {type: webhook, kind: internal, owner: me, reason: measured, url: "URL",
    secret: env:MAYFLY_BENCH_SECRET}
syncs:
  people_to_own:
    id: people_to_own
    model: people
    destination: own
    mode: upsert
    key: [id]
    purpose: ads
    mapping: {id: id, email: email, phone: phone, first_name: first_name, last_name: last_name,
      zip: zip, city: city, points: points}
"""


def from_duckdb(folder: Path, url: str, rows: int, *, memory_limit: str = "2GB") -> Path:
    """A DuckDB file and a sync to the platform at `url`; approved."""
    folder.mkdir()
    _write_duckdb(folder / "shop.duckdb", rows)
    source = _DUCKDB.replace("LIMIT", memory_limit)
    return _approved(folder, _PROJECT.replace("SOURCE", source) + _HTTP.replace("URL", url))


def from_postgres(folder: Path, url: str) -> Path:
    """A sync of the PostgreSQL at $MAYFLY_BENCH_DSN to the platform at `url`; approved."""
    folder.mkdir()
    return _approved(folder, _PROJECT.replace("SOURCE", _POSTGRES) + _HTTP.replace("URL", url))


def to_postgres(folder: Path, rows: int) -> Path:
    """A DuckDB file and an upsert to the PostgreSQL at $MAYFLY_BENCH_DSN; approved."""
    folder.mkdir()
    _write_duckdb(folder / "shop.duckdb", rows)
    source = _DUCKDB.replace("LIMIT", "2GB")
    return _approved(folder, _PROJECT.replace("SOURCE", source) + _UPSERT)


def to_webhook(folder: Path, url: str, rows: int) -> Path:
    """A DuckDB file and an upsert of all its columns but consent to a webhook; approved."""
    folder.mkdir()
    # Of no person, and of a server that verifies nothing.
    os.environ["MAYFLY_BENCH_SECRET"] = "whsec_" + b64encode(bytes(32)).decode()
    _write_duckdb(folder / "shop.duckdb", rows)
    source = _DUCKDB.replace("LIMIT", "2GB")
    return _approved(folder, _PROJECT.replace("SOURCE", source) + _WEBHOOK.replace("URL", url))


def side_by_side(folder: Path, url: str, rows: int, count: int) -> Path:
    """As many DuckDB files, each with a sync to an address of its own, `url` and its number;
    approved. The syncs are `side_by_side_names(count)`.
    """
    folder.mkdir()
    os.environ["MAYFLY_BENCH_SECRET"] = "whsec_" + b64encode(bytes(32)).decode()
    whole: dict[str, Any] = {"version": 1, "workspace": {"name": "bench"}}
    for number, name in enumerate(side_by_side_names(count)):
        _write_duckdb(folder / f"{name}.duckdb", rows)
        source = _DUCKDB.replace("shop.duckdb", f"{name}.duckdb").replace("LIMIT", "1GB")
        text = _PROJECT.replace("SOURCE", source) + _WEBHOOK.replace("URL", f"{url}{number}")
        one = YAML(typ="safe").load(text)
        one["models"]["people"]["source"] = name
        one["syncs"][TO_WEBHOOK] |= {"id": name, "model": name, "destination": name}
        for section in ("sources", "models", "destinations", "syncs"):
            [entry] = one[section].values()
            whole.setdefault(section, {})[name] = entry
    return _approved(folder, json.dumps(whole))


def side_by_side_names(count: int) -> list[str]:
    """Of the syncs of `side_by_side`."""
    return [f"people{number}" for number in range(count)]


def between_postgres(folder: Path) -> Path:
    """An upsert of all columns from the PostgreSQL at $MAYFLY_BENCH_DSN to that at
    $MAYFLY_BENCH_OTHER_DSN; approved.
    """
    folder.mkdir()
    project = _PROJECT.replace("SOURCE", _POSTGRES).replace("points: {}", "points: {}, ads: {}")
    return _approved(folder, project + _BETWEEN)


def from_csv(folder: Path, data: str) -> Path:
    """An upsert of all columns of `people.csv` in that folder of the project to the PostgreSQL at
    $MAYFLY_BENCH_OTHER_DSN; approved.
    """
    source = f"{{type: files, path: {data}}}"
    project = _PROJECT.replace("SOURCE", source).replace("points: {}", "points: {}, ads: {}")
    return _approved(folder, project + _BETWEEN)


def postgres_people(rows: int) -> list[str]:
    """Statements that make the table of people in PostgreSQL."""
    return [
        "DROP TABLE IF EXISTS people",
        "CREATE TABLE people AS SELECT i AS id, ' Person' || i || '@Example.com' AS email, "
        "'+33 6 39 98 ' || lpad((i % 10000)::text, 4, '0') AS phone, "
        "(ARRAY['Ana', 'Chloé', 'Jürgen', 'Grace'])[1 + i % 4] AS first_name, "
        "(ARRAY['Álvarez', 'O''Connor', 'Martin'])[1 + i % 3] AS last_name, "
        "lpad((i % 90000 + 10000)::text, 5, '0') AS zip, 'Lyon'::text AS city, "
        f"i * 7 AS points, TRUE AS ads FROM generate_series(0::bigint, {int(rows) - 1}) AS r(i)",
        "ANALYZE people",
    ]


def _write_duckdb(path: Path, rows: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE people AS SELECT i AS id, ' Person' || i || '@Example.com' AS email, "
            "'+33 6 39 98 ' || lpad((i % 10000)::VARCHAR, 4, '0') AS phone, "
            "['Ana', 'Chloé', 'Jürgen', 'Grace'][1 + i % 4] AS first_name, "
            "['Álvarez', 'O''Connor', 'Martin'][1 + i % 3] AS last_name, "
            "lpad((i % 90000 + 10000)::VARCHAR, 5, '0') AS zip, 'Lyon' AS city, "
            f"i * 7 AS points, TRUE AS ads FROM range({int(rows)}) AS r(i)"
        )


def _approved(folder: Path, text: str) -> Path:
    os.environ["MAYFLY_BENCH_TOKEN"] = "bench"  # noqa: S105 - the server takes any token
    (folder / "mayfly.yml").write_text(text, encoding="utf-8")
    initialise(folder)
    load(folder).approve(actor="bench")
    return folder
