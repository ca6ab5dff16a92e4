"""The kinds of sources in the project files, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.fields import (
    AbsolutePath,
    DatabricksHost,
    HttpsAddress,
    Line,
    Loopback,
    Memory,
    Part,
    Reference,
    SnowflakeAccount,
    SparkRemote,
    StateBeside,
    StateSchema,
    VolumeName,
    WarehousePath,
)
from mayfly.config.plugins import SourcePart

State = Annotated[Literal["source", "local"], Field(description="Where state is kept.")]
BesideIt = Annotated[Literal["local"], Field(description="Nothing is written to the source.")]
Accepted = Annotated[
    bool,
    Field(
        description="That no statement of this kind of source was ever run on its engine is known, "
        "and accepted: without it the source is refused."
    ),
]
Limit = Annotated[Memory | None, Field(description="Memory of a session.", examples=["2GB"])]
Schema = Annotated[Line, Field(alias="schema", description="Schema of unqualified tables.")]
OurSchema = Annotated[StateSchema, Field(description="Schema of state in the source.")]


class ClassifyFile(Part):
    """A look at values that reads free text, too."""

    look: Literal["values"] = Field(description="A sample of texts, in memory.")
    free_text: Literal["presidio"] = Field(
        description="What looks for names of persons in it; extra `presidio`."
    )
    models: dict[Line, Line] = Field(
        min_length=1,
        description="By language an installed package of spaCy, or the folder of a model; none is "
        "downloaded.",
        examples=[{"en": "en_core_web_sm"}],
    )


Classify = Annotated[
    Literal["names", "counts", "values"] | ClassifyFile | bool | dict[str, object] | None,
    Field(
        description="What `mayfly classify` may look at: `names` and types alone, `counts` of the "
        "engine's (the default), or `values`: a sample of texts, in memory, too. Anything else is "
        "accepted, not enforced by this release.",
        examples=["values"],
    ),
]


class DuckdbSource(Part):
    """A DuckDB file."""

    type: Literal["duckdb"] = Field(description="Kind of source.")
    path: Line = Field(description="The file, from the project's folder.", examples=["shop.duckdb"])
    state: State = "source"
    state_schema: OurSchema = "_mayfly"
    memory_limit: Limit = None
    classify: Classify = None


class FilesSource(Part):
    """A folder of Parquet and CSV files; a table is a file's name without its ending."""

    type: Literal["files"] = Field(description="Kind of source.")
    path: Line = Field(description="The folder, from the project's folder.", examples=["exports"])
    state: Literal["local"] = Field(default="local", description="A folder takes no writes.")
    memory_limit: Limit = None
    classify: Classify = None


class PostgresSource(Part):
    """A PostgreSQL database."""

    type: Literal["postgres"] = Field(description="Kind of source.")
    dsn: Reference = Field(description="Reference to the dsn.", examples=["env:CRM_DSN"])
    schema_: Schema = "public"
    state: State = "source"
    state_schema: OurSchema = "_mayfly"
    classify: Classify = None


class MysqlSource(Part):
    """A MariaDB database."""

    type: Literal["mysql"] = Field(description="Kind of source.")
    dsn: Reference = Field(description="Reference to the dsn.", examples=["env:SHOP_DSN"])
    state: State = "source"
    state_schema: StateSchema = Field(
        default="_mayfly", description="Database of state on the server."
    )
    classify: Classify = None


class SqliteSource(Part):
    """An SQLite file."""

    type: Literal["sqlite"] = Field(description="Kind of source.")
    path: Line = Field(description="The file, from the project's folder.", examples=["shop.sqlite"])
    state: State = "source"
    state_schema: StateSchema = Field(
        default="_mayfly", description="What the names of the state's tables in it begin with."
    )
    classify: Classify = None


class SnowflakeSource(Part):
    """A database of a Snowflake account."""

    type: Literal["snowflake"] = Field(description="Kind of source.")
    account: SnowflakeAccount = Field(
        description="The account, as its address begins.", examples=["myorg-shop"]
    )
    user: Line = Field(description="The user that logs in.", examples=["mayfly"])
    private_key: Reference = Field(
        description="Reference to the PEM text of the user's private key.",
        examples=["env:SNOWFLAKE_KEY"],
    )
    private_key_passphrase: Reference | None = Field(
        default=None, description="Reference to the passphrase of an encrypted key."
    )
    role: Line = Field(description="The session's role.", examples=["mayfly"])
    warehouse: Line = Field(description="The warehouse that does the work.", examples=["mayfly"])
    database: Line = Field(description="The database that is read.", examples=["shop"])
    schema_: Schema = "public"
    endpoint: Loopback | None = Field(
        default=None,
        description="An emulator on this machine, which the key is not shown to.",
        examples=["http://127.0.0.1:8085"],
    )
    state: State = "source"
    state_schema: OurSchema = "_mayfly"
    classify: Classify = None


class BigquerySource(Part):
    """A dataset of BigQuery."""

    type: Literal["bigquery"] = Field(description="Kind of source.")
    project: Line = Field(
        description="Project of Google Cloud: billed for queries.", examples=["acme-data"]
    )
    dataset: Line = Field(description="Dataset of unqualified tables.", examples=["shop"])
    location: Line = Field(default="EU", description="Where its datasets are.")
    credentials: Reference | None = Field(
        default=None,
        description="Reference to the JSON key of a service account; without it the application "
        "default credentials are taken.",
        examples=["env:BIGQUERY_KEY"],
    )
    endpoint: Loopback | None = Field(
        default=None, description="An emulator on this machine, asked without credentials."
    )
    state: State = "source"
    state_schema: StateSchema = Field(
        default="_mayfly", description="Dataset of state in the source."
    )
    classify: Classify = None


class ClickhouseSource(Part):
    """A database of a ClickHouse, over its HTTP interface."""

    type: Literal["clickhouse"] = Field(description="Kind of source.")
    endpoint: HttpsAddress = Field(
        description="Its HTTP interface, on port 8443 unless it says another. Without TLS it is on "
        "this machine.",
        examples=["https://clickhouse.example.com"],
    )
    user: Line = Field(description="The user that reads.", examples=["mayfly"])
    password: Reference = Field(
        description="Reference to the user's password.", examples=["env:CLICKHOUSE_PASSWORD"]
    )
    database: Line = Field(default="default", description="Database of unqualified tables.")
    ca: AbsolutePath | None = Field(
        default=None,
        description="PEM file of an authority of one's own.",
        examples=["/etc/ssl/our-ca.pem"],
    )
    state: StateBeside = Field(
        default="local",
        description="Where state is kept: ClickHouse has no transactions to keep it by.",
    )
    classify: Classify = None


class RedshiftSource(Part):
    """A Redshift database. Compiled, not run."""

    type: Literal["redshift"] = Field(description="Kind of source.")
    dsn: Reference = Field(description="Reference to the dsn.", examples=["env:REDSHIFT_DSN"])
    schema_: Schema = "public"
    state: BesideIt = "local"
    accept_untested: Accepted = False
    classify: Classify = None


class DatabricksSource(Part):
    """A schema behind a SQL warehouse of Databricks. Compiled, not run."""

    type: Literal["databricks"] = Field(description="Kind of source.")
    host: DatabricksHost = Field(
        description="The workspace's host.", examples=["adb-1234567890123456.7.azuredatabricks.net"]
    )
    http_path: WarehousePath = Field(
        description="The SQL warehouse's path.", examples=["/sql/1.0/warehouses/1234567890abcdef"]
    )
    token: Reference = Field(
        description="Reference to an access token.", examples=["env:DATABRICKS_TOKEN"]
    )
    catalog: Line = Field(description="Catalog that is read.", examples=["shop"])
    schema_: Schema = "default"
    volume: VolumeName = Field(
        description="Volume through which keys and digests go to a session.",
        examples=["shop.mayfly.loads"],
    )
    endpoint: Loopback | None = Field(
        default=None, description="A stand-in on this machine, which no token is shown to."
    )
    state: BesideIt = "local"
    accept_untested: Accepted = False
    classify: Classify = None


class SparkSource(Part):
    """A catalog of a Spark Connect server."""

    type: Literal["spark"] = Field(description="Kind of source.")
    remote: SparkRemote = Field(
        description="Address of Spark Connect: `sc://HOST:PORT`, without anything behind it.",
        examples=["sc://spark.example.com:15002"],
    )
    token: Reference | None = Field(
        default=None,
        description="Reference to the token that the server, or the proxy before it, wants.",
        examples=["env:SPARK_TOKEN"],
    )
    ca_file: AbsolutePath | None = Field(
        default=None, description="Certificates to trust in place of the usual ones."
    )
    user: Line = Field(default="mayfly", description="User that the server shows.")
    catalog: Line = Field(default="spark_catalog", description="Catalog of unqualified tables.")
    schema_: Schema = "default"
    state: StateBeside = Field(
        default="local",
        description="Where state is kept: Spark has no transactions to keep it by.",
    )
    classify: Classify = None


SourceFile = Annotated[
    BigquerySource
    | ClickhouseSource
    | DatabricksSource
    | DuckdbSource
    | FilesSource
    | MysqlSource
    | PostgresSource
    | RedshiftSource
    | SnowflakeSource
    | SparkSource
    | SqliteSource,
    Field(discriminator="type"),
]
AnySource = (
    BigquerySource
    | ClickhouseSource
    | DatabricksSource
    | DuckdbSource
    | FilesSource
    | MysqlSource
    | PostgresSource
    | RedshiftSource
    | SnowflakeSource
    | SparkSource
    | SqliteSource
    | SourcePart
)
"""Of the project's own or of a plug-in."""
