"""A field that was delivered and is mapped no more is known, and can be taken out whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.local_stores import ANY_STORE, any_maker_of
from contract.plan_stores import MakeWarehouse
from contract.plan_stories import E0, E1, E2, accept_any, become, settled
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.planning.spec import PlanField, PlanSpec
from mayfly.privacy.gate import Form
from mayfly.testing.plan_world import World, digest


@pytest.fixture(params=ANY_STORE)
def warehouse(request: pytest.FixtureRequest) -> MakeWarehouse:
    """A maker of empty warehouses with a plan store."""
    return any_maker_of(request)


def taking_out(spec: PlanSpec, name: str) -> PlanSpec:
    """The sync with one field mapped no more, to take that out."""
    key = spec.keys[0]
    lost = PlanField(
        name=name,
        column=key.name,
        arrow_type=key.arrow_type,
        form=Form.DIGEST,
        identifier=True,
        unread=True,
        taken_out=True,
    )
    fields = (*(f for f in spec.fields if f.name != name), lost)
    return replace(spec, fields=fields, only_withdrawals=True, run="r.left")


def test_all_of_it_goes_and_nothing_else(warehouse: MakeWarehouse) -> None:
    """Of who is as before, of who shares it, and of who left the model; who had it is sent again,
    by what is left of the mapping.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E1, "c0"), 3: (E2, "c1")})
        del world.people[3]
        world.edited()
        spec = world.spec("after")
        mapped = replace(spec, fields=tuple(f for f in spec.fields if f.name != "PHONE"))
        store = world.store(spec.identity)
        assert list(store.left_fields(spec)) == []
        assert list(store.left_fields(mapped)) == ["PHONE"]
        assert store.left_identifiers(["PHONE"]) == {"PHONE": 2}

        store.acquire(spec, holder="h", now_ms=world.now_ms, alive=lambda _: False)
        left = taking_out(spec, "PHONE")
        plan = store.create(left, world.worker, check=accept_any)
        assert {(b.operation, b.identifier) for b in plan.batches} == {(Operation.REMOVE, "PHONE")}
        gone: set[bytes] = set()
        for info in plan.batches:
            [batch] = store.read(left, [info], world.worker, of=len(plan.batches))
            gone |= set(batch.rows.column("PHONE").to_pylist())
            store.intent(info.number)
            store.outcome(info.number, Outcomes.all_of(OutcomeCode.ACCEPTED, batch.rows.num_rows))
        assert gone == {digest("c0"), digest("c1")}
        store.close(left, now_ms=world.now_ms)
        assert list(store.left_fields(mapped)) == []
        store.release()
        world.destination.members["PHONE"] = set()
        become(world, world.people)
        settled(world)


def test_who_left_the_model_keeps_what_is_mapped(warehouse: MakeWarehouse) -> None:
    """Beside one who withdrew: that plan is of withdrawals and of the lost field, and of nothing
    that the next one asks about first.
    """
    with warehouse() as made:
        world = World(warehouse=made, mode=SyncMode.AUDIENCE)
        become(world, {1: (E0, "c0"), 2: (E1, "c1")})
        world.consent[1] = False
        del world.people[2]
        world.edited()
        spec = world.spec("after")
        store = world.store(spec.identity)
        store.acquire(spec, holder="h", now_ms=world.now_ms, alive=lambda _: False)
        left = taking_out(spec, "PHONE")
        plan = store.create(left, world.worker, check=accept_any)
        gone: dict[str | None, set[bytes]] = {}
        for info in plan.batches:
            [batch] = store.read(left, [info], world.worker, of=len(plan.batches))
            rows = batch.rows.column(info.identifier or "").to_pylist()
            gone.setdefault(info.identifier, set()).update(rows)
        assert gone == {"EMAIL": {digest(E0)}, "PHONE": {digest("c0"), digest("c1")}}
