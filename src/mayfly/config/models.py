"""The shape of the project files, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from mayfly.config.secrets import parse_reference


def _reference(text: str) -> str:
    if parse_reference(text) is None:
        raise PydanticCustomError("literal_secret", "expected a reference such as env:NAME")
    return text


def _endpoint(text: str) -> str:
    host, _, port = text.removeprefix("http://").partition(":")
    loopback = text.startswith("http://") and host == "127.0.0.1" and port.isdecimal()
    if text != "sandbox" and not loopback:
        raise PydanticCustomError("endpoint_refused", "expected sandbox or http://127.0.0.1:PORT")
    return text


Name = Annotated[str, Field(pattern=r"\A[a-z][a-z0-9_]{0,62}$")]
Reference = Annotated[str, AfterValidator(_reference)]
Scalar = bool | int | str


class Part(BaseModel):
    """Base: frozen, no unknown key, no coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Residency(Part):
    provider: str | None = None
    geography: str | None = None
    region: str | None = None


class WorkspaceFile(Part):
    name: Name
    plan: str | None = None
    residency: Residency = Residency()


class KeysFile(Part):
    provider: Literal["local", "pkcs11", "aws_kms", "gcp_kms", "vault"] = "local"


class StoreFile(Part):
    url: str = "sqlite"


class SourceFile(Part):
    type: Literal["duckdb", "files", "postgres"]
    path: str | None = None
    dsn: Reference | None = None
    schema_: str = Field("public", alias="schema")
    state: Literal["source", "local"] | None = None
    memory_limit: str | None = None
    state_schema: Name | Literal["_mayfly"] = "_mayfly"


class ColumnFile(Part):
    cls: str | None = Field(None, alias="class")
    rule: Literal["pseudonym", "match", "clear"] | None = None
    default_country: str | None = None
    default_country_column: str | None = None
    reason: str | None = None
    values: list[str] | None = None
    minimum: float | None = None
    maximum: float | None = None


class ConsentFile(Part):
    column: str
    equals: Scalar | None = None
    in_: list[Scalar] | None = Field(None, alias="in")
    lawful_basis: str | None = None


class ModelFile(Part):
    source: Name
    table: str | None = None
    sql: str | None = None
    file: str | None = None
    primary_key: list[str] = Field(min_length=1)
    columns: dict[str, ColumnFile]
    consent: dict[Name, ConsentFile] = {}


class DestinationFile(Part):
    type: Literal["meta_ads", "postgres", "duckdb", "sqlite", "files"]
    kind: Literal["internal", "external"] = "external"
    owner: str | None = None
    reason: str | None = None
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    account_id: str | None = None
    access_token: Reference | None = None
    app_secret: Reference | None = None
    api_version: str | None = None
    dsn: Reference | None = None
    schema_: str | None = Field(None, alias="schema")
    path: str | None = None
    format: Literal["parquet", "csv", "jsonl"] | None = None


class SyncFile(Part):
    id: Name
    model: Name
    destination: Name
    mode: Literal["upsert", "mirror", "append", "audience"]
    audience: str | None = None
    table: str | None = None
    key: list[str] = []
    purpose: str | None = None
    mapping: dict[str, str] = Field(min_length=1)
    schedule: str | None = None
    tags: list[str] = []
    on_outage: Literal["replan", "hold"] = "replan"
    outside_repertoire: Literal["worker", "withhold"] = "worker"
    batch_rows: int | None = Field(None, gt=0)
    withheld_threshold: float = Field(0.05, ge=0, le=1)
    description: str = ""


class ProjectFile(Part):
    """Everything, merged."""

    version: Literal[1]
    workspace: WorkspaceFile
    keys: KeysFile = KeysFile()
    store: StoreFile = StoreFile()
    targets: dict[
        Name, dict[Literal["sources", "destinations"], dict[Name, dict[str, object]]]
    ] = {}
    sources: dict[Name, SourceFile] = {}
    models: dict[Name, ModelFile] = {}
    destinations: dict[Name, DestinationFile] = {}
    syncs: dict[Name, SyncFile] = {}
