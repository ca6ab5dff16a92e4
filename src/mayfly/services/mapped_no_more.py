"""Identifiers that were delivered and that the sync maps no more: what takes them out, and how many
there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mayfly.planning.spec import RowClass
from mayfly.ports.destination import DestinationSpec
from mayfly.ports.planstore import PlanStore
from mayfly.services.check_plan import is_mass_taken_out
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.withdraw_unapproved import with_delivered


@dataclass(frozen=True, kw_only=True)
class MappedNoMore:
    """What the next run takes out before anything else.

    Args:
        identifiers: how many, by field.
        asks_first: whether they are so many that the run asks first.
    """

    identifiers: Mapping[str, int] = field(default_factory=dict)
    asks_first: bool = False

    @property
    def total(self) -> int:
        """Of all fields."""
        return sum(self.identifiers.values())

    def to_dict(self) -> dict[str, Any]:
        """As `mayfly plan --output json` prints it."""
        return {
            "identifiers": [
                {"field": name, "count": count} for name, count in sorted(self.identifiers.items())
            ],
            "asks_first": self.asks_first,
        }


def taking_out(
    compiled: CompiledSync, names: Sequence[str], destination: DestinationSpec
) -> CompiledSync | None:
    """What takes out everything of some fields; None where nobody is taken out.

    Args:
        compiled: the sync, which does not map them.
        names: of `PlanStore.left_fields`.
        destination: of the sync.
    """
    spec = compiled.spec
    # Nobody is taken out of what is filled by upsert, and by a run of a part.
    if spec is None or not names or RowClass.LEFT not in spec.removes or spec.limit is not None:
        return None
    left = with_delivered(compiled, names, destination, taken_out=True)
    return None if left is compiled else left


def mapped_no_more(
    compiled: CompiledSync, store: PlanStore, destination: DestinationSpec, *, state_rows: int
) -> MappedNoMore:
    """What the next run would take out; counts only.

    Args:
        compiled: the sync as it is now.
        store: of its plans.
        destination: of the sync.
        state_rows: that are delivered.
    """
    names = () if compiled.spec is None else store.left_fields(compiled.spec)
    left = taking_out(compiled, names, destination)
    if left is None or left.spec is None:
        return MappedNoMore()
    fields = [f.name for f in left.spec.fields if f.taken_out]
    found = store.left_identifiers(fields)
    return MappedNoMore(
        identifiers=found, asks_first=is_mass_taken_out(sum(found.values()), state_rows)
    )
