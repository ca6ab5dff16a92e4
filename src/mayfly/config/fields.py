"""Kinds of values in the project files, each with its check and its JSON Schema."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, LiteralString, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

from mayfly.config.secrets import CONNECTION, KINDS, parse_reference
from mayfly.crypto.sshsig import SignatureError, SshKey
from mayfly.domain.names import NAME_PATTERN, is_name
from mayfly.services.schedules import PATTERN as SCHEDULE_PATTERN
from mayfly.services.schedules import parse_schedule

SANDBOX = "http://127.0.0.1:8765"
_PASSWORD = re.compile(r"(^|[?&\s;])(ssl)?password\s*=", re.IGNORECASE)


@dataclass(frozen=True)
class Formed:
    """A text that a pattern matches whole; its JSON Schema has the same pattern.

    Args:
        pattern: one that Python and JavaScript read alike.
        code, message: of the finding where it does not match.
    """

    pattern: str
    code: LiteralString = "bad_format"
    message: LiteralString = "this text has another form"

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise PydanticCustomError(self.code, self.message)
        return text


def _name(text: str) -> str:
    if not is_name(text):
        raise PydanticCustomError("bad_name", "expected a name of a-z, 0-9 and _")
    return text


def _login(text: str) -> str:
    """As `_reference`, or a connection."""
    reference = parse_reference(text)
    if reference is None or reference.kind != CONNECTION:
        return _reference(text)
    return f"{CONNECTION}:{_name(reference.name)}"


def _reference(text: str) -> str:
    reference = parse_reference(text)
    if reference is None:
        raise PydanticCustomError("literal_secret", "expected a reference to a secret")
    if reference.kind == CONNECTION:
        raise PydanticCustomError("connection_elsewhere", "a connection cannot be used here")
    if reference.kind == "env" and not re.fullmatch(
        r"[A-Za-z_][A-Za-z0-9_]{0,254}", reference.name
    ):
        raise PydanticCustomError("bad_reference", "expected the name of a variable after env:")
    if reference.kind == "file" and not reference.name.startswith(("/", "~/")):
        raise PydanticCustomError("relative_secret", "expected an absolute path, or one from ~/")
    return text


def _store_url(text: str) -> str:
    if text == "sqlite" or parse_reference(text) is not None:
        return _reference(text) if text != "sqlite" else text
    try:
        parts = urlsplit(text)
        secret = parts.password is not None or _PASSWORD.search(parts.query)
    except ValueError:
        raise PydanticCustomError("store_url", "this is not a URL") from None
    if secret:
        raise PydanticCustomError("literal_secret", "a password stands in the URL")
    if parts.scheme != "postgresql+psycopg":
        raise PydanticCustomError("store_url", "expected sqlite or postgresql+psycopg://…")
    return text


def _loopback(text: str) -> str:
    found = re.fullmatch(r"http://127\.0\.0\.1:([0-9]{1,5})", text)
    if found is None or not 1 <= int(found[1]) <= 65535:
        raise PydanticCustomError("endpoint_refused", "this endpoint is refused")
    return text


def _https(text: str) -> str:
    """An address of one's own service: TLS, or loopback."""
    if not re.fullmatch(r"https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?", text):
        return _loopback(text)
    return text


def _webhook(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise PydanticCustomError("bad_webhook", "this is not a URL") from None
    loopback = parts.scheme == "http" and parts.hostname == "127.0.0.1" and port is not None
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if not plain or not parts.hostname or not (parts.scheme == "https" or loopback):
        raise PydanticCustomError("bad_webhook", "expected https://HOST/PATH without a query")
    return text


_DURATION = "([0-9]{1,5}s|[0-9]{1,4}m|[0-9]{1,2}h)"


def seconds_of(duration: str) -> int:
    """Of `90s`, `15m`, `2h`."""
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3_600}[duration[-1]]


def _duration(text: str) -> str:
    if not re.fullmatch(_DURATION, text):
        raise PydanticCustomError("bad_format", "expected a number and s, m or h")
    if seconds_of(text) > 86_400:
        raise PydanticCustomError("bad_format", "expected a day at most")
    return text


def _schedule(text: str) -> str:
    try:
        parse_schedule(text)
    except ValueError:
        raise PydanticCustomError("bad_schedule", "this is no schedule") from None
    return text


def _line(text: str) -> str:
    if not text.strip() or len(text) > 255 or "\n" in text or "\r" in text:
        raise PydanticCustomError("bad_text", "expected 1 to 255 characters on one line")
    return text


def _ssh_key(text: str) -> str:
    """Type and key; a comment is often somebody's address, and is left out."""
    try:
        return SshKey.parse(text).line()
    except SignatureError:
        raise PydanticCustomError("bad_ssh_key", "expected a public SSH key") from None


def _schema(text: str) -> str:
    if not is_name(text.removeprefix("_")):
        raise PydanticCustomError("bad_name", "expected a name of a-z, 0-9 and _")
    return text


def _beside(value: object) -> object:
    if value == "source":
        raise PydanticCustomError("no_transactions", "the engine has no transactions")
    return value


def _scalar(value: object) -> object:
    if not isinstance(value, bool | int | str):
        raise PydanticCustomError("wrong_type", "expected true, false, a whole number or text")
    return value


Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": NAME_PATTERN}),
]
Reference = Annotated[
    str,
    AfterValidator(_reference),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join(KINDS)}):.+$"}),
]
Login = Annotated[
    str,
    AfterValidator(_login),
    WithJsonSchema({"type": "string", "pattern": f"^({'|'.join((*KINDS, CONNECTION))}):.+$"}),
]
StoreUrl = Annotated[
    str,
    AfterValidator(_store_url),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(sqlite|postgresql\+psycopg://.*|[a-z-]+:.+)$"}
    ),
]
Loopback = Annotated[
    str,
    AfterValidator(_loopback),
    WithJsonSchema({"type": "string", "pattern": r"^http://127\.0\.0\.1:[0-9]{1,5}$"}),
]
HttpsAddress = Annotated[
    str,
    AfterValidator(_https),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(https://[A-Za-z0-9][A-Za-z0-9.-]*|http://127\.0\.0\.1)(:[0-9]{1,5})?$",
        }
    ),
]
AwsRegion = Annotated[str, Formed("[a-z]{2}(-[a-z]{1,20}){1,3}-[0-9]{1,2}")]
BucketName = Annotated[str, Formed("[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")]
BucketPrefix = Annotated[str, Formed("[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,7}")]
GcsLocation = Annotated[str, Formed("([a-z]{2,20}(-[a-z]{2,20}[0-9]{1,2})?|(eur|nam)[0-9]{1,2})")]
AwsKey = Annotated[str, Formed("[A-Za-z0-9:/_-]{1,2048}")]
AwsAccount = Annotated[str, Formed("[0-9]{12}")]
AwsKeyArn = Annotated[
    str, Formed("arn:aws[a-z-]{0,10}:kms:[a-z0-9-]{1,32}:[0-9]{12}:key/[A-Za-z0-9-]{1,64}")
]
HostName = Annotated[str, Formed("[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")]
Subdomain = Annotated[str, Formed("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")]
HostKey = Annotated[
    str,
    Formed("(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]{16,4096}={0,2}"),
]
SftpFolder = Annotated[
    str, Formed("/?[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){0,15}")
]
GcpKey = Annotated[
    str, Formed(r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+")
]
PathPart = Annotated[str, Formed("[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+){0,9}")]
AbsolutePath = Annotated[str, Formed(r"/[^\x00-\x1f]{1,4095}")]
Country = Annotated[str, Formed("[A-Z]{2}", "bad_country", "expected two capital letters")]
Line = Annotated[
    str,
    AfterValidator(_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255}),
]
SshPublicKey = Annotated[
    str,
    AfterValidator(_ssh_key),
    WithJsonSchema({"type": "string", "pattern": "^(ssh-ed25519|ecdsa-sha2-nistp|ssh-rsa)"}),
]
WebhookUrl = Annotated[Line, AfterValidator(_webhook)]
StateSchema = Annotated[
    str,
    AfterValidator(_schema),
    WithJsonSchema({"type": "string", "pattern": "^_?[a-z][a-z0-9_]{0,62}$"}),
]
StateBeside = Annotated[Literal["local"], BeforeValidator(_beside)]
"""Where the state of an engine without transactions is kept: never in the source."""
DistributionName = Annotated[str, Formed("[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")]
PluginVersion = Annotated[str, Formed("[0-9][A-Za-z0-9.!+]{0,63}")]
SnowflakeAccount = Annotated[
    str, Formed("[A-Za-z0-9][A-Za-z0-9_-]{0,127}([.][A-Za-z0-9-]{1,63}){0,3}")
]
DatabricksHost = Annotated[
    str,
    Formed(
        "[a-z0-9][a-z0-9.-]{0,200}[.]"
        "(cloud[.]databricks[.]com|gcp[.]databricks[.]com|azuredatabricks[.]net)"
    ),
]
WarehousePath = Annotated[str, Formed("/sql/1[.]0/(warehouses|endpoints)/[a-f0-9]{8,40}")]
VolumeName = Annotated[
    str, Formed("[A-Za-z0-9_-]{1,128}[.][A-Za-z0-9_-]{1,128}[.][A-Za-z0-9_-]{1,128}")
]
SparkRemote = Annotated[str, Formed(r"sc://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")]
Account = Annotated[str, Formed("(act_)?[0-9]{1,32}")]
Digits = Annotated[str, Formed("[0-9]{1,20}")]
PlatformId = Annotated[str, Formed("[A-Za-z0-9_-]{1,64}")]
PinterestAccount = Annotated[str, Formed("[0-9]{1,18}")]
RedirectUri = Annotated[str, Formed(r"https://[A-Za-z0-9.:-]{1,253}/[A-Za-z0-9._~/-]{0,200}")]
SalesforceDomain = Annotated[
    str,
    Formed(
        "[a-z0-9][a-z0-9-]{0,79}([.](sandbox|develop|scratch|trailblaze|demo|patch|free))?"
        "[.]my[.]salesforce[.]com"
    ),
]
SalesforceId = Annotated[str, Formed("[A-Za-z0-9]{15}([A-Za-z0-9]{3})?")]
GoogleAdsAccount = Annotated[str, Formed("[0-9]{10}")]
ApiVersion = Annotated[str, Formed(r"v[0-9]{1,3}\.[0-9]{1,2}")]
Memory = Annotated[str, Formed(r"[0-9]{1,9}(\.[0-9]{1,3})? ?[KMGT]i?B")]
Duration = Annotated[
    str,
    AfterValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{_DURATION}$"}),
]
When = Annotated[
    str,
    AfterValidator(_schedule),
    WithJsonSchema({"type": "string", "pattern": f"^{SCHEDULE_PATTERN}$"}),
]
Scalar = Annotated[
    bool | int | str,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["boolean", "integer", "string"]}),
]


@dataclass(frozen=True)
class VendorEndpoint:
    """An address at which a vendor's service is called: its own, the sandbox, or loopback.

    Args:
        vendor: the vendor's own, `https`.
    """

    vendor: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        own = re.escape(self.vendor)
        pattern = rf"^(sandbox|http://127\.0\.0\.1:[0-9]{{1,5}}|{own})$"
        return {**handler(schema), "pattern": pattern}

    def _check(self, text: str) -> str:
        return text if text in ("sandbox", self.vendor) else _loopback(text)


class Part(BaseModel):
    """Base: frozen, no unknown key, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


def secret_keys(part: type[Part]) -> set[str]:
    """Keys of a part that hold a `Reference`, as they are written."""
    return _keys_of(part, _reference)


def login_keys(part: type[Part]) -> set[str]:
    """Keys of a part that hold a `Login`, as they are written."""
    return _keys_of(part, _login)


def _keys_of(part: type[Part], check: object) -> set[str]:
    return {
        info.alias or name
        for name, info in part.model_fields.items()
        if any(getattr(found, "func", None) is check for found in _checks(info))
    }


def _checks(info: FieldInfo) -> list[object]:
    """Those of the type and, where it may be left out, of the type that it is then."""
    inner = [x for kind in get_args(info.annotation) for x in get_args(kind)[1:]]
    return [*info.metadata, *inner]
