"""The key providers in the project files."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from config_faults import EXAMPLE, Faults, check, found, swap
from mayfly.config.load import load_project, project_schema
from mayfly.domain.settings import KeysSettings, SecretRef

LOCAL = "keys: {provider: local}"
KEY = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
PKCS11 = "keys: {provider: pkcs11, module: /a.so, token: t, key_label: k, pin: env:PIN}"
VAULT = "keys: {provider: vault, address: 'https://v.example.com:8200', key: k, token: file:/t}"
GOOD = {
    "keys: {}": KeysSettings(),
    LOCAL: KeysSettings(),
    "keys: {provider: local, epoch_days: 7}": KeysSettings(epoch_days=7),
    PKCS11: KeysSettings(
        provider="pkcs11",
        options={
            "module": "/a.so",
            "token": "t",
            "key_label": "k",
            "pin": SecretRef(kind="env", name="PIN"),
        },
    ),
    "keys: {provider: aws_kms, key_id: alias/m, region: eu-west-1}": KeysSettings(
        provider="aws_kms",
        options={"key_id": "alias/m", "region": "eu-west-1", "earlier_key_ids": []},
    ),
    f"keys: {{provider: gcp_kms, key_name: {KEY}, endpoint: 'http://127.0.0.1:9'}}": KeysSettings(
        provider="gcp_kms", options={"key_name": KEY, "endpoint": "http://127.0.0.1:9"}
    ),
    VAULT: KeysSettings(
        provider="vault",
        options={
            "address": "https://v.example.com:8200",
            "mount": "transit",
            "key": "k",
            "token": SecretRef(kind="file", name="/t"),
        },
    ),
}
_AWS = "keys: {provider: aws_kms, key_id: k, region: eu-west-1, endpoint: "
FAULTS: Faults = {
    "unknown provider": (
        swap("provider: local", "provider: valt"),
        3,
        18,
        "not_allowed",
        "Did you mean vault?",
    ),
    "missing setting": (
        swap("provider: local", "provider: aws_kms, key_id: k"),
        3,
        1,
        "missing_key",
        "Region of the key. For instance eu-west-1.",
    ),
    "unknown setting": (
        swap(LOCAL, VAULT.replace("key: k", "key: k, mont: m")),
        3,
        72,
        "unknown_key",
        "Did you mean mount?",
    ),
    "setting of another provider": (
        swap("provider: local", "provider: local, pin: env:PIN"),
        3,
        25,
        "key_of_other_type",
        "no key of type local, but of pkcs11",
    ),
    "setting of another provider, none named": (
        swap("provider: local", "pin: env:PIN"),
        3,
        8,
        "key_of_other_type",
        "no key of type local, but of pkcs11",
    ),
    "epoch of a provider that has none": (
        swap(LOCAL, "keys: {provider: aws_kms, key_id: k, region: eu-west-1, epoch_days: 7}"),
        3,
        57,
        "key_of_other_type",
        "ends days later",
    ),
    "epoch that is too long": (
        swap("provider: local", "provider: local, epoch_days: 16"),
        3,
        37,
        "out_of_range",
        "",
    ),
    "epoch that is none": (
        swap("provider: local", "provider: local, epoch_days: 0"),
        3,
        37,
        "out_of_range",
        "",
    ),
    "literal PIN": (
        swap(LOCAL, PKCS11.replace("env:PIN", "'1234'")),
        3,
        70,
        "literal_secret",
        "env:",
    ),
    "literal token": (
        swap(LOCAL, VAULT.replace("file:/t", "s.abc")),
        3,
        79,
        "literal_secret",
        "env:",
    ),
    "module by a relative path": (
        swap(LOCAL, PKCS11.replace("/a.so", "a.so")),
        3,
        34,
        "bad_format",
        "absolute path",
    ),
    "region that is a host": (
        swap(LOCAL, "keys: {provider: aws_kms, key_id: k, region: evil.example.com/}"),
        3,
        46,
        "bad_format",
        "eu-west-1",
    ),
    "key that is no name": (
        swap(LOCAL, "keys: {provider: gcp_kms, key_name: shop}"),
        3,
        37,
        "bad_format",
        "keyRings",
    ),
    "Vault without TLS": (
        swap(LOCAL, VAULT.replace("https://v.example.com", "http://v.example.com")),
        3,
        34,
        "endpoint_refused",
        "",
    ),
    "mount that leaves its place": (
        swap(LOCAL, VAULT.replace("key: k", "mount: a/../sys, key: k")),
        3,
        71,
        "bad_format",
        "",
    ),
} | {
    f"endpoint {address}": (swap(LOCAL, f"{_AWS}'{address}'}}"), 3, 67, "endpoint_refused", "")
    for address in (
        "http://localhost:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1:80/x",
        "http://127.0.0.1:99999",
        "http://127.0.0.1.example.com:80",
        "sandbox",
    )
}


@pytest.mark.parametrize("text", GOOD)
def test_a_provider_s_settings_are_read(tmp_path: Path, text: str) -> None:
    """Each provider has its own; secrets stay references; the schema says the same."""
    whole = EXAMPLE.replace(LOCAL, text)
    (tmp_path / "mayfly.yml").write_text(whole, "utf-8")
    project = load_project(tmp_path)
    assert project.keys == GOOD[text]
    assert [w for w in project.warnings if "keys" in w.message] == []
    data = YAML(typ="safe", pure=True).load(whole)
    assert list(Draft202012Validator(project_schema()).iter_errors(data)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_where_it_stands(tmp_path: Path, fault: str) -> None:
    """With its file, line, column, code and way out; the schema refuses it, too."""
    check(tmp_path, FAULTS[fault])
    text = FAULTS[fault][0](EXAMPLE)
    if "99999" not in fault:
        data = YAML(typ="safe", pure=True).load(text)
        assert list(Draft202012Validator(project_schema()).iter_errors(data)) != []


def test_keys_that_are_no_mapping_are_refused(tmp_path: Path) -> None:
    """A provider's name alone is not enough."""
    [problem] = found(tmp_path, EXAMPLE.replace(LOCAL, "keys: vault"))
    assert (problem.line, problem.code) == (3, "wrong_type")
