"""Google Cloud Storage as the sandbox plays it, and Google's own client of it."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hubspot_world import Token
from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations import gcs
from mayfly.connectors.destinations.batch_files import BatchFiles
from mayfly.ports.destination import DestinationContext
from mayfly.sandbox.server import SandboxServer

BUCKET, REGION, TOKEN = "shop-customers", "europe-west1", "token-1"
EMAIL = "mayfly@shop.iam.gserviceaccount.com"


def settings(url: str, **more: Any) -> gcs.GcsSettings:
    """Of the bucket, with a token unless a key is given."""
    login = {} if "service_account_key" in more else {"access_token": Token(TOKEN)}
    whole = {"bucket": BUCKET, "region": REGION, "prefix": "mayfly/shop", "endpoint": url}
    return gcs.GcsSettings(**{**whole, **login, **more})


def destination(
    url: str, context: DestinationContext, file_format: str = "jsonl", **more: Any
) -> BatchFiles:
    """A connector with an HTTP client of its own."""
    place = gcs.make(settings(url, **more), HttpxClient(["127.0.0.1"]))
    return BatchFiles(place, file_format, context)


@cache
def bucket(url: str) -> Any:
    """Google's own client of the bucket."""
    from google.cloud import storage
    from google.oauth2.credentials import Credentials

    client = storage.Client(
        project="shop", credentials=Credentials(TOKEN), client_options={"api_endpoint": url}
    )
    return client.bucket(BUCKET)


def account_key(sandbox: SandboxServer) -> str:
    """The JSON key of a service account that the sandbox knows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    sandbox.app.gcs.accounts = {EMAIL: key.public_key()}
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    account = {
        "type": "service_account",
        "client_email": EMAIL,
        "private_key_id": "1",
        "private_key": pem,
        "token_uri": "https://elsewhere.example/token",
    }
    return json.dumps(account)
