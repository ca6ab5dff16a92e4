"""The key provider that the settings name, and the hosts it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mayfly.adapters.keys import aws_kms, gcp_kms
from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.keys.pkcs11 import Pkcs11Service
from mayfly.adapters.keys.service import KeyService, ServiceKeyProvider
from mayfly.adapters.keys.vault import VaultService
from mayfly.domain.errors import PolicyError
from mayfly.domain.settings import KeysSettings, SecretRef
from mayfly.ports.keys import KeyProvider

Reveal = Callable[[SecretRef], str]


def make_key_provider(
    settings: KeysSettings,
    *,
    directory: Path,
    project_directory: Path,
    reveal: Reveal,
) -> KeyProvider:
    """The provider; nothing is opened, read or loaded yet.

    Args:
        settings: which one, and its own settings.
        directory: where the local provider's key lies, see `keys_directory`.
        project_directory: the project, in which that key must not lie.
        reveal: gives the secret that a reference names; called as the provider is opened.

    Raises:
        PolicyError: `keys_beside_data`.
    """
    if settings.provider == "local":
        return LocalKeyProvider(directory, project_directory=project_directory)
    open_service = {"pkcs11": _pkcs11, "aws_kms": _aws, "gcp_kms": _gcp, "vault": _vault}[
        settings.provider
    ]
    return ServiceKeyProvider(settings.provider, lambda: open_service(settings.options, reveal))


def check_store(settings: KeysSettings, store_url: str) -> None:
    """Refuse a key of one machine beside a store that several may share.

    Raises:
        PolicyError: `local_keys_shared_store`.
    """
    if settings.provider == "local" and store_url != "sqlite":
        raise PolicyError(
            "local_keys_shared_store",
            "The store is one that several machines may share, and the key a file of this one.",
            hint="Use a key provider that all of them reach (pkcs11, aws_kms, gcp_kms, vault), "
            "or `store: {url: sqlite}`.",
        )


def make_key_encryption_key(provider: KeyProvider) -> bool:
    """Make the key of a new workspace where it is Mayfly's to make; whether it was.

    A key in a file or a token is. One of a service is made by who grants rights on it, and must
    be there and work.

    Raises:
        EngineError: whatever the provider raises.
    """
    if isinstance(provider, LocalKeyProvider):
        provider.create()
        return True
    made = not provider.versions()
    if made:
        provider.rotate()
    provider.health()
    return made


def key_hosts(settings: KeysSettings) -> frozenset[str]:
    """Hosts the provider needs; what a token's library connects to is its own affair."""
    options: Mapping[str, Any] = settings.options
    address = options.get("endpoint") or options.get("address")
    if address:
        return frozenset({urlsplit(address).hostname or ""})
    match settings.provider:
        case "aws_kms":
            return aws_kms.hosts(options["region"])
        case "gcp_kms":
            return gcp_kms.HOSTS
        case _:
            return frozenset()


def _pkcs11(options: Mapping[str, Any], reveal: Reveal) -> KeyService:
    return Pkcs11Service(
        module=options["module"],
        token=options["token"],
        key_label=options["key_label"],
        pin=lambda: reveal(options["pin"]),
    )


def _aws(options: Mapping[str, Any], _: Reveal) -> KeyService:
    return aws_kms.AwsKmsService(
        key_id=options["key_id"],
        region=options["region"],
        earlier_key_ids=options.get("earlier_key_ids", ()),
        endpoint=options.get("endpoint"),
    )


def _gcp(options: Mapping[str, Any], _: Reveal) -> KeyService:
    endpoint = options.get("endpoint")
    return gcp_kms.GcpKmsService(
        key_name=options["key_name"], endpoint=urlsplit(endpoint).netloc if endpoint else None
    )


def _vault(options: Mapping[str, Any], reveal: Reveal) -> KeyService:
    return VaultService(
        address=options["address"],
        mount=options["mount"],
        key=options["key"],
        token=lambda: reveal(options["token"]),
        verify=options.get("ca_file"),
    )
