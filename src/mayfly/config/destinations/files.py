"""Places that get files, as destinations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.buckets import GcsBucket, S3Bucket
from mayfly.config.destinations.base import Format, Owned, own_endpoint
from mayfly.config.fields import (
    AwsAccount,
    AwsKeyArn,
    GcpKey,
    GcsLocation,
    HostKey,
    HostName,
    Line,
    Reference,
    SftpFolder,
    VendorEndpoint,
)


class FilesDestination(Owned):
    """A folder that gets one file for each run."""

    modes = ("upsert", "mirror", "append")
    takes = ("key",)

    type: Literal["files"] = Field(description="Kind of destination.")
    path: Line = Field(description="The folder, from the project's folder.")
    format: Format = Field(description="Format of the files.")


class RemoteFiles(Owned):
    """Base of the places beyond this machine that get one file for each batch."""

    modes = ("upsert", "append")
    takes = ("key",)


S3 = "https://s3.amazonaws.com"


class S3Destination(RemoteFiles, S3Bucket):
    """A bucket of Amazon S3 that gets one object for each batch.

    Without keys, credentials are those of the machine, as Amazon's own tools find them.
    """

    vendor = S3

    type: Literal["s3"] = Field(description="Kind of destination.")
    format: Format = Field(default="parquet", description="Format of the objects.")
    kms_key: AwsKeyArn | None = Field(
        default=None,
        description="ARN of the key of KMS that encrypts each object; by default the bucket's own "
        "encryption.",
    )
    bucket_owner: AwsAccount | None = Field(
        default=None, description="Id of the account that the bucket must belong to, quoted."
    )


GCS = "https://storage.googleapis.com"


class GcsDestination(RemoteFiles, GcsBucket):
    """A bucket of Google Cloud Storage that gets one object for each batch."""

    logins = ("service_account_key", "access_token")
    vendor = GCS

    type: Literal["gcs"] = Field(description="Kind of destination.")
    region: GcsLocation = Field(
        description="Location of the bucket; another one is refused.", examples=["europe-west1"]
    )
    format: Format = Field(default="parquet", description="Format of the objects.")
    kms_key: GcpKey | None = Field(
        default=None,
        description="Key of Cloud KMS that encrypts each object; by default the bucket's own "
        "encryption.",
    )
    endpoint: Annotated[str, VendorEndpoint(GCS)] | None = own_endpoint("Google's")


class SftpDestination(RemoteFiles):
    """A folder of an SFTP server that gets one file for each batch."""

    logins = ("private_key", "password")

    type: Literal["sftp"] = Field(description="Kind of destination.")
    host: HostName = Field(description="The server.", examples=["sftp.example.com"])
    port: int = Field(default=22, ge=1, le=65_535, description="Of the server.")
    host_keys: list[HostKey] = Field(
        min_length=1,
        max_length=8,
        description="Public keys that the server may show, as `ssh-keyscan` gives them without the "
        "host; any other is refused.",
        examples=["[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…]"],
    )
    username: Line = Field(description="Who logs in.", examples=["mayfly"])
    private_key: Reference | None = Field(
        default=None, description="Reference to a private key, in OpenSSH's form or PEM."
    )
    passphrase: Reference | None = Field(
        default=None, description="Reference to what the private key is encrypted with."
    )
    password: Reference | None = Field(
        default=None, description="Reference to a password, in the key's place."
    )
    folder: SftpFolder = Field(
        description="The folder, which must exist: from where the login begins, or from `/`.",
        examples=["upload/customers"],
    )
    group_reads: bool = Field(
        default=False, description="Whether the group of the file may read it, too."
    )
    format: Format = Field(default="csv", description="Format of the files.")
