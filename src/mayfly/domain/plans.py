"""Which plan lets a workspace choose what of its placement.

Until somebody confirms it, what is marked `assumed` is an assumption of ours: it is enforced as it
stands, and shown as such.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Plan = Literal["free", "starter", "standard", "business", "enterprise"]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What of its placement a workspace of a plan chooses; the rest is the default."""

    provider: bool = False
    geography: bool = False
    region: bool = False
    assumed: str = ""


PLANS: Mapping[Plan, Offer] = {
    "free": Offer(),
    "starter": Offer(),
    "standard": Offer(),
    "business": Offer(
        provider=True,
        geography=True,
        assumed="that provider and geography are chosen, and the region is not: to confirm",
    ),
    "enterprise": Offer(provider=True, geography=True, region=True),
}


def plans_with(choice: str) -> list[Plan]:
    """The plans in which `provider`, `geography` or `region` is chosen."""
    return [plan for plan, offer in PLANS.items() if getattr(offer, choice)]
