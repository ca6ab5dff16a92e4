"""Every key provider on its service, with what an operator of the service could do to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mayfly.adapters.keys.aws_kms import AwsKmsService
from mayfly.adapters.keys.gcp_kms import GcpKmsService
from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.keys.pkcs11 import Pkcs11Service
from mayfly.adapters.keys.service import KeyService, ServiceKeyProvider
from mayfly.adapters.keys.vault import VaultService
from mayfly.ports.keys import KeyProvider

from . import softhsm
from .aws import REGION, FakeAwsKms
from .gcp import FakeGcpKms
from .vault import TOKEN, FakeVault

SERVICES = ("pkcs11", "aws_kms", "aws_kms on moto", "gcp_kms", "vault")
ON_NETWORK = ("aws_kms", "gcp_kms", "vault")
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "canary-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
}
_NUMBERS = itertools.count(1)


@dataclass(kw_only=True)
class World:
    """A provider, and its service.

    Args:
        provider: wraps under a key of its own.
        other: the same service, another key.
        rotate: gives a provider that wraps under a new version and still knows the old.
        disable: makes a version unusable by the service's own means.
        silence: lets the service take calls and never answer.
        stop: lets it refuse connections.
        fake: the service itself, where it is ours.
    """

    provider: KeyProvider
    other: KeyProvider
    rotate: Callable[[], KeyProvider]
    disable: Callable[[str], None] | None = None
    silence: Callable[[], None] | None = None
    stop: Callable[[], None] | None = None
    fake: object = None


@contextmanager
def local(folder: Path) -> Iterator[World]:
    """Files."""
    made = []
    for name in ("w1", "w2"):
        provider = LocalKeyProvider(folder / "keys" / name, project_directory=folder / "project")
        provider.create()
        made.append(provider)

    def rotate() -> KeyProvider:
        made[0].rotate()
        return made[0]

    yield World(provider=made[0], other=made[1], rotate=rotate)


@contextmanager
def pkcs11(folder: Path) -> Iterator[World]:
    """SoftHSM; each world has labels of its own."""
    path, number = softhsm.module(), next(_NUMBERS)

    def make(label: str) -> ServiceKeyProvider:
        provider = service(
            "pkcs11",
            lambda: Pkcs11Service(
                module=path, token=softhsm.TOKEN, key_label=label, pin=lambda: softhsm.PIN
            ),
        )
        provider.rotate()
        return provider

    def rotate() -> KeyProvider:
        provider.rotate()
        return provider

    def disable(version: str) -> None:
        import pkcs11 as library

        with softhsm.session(path) as session:
            wanted = {
                library.Attribute.LABEL: f"k{number}",
                library.Attribute.ID: int(version).to_bytes(8, "big"),
            }
            [key] = session.get_objects(wanted)
            key[library.Attribute.ENCRYPT] = False
            key[library.Attribute.DECRYPT] = False

    provider = make(f"k{number}")
    yield World(provider=provider, other=make(f"o{number}"), rotate=rotate, disable=disable)


@contextmanager
def aws_kms(folder: Path) -> Iterator[World]:
    """Our own strict KMS."""
    with FakeAwsKms() as fake:
        first = fake.make_key()

        def make(key: str, *earlier: str) -> ServiceKeyProvider:
            return service(
                "aws_kms",
                lambda: AwsKmsService(
                    key_id=key, region=REGION, earlier_key_ids=earlier, endpoint=fake.address
                ),
            )

        def disable(version: str) -> None:
            fake.keys[version].state = "Disabled"

        yield World(
            provider=make(first),
            other=make(fake.make_key()),
            rotate=lambda: make(fake.make_key(), first),
            disable=disable,
            silence=lambda: setattr(fake, "mood", "silent"),
            stop=fake.stop,
            fake=fake,
        )


@contextmanager
def aws_kms_on_moto(folder: Path) -> Iterator[World]:
    """Moto, which knows more of KMS and forgives more than ours."""
    import boto3
    import moto

    with moto.mock_aws():
        client = boto3.client("kms", region_name=REGION)

        def new() -> str:
            return str(client.create_key()["KeyMetadata"]["Arn"])

        def make(key: str, *earlier: str) -> ServiceKeyProvider:
            return service(
                "aws_kms",
                lambda: AwsKmsService(key_id=key, region=REGION, earlier_key_ids=earlier),
            )

        first = new()
        yield World(provider=make(first), other=make(new()), rotate=lambda: make(new(), first))


@contextmanager
def gcp_kms(folder: Path) -> Iterator[World]:
    """The real client on our own server."""
    with FakeGcpKms() as fake:
        first = fake.make_key("first")

        def make(key: str) -> ServiceKeyProvider:
            return service("gcp_kms", lambda: GcpKmsService(key_name=key, endpoint=fake.address))

        def rotate() -> KeyProvider:
            provider.rotate()
            return provider

        provider = make(first)
        yield World(
            provider=provider,
            other=make(fake.make_key("other")),
            rotate=rotate,
            disable=lambda version: fake.disable(f"{first}/cryptoKeyVersions/{version}"),
            silence=lambda: setattr(fake, "silent", True),
            stop=fake.stop,
            fake=fake,
        )


@contextmanager
def vault(folder: Path) -> Iterator[World]:
    """Our own strict transit engine."""
    with FakeVault() as fake:
        for name in ("first", "other"):
            fake.make_key(name)

        def make(key: str) -> ServiceKeyProvider:
            return service(
                "vault",
                lambda: VaultService(
                    address=fake.address,
                    mount="transit",
                    key=key,
                    token=lambda: TOKEN,
                    verify=None,
                ),
            )

        def rotate() -> KeyProvider:
            provider.rotate()
            return provider

        def disable(version: str) -> None:
            fake.keys["first"]["min_decryption_version"] = int(version) + 1

        provider = make("first")
        yield World(
            provider=provider,
            other=make("other"),
            rotate=rotate,
            disable=disable,
            silence=lambda: setattr(fake, "mood", "silent"),
            stop=fake.stop,
            fake=fake,
        )


def service(name: str, open_service: Callable[[], KeyService]) -> ServiceKeyProvider:
    """A provider with the bounds it has in earnest."""
    return ServiceKeyProvider(name, open_service)


WORLDS = {
    "local": local,
    "pkcs11": pkcs11,
    "aws_kms": aws_kms,
    "aws_kms on moto": aws_kms_on_moto,
    "gcp_kms": gcp_kms,
    "vault": vault,
}
