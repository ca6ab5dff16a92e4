"""The place of the spool in the project files."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from config_faults import EXAMPLE, Faults, add, check, found
from mayfly.config.load import load_project, project_schema
from mayfly.domain.places import expected_region
from mayfly.domain.settings import BucketSettings, SecretRef

S3 = "spool: {type: s3, bucket: held, region: eu-west-1"
GCS = "spool: {type: gcs, bucket: held, region: europe-west1"
SERVICE = "http://127.0.0.1:9000"
GOOD = {
    "": None,
    "spool: {}\n": None,
    "spool: {type: folder}\n": None,
    f"{S3}}}\n": BucketSettings(type="s3", bucket="held", region="eu-west-1"),
    f"{S3}, prefix: a/b, access_key_id: env:I, secret_access_key: file:/k, session_token: env:T, "
    f"endpoint: '{SERVICE}'}}\n": BucketSettings(
        type="s3",
        bucket="held",
        region="eu-west-1",
        prefix="a/b",
        endpoint=SERVICE,
        credentials={
            "access_key_id": SecretRef(kind="env", name="I"),
            "secret_access_key": SecretRef(kind="file", name="/k"),
            "session_token": SecretRef(kind="env", name="T"),
        },
    ),
    f"{GCS}, service_account_key: file:/k.json}}\n": BucketSettings(
        type="gcs",
        bucket="held",
        region="europe-west1",
        credentials={"service_account_key": SecretRef(kind="file", name="/k.json")},
    ),
    "spool: {type: gcs, bucket: held, region: eu, access_token: env:T}\n": BucketSettings(
        type="gcs",
        bucket="held",
        region="eu",
        credentials={"access_token": SecretRef(kind="env", name="T")},
    ),
}
FAULTS: Faults = {
    "unknown type": (
        add("spool: {type: s33, bucket: b}\n"),
        35,
        15,
        "not_allowed",
        "Did you mean s3?",
    ),
    "key of another type": (
        add(f"{S3}, access_token: env:T}}\n"),
        35,
        52,
        "key_of_other_type",
        "no key of type s3, but of gcs",
    ),
    "key of another type, none named": (
        add("spool: {bucket: held}\n"),
        35,
        9,
        "key_of_other_type",
        "no key of type folder, but of s3, gcs",
    ),
    "unknown key": (
        add(f"{S3}, prefx: a}}\n"),
        35,
        52,
        "unknown_key",
        "Did you mean prefix?",
    ),
    "no bucket": (
        add("spool: {type: s3, region: eu-west-1}\n"),
        35,
        1,
        "missing_key",
        "Name of the bucket. For instance shop-held.",
    ),
    "no region": (
        add("spool: {type: gcs, bucket: held}\n"),
        35,
        1,
        "missing_key",
        "For instance europe-west1.",
    ),
    "a bucket by its address": (
        add("spool: {type: s3, bucket: 's3://held', region: eu-west-1}\n"),
        35,
        27,
        "bad_format",
        "its name alone",
    ),
    "a prefix with a slash at its end": (
        add(f"{S3}, prefix: a/}}\n"),
        35,
        60,
        "bad_format",
        "mayfly/shop",
    ),
    "a region that is a host": (
        add("spool: {type: s3, bucket: held, region: evil.example}\n"),
        35,
        41,
        "bad_format",
        "eu-west-1",
    ),
    "a location of Google that is none": (
        add("spool: {type: gcs, bucket: held, region: eu-west-1}\n"),
        35,
        42,
        "bad_format",
        "europe-west1",
    ),
    "a literal key": (
        add(f"{S3}, access_key_id: env:I, secret_access_key: hunter2}}\n"),
        35,
        93,
        "literal_secret",
        "env:NAME",
    ),
    "half of the keys": (
        add(f"{S3}, access_key_id: env:I}}\n"),
        35,
        52,
        "missing_key",
        "key `secret_access_key` is missing",
    ),
    "both credentials": (
        add(f"{GCS}, service_account_key: env:K, access_token: env:T}}\n"),
        35,
        84,
        "two_credentials",
        "expected one of service_account_key and access_token",
    ),
    "an endpoint elsewhere": (
        add(f"{S3}, endpoint: 'https://minio.example'}}\n"),
        35,
        62,
        "endpoint_refused",
        "127.0.0.1",
    ),
    "another geography": (
        add("spool: {type: s3, bucket: held, region: us-east-1}\n"),
        35,
        41,
        "region_elsewhere",
        'a bucket in "eu"',
    ),
    "London, whose name begins alike": (
        add("spool: {type: s3, bucket: held, region: eu-west-2}\n"),
        35,
        41,
        "region_elsewhere",
        "workspace.residency",
    ),
}


@pytest.mark.parametrize("text", GOOD)
def test_a_place_is_read(tmp_path: Path, text: str) -> None:
    """The project's folder where none stands; secrets stay references; the schema agrees."""
    (tmp_path / "mayfly.yml").write_text(EXAMPLE + text, "utf-8")
    assert load_project(tmp_path).spool == GOOD[text]
    data = YAML(typ="safe", pure=True).load(EXAMPLE + text)
    assert list(Draft202012Validator(project_schema()).iter_errors(data)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_in_its_place(tmp_path: Path, fault: str) -> None:
    """With line, column, code and what to write; the schema refuses it, too."""
    check(tmp_path, FAULTS[fault])
    data = YAML(typ="safe", pure=True).load(FAULTS[fault][0](EXAMPLE))
    refused = list(Draft202012Validator(project_schema()).iter_errors(data)) != []
    assert refused != (
        FAULTS[fault][3] in ("region_elsewhere", "two_credentials") or "half" in fault
    )


def test_a_spool_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    """A type's name alone is not enough."""
    [problem] = found(tmp_path, EXAMPLE + "spool: s3\n")
    assert (problem.line, problem.code) == (35, "wrong_type")


def test_it_stands_in_the_main_file_only(tmp_path: Path) -> None:
    """No file of a sync moves it."""
    (tmp_path / "syncs").mkdir()
    (tmp_path / "syncs" / "a.yml").write_text("spool: {type: folder}\n")
    [problem] = found(tmp_path, EXAMPLE)
    assert (problem.file, problem.code) == ("syncs/a.yml", "main_file_only")


@pytest.mark.parametrize(
    ("region", "geography", "own", "expected"),
    [
        ("eu-west-1", None, None, ""),
        ("europe-west3", "eu", None, ""),
        ("eu", "EU", None, ""),
        ("eur4", None, None, ""),
        ("eu-west-2", "eu", None, "eu"),
        ("eu-central-2", "eu", None, "eu"),
        ("europe-west2", "eu", None, "eu"),
        ("europe-west6", "eu", None, "eu"),
        ("eur5", "eu", None, "eu"),
        ("us-east-1", "us", None, ""),
        ("us-central1", "us", None, ""),
        ("us", "us", None, ""),
        ("eu-west-1", "us", None, "us"),
        ("ap-south-1", "asia", None, "asia"),
        ("ap-south-1", "asia", "ap-south-1", ""),
        ("eu-west-2", None, "eu-west-2", ""),
        ("eu-west-3", None, "eu-west-1", "eu-west-1"),
        ("eu", None, "europe-west1", "europe-west1"),
        ("eu-west-3", None, "europe-west9", ""),
        ("eu-west-3", None, "our cellar", ""),
        ("us-east-1", None, "our cellar", "eu"),
    ],
)
def test_a_bucket_is_where_the_workspace_is(
    region: str, geography: str | None, own: str | None, expected: str
) -> None:
    """Its region where both are of one cloud, else its geography; the European Union by default."""
    assert expected_region(region, geography=geography, own=own) == expected
