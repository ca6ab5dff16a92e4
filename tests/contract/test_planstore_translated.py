"""Plans of Redshift and Databricks, whose statements are translated for a DuckDB: they are of their
dialect, fit together, and are as they were approved. Their engines were never asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import duckdb
import pytest

from approved import check_approved
from contract.local_stores import beside
from contract.plan_stores import in_source
from contract.plan_stories import E0, E1, E2, become, settled
from mayfly.domain.batch import SyncMode
from mayfly.planning.spec import PlanSpec
from mayfly.testing.plan_world import ModelRow, World
from translated import TranslatedSource

_CHANGING = (
    (re.compile(r"\b(mf_(?:load|found|page))_\d+"), r"\1_1"),
    (re.compile(r"\brun=r\d+"), "run=r1"),
    (re.compile(r"'r\d+'"), "'r1'"),
    (re.compile(r"\b\d000\b"), "1000"),
    (re.compile(r"_[0-9a-f]{16}(_\d+)?\b"), "_0123456789abcdef"),
    (re.compile(r"\bn >= \d+ AND n < \d+"), "n >= 0 AND n < 200000"),
    (re.compile(r"\bbatch = \d+"), "batch = 0"),
    (re.compile(r"\bbatches=\d+-\d+"), "batches=0-1"),
    (re.compile(r"\bbatch BETWEEN \d+ AND \d+"), "batch BETWEEN 0 AND 1"),
    (re.compile(r"\bmax\(mf_at\) > \d+"), "max(mf_at) > 1000000"),
    (re.compile(r"\b(fence|lease_until|suppression) = \d+"), r"\1 = 1"),
)
"""What differs from run to run, and what it is made."""


def write_people(path: Path, rows: Sequence[ModelRow]) -> None:
    """The model as a table of the file."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE OR REPLACE TABLE people (id BIGINT, email VARCHAR, city VARCHAR, ok BOOLEAN)"
        )
        if rows:
            connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)


def shapes(said: Sequence[str]) -> str:
    """Every statement once, in the order of its first time."""
    found: dict[str, None] = {}
    for sql in said:
        shape = sql
        for pattern, made in _CHANGING:
            shape = pattern.sub(made, shape)
        found[shape] = None
    return "".join(f"{shape};\n\n" for shape in found)


class Renewing(World):
    """A world whose audience's rows are asked whether they are due; none is."""

    def spec(self, run: str) -> PlanSpec:
        """See `World.spec`."""
        renewed = 1 if self.mode is SyncMode.AUDIENCE else None
        return replace(super().spec(run), renew_before_ms=renewed)


_PLAYED = {("local", SyncMode.AUDIENCE), ("local", SyncMode.MIRROR)}
"""What CI plays: with a state beside the source, as these are used. A soak plays the rest."""
STORIES = [
    pytest.param(
        where,
        mode,
        marks=[pytest.mark.slow, *([] if (where, mode) in _PLAYED else [pytest.mark.soak])],
        id=f"{where}-{mode.value}",
    )
    for where, modes in (
        ("local", list(SyncMode)),
        ("source", [SyncMode.AUDIENCE, SyncMode.MIRROR]),
    )
    for mode in modes
]


@pytest.mark.parametrize(("where", "mode"), STORIES)
@pytest.mark.parametrize("dialect", ["databricks", "redshift"])
def test_a_story_of_each_mode(dialect: str, where: str, mode: SyncMode, tmp_path: Path) -> None:
    """Rows come, change, withdraw, are refused, and leave; each time the destination has what it
    should, and then there is nothing to do. Each statement is as it was approved.
    """
    path = tmp_path / "shop.duckdb"
    duckdb.connect(str(path)).close()
    source = TranslatedSource(path, dialect)
    make = beside if where == "local" else in_source
    made = make(source, source.sql, partial(write_people, path), tmp_path)
    by = "both" if mode is SyncMode.AUDIENCE else "column"
    world = Renewing(warehouse=made, mode=mode, erases=True, consent_by=by)
    become(world, {1: (E0, "c0"), 2: (E1, "c0"), 3: ("x@example.com", "c1"), 4: (None, "c2")})
    become(world, {1: (E0, "c1"), 2: (E2, "c0"), 3: ("x@example.com", "c1")}, accept_removals=9)
    world.consent[2] = False
    world.suppress("x@example.com")
    become(world, {1: (E0, "c1"), 2: (E2, "c0"), 3: ("x@example.com", "c1"), 5: (E1, "c0")})
    world.reject("new@example.com")
    become(world, {**world.people, 6: ("new@example.com", "c4")})
    settled(world)
    check_approved(f"{dialect}-{where}-{mode.value}.sql", shapes(source.said))
