"""Which transfers a sync is, and why it may not be one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import get_args

from mayfly.domain.places import DEFAULT_GEOGRAPHY, REGIONS
from mayfly.domain.settings import DestinationSettings, Workspace
from mayfly.domain.transfers import Mechanism, Transfer, transfers, why_not
from mayfly.ports.destination import DestinationSpec
from mayfly.services.compiled_sync import Refusal


def countries_of(spec: DestinationSpec, settings: DestinationSettings) -> Collection[str]:
    """Where who receives the data has it; empty where nobody says, and on loopback.

    A vendor's countries are its specification's, a bucket's is its region's.
    """
    if settings.endpoint:
        return ()
    if spec.processor is not None:
        return spec.processor.countries
    region = REGIONS.get(str(settings.options.get("region", "")))
    return (region.country,) if region is not None and region.country else ()


def transfers_to(
    workspace: Workspace, spec: DestinationSpec, settings: DestinationSettings
) -> Sequence[Transfer]:
    """The transfers that sending to a destination is."""
    geography = workspace.geography or DEFAULT_GEOGRAPHY
    return transfers(countries_of(spec, settings), geography, workspace.transfers)


def transfer_refusals(
    workspace: Workspace, found: Sequence[Transfer], today: date
) -> Sequence[Refusal]:
    """Those that the workspace does not allow, or whose mechanism carries none."""
    geography = workspace.geography or DEFAULT_GEOGRAPHY
    refusals = []
    for transfer in found:
        if transfer.mechanism is None:
            text = (
                f"The recipient is in {transfer.country}, too, and the workspace in {geography} "
                "allows no transfer there. Send elsewhere, or name in mayfly.yml what carries it "
                f"({', '.join(get_args(Mechanism))}): `workspace: {{residency: {{transfers: "
                f"{{{transfer.country}: {{mechanism: …}}}}}}}}`."
            )
            refusals.append(Refusal(code="transfer_not_allowed", column=None, message=text))
            continue
        reason = why_not(transfer, geography, today)
        if reason:
            text = f"A transfer to {transfer.country} is not carried: {reason}."
            refusals.append(Refusal(code="transfer_not_carried", column=None, message=text))
    return refusals
