"""From settings to a key provider, and the hosts that it may talk to."""

from __future__ import annotations

from pathlib import Path

import pytest

from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.keys.make import check_store, key_hosts, make_key_provider
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import KeysSettings, SecretRef

OPTIONS: dict[str, dict[str, object]] = {
    "local": {},
    "pkcs11": {
        "module": "/a.so",
        "token": "t",
        "key_label": "k",
        "pin": SecretRef(kind="env", name="P"),
    },
    "aws_kms": {"key_id": "k", "region": "eu-west-1", "earlier_key_ids": []},
    "gcp_kms": {"key_name": "k"},
    "vault": {
        "address": "https://vault.example.com:8200",
        "mount": "transit",
        "key": "k",
        "token": SecretRef(kind="env", name="T"),
    },
}


def settings(provider: str, **more: object) -> KeysSettings:
    """Settings as the project files give them."""
    return KeysSettings(provider=provider, options=OPTIONS[provider] | more)


@pytest.mark.parametrize("provider", OPTIONS)
def test_making_a_provider_opens_nothing(tmp_path: Path, provider: str) -> None:
    """No secret is asked for, and no library or file is needed, before the first call."""

    def reveal(reference: SecretRef) -> str:
        raise AssertionError(reference)

    made = make_key_provider(
        settings(provider),
        directory=tmp_path / "k",
        project_directory=tmp_path / "p",
        reveal=reveal,
    )
    assert isinstance(made, LocalKeyProvider) == (provider == "local")
    assert provider in repr(made) or provider == "local"
    assert list(tmp_path.iterdir()) == []


def test_hosts_are_the_service_s_own() -> None:
    """A run's list gets no more than the provider needs."""
    assert key_hosts(settings("local")) == key_hosts(settings("pkcs11")) == frozenset()
    assert key_hosts(settings("vault")) == {"vault.example.com"}
    aws = key_hosts(settings("aws_kms"))
    assert {"kms.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"} <= aws
    assert {"cloudkms.googleapis.com", "oauth2.googleapis.com"} <= key_hosts(settings("gcp_kms"))
    china = settings("aws_kms", region="cn-north-1")
    assert "kms.cn-north-1.amazonaws.com.cn" in key_hosts(china)


@pytest.mark.parametrize("provider", ["aws_kms", "gcp_kms"])
def test_a_test_s_endpoint_is_the_only_host(provider: str) -> None:
    """Then the vendor's own are not reached."""
    assert key_hosts(settings(provider, endpoint="http://127.0.0.1:9")) == {"127.0.0.1"}


def test_only_a_local_key_is_refused_beside_a_shared_store() -> None:
    """A key of one machine cannot serve several."""
    url = "postgresql+psycopg://db.example.com/x"
    for provider in OPTIONS:
        check_store(settings(provider), "sqlite")
        if provider == "local":
            with pytest.raises(PolicyError, match="local_keys_shared_store"):
                check_store(settings(provider), url)
        else:
            check_store(settings(provider), url)
