"""Rows of where parts are, and what of them refuses."""

from __future__ import annotations

import pytest

from mayfly.domain.places import region_of_host
from mayfly.domain.settings import Workspace
from mayfly.services.residency_report import (
    PERSONAL,
    Place,
    ResidencyRow,
    residency_refusal,
    residency_rows,
)


def at(
    region: str | None = "europe-west1", geography: str = "eu", *, placed: bool = True
) -> Workspace:
    """A workspace there."""
    return Workspace(name="shop", geography=geography, region=region, placed=placed)


def row(place: Place, workspace: Workspace | None = None) -> ResidencyRow:
    """Of one part, whose worker is where the workspace is."""
    where = workspace or at()
    worker = Place(part="worker", declared=where.region or where.geography or "")
    return residency_rows(where, [worker, place])[1]


@pytest.mark.parametrize(
    ("place", "found", "basis", "by", "state"),
    [
        (Place(part="store", declared="europe-west1"), "europe-west1", "declared", "config", "ok"),
        (Place(part="store"), None, "unknown", "nobody", "unknown"),
        (Place(part="store", local=True), "europe-west1", "declared", "same_machine", "ok"),
        (
            Place(part="spool", declared="europe-west1", observed="us-east1", by="bucket"),
            "us-east1",
            "observed",
            "bucket",
            "differs",
        ),
        # Declared as another than observed differs, though both are in the geography.
        (
            Place(part="store", declared="eu-west-1", observed="eu-west-3", by="host_name"),
            "eu-west-3",
            "observed",
            "host_name",
            "differs",
        ),
        (
            Place(part="keys", observed="europe-west2", by="key"),
            "europe-west2",
            "observed",
            "key",
            "differs",
        ),
        # Of the same cloud the very region, of another the geography.
        (
            Place(part="spool", declared="europe-west4"),
            "europe-west4",
            "declared",
            "config",
            "differs",
        ),
        (Place(part="spool", declared="eu-west-1"), "eu-west-1", "declared", "config", "ok"),
        # Counts may be elsewhere in the geography, and not out of it.
        (Place(part="anchor", declared="europe-west4"), "europe-west4", "declared", "config", "ok"),
        (Place(part="alerts", declared="us"), "us", "declared", "config", "differs"),
        # A source is where the customer has it.
        (
            Place(part="source", observed="us-east-1", by="host_name"),
            "us-east-1",
            "observed",
            "host_name",
            "ok",
        ),
        # What was to be observed and was not is not believed either.
        (
            Place(part="store", declared="europe-west1", failed=True),
            None,
            "unknown",
            "nobody",
            "unknown",
        ),
    ],
)
def test_a_row_says_what_was_found_and_by_whom(
    place: Place, found: str | None, basis: str, by: str, state: str
) -> None:
    """Observed goes before declared, and what nobody knows is said."""
    made = row(place)
    assert (made.found, made.basis, made.by, made.state) == (found, basis, by, state)
    assert made.planned == (None if place.part == "source" else "europe-west1")


def test_a_worker_is_in_its_very_region() -> None:
    """Or, where only the geography is said, in any region of it."""
    for workspace, observed, state in (
        (at(), "europe-west1", "ok"),
        (at(), "europe-west4", "differs"),
        (at(None), "europe-west4", "ok"),
        (at(None), "us-east1", "differs"),
        (at(None), "europe-west2", "differs"),
    ):
        place = Place(part="worker", observed=observed, by="metadata")
        assert residency_rows(workspace, [place])[0].state == state, observed


def test_a_difference_refuses_and_says_where() -> None:
    """Whatever the project files say of the placement."""
    rows = [row(Place(part="spool", observed="us-east1", by="bucket")), row(Place(part="alerts"))]
    for workspace in (at(), at(placed=False)):
        refusal = residency_refusal(workspace, rows)
        assert refusal is not None
        assert refusal.code == "region_differs"
        assert "spool in us-east1" in refusal.message


@pytest.mark.parametrize("part", ["worker", "queue", "spool", "keys", "store", "source", "alerts"])
def test_what_nobody_knows_refuses_where_personal_data_is(part: str) -> None:
    """And where somebody said where it may be; of what gets counts it is listed alone."""
    rows = [row(Place(part=part))]  # type: ignore[arg-type]
    refusal = residency_refusal(at(), rows)
    assert (refusal is not None) == (part in PERSONAL)
    assert refusal is None or (refusal.code == "region_unknown" and part in refusal.message)
    assert residency_refusal(at(placed=False), rows) is None


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("shop.c9akciq32.eu-west-1.rds.amazonaws.com", "eu-west-1"),
        ("shop.cluster-ro-c9ak.eusc-de-east-1.rds.amazonaws.eu", "eusc-de-east-1"),
        ("shop.c9ak.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("wg.123456789012.eu-central-1.redshift-serverless.amazonaws.com", "eu-central-1"),
        ("email-smtp.eu-west-3.amazonaws.com", "eu-west-3"),
        ("1a23b4cd5e67.1a2b345c6d27.europe-west4.sql.goog.", "europe-west4"),
        ("xy12345.eu-central-1.snowflakecomputing.com", "eu-central-1"),
        ("xy12345.europe-west4.gcp.snowflakecomputing.com", "europe-west4"),
        ("myorg-account1.snowflakecomputing.com", ""),
        ("db.eu-nowhere-9.rds.amazonaws.com", ""),
        ("db.eu-west-1.example.com", ""),
        ("eu-west-1.rds.amazonaws.com.example.com", ""),
        ("10.0.0.7", ""),
    ],
)
def test_a_cloud_s_own_name_of_a_host_tells_its_region(host: str, region: str) -> None:
    """No name that anybody may give does."""
    assert region_of_host(host) == region
