"""Requests of S3, signed, and what its answers mean. Pure but for the clock that signing reads."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mayfly.connectors.destinations.batch_files import Written
from mayfly.connectors.drivers import optional_driver
from mayfly.connectors.http_replies import refused
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.ports.http import HttpReply
from mayfly.ports.source_spec import Revealed

VENDOR = "S3"
ROWS_HEADER = "x-amz-meta-mayfly-rows"
_ENCRYPTION = "x-amz-server-side-encryption"
_KEY = f"{_ENCRYPTION}-aws-kms-key-id"
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_ENTRY = re.compile(rb"<Contents>(.*?)</Contents>", re.S)
_ENTRY_KEY = re.compile(rb"<Key>([A-Za-z0-9._/-]{1,1024})</Key>")
_ENTRY_DAY = re.compile(rb"<LastModified>([0-9]{4}-[0-9]{2}-[0-9]{2})T")
_NEXT = re.compile(rb"<NextContinuationToken>([^<&]{1,2048})</NextContinuationToken>")
# Codes that AWS documents with a status of 400, and that pass.
_PASSING = frozenset({"RequestTimeout", "OperationAborted", "ConditionalRequestConflict"})
_CREDENTIALS = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_OTHER_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)


@dataclass(frozen=True, kw_only=True)
class S3Keys:
    """An access key, each part read when a request is signed.

    Args:
        access_key_id, secret_access_key: None take what the machine offers: a role, or the
            variables and files of Amazon's own tools.
        session_token: of a temporary key.
    """

    access_key_id: Revealed | None = None
    secret_access_key: Revealed | None = None
    session_token: Revealed | None = None


class Signer:
    """Signs requests of one region by Signature Version 4, bodies included.

    Args:
        keys: that sign.
        region: of the bucket.

    Raises:
        ConfigError: `driver_missing`.
    """

    def __init__(self, keys: S3Keys, region: str) -> None:
        logs = ["botocore", "urllib3"]
        self._auth: Any = optional_driver("botocore.auth", kind="s3", logs=logs, of="Destinations")
        self._botocore = {
            name: optional_driver(f"botocore.{name}", kind="s3", logs=logs)
            for name in ("awsrequest", "credentials", "exceptions", "session")
        }
        self._keys = keys
        self._region = region
        self._machine: Any = None

    def signed(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes
    ) -> dict[str, str]:
        """Headers of the request with those that sign it. Blocks where the machine's own
        credentials are fetched.

        Raises:
            ConfigError: `bucket_credentials`, there are none; what revealing them raises.
        """
        credentials = self._credentials()
        request = self._botocore["awsrequest"].AWSRequest(
            method=method, url=url, headers=dict(headers), data=content
        )
        self._auth.S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
        return {name.lower(): str(value) for name, value in request.headers.items()}

    def _credentials(self) -> Any:
        keys = self._keys
        if keys.access_key_id is not None and keys.secret_access_key is not None:
            token = None if keys.session_token is None else keys.session_token.reveal()
            return self._botocore["credentials"].Credentials(
                keys.access_key_id.reveal(), keys.secret_access_key.reveal(), token
            )
        errors = self._botocore["exceptions"]
        try:
            if self._machine is None:
                self._machine = self._botocore["session"].get_session().get_credentials()
            if self._machine is not None:
                return self._machine.get_frozen_credentials()
        except errors.BotoCoreError:
            # Its text names files and addresses of the machine.
            self._machine = None
        raise ConfigError(
            "bucket_credentials",
            "Nothing on this machine gives credentials for S3.",
            hint="Give it a role, or name access_key_id and secret_access_key in the project.",
        )


def put_headers(rows: int, *, kms_key: str, over: str | None) -> dict[str, str]:
    """Headers of a PUT beside its signature.

    Args:
        rows: kept with the object.
        kms_key: that encrypts it; empty leaves that to the bucket.
        over: tag of the one object that may be replaced; None where none may.
    """
    condition = {"if-none-match": "*"} if over is None else {"if-match": over}
    encryption = {_ENCRYPTION: "aws:kms", _KEY: kms_key} if kms_key else {}
    return {
        **condition,
        **encryption,
        ROWS_HEADER: str(rows),
        "content-type": "application/octet-stream",
    }


def require_encrypted(reply: HttpReply, kms_key: str) -> None:
    """Refuse an answer to a PUT that does not say that the key was used.

    Raises:
        ContractError: `not_encrypted`.
    """
    told = reply.headers.get(_ENCRYPTION), reply.headers.get(_KEY)
    if kms_key and told != ("aws:kms", kms_key):
        raise ContractError(
            "not_encrypted",
            "S3 took an object and does not say that it is encrypted with the key of the project.",
            hint="Look at the object's encryption, and at `kms_key`: it is the ARN of a key, not "
            "of an alias.",
        )


def rows_of(reply: HttpReply) -> int | None:
    """Rows of an object, as they were kept with it."""
    text = reply.headers.get(ROWS_HEADER, "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def listed(reply: HttpReply, name_of: Callable[[str], str]) -> tuple[Sequence[Written], str]:
    """Objects of one page of a listing, and what asks for the next; empty where there is none.

    Args:
        reply: of status 200.
        name_of: a file's name by its key; empty where it is none of ours.
    """
    found = []
    for entry in _ENTRY.findall(reply.body):
        key, day = _ENTRY_KEY.search(entry), _ENTRY_DAY.search(entry)
        name = name_of(key[1].decode()) if key else ""
        if name and day:
            found.append(Written(name=name, day=day[1].decode()))
    more = _NEXT.search(reply.body)
    return found, more[1].decode() if more else ""


def error_code(reply: HttpReply) -> str:
    """Amazon's own code; empty where there is none, as in every answer to HEAD."""
    found = _CODE.search(reply.body)
    return found[1].decode() if found else ""


def refusal(reply: HttpReply) -> EngineError:
    """Any answer that is no success, as our error. Pure."""
    code = error_code(reply)
    shown = f"HTTP {reply.status}" + (f", {code}" if code else "")
    if code in _PASSING or reply.status == 409:
        return TransientError("destination_busy", f"S3 cannot answer now ({shown}).")
    if code in _OTHER_REGION or reply.status == 301:
        return elsewhere("")
    if code in _CREDENTIALS:
        return refused(HttpReply(status=403, headers=reply.headers, body=b""), VENDOR, code)
    if reply.status == 404:
        return ConfigError(
            "bucket_missing",
            f"There is no such bucket ({shown}).",
            hint="Make it, or correct `bucket`.",
        )
    if code.startswith("KMS."):
        return ConfigError(
            "kms_key_refused",
            f"S3 cannot use the key that encrypts ({shown}).",
            hint="The key must be enabled, in the bucket's region, and the credentials must have "
            "kms:GenerateDataKey on it.",
        )
    if reply.status == 400:
        return ContractError("unknown_answer", f"S3 refuses a request ({shown}).")
    return refused(reply, VENDOR, code)


def elsewhere(region: str) -> ConfigError:
    """The bucket is not where the project says.

    Args:
        region: where it is; empty where that is not known.
    """
    is_in = f"in {region}" if region else "in another region"
    return ConfigError(
        "bucket_elsewhere",
        f"The bucket lies {is_in}, and not in the one that the project declares.",
        hint="Nothing was written. Correct `region`, if the data may be there.",
    )
