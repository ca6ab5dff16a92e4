"""What a plan store keeps in a warehouse is its owner's alone, whatever defaults give."""

from __future__ import annotations

import pytest

from contract.plan_machine import EMAILS
from contract.plan_stores import MakeWarehouse, maker_of
from contract.plan_stories import E0, E1, become
from mayfly.domain.batch import SyncMode
from mayfly.domain.errors import ConfigError
from mayfly.planning.names import STATE_TABLES, WORKING_COPIES, Names
from mayfly.planning.sql.dialect import quote
from mayfly.ports.source import Source
from mayfly.testing.plan_driver import Attempt
from mayfly.testing.plan_world import World

# Engines with roles, whose defaults may give others what one makes.
SERVERS = ("postgres",)


@pytest.fixture(params=SERVERS)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return maker_of(request)


def readable(source: Source, tables: dict[str, str]) -> dict[str, bool]:
    """Which of some tables a role may read; one that is missing is left out."""
    found = {}
    for kind, table in tables.items():
        with source.session(write=False) as session:
            try:
                session.table(f"SELECT count(*) AS n FROM {table}")
                found[kind] = True
            except ConfigError as error:
                if error.code == "missing_grant":
                    found[kind] = False
                elif error.code != "table_missing":
                    raise
    return found


@pytest.mark.parametrize(
    "mode", [SyncMode.AUDIENCE, pytest.param(SyncMode.MIRROR, marks=pytest.mark.slow)]
)
def test_nobody_else_reads_a_table_of_ours(warehouse: MakeWarehouse, mode: SyncMode) -> None:
    """Working copies while a plan is open, then what stays: another role with every right that the
    owner's defaults give, on our schema too, reads none of it.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=mode)
        assert made.stranger is not None
        other = made.stranger()
        names = Names(sql=made.sql, schema="_mayfly", sid=world.spec("r").identity.sid)
        ours = {k: names.of(k) for k in (*STATE_TABLES, *WORKING_COPIES)}
        ours |= {"states": names.registry, "view": names.rejected_view}
        ours["opened"] = f"{quote('_mayfly')}.{quote('opened')}"
        seen: dict[str, bool] = {}

        def look(_: Attempt) -> None:
            # What anybody else makes there by hand is open, so that a refusal is our doing.
            with made.source.session(write=True) as session:
                session.begin()
                session.table(f"SELECT * INTO {ours['opened']} FROM (SELECT 1 AS n) AS q")
                session.commit()
            seen.update(readable(other, ours))

        world.reject(EMAILS[5])
        become(world, {1: (E0, "c0"), 2: (EMAILS[5], "c0")})
        become(world, {1: (E1, "c0"), 3: (EMAILS[5], "c1")}, events={("before outcome", 1): look})
        assert seen.pop("opened")
        missing = {"gone"} if mode is SyncMode.MIRROR else set()
        assert seen.keys() == ours.keys() - {"opened"} - missing
        assert not any(seen.values()), seen
        after = readable(other, ours)
        assert after.pop("opened")
        assert after == dict.fromkeys((*STATE_TABLES, "states", "view"), False)


def test_what_was_granted_on_the_view_of_rejected_rows_stays(warehouse: MakeWarehouse) -> None:
    """Whoever looks after rejected rows is given the view once, and keeps it."""
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.MIRROR)
        assert made.stranger is not None
        other = made.stranger()
        become(world, {1: (E0, "c0")})
        view = Names(sql=made.sql, schema="_mayfly", sid="").rejected_view
        with made.source.session(write=True) as session:
            session.execute(f"GRANT SELECT ON {view} TO stranger")
        more = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(more, {1: (E0, "c0")})
        assert readable(other, {"view": view}) == {"view": True}
