"""What every plan store shows of a plan that was only counted."""

from __future__ import annotations

from contract.plan_machine import EMAILS
from mayfly.testing.plan_world import World


def check_sample(world: World) -> None:
    """Two of three rows, each with all fields, and nothing of an address beyond its beginning."""
    world.people = {n: (email, "c0") for n, email in enumerate(EMAILS[:3])}
    world.edited()
    spec = world.spec("plan")
    store = world.store(spec.identity)
    assert store.count(spec, world.worker).sample == ()
    plan = store.count(spec, world.worker, sampled=2)
    assert plan.counts.added == 3
    assert [[cell.to for cell in row] for row in plan.sample] == [[f.name for f in spec.fields]] * 2
    shown = [text for row in plan.sample for cell in row for text in (cell.before, cell.after)]
    assert all("…" in text or text == "–" for text in shown)
    assert not any(email in text for email in EMAILS for text in shown)
    # Which two is the engine's choice.
    assert set(plan.sample) < set(store.count(spec, world.worker, sampled=9).sample)
