"""Rules on where a project is: the workspace, its keys and the bucket of its spool."""

from __future__ import annotations

from collections.abc import Mapping

from mayfly.config import models as m
from mayfly.config.buckets import FolderSpool
from mayfly.config.findings import Findings, Spots, shown
from mayfly.config.keys import AwsKmsKeys, GcpKmsKeys, KeysFile
from mayfly.config.residency import Placement, misplaced, placement
from mayfly.domain.places import expected_region

_AT = ("workspace", "residency")


def check_placement(
    project: m.ProjectFile, spots: Spots, findings: Findings, environ: Mapping[str, str]
) -> None:
    """What plan and installation have, and that keys and spool are where the workspace is."""
    residency = project.workspace.residency
    where = placement(residency.provider, residency.geography, residency.region)
    for found in misplaced(where, project.workspace.plan, environ):
        label = ".".join((*_AT, found.key))
        spot = spots.value(*_AT, found.key)
        findings.add(spot, found.code, f"{label}: {found.message}", found.hint)
    if not isinstance(project.spool, FolderSpool):
        message = "spool.region: expected a bucket in {}, as the workspace is"
        hint = "Sealed rows stay where the workspace is; say where under workspace.residency."
        _elsewhere(project.spool.region, where, ("spool", "region"), message, hint, spots, findings)
    for key, region in regions_of_keys(project.keys):
        message = f"keys.{key}: expected a key in {{}}, as the workspace is"
        hint = "Keys stay where the workspace is; say where under workspace.residency."
        _elsewhere(region, where, ("keys", key), message, hint, spots, findings)


def regions_of_keys(keys: KeysFile) -> list[tuple[str, str]]:
    """Where a provider keeps the key, as its own name of the key says, by the setting's key."""
    if isinstance(keys, GcpKmsKeys):
        return [("key_name", keys.key_name.split("/")[3])]
    if not isinstance(keys, AwsKmsKeys):
        return []
    named = keys.key_id.split(":")
    own = [("key_id", named[3])] if keys.key_id.startswith("arn:") and len(named) > 4 else []
    return [("region", keys.region), *own]


def _elsewhere(
    region: str,
    where: Placement,
    at: tuple[str, str],
    message: str,
    hint: str,
    spots: Spots,
    findings: Findings,
) -> None:
    expected = expected_region(region, geography=where.geography, own=where.region)
    if expected:
        findings.add(spots.value(*at), "region_elsewhere", message.format(shown(expected)), hint)
