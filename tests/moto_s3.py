"""S3 as moto serves it on loopback: signatures and rights are checked, as are regions and keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from hubspot_world import Token
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import s3
from mayfly.connectors.destinations.batch_files import BatchFiles
from mayfly.connectors.destinations.s3_requests import S3Keys
from mayfly.ports.destination import DestinationContext

BUCKET, REGION = "shop-customers", "eu-west-1"
# What moto calls s3:HeadBucket is s3:ListBucket at Amazon.
RIGHTS = ["s3:HeadBucket", "s3:ListBucket", "s3:PutObject", "s3:GetObject"]


@dataclass(kw_only=True)
class MotoS3:
    """A service, and an account's owner who may do everything.

    Attributes:
        url: of the service.
        owner: the library's client, with a key of its own.
        keys: id and secret of a user with RIGHTS.
    """

    url: str
    owner: Any
    keys: tuple[str, str]

    def settings(self, **more: Any) -> s3.S3Settings:
        """Of the bucket, for the user."""
        key, secret = self.keys
        signing = S3Keys(access_key_id=Token(key), secret_access_key=Token(secret))
        whole = {"bucket": BUCKET, "region": REGION, "prefix": "mayfly/shop", "keys": signing}
        return s3.S3Settings(**{**whole, "endpoint": self.url, **more})

    def destination(
        self, context: DestinationContext, file_format: str = "parquet", **more: Any
    ) -> BatchFiles:
        """A connector with an HTTP client of its own."""
        place = s3.make(self.settings(**more), HttpxClient(["127.0.0.1"]))
        return BatchFiles(place, file_format, context)

    def names(self, bucket: str = BUCKET) -> list[str]:
        """Keys in a bucket."""
        found = self.owner.list_objects_v2(Bucket=bucket).get("Contents", [])
        return [str(entry["Key"]) for entry in found]

    def content(self, key: str) -> bytes:
        """Of one object."""
        return bytes(self.owner.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    def user(self, *rights: str) -> tuple[str, str]:
        """Id and secret of a new user with these rights."""
        return _user(self._client("iam"), f"user{len(rights)}", rights)

    def empty(self) -> None:
        """Every bucket."""
        for key in self.names():
            self.owner.delete_object(Bucket=BUCKET, Key=key)

    def _client(self, service: str) -> Any:
        credentials = self.owner._request_signer._credentials
        return _client(service, self.url, credentials.access_key, credentials.secret_key)


@contextmanager
def moto_s3() -> Iterator[MotoS3]:
    """A service with one empty bucket; it ends with the block."""
    from moto import settings
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    before = settings.INITIAL_NO_AUTH_ACTION_COUNT
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        # What it holds belongs to the process.
        httpx.post(f"{url}/moto-api/reset", trust_env=False).raise_for_status()
        iam = _client("iam", url, "AKIAFIRST", "first")
        owner = _client("s3", url, *_user(iam, "owner", ["*"]))
        keys = _user(iam, "mayfly", RIGHTS)
        settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        place = {"LocationConstraint": REGION}
        owner.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        yield MotoS3(url=url, owner=owner, keys=keys)
    finally:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = before
        server.stop()


def _client(service: str, url: str, key: str, secret: str) -> Any:
    import boto3
    from botocore.config import Config

    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )


def _user(iam: Any, name: str, rights: Any) -> tuple[str, str]:
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": list(rights), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return str(key["AccessKeyId"]), str(key["SecretAccessKey"])
