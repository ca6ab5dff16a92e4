"""Where a workspace is placed, and whether its parts are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mayfly.domain.places import (
    DEFAULT_GEOGRAPHY,
    DEFAULT_PROVIDER,
    GEOGRAPHIES,
    REGIONS,
    regions_in,
)
from mayfly.domain.plans import PLANS, Plan, plans_with

REGIONS_VARIABLE = "MAYFLY_REGIONS"
"""Names the regions that an installation has, with commas; without it any."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a workspace is; `region` is None where its geography alone is said."""

    provider: str
    geography: str
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class Misplaced:
    """What cannot be had: the key it is about, a code, and what can be had instead."""

    key: str
    code: str
    message: str
    hint: str


def placement(provider: str | None, geography: str | None, region: str | None) -> Placement:
    """What the project files say; a region says of which cloud and geography it is."""
    known = REGIONS.get(region or "")
    return Placement(
        provider=provider or (known.provider if known else DEFAULT_PROVIDER),
        geography=geography or (known.geography if known else DEFAULT_GEOGRAPHY),
        region=region,
    )


def misplaced(
    where: Placement, plan: Plan | None, environ: Mapping[str, str]
) -> Iterator[Misplaced]:
    """Why a workspace cannot be there: by its plan, by what the clouds have, by what is installed.

    Without a plan the installation is the workspace's own, and everything may be chosen.
    """
    if plan is not None:
        yield from _beyond_plan(where, plan)
    if where.provider != "own":
        yield from _nowhere(where)
    yield from _not_installed(where, environ)


def _beyond_plan(where: Placement, plan: Plan) -> Iterator[Misplaced]:
    usual = placement(None, None, None)
    for key in ("provider", "geography", "region"):
        if getattr(PLANS[plan], key) or getattr(where, key) == getattr(usual, key):
            continue
        had = getattr(usual, key) or f"any of {where.geography}: leave `region` out"
        yield Misplaced(
            key=key,
            code="placement_not_in_plan",
            message=f"plan {plan} does not choose the {key}",
            hint=f"It has: {had}. Plans that choose it: {', '.join(plans_with(key))}.",
        )


def _nowhere(where: Placement) -> Iterator[Misplaced]:
    cloud = {g for g in GEOGRAPHIES if regions_in(where.provider, g)}
    if where.geography not in cloud:
        yield Misplaced(
            key="geography",
            code="placement_unavailable",
            message=f"{where.provider} has no region in {where.geography}",
            hint=f"It has some in: {', '.join(sorted(cloud))}.",
        )
    there = regions_in(where.provider, where.geography)
    if where.region is not None and where.region not in there and there:
        yield Misplaced(
            key="region",
            code="placement_unavailable",
            message=f"expected a region of {where.provider} in {where.geography}",
            hint=f"Allowed: {', '.join(there)}; with `provider: own` any name.",
        )


def _not_installed(where: Placement, environ: Mapping[str, str]) -> Iterator[Misplaced]:
    text = environ.get(REGIONS_VARIABLE, "")
    has = sorted(name.strip() for name in text.split(",") if name.strip())
    there = set(regions_in(where.provider, where.geography))
    wanted = {where.region} if where.region is not None else there
    if has and not wanted & set(has):
        yield Misplaced(
            key="region" if where.region is not None else "geography",
            code="placement_unavailable",
            message="this installation is not there",
            hint=f"It has: {', '.join(has)} (${REGIONS_VARIABLE}).",
        )
