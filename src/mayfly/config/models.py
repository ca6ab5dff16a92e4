"""The shape of the project files, as pydantic models.

Every key is declared here once, with its type, default and meaning: the loader, the JSON Schema
and the reference page are made from it.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from mayfly.config.secrets import KINDS, parse_reference
from mayfly.domain.classes import ColumnClass
from mayfly.domain.names import NAME_PATTERN, is_name

SANDBOX = "http://127.0.0.1:8765"
VENDOR_ENDPOINTS = {"meta_ads": "https://graph.facebook.com"}
_PASSWORD = re.compile(r"(^|[?&\s;])(ssl)?password\s*=", re.IGNORECASE)


def _name(text: str) -> str:
    if not is_name(text):
        raise PydanticCustomError("bad_name", "expected a name of a-z, 0-9 and _")
    return text


def _reference(text: str) -> str:
    reference = parse_reference(text)
    if reference is None:
        raise PydanticCustomError("literal_secret", "expected a reference to a secret")
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


def _endpoint(text: str) -> str:
    if text == "sandbox" or text in VENDOR_ENDPOINTS.values():
        return text
    found = re.fullmatch(r"http://127\.0\.0\.1:([0-9]{1,5})", text)
    if found is None or not 1 <= int(found[1]) <= 65535:
        raise PydanticCustomError("endpoint_refused", "this endpoint is refused")
    return text


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise PydanticCustomError("bad_country", "expected two capital letters")
    return text


def _account(text: str) -> str:
    return _formed(text, r"(act_)?[0-9]{1,32}")


def _api_version(text: str) -> str:
    return _formed(text, r"v[0-9]{1,3}\.[0-9]{1,2}")


def _memory(text: str) -> str:
    return _formed(text, r"[0-9]{1,9}(\.[0-9]{1,3})? ?([KMGT]i?B)")


def _formed(text: str, pattern: str) -> str:
    if not re.fullmatch(pattern, text):
        raise PydanticCustomError("bad_format", "this text has another form")
    return text


def _line(text: str) -> str:
    if not text.strip() or len(text) > 255 or "\n" in text or "\r" in text:
        raise PydanticCustomError("bad_text", "expected 1 to 255 characters on one line")
    return text


def _schema(text: str) -> str:
    if not is_name(text.removeprefix("_")):
        raise PydanticCustomError("bad_name", "expected a name of a-z, 0-9 and _")
    return text


def _scalar(value: object) -> object:
    if not isinstance(value, bool | int | str):
        raise PydanticCustomError("wrong_type", "expected true, false, a whole number or text")
    return value


def _empty(value: object) -> object:
    return {} if value is None else value


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
StoreUrl = Annotated[
    str,
    AfterValidator(_store_url),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(sqlite|postgresql\+psycopg://.*|[a-z-]+:.+)$"}
    ),
]
Endpoint = Annotated[
    str,
    AfterValidator(_endpoint),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(sandbox|http://127\.0\.0\.1:[0-9]{1,5}|https://graph\.facebook\.com)$",
        }
    ),
]
Country = Annotated[
    str,
    AfterValidator(_country),
    WithJsonSchema({"type": "string", "pattern": "^[A-Z]{2}$"}),
]
Line = Annotated[
    str,
    AfterValidator(_line),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 255}),
]
StateSchema = Annotated[
    str,
    AfterValidator(_schema),
    WithJsonSchema({"type": "string", "pattern": "^_?[a-z][a-z0-9_]{0,62}$"}),
]
Account = Annotated[
    str,
    AfterValidator(_account),
    WithJsonSchema({"type": "string", "pattern": "^(act_)?[0-9]{1,32}$"}),
]
ApiVersion = Annotated[
    str,
    AfterValidator(_api_version),
    WithJsonSchema({"type": "string", "pattern": r"^v[0-9]{1,3}\.[0-9]{1,2}$"}),
]
Memory = Annotated[
    str,
    AfterValidator(_memory),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})? ?[KMGT]i?B$"}),
]
Scalar = Annotated[
    bool | int | str,
    BeforeValidator(_scalar),
    WithJsonSchema({"type": ["boolean", "integer", "string"]}),
]


class Part(BaseModel):
    """Base: frozen, no unknown key, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


class Residency(Part):
    """Where the workspace's data may be. Accepted, not enforced by this release."""

    provider: Line | None = Field(default=None, description="Cloud provider.", examples=["gcp"])
    geography: Line | None = Field(default=None, description="Geography.", examples=["eu"])
    region: Line | None = Field(default=None, description="Region of the workers.")


class WorkspaceFile(Part):
    """Whose project this is."""

    name: Name = Field(description="Name of the workspace.", examples=["shop"])
    plan: Line | None = Field(
        default=None, description="Plan. Accepted, not enforced by this release."
    )
    residency: Residency = Field(default_factory=Residency, description="Where its data may be.")


class KeysFile(Part):
    """Who holds the keys."""

    provider: Literal["local", "pkcs11", "aws_kms", "gcp_kms", "vault"] = Field(
        default="local", description="Key provider; only `local` works in this release."
    )


class StoreFile(Part):
    """Where runs, approvals and notices are stored."""

    url: StoreUrl = Field(
        default="sqlite",
        description="`sqlite` (in `.mayfly/`), `postgresql+psycopg://…` without a password, "
        "or a reference to such a URL.",
    )


class DuckdbSource(Part):
    """A DuckDB file."""

    type: Literal["duckdb"] = Field(description="Kind of source.")
    path: Line = Field(description="The file, from the project's folder.", examples=["shop.duckdb"])
    state: Literal["source", "local"] = Field(default="source", description="Where state is kept.")
    state_schema: StateSchema = Field(
        default="_mayfly", description="Schema of state in the source."
    )
    memory_limit: Memory | None = Field(
        default=None, description="Memory of a session.", examples=["2GB"]
    )
    classify: bool | dict[str, object] | None = Field(
        default=None, description="Accepted, not enforced by this release."
    )


class FilesSource(Part):
    """A folder of Parquet and CSV files; a table is a file's name without its ending."""

    type: Literal["files"] = Field(description="Kind of source.")
    path: Line = Field(description="The folder, from the project's folder.", examples=["exports"])
    state: Literal["local"] = Field(default="local", description="A folder takes no writes.")
    memory_limit: Memory | None = Field(
        default=None, description="Memory of a session.", examples=["2GB"]
    )
    classify: bool | dict[str, object] | None = Field(
        default=None, description="Accepted, not enforced by this release."
    )


class PostgresSource(Part):
    """A PostgreSQL database."""

    type: Literal["postgres"] = Field(description="Kind of source.")
    dsn: Reference = Field(description="Reference to the dsn.", examples=["env:CRM_DSN"])
    schema_: Line = Field(
        default="public", alias="schema", description="Schema of unqualified tables."
    )
    state: Literal["source", "local"] = Field(default="source", description="Where state is kept.")
    state_schema: StateSchema = Field(
        default="_mayfly", description="Schema of state in the source."
    )
    classify: bool | dict[str, object] | None = Field(
        default=None, description="Accepted, not enforced by this release."
    )


SourceFile = Annotated[DuckdbSource | FilesSource | PostgresSource, Field(discriminator="type")]


class ColumnFile(Part):
    """What is declared of one column; `{}` declares that it may be used."""

    cls: ColumnClass | None = Field(default=None, alias="class", description="What stands in it.")
    rule: Literal["pseudonym", "match", "clear"] | None = Field(
        default=None, description="How it leaves; by default as the destination's field demands."
    )
    default_country: Country | None = Field(
        default=None, description="Country of phone numbers without one.", examples=["FR"]
    )
    default_country_column: Line | None = Field(
        default=None, description="Column that holds that country."
    )
    reason: Line | None = Field(default=None, description="Why free text may leave.")
    values: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="Closed list of texts that may leave."
    )
    minimum: float | None = Field(default=None, description="Least number that may leave.")
    maximum: float | None = Field(default=None, description="Greatest number that may leave.")


class ConsentFile(Part):
    """Which column states consent; exactly one of `equals` and `in`."""

    column: Line = Field(description="Column of the model.", examples=["ads_opt_in"])
    equals: Scalar | None = Field(default=None, description="The value that grants.")
    in_: Annotated[list[Scalar], Field(min_length=1)] | None = Field(
        default=None, alias="in", description="The values that grant."
    )
    lawful_basis: Line | None = Field(
        default=None, description="For the record.", examples=["consent"]
    )


class ModelFile(Part):
    """One set of rows; exactly one of `table`, `sql` and `file`."""

    source: Name = Field(description="Name of the source.")
    table: Line | None = Field(default=None, description="`[schema.]name`.", examples=["customers"])
    sql: str | None = Field(default=None, description="One query that only reads.")
    file: Line | None = Field(default=None, description="A `.sql` file below the project's folder.")
    primary_key: Annotated[list[Line], Field(min_length=1)] = Field(
        description="Columns that name a row; they stand in `columns`, too."
    )
    columns: dict[Line, Annotated[ColumnFile, BeforeValidator(_empty)]] = Field(
        min_length=1, description="Columns that may be used; any other is blocked."
    )
    consent: dict[Name, ConsentFile] = Field(default={}, description="Consent by purpose.")


class MetaAdsDestination(Part):
    """Custom audiences of a Meta ad account."""

    type: Literal["meta_ads"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: Account = Field(description="The ad account, quoted.", examples=["1234567890"])
    access_token: Reference = Field(description="Reference to the token.")
    app_secret: Reference | None = Field(default=None, description="Reference to the app secret.")
    api_version: ApiVersion | None = Field(
        default=None, description="Of the Graph API.", examples=["v26.0"]
    )
    endpoint: Endpoint | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Meta's own."
    )


class Owned(Part):
    """What every database and file destination declares."""

    kind: Literal["internal", "external"] = Field(
        default="external",
        description="`internal` where it is your own; then `owner` and `reason` stand.",
    )
    owner: Line | None = Field(
        default=None, description="Who answers for it.", examples=["Data team"]
    )
    reason: Line | None = Field(default=None, description="Why it is internal.")


class PostgresDestination(Owned):
    """Tables of a PostgreSQL database."""

    type: Literal["postgres"] = Field(description="Kind of destination.")
    dsn: Reference = Field(description="Reference to the dsn.", examples=["env:CRM_DSN"])
    schema_: Line | None = Field(
        default=None, alias="schema", description="Schema; `public` by default."
    )


class DuckdbDestination(Owned):
    """Tables of a DuckDB file."""

    type: Literal["duckdb"] = Field(description="Kind of destination.")
    path: Line = Field(description="The file, from the project's folder.")


class SqliteDestination(Owned):
    """Tables of a SQLite file."""

    type: Literal["sqlite"] = Field(description="Kind of destination.")
    path: Line = Field(description="The file, from the project's folder.")


class FilesDestination(Owned):
    """A folder that gets one file for each run."""

    type: Literal["files"] = Field(description="Kind of destination.")
    path: Line = Field(description="The folder, from the project's folder.")
    format: Literal["parquet", "csv", "jsonl"] = Field(description="Format of the files.")


DestinationFile = Annotated[
    MetaAdsDestination
    | PostgresDestination
    | DuckdbDestination
    | SqliteDestination
    | FilesDestination,
    Field(discriminator="type"),
]


class SyncFile(Part):
    """One model sent to one destination."""

    id: Name = Field(description="Names its state; keep it when you rename the sync.")
    model: Name = Field(description="Name of the model.")
    destination: Name = Field(description="Name of the destination.")
    mode: Literal["upsert", "mirror", "append", "audience"] = Field(description="What is kept.")
    audience: Line | None = Field(
        default=None, description="Name of the audience, for ad platforms."
    )
    table: Line | None = Field(default=None, description="Table, for databases.")
    key: list[Line] = Field(
        default=[], description="Destination fields that name a row, for databases."
    )
    purpose: Name | None = Field(default=None, description="Purpose whose consent is asked for.")
    mapping: dict[Line, Line] = Field(min_length=1, description="Destination field: model column.")
    schedule: Line | None = Field(
        default=None, description="When to run. Accepted, not enforced by this release."
    )
    tags: list[Line] = Field(default=[], description="For selecting syncs.")
    on_outage: Literal["replan", "hold"] = Field(
        default="replan", description="What an outage leads to."
    )
    outside_repertoire: Literal["worker", "withhold"] = Field(
        default="worker", description="What becomes of values SQL may not hash."
    )
    batch_rows: int | None = Field(default=None, gt=0, le=50_000, description="Rows of a batch.")
    withheld_threshold: float = Field(
        default=0.05, ge=0, le=1, description="Share of withheld rows that stops the run."
    )
    description: str = Field(default="", description="For people.")


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


class FolderAnchor(Part):
    """A folder outside the project, of a disk that others keep."""

    type: Literal["folder"] = Field(description="A folder.")
    path: Line = Field(description="Absolute path, outside the project.", examples=["/mnt/audit"])


class SourceAnchor(Part):
    """Table `_mayfly.checkpoints` in the customer's own warehouse."""

    type: Literal["source"] = Field(description="A source that is written.")
    source: Name = Field(description="Name of the source.")


class WebhookAnchor(Part):
    """An address that is told of each checkpoint, after Standard Webhooks."""

    type: Literal["webhook"] = Field(description="A webhook.")
    url: Annotated[Line, AfterValidator(_webhook)] = Field(
        description="https://HOST/PATH, or http://127.0.0.1:PORT/PATH."
    )
    secret: Reference = Field(
        description="Reference to the secret that signs: whsec_ and base64.", examples=["env:HOOK"]
    )


AnchorFile = Annotated[FolderAnchor | SourceAnchor | WebhookAnchor, Field(discriminator="type")]


class TargetFile(Part):
    """What a target changes; each key replaces the one declared outside."""

    sources: dict[Name, dict[str, object]] = Field(default={}, description="Keys of sources.")
    destinations: dict[Name, dict[str, object]] = Field(
        default={}, description="Keys of destinations."
    )
    store: StoreFile | None = Field(default=None, description="Another store.")


class ProjectFile(Part):
    """A Mayfly project: `mayfly.yml` and the files merged into it."""

    version: Literal[1] = Field(description="Version of this format.")
    workspace: WorkspaceFile = Field(description="Whose project this is.")
    keys: KeysFile = Field(default_factory=KeysFile, description="Who holds the keys.")
    store: StoreFile = Field(default_factory=StoreFile, description="Where acts are stored.")
    anchors: dict[Name, AnchorFile] = Field(
        default={}, description="Where checkpoints of the ledger are kept, out of our hands."
    )
    targets: dict[Name, Annotated[TargetFile, BeforeValidator(_empty)]] = Field(
        default={},
        description="Named sets of destinations and store; `--target` chooses, default `dev`.",
    )
    sources: dict[Name, SourceFile] = Field(default={}, description="Systems rows are read from.")
    models: dict[Name, ModelFile] = Field(default={}, description="Sets of rows.")
    destinations: dict[Name, DestinationFile] = Field(
        default={}, description="Systems rows are sent to."
    )
    syncs: dict[Name, SyncFile] = Field(default={}, description="What is sent where.")
