"""The shapes of `keys:` in the project files, one for each provider."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mayfly.config.fields import (
    AbsolutePath,
    AwsKey,
    AwsRegion,
    GcpKey,
    HttpsAddress,
    Line,
    Loopback,
    Part,
    PathPart,
    Reference,
)

EpochDays = Annotated[
    int | None,
    Field(
        ge=1,
        le=15,
        description="Days for which a version of the key wraps; then a command makes the next one, "
        "and destroys a version that is out of use for as long. Without it, by hand.",
        examples=[7],
    ),
]


class LocalKeys(Part):
    """A key in a private file of this machine; for one machine, and refused with a shared store."""

    provider: Literal["local"] = Field(default="local", description="Key provider.")
    epoch_days: EpochDays = None


class Pkcs11Keys(Part):
    """A key in a PKCS#11 token, such as an HSM."""

    provider: Literal["pkcs11"] = Field(description="Key provider.")
    module: AbsolutePath = Field(
        description="The token's library.", examples=["/usr/lib/softhsm/libsofthsm2.so"]
    )
    token: Line = Field(description="Label of the token.", examples=["mayfly"])
    key_label: Line = Field(
        description="Label of the AES keys; the one with the highest id wraps.",
        examples=["mayfly-shop"],
    )
    pin: Reference = Field(description="Reference to the user's PIN.", examples=["env:HSM_PIN"])
    region: Line | None = Field(
        default=None,
        description="Where the token is, where it is not this machine.",
        examples=["europe-west1"],
    )
    epoch_days: EpochDays = None


class AwsKmsKeys(Part):
    """A key in AWS KMS; credentials are found as AWS's own tools find them."""

    provider: Literal["aws_kms"] = Field(description="Key provider.")
    key_id: AwsKey = Field(
        description="Id, ARN or alias of the key that wraps.", examples=["alias/mayfly-shop"]
    )
    region: AwsRegion = Field(description="Region of the key.", examples=["eu-west-1"])
    earlier_key_ids: list[AwsKey] = Field(
        default=[], description="Keys that wrapped before and may still unwrap."
    )
    endpoint: Loopback | None = Field(
        default=None, description="`http://127.0.0.1:PORT`, for tests; by default AWS's own."
    )


class GcpKmsKeys(Part):
    """A key in Google Cloud KMS; credentials are the application's default ones."""

    provider: Literal["gcp_kms"] = Field(description="Key provider.")
    key_name: GcpKey = Field(
        description="Full name of the key.",
        examples=["projects/p/locations/europe-west1/keyRings/mayfly/cryptoKeys/shop"],
    )
    endpoint: Loopback | None = Field(
        default=None, description="`http://127.0.0.1:PORT`, for tests; by default Google's own."
    )


class VaultKeys(Part):
    """A key in the transit engine of HashiCorp Vault or OpenBao."""

    provider: Literal["vault"] = Field(description="Key provider.")
    address: HttpsAddress = Field(
        description="`https://HOST[:PORT]`, or `http://127.0.0.1:PORT`.",
        examples=["https://vault.example.com:8200"],
    )
    mount: PathPart = Field(default="transit", description="Path of the transit engine.")
    key: PathPart = Field(description="Name of the key.", examples=["mayfly-shop"])
    token: Reference = Field(description="Reference to the token.", examples=["env:VAULT_TOKEN"])
    ca_file: AbsolutePath | None = Field(
        default=None, description="Certificates to trust in place of the usual ones."
    )
    region: Line | None = Field(
        default=None,
        description="Where the server is, where it is not this machine.",
        examples=["europe-west1"],
    )
    epoch_days: EpochDays = None


def _local_by_default(value: object) -> object:
    if isinstance(value, dict) and "provider" not in value:
        return {"provider": "local"} | value
    return value


KeysFile = Annotated[
    Annotated[
        LocalKeys | Pkcs11Keys | AwsKmsKeys | GcpKmsKeys | VaultKeys,
        Field(discriminator="provider"),
    ],
    BeforeValidator(_local_by_default),
]
