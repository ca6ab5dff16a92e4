"""Where a workspace is placed: by plan, cloud and installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import EXAMPLE, Faults, check, found, swap
from mayfly.config.load import load_project

HEAD = "plan: business, residency: {provider: gcp, geography: eu}"


def placed(plan: str | None, residency: str) -> str:
    """The example with another placement."""
    said = f"plan: {plan}, " if plan else ""
    return EXAMPLE.replace(HEAD, f"{said}residency: {{{residency}}}")


GOOD = {
    (None, ""): ("gcp", "eu", None),
    ("free", "provider: gcp, geography: eu"): ("gcp", "eu", None),
    ("business", "provider: aws, geography: uk"): ("aws", "uk", None),
    ("enterprise", "region: eu-west-2"): ("aws", "uk", "eu-west-2"),
    ("enterprise", "provider: own, geography: new_zealand"): ("own", "new_zealand", None),
    (None, "provider: own, region: our cellar"): ("own", "eu", "our cellar"),
}


@pytest.mark.parametrize("case", GOOD)
def test_a_placement_is_read(tmp_path: Path, case: tuple[str | None, str]) -> None:
    """By default the EU on Google Cloud; a region alone says of which cloud and geography it is."""
    (tmp_path / "mayfly.yml").write_text(placed(*case), "utf-8")
    workspace = load_project(tmp_path).workspace
    assert (workspace.provider, workspace.geography, workspace.region) == GOOD[case]


FAULTS: Faults = {
    "a plan that there is not": (
        swap("plan: business", "plan: busines"),
        2,
        31,
        "not_allowed",
        "Did you mean business?",
    ),
    "a provider the plan does not choose": (
        swap(HEAD, "plan: standard, residency: {provider: aws}"),
        2,
        63,
        "placement_not_in_plan",
        "It has: gcp. Plans that choose it: business, enterprise.",
    ),
    "a geography the plan does not choose": (
        swap(HEAD, "plan: free, residency: {geography: us}"),
        2,
        60,
        "placement_not_in_plan",
        "It has: eu. Plans that choose it: business, enterprise.",
    ),
    "a region the plan does not choose": (
        swap(HEAD, "plan: business, residency: {region: europe-west1}"),
        2,
        61,
        "placement_not_in_plan",
        "It has: any of eu: leave `region` out. Plans that choose it: enterprise.",
    ),
    "a geography the cloud is not in": (
        swap("geography: eu", "geography: new_zealand"),
        2,
        79,
        "placement_unavailable",
        "It has some in: australia, brazil",
    ),
    "a region of another cloud": (
        swap(HEAD, "residency: {provider: gcp, region: eu-west-1}"),
        2,
        60,
        "placement_unavailable",
        "Allowed: europe-central2, europe-north1",
    ),
    "London, whose name begins alike": (
        swap(HEAD, "residency: {geography: eu, region: europe-west2}"),
        2,
        60,
        "placement_unavailable",
        "expected a region of gcp in eu",
    ),
    "a region that there is not": (
        swap(HEAD, "residency: {region: our cellar}"),
        2,
        45,
        "placement_unavailable",
        "with `provider: own` any name",
    ),
    "a key of AWS elsewhere": (
        swap("keys: {provider: local}", "keys: {provider: aws_kms, key_id: k, region: us-east-1}"),
        3,
        46,
        "region_elsewhere",
        'expected a key in "eu"',
    ),
    "a key of Google nowhere": (
        swap(
            "keys: {provider: local}",
            "keys: {provider: gcp_kms, key_name: "
            "projects/p/locations/global/keyRings/r/cryptoKeys/k}",
        ),
        3,
        37,
        "region_elsewhere",
        'expected a key in "eu"',
    ),
    "a key of AWS whose ARN is of another region": (
        swap(
            "keys: {provider: local}",
            "keys: {provider: aws_kms, region: eu-west-1, "
            "key_id: 'arn:aws:kms:us-east-1:111122223333:key/k'}",
        ),
        3,
        54,
        "region_elsewhere",
        "keys.key_id",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_in_its_place(tmp_path: Path, fault: str) -> None:
    """With line, column, code and what can be had instead."""
    check(tmp_path, FAULTS[fault])


def test_what_the_installation_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused with what it has, by region and by geography; what it has is let in."""
    monkeypatch.setenv("MAYFLY_REGIONS", "europe-west1, us-east1")
    (tmp_path / "mayfly.yml").write_text(placed("enterprise", "region: us-east1"), "utf-8")
    assert load_project(tmp_path).workspace.geography == "us"
    for residency in ("region: europe-west3", "geography: uk"):
        [problem] = found(tmp_path, placed("enterprise", residency))
        assert (problem.line, problem.code) == (2, "placement_unavailable")
        assert problem.hint == "It has: europe-west1, us-east1 ($MAYFLY_REGIONS)."
