"""Plans over columns of any name: names that must be quoted, and those that are our own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_machine import EMAILS
from contract.plan_stores import STORES, MakeWarehouse
from contract.plan_stories import E0, E1, E2, become, die, settled
from mayfly.domain.batch import SyncMode
from mayfly.planning.spec import PlanSpec
from mayfly.testing.plan_world import World

COLUMNS = ("id", "email", "city", "ok")
NAMES = {
    "odd": ('i"d', "e'mail; --", "two. words 😀", "select"),
    "ours": ("fp", "k0", "x0", "here"),
    "templates": ("{column}", "%s", "$1", "m.q"),
    "ours too": ("c", "n", "batch", "g"),
    "turned": ("k1", "id", "v0", "email"),
    "long": ("i" * 63, "e" * 63, "c" * 63, "o" * 63),
}


@pytest.fixture
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


@dataclass(kw_only=True)
class Renamed(World):
    """A world whose model gives its columns other names."""

    names: Mapping[str, str] = field(default_factory=dict)

    def spec(self, run: str) -> PlanSpec:
        """See `World.spec`."""
        return renamed(super().spec(run), self.names, self.warehouse.sql.quote)


def renamed(spec: PlanSpec, names: Mapping[str, str], quote: Callable[[str], str]) -> PlanSpec:
    """The same sync over a model with other names."""
    shown = ", ".join(f"q.{column} AS {quote(name)}" for column, name in names.items())
    assert spec.consent is not None
    return replace(
        spec,
        model_sql=f"SELECT {shown} FROM ({spec.model_sql}) q",
        keys=tuple(replace(k, name=names[k.name]) for k in spec.keys),
        fields=tuple(replace(f, column=names[f.column]) for f in spec.fields),
        consent=replace(spec.consent, column=names[spec.consent.column]),
        suppression=tuple(replace(s, column=names[s.column]) for s in spec.suppression),
    )


@pytest.mark.parametrize("warehouse", ANY_STORE, indirect=True)
@pytest.mark.parametrize("mode", [SyncMode.AUDIENCE, SyncMode.MIRROR])
@pytest.mark.parametrize(
    "names", ["odd", "ours", *(pytest.param(n, marks=pytest.mark.slow) for n in (*NAMES,)[2:])]
)
def test_names_of_columns_are_only_names(
    request: pytest.FixtureRequest, warehouse: MakeWarehouse, mode: SyncMode, names: str
) -> None:
    """In the scan, its numbering, what the worker hashes, reads, removals, the close after a crash
    and the view of rejected rows.
    """
    store = request.node.callspec.params["warehouse"]
    # MariaDB has no names with characters beyond 16 bits.
    given = [n.replace("😀", "é") if store == "mysql" else n for n in NAMES[names]]
    with warehouse() as made:
        world = Renamed(warehouse=made, mode=mode, names=dict(zip(COLUMNS, given, strict=True)))
        become(world, {1: (E0, "c0"), 2: (E1, "c0"), 3: ("x1@example.com", "c1")})
        world.reject(EMAILS[5])
        world.suppress(E1)
        people = {1: (E2, "c0"), 2: (E1, "c0"), 4: (EMAILS[5], "c1"), 5: ("x9@example.com", "c1")}
        die(world, ("before outcome", 1), people)
        become(world, people)
        view, found = world.store(world.spec("r").identity).rejections()
        assert [row["rows"] for row in found] == [1]
        if store in STORES:
            with made.source.session(write=False) as session:
                [row] = session.table(f"SELECT key_columns, key_1 FROM {view}").to_pylist()
            assert row == {"key_columns": NAMES[names][0], "key_1": "4"}
        settled(world)
