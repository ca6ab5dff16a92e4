"""What a plan tells of itself to whoever closes it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from contract.plan_stores import duckdb_file
from mayfly.adapters.planstores import tables
from mayfly.domain.batch import SyncMode
from mayfly.planning.columns import canonical_columns
from mayfly.planning.spec import PlanSpec
from mayfly.testing.plan_world import World


@pytest.fixture
def spec() -> PlanSpec:
    """Of an audience, whose e-mail's digest leaves and is compared as well."""
    with duckdb_file() as made:
        return World(warehouse=made, mode=SyncMode.AUDIENCE).spec("r1")


def test_a_plan_is_closed_by_its_own_columns(spec: PlanSpec) -> None:
    """Not by those of today's mapping."""
    assert canonical_columns(spec) == ["v1"]
    today = replace(spec, fields=spec.fields[::-1], suppression=())
    assert canonical_columns(tables.spec_of_layout(today, tables.layout_text(spec))) == ["v1"]


def test_a_plan_of_a_program_that_kept_every_digest_apart_is_closed(spec: PlanSpec) -> None:
    """Its layout has only their number."""
    layout = json.loads(tables.layout_text(spec))
    del layout["sent_as"]
    assert canonical_columns(tables.spec_of_layout(spec, json.dumps(layout))) == ["s0"]
