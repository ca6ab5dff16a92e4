"""What warehouses that are asked over HTTP are asked, and what they say, when rows go to a third
party: every request and every answer, on an emulator.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bigquery_emulator import PROJECT, Emulator
from end_to_end.logged import (
    CHANGES,
    OUTSIDE,
    people_as_values,
    play,
    require_answers,
    require_loads,
    require_statements,
)
from fakesnow_server import Fakesnow
from googlesql import googlesql
from http_wire import HttpWire, http_wire_to
from mayfly.sandbox.server import SandboxServer

pytestmark = pytest.mark.slow
_COLUMNS = {
    "id": "INT64",
    **dict.fromkeys(("email", "phone", "first_name", "number"), "STRING"),
    "ads": "BOOL",
}


@pytest.fixture
def dataset(bigquery_emulator: Emulator) -> Iterator[str]:
    """A dataset with the people; gone with what the runs made beside it."""
    name = bigquery_emulator.dataset()
    bigquery_emulator.run(
        f"CREATE TABLE people ({', '.join(f'{n} {k}' for n, k in _COLUMNS.items())})",
        f"INSERT INTO people VALUES {people_as_values()}",
        dataset=name,
    )
    yield name
    for made in (name, f"_{name}"):
        bigquery_emulator.drop(made)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_no_clear_value_leaves_bigquery(
    bigquery_emulator: Emulator, dataset: str, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """No answer holds one, but of the rows that the plan counts as outside the repertoire; no job
    that is begun, and no path, holds one, a digest of one, or a key. What is loaded has no clear
    value and no key. Each statement is BigQuery's SQL.
    """
    with http_wire_to(bigquery_emulator.endpoint) as wire:
        source = (
            f'{{type: bigquery, project: {PROJECT}, dataset: {dataset}, endpoint: "{wire.endpoint}"'
            f", state_schema: _{dataset}}}"
        )
        told = play(
            tmp_path, source, sandbox, lambda: bigquery_emulator.run(*CHANGES, dataset=dataset)
        )
    require_answers(wire.said(), told)
    require_statements(wire.asked(), told)
    loaded = wire.uploaded()
    assert b"mf_load_" in loaded
    assert hashlib.sha256(OUTSIDE.encode()).digest() in loaded
    require_loads(loaded, told)
    with googlesql() as reference:
        for path in (["people"], [dataset, "people"]):
            reference.table("", path, _COLUMNS)
        assert reference.problems_of_jobs(e.asked for e in wire.exchanges) == []


@pytest.mark.parametrize("state", ["source", pytest.param("local", marks=pytest.mark.soak)])
def test_no_clear_value_leaves_snowflake(
    state: str, fakesnow: Fakesnow, sandbox: SandboxServer, tmp_path: Path
) -> None:
    """No answer holds one, but of the rows that the plan counts as outside the repertoire; no text
    of a statement holds one, a digest of one, or a key. What is loaded goes as arrays beside a
    statement, of which Snowflake shows none, and has no clear value and no key.
    """
    database = f"logged_{state}"
    owner = fakesnow.source(database)
    with owner.session(write=True) as session:
        session.execute(
            "CREATE OR REPLACE TABLE people (id NUMBER(9, 0), email VARCHAR, phone VARCHAR, "
            "first_name VARCHAR, number VARCHAR, ads BOOLEAN)"
        )
        session.execute(f"INSERT INTO people VALUES {people_as_values()}")

    def change() -> None:
        with owner.session(write=True) as session:
            for statement in CHANGES:
                session.execute(statement)

    with http_wire_to(fakesnow.endpoint) as wire:
        source = (
            "{type: snowflake, account: shop, user: mayfly, private_key: 'env:NO_KEY', role: "
            f"mayfly, warehouse: MAYFLY, database: {database}, endpoint: '{wire.endpoint}', "
            f"state: {state}}}"
        )
        told = play(tmp_path, source, sandbox, change)
    require_answers(wire.said(), told)
    loaded = _take_bindings(wire)
    require_statements(wire.asked(), told)
    assert all(isinstance(bound["value"], list) for bound in loaded)
    text = json.dumps(loaded).encode()
    assert hashlib.sha256(OUTSIDE.encode()).hexdigest().encode() in text
    require_loads(text, told)


def _take_bindings(wire: HttpWire) -> list[dict[str, Any]]:
    """What was bound to parameters of all statements, which are left without it."""
    taken: list[dict[str, Any]] = []
    for place, exchange in enumerate(wire.exchanges):
        if exchange.path.startswith("/queries/"):
            body = json.loads(exchange.asked)
            taken += body.pop("bindings", {}).values()
            wire.exchanges[place] = replace(exchange, asked=json.dumps(body).encode())
    return taken
