"""Where checkpoints may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from config_faults import Faults, add, check

FAULTS: Faults = {
    "relative folder": (
        add("anchors: {a: {type: folder, path: audit}}\n"),
        35,
        35,
        "relative_path",
        "absolute",
    ),
    "unknown source": (
        add("anchors: {a: {type: source, source: shp}}\n"),
        35,
        37,
        "unknown_source",
        "Did you mean shop?",
    ),
    "plain http": (
        add('anchors: {a: {type: webhook, url: "http://audit.example/x", secret: env:HOOK}}\n'),
        35,
        35,
        "bad_webhook",
        "https://HOST/PATH",
    ),
    "a query": (
        add('anchors: {a: {type: webhook, url: "https://a.example/x?t=1", secret: env:HOOK}}\n'),
        35,
        35,
        "bad_webhook",
        "https://HOST/PATH",
    ),
    "a literal secret": (
        add("anchors: {a: {type: webhook, url: 'https://a.example/x', secret: whsec_abcd}}\n"),
        35,
        66,
        "literal_secret",
        "env:NAME",
    ),
    "no type": (
        add("anchors: {a: {path: /x}}\n"),
        35,
        11,
        "missing_key",
        "Allowed: folder, source, webhook, s3, gcs.",
    ),
    "key of another anchor": (
        add("anchors: {a: {type: folder, path: /x, url: 'https://a.example/x'}}\n"),
        35,
        39,
        "key_of_other_type",
        "no key of type folder, but of webhook",
    ),
    "unknown key": (
        add("anchors: {a: {type: folder, path: /x, pth: /x}}\n"),
        35,
        39,
        "unknown_key",
        "Did you mean path? Allowed: region, type, path.",
    ),
    "a bucket without a region": (
        add("anchors: {a: {type: s3, bucket: audit}}\n"),
        35,
        11,
        "missing_key",
        "Region of the bucket. For instance eu-west-1.",
    ),
    "a token where there is none": (
        add("anchors: {a: {type: gcs, bucket: audit, session_token: env:T}}\n"),
        35,
        41,
        "key_of_other_type",
        "no key of type gcs, but of s3",
    ),
    "half of a bucket's keys": (
        add(
            "anchors: {a: {type: s3, bucket: audit, region: eu-west-1, session_token: env:T, "
            "access_key_id: env:I}}\n"
        ),
        35,
        81,
        "missing_key",
        "key `secret_access_key` is missing",
    ),
    "both credentials of a bucket": (
        add(
            "anchors: {a: {type: gcs, bucket: audit, service_account_key: env:K, "
            "access_token: env:T}}\n"
        ),
        35,
        69,
        "two_credentials",
        "expected one of",
    ),
    "another type": (
        add("anchors: {a: {type: bucket, path: /x}}\n"),
        35,
        21,
        "not_allowed",
        "folder",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_in_its_place(tmp_path: Path, name: str) -> None:
    """With line, column, code and what to write."""
    check(tmp_path, FAULTS[name])


@pytest.mark.parametrize("below", ["", "audit", "link/audit"])
def test_a_folder_in_the_project_is_none(tmp_path: Path, below: str) -> None:
    """By way of a link, too: its owner is whom the checkpoints are kept from."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "link").symlink_to(project)
    fault = add(f"anchors: {{a: {{type: folder, path: {project / below}}}}}\n")
    check(project, (fault, 35, 35, "anchor_inside", "outside the project"))
