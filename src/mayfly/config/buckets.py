"""The shapes of buckets in the project files: as the place of the spool, and as anchors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mayfly.config.fields import (
    AwsRegion,
    BucketName,
    BucketPrefix,
    GcsLocation,
    Loopback,
    Part,
    Reference,
)


class S3Bucket(Part):
    """What every bucket of S3 has.

    Without keys, credentials are those of the machine: a role, or the variables of AWS's own
    tools. Their profiles are not read.
    """

    bucket: BucketName = Field(description="Name of the bucket.", examples=["shop-held"])
    prefix: BucketPrefix | None = Field(
        default=None, description="Folder in the bucket.", examples=["mayfly/shop"]
    )
    region: AwsRegion = Field(description="Region of the bucket.", examples=["eu-west-1"])
    access_key_id: Reference | None = Field(
        default=None,
        description="Reference to the id of an access key; by default the machine's own.",
    )
    secret_access_key: Reference | None = Field(
        default=None, description="Reference to that access key."
    )
    session_token: Reference | None = Field(
        default=None, description="Reference to the token of a temporary access key."
    )
    endpoint: Loopback | None = Field(
        default=None, description="`http://127.0.0.1:PORT`, for tests; by default Amazon's own."
    )


class GcsBucket(Part):
    """What every bucket of Google Cloud Storage has.

    Without a key or token, credentials are the application's default ones.
    """

    bucket: BucketName = Field(description="Name of the bucket.", examples=["shop-held"])
    prefix: BucketPrefix | None = Field(
        default=None, description="Folder in the bucket.", examples=["mayfly/shop"]
    )
    service_account_key: Reference | None = Field(
        default=None,
        description="Reference to the JSON of a service account's key; else the machine's own.",
    )
    access_token: Reference | None = Field(
        default=None, description="Reference to a token of OAuth 2.0, read by each command."
    )
    endpoint: Loopback | None = Field(
        default=None, description="`http://127.0.0.1:PORT`, for tests; by default Google's own."
    )


class FolderSpool(Part):
    """Sealed batches wait in `.mayfly/spool` of the project."""

    type: Literal["folder"] = Field(default="folder", description="Kind of place.")


class S3Spool(S3Bucket):
    """Sealed batches wait in a bucket of S3, their keys on the machine."""

    type: Literal["s3"] = Field(description="Kind of place.")


class GcsSpool(GcsBucket):
    """Sealed batches wait in a bucket of Google Cloud Storage, their keys on the machine."""

    type: Literal["gcs"] = Field(description="Kind of place.")
    region: GcsLocation = Field(
        description="Location of the bucket; `mayfly doctor` compares it.",
        examples=["europe-west1"],
    )


class S3Anchor(S3Bucket):
    """A bucket of S3: one object for each checkpoint, which is never overwritten."""

    type: Literal["s3"] = Field(description="A bucket of S3.")


class GcsAnchor(GcsBucket):
    """A bucket of Google Cloud Storage: one object for each checkpoint, never overwritten."""

    type: Literal["gcs"] = Field(description="A bucket of Google Cloud Storage.")
    region: GcsLocation | None = Field(
        default=None,
        description="Location of the bucket, for who may not ask Google for it.",
        examples=["europe-west1"],
    )


def _folder_by_default(value: object) -> object:
    if isinstance(value, dict) and "type" not in value:
        return {"type": "folder"} | value
    return value


SpoolFile = Annotated[
    Annotated[FolderSpool | S3Spool | GcsSpool, Field(discriminator="type")],
    BeforeValidator(_folder_by_default),
]
