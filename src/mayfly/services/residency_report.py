"""Where the parts of a workspace are: what is planned, what was found, and by whose word.

Pure: who asks the platforms stands in `mayfly.bootstrap.residency`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mayfly.domain.errors import PolicyError
from mayfly.domain.places import REGIONS, expected_region, geography_of_place
from mayfly.domain.settings import Workspace

Part = Literal[
    "worker", "queue", "spool", "keys", "store", "source", "alerts", "anchor", "telemetry"
]
Basis = Literal["observed", "declared", "unknown"]
By = Literal["metadata", "bucket", "key", "host_name", "config", "same_machine", "nobody"]
State = Literal["ok", "differs", "unknown"]
PERSONAL: frozenset[Part] = frozenset({"worker", "queue", "spool", "keys", "store"})
"""Parts that rows, or what opens them, reach. The others get ids, codes and counts; and a source is
where the customer has it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one part is said to be.

    Args:
        part: kind of part.
        name: of one of several, such as an anchor's; else empty.
        declared: in the project files; empty where nobody said.
        observed: by the platform; empty where it does not tell, or nobody asked.
        by: who told what was observed.
        local: whether it is on the worker's own machine, and so where that is.
        failed: whether the platform was to tell and did not: then no word stands in for it.
    """

    part: Part
    name: str = ""
    declared: str = ""
    observed: str = ""
    by: By = "nobody"
    local: bool = False
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class ResidencyRow:
    """One part as the report prints it; `planned` is None of a source, whose place is no plan."""

    part: Part
    name: str
    planned: str | None
    found: str | None
    basis: Basis
    by: By
    state: State
    personal: bool

    def to_dict(self) -> dict[str, str | bool | None]:
        """As `mayfly residency --output json` prints it."""
        return {
            "part": self.part,
            "name": self.name,
            "planned": self.planned,
            "found": self.found,
            "basis": self.basis,
            "by": self.by,
            "state": self.state,
            "personal": self.personal,
        }


def residency_rows(workspace: Workspace, places: Iterable[Place]) -> list[ResidencyRow]:
    """One row for each place; the worker's is among them and stands for what is on its machine."""
    known = list(places)
    worker = next((p for p in known if p.part == "worker"), Place(part="worker"))
    return [_row(workspace, place, worker) for place in known]


def _row(workspace: Workspace, place: Place, worker: Place) -> ResidencyRow:
    told = worker if place.local else place
    found, basis, by = _found(told)
    if place.local and basis != "unknown":
        by = "same_machine"
    planned = None if place.part == "source" else _planned(workspace)
    return ResidencyRow(
        part=place.part,
        name=place.name,
        planned=planned,
        found=found or None,
        basis=basis,
        by=by,
        state=_state(workspace, place, found),
        personal=place.part in PERSONAL,
    )


def _found(place: Place) -> tuple[str, Basis, By]:
    if place.observed:
        return place.observed, "observed", place.by
    if place.failed or not place.declared:
        return "", "unknown", "nobody"
    return place.declared, "declared", "config"


def _planned(workspace: Workspace) -> str:
    return workspace.region or workspace.geography or ""


def _state(workspace: Workspace, place: Place, found: str) -> State:
    if not found:
        return "unknown"
    differs = place.declared and place.observed and _differ(place.declared, place.observed)
    if differs or (place.part != "source" and not _fits(workspace, place, found)):
        return "differs"
    return "ok"


def _differ(declared: str, observed: str) -> bool:
    """A geography that was declared holds wherever in it a region was observed."""
    if declared.lower() == observed.lower():
        return False
    return declared in REGIONS or geography_of_place(observed) != geography_of_place(declared)


def _fits(workspace: Workspace, place: Place, found: str) -> bool:
    """What gets only counts may be in another region of the geography."""
    geography, own = workspace.geography, workspace.region
    if found.lower() in ((own or "").lower(), (geography or "").lower()):
        return True
    if place.part in PERSONAL and place.part != "worker":
        return not expected_region(found, geography=geography, own=own)
    if place.part == "worker" and own is not None:
        return False
    return geography_of_place(found) == geography


def residency_refusal(workspace: Workspace, rows: Sequence[ResidencyRow]) -> PolicyError | None:
    """Why no run may send anything but withdrawals; None where nothing is in the way.

    What is somewhere else refuses always. What nobody knows refuses where the project says where
    its data may be, and of the parts that personal data reaches: of the others it is only listed.
    """
    elsewhere = [row for row in rows if row.state == "differs"]
    if elsewhere:
        return PolicyError(
            "region_differs",
            f"Expected everything in {_planned(workspace)}, and found elsewhere: "
            f"{', '.join(f'{_label(row)} in {row.found}' for row in elsewhere)}.",
            hint="Move it, or say in mayfly.yml where it is; `mayfly residency` lists every part. "
            "Until then only who withdrew is taken out.",
        )
    unknown = [row for row in rows if row.state == "unknown" and row.personal]
    if unknown and workspace.placed:
        return PolicyError(
            "region_unknown",
            f"The workspace is placed in {_planned(workspace)}, and of these nobody knows where "
            f"they are: {', '.join(_label(row) for row in unknown)}.",
            hint="Declare it with `region:` in mayfly.yml, where the platform does not tell; "
            "`mayfly residency` lists every part.",
        )
    return None


def _label(row: ResidencyRow) -> str:
    return f"{row.part} {row.name}".rstrip()
