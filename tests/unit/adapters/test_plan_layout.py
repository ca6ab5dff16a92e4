"""What a plan tells of itself to whoever closes it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from contract.plan_stores import duckdb_file
from mayfly.adapters.planstores import tables
from mayfly.domain.batch import SyncMode
from mayfly.planning.columns import canonical_columns
from mayfly.planning.names import Names
from mayfly.planning.spec import PlanSpec
from mayfly.planning.sql.duckdb import DuckdbDialect
from mayfly.testing.plan_world import World


@pytest.fixture
def spec() -> PlanSpec:
    """Of an audience, whose e-mail's digest leaves and is compared as well."""
    with duckdb_file() as made:
        return World(warehouse=made, mode=SyncMode.AUDIENCE).spec("r1")


def _names(spec: PlanSpec, copy: int | None = None) -> Names:
    return Names(sql=DuckdbDialect(), schema="_mayfly", sid=spec.identity.sid, copy=copy)


def test_a_plan_is_closed_by_its_own_columns(spec: PlanSpec) -> None:
    """Not by those of today's mapping."""
    assert canonical_columns(spec) == ["v1"]
    today = replace(spec, fields=spec.fields[::-1], suppression=())
    layout = tables.layout_text(spec, _names(spec))
    assert canonical_columns(tables.spec_of_layout(today, layout)) == ["v1"]


def test_a_plan_of_a_program_that_kept_every_digest_apart_is_closed(spec: PlanSpec) -> None:
    """Its layout has only their number."""
    layout = json.loads(tables.layout_text(spec, _names(spec)))
    del layout["sent_as"]
    assert canonical_columns(tables.spec_of_layout(spec, json.dumps(layout))) == ["s0"]


def test_working_copies_are_found_by_what_their_plan_says(spec: PlanSpec) -> None:
    """Where no transaction undoes a dropped table each plan's have a number; state has none."""
    layout = tables.layout_text(spec, _names(spec, copy=7))
    found = tables.copies_of(_names(spec), layout)
    sid = spec.identity.sid
    assert found.of("plan") == f'"_mayfly"."plan_{sid}_7"'
    assert found.of("state") == f'"_mayfly"."state_{sid}"'
    assert tables.copies_of(_names(spec), "{}").of("plan") == f'"_mayfly"."plan_{sid}"'
