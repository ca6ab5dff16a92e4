"""Buckets and SFTP servers in the project files."""

from __future__ import annotations

from pathlib import Path

import pytest

from mayfly.config.load import load_project
from mayfly.domain.errors import EngineError
from mayfly.domain.settings import SecretRef

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBnkzK8y6uZ0hVKqbB0aJqkpgSX1mGxDqQqXzPpTz0aP"
FILES = """
version: 1
workspace: {{name: shop}}
sources: {{shop: {{type: duckdb, path: shop.duckdb}}}}
models:
  people: {{source: shop, table: people, primary_key: [id], columns: {{id: {{}}}}}}
destinations:
  there: {{{there}}}
syncs:
  s: {{id: s, model: people, destination: there, mode: {mode}, mapping: {{id: id}}}}
"""
S3 = "type: s3, bucket: shop-customers, region: eu-west-1"
GCS = "type: gcs, bucket: shop-customers, region: europe-west1"
SFTP = (
    "type: sftp, host: sftp.example.com, username: mayfly, folder: up/customers, "
    f"host_keys: [{KEY}]"
)
OWN = ", kind: internal, owner: data, reason: ours"


def codes(folder: Path, there: str, mode: str = "append") -> set[str]:
    """Of what is wrong with a project."""
    (folder / "mayfly.yml").write_text(FILES.format(there=there, mode=mode), encoding="utf-8")
    try:
        load_project(folder)
    except EngineError as error:
        return {problem.code for problem in getattr(error, "problems", ())}
    return set()


@pytest.mark.parametrize(
    "there",
    [
        S3,
        S3 + OWN + ", access_key_id: env:A, secret_access_key: env:B, session_token: env:C",
        S3 + ", kms_key: arn:aws:kms:eu-west-1:123456789012:key/1234abcd, format: csv",
        S3 + ', bucket_owner: "123456789012", prefix: mayfly/shop',
        GCS + OWN + ", access_token: env:A",
        GCS + ", service_account_key: 'file:/etc/key.json', endpoint: sandbox",
        SFTP + ", private_key: env:A, passphrase: env:B",
        SFTP + OWN + ", password: env:A, port: 2222, format: jsonl, group_reads: true",
    ],
)
def test_what_is_whole_loads(tmp_path: Path, there: str) -> None:
    """With every way to log in."""
    assert codes(tmp_path, there) == set()


@pytest.mark.parametrize(
    ("there", "code"),
    [
        (S3 + ", kind: internal", "missing_key"),
        (S3 + ", access_key_id: env:A", "missing_key"),
        (S3 + ", session_token: env:A", "missing_key"),
        (S3 + ", access_key_id: AKIA, secret_access_key: env:B", "literal_secret"),
        (S3 + ", kms_key: alias/mine", "bad_format"),
        (S3 + ", format: xml", "not_allowed"),
        (S3 + ", prefix: /a/", "bad_format"),
        (S3 + ", endpoint: 'https://s3.example.com'", "endpoint_refused"),
        (GCS, "missing_key"),
        (GCS + ", access_token: env:A, service_account_key: env:B", "two_credentials"),
        (SFTP, "missing_key"),
        (SFTP + ", private_key: env:A, password: env:B", "two_credentials"),
        (SFTP.replace(f"[{KEY}]", "[]") + ", password: env:A", "empty"),
        (SFTP.replace(KEY, f"sftp.example.com {KEY}") + ", password: env:A", "bad_format"),
        (SFTP.replace("up/customers", "../up") + ", password: env:A", "bad_format"),
        (SFTP.replace("sftp.example.com", "'a b'") + ", password: env:A", "bad_format"),
    ],
)
def test_what_is_missing_or_wrong_is_found(tmp_path: Path, there: str, code: str) -> None:
    """Before anything is opened."""
    assert code in codes(tmp_path, there)


@pytest.mark.parametrize("mode", ["mirror", "audience"])
@pytest.mark.parametrize("there", [S3, GCS + ", access_token: env:A", SFTP + ", password: env:A"])
def test_a_mode_that_takes_rows_back_is_refused(tmp_path: Path, there: str, mode: str) -> None:
    """No file would be the whole."""
    assert "mode_not_supported" in codes(tmp_path, there, mode)


def test_secrets_stay_references(tmp_path: Path) -> None:
    """And the folder is the server's, not one of this machine."""
    assert codes(tmp_path, SFTP + ", private_key: env:A") == set()
    options = load_project(tmp_path).destinations["there"].options
    assert options["private_key"] == SecretRef(kind="env", name="A")
    assert options["folder"] == "up/customers"
