"""Kinds of destinations in the project files: one model each, with what a sync to it must say."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mayfly.config.fields import (
    Account,
    ApiVersion,
    Line,
    Login,
    Part,
    Reference,
    VendorEndpoint,
)

Mode = Literal["upsert", "mirror", "append", "audience"]
SyncKey = Literal["audience", "table", "key"]


class DestinationPart(Part):
    """Base of every kind of destination.

    Attributes:
        modes: that a sync to it may have.
        needs: keys that a sync to it must have.
        takes: keys that it may have, further to those.
        keyed: modes in which a sync must name its `key`.
        table_name: whether `table` is the name of a table, with or without a schema.
        vendor: address of the vendor's own service, where `endpoint` may say another.
    """

    modes: ClassVar[tuple[Mode, ...]]
    needs: ClassVar[tuple[SyncKey, ...]] = ()
    takes: ClassVar[tuple[SyncKey, ...]] = ()
    keyed: ClassVar[tuple[Mode, ...]] = ()
    table_name: ClassVar[bool] = False
    vendor: ClassVar[str | None] = None


META = "https://graph.facebook.com"


class MetaAdsDestination(DestinationPart):
    """Custom audiences of a Meta ad account."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = META

    type: Literal["meta_ads"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: Account = Field(description="The ad account, quoted.", examples=["1234567890"])
    access_token: Login = Field(
        description="Reference to the token, or `connection:NAME`, see `mayfly connect`."
    )
    app_secret: Reference | None = Field(default=None, description="Reference to the app secret.")
    api_version: ApiVersion | None = Field(
        default=None, description="Of the Graph API.", examples=["v26.0"]
    )
    endpoint: Annotated[str, VendorEndpoint(META)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Meta's own."
    )


class Owned(DestinationPart):
    """What every database and file destination declares."""

    kind: Literal["internal", "external"] = Field(
        default="external",
        description="`internal` where it is your own; then `owner` and `reason` stand.",
    )
    owner: Line | None = Field(
        default=None, description="Who answers for it.", examples=["Data team"]
    )
    reason: Line | None = Field(default=None, description="Why it is internal.")


class Tables(Owned):
    """Base of the databases."""

    modes = ("upsert", "mirror", "append")
    needs = ("table",)
    takes = ("key",)
    keyed = ("upsert", "mirror")
    table_name = True


class PostgresDestination(Tables):
    """Tables of a PostgreSQL database."""

    type: Literal["postgres"] = Field(description="Kind of destination.")
    dsn: Login = Field(
        description="Reference to the dsn, or `connection:NAME`, see `mayfly connect`.",
        examples=["env:CRM_DSN"],
    )
    schema_: Line | None = Field(
        default=None, alias="schema", description="Schema; `public` by default."
    )


class DuckdbDestination(Tables):
    """Tables of a DuckDB file."""

    type: Literal["duckdb"] = Field(description="Kind of destination.")
    path: Line = Field(description="The file, from the project's folder.")


class SqliteDestination(Tables):
    """Tables of a SQLite file."""

    type: Literal["sqlite"] = Field(description="Kind of destination.")
    path: Line = Field(description="The file, from the project's folder.")


class FilesDestination(Owned):
    """A folder that gets one file for each run."""

    modes = ("upsert", "mirror", "append")
    takes = ("key",)

    type: Literal["files"] = Field(description="Kind of destination.")
    path: Line = Field(description="The folder, from the project's folder.")
    format: Literal["parquet", "csv", "jsonl"] = Field(description="Format of the files.")


AnyDestination = (
    MetaAdsDestination
    | PostgresDestination
    | DuckdbDestination
    | SqliteDestination
    | FilesDestination
)
DestinationFile = Annotated[AnyDestination, Field(discriminator="type")]
