"""The project's settings as plain frozen values; what every layer above domain reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mayfly.domain.alerts import AlertKind
from mayfly.domain.consent import Spelling
from mayfly.domain.limits import AccountLimits
from mayfly.domain.parties import Party, Responsibility
from mayfly.domain.processors import AiSwitch, Processor, RegisterSettings
from mayfly.domain.transfers import Transfer


@dataclass(frozen=True, kw_only=True, repr=False)
class SecretRef:
    """Where a secret stands; never the secret itself."""

    kind: str
    name: str

    def __repr__(self) -> str:
        return f"SecretRef({self.kind}:{self.name})"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One finding in the project files; line and column count from 1."""

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str = ""

    def to_dict(self) -> dict[str, str | int]:
        """The finding as the JSON outputs print it."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }

    def to_text(self) -> str:
        """`file:line:column: message [code]`, with the hint indented below where there is one."""
        text = f"{self.file}:{self.line}:{self.column}: {self.message} [{self.code}]"
        return f"{text}\n  \u2192 {self.hint}" if self.hint else text


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """Whose project this is, who approves, and where its data may be.

    `people` has by name the public SSH keys of who approves, each as its type and its bytes;
    `transfers` by country those that are allowed. `placed` is whether the project files say where
    it is; else the usual placement holds.
    """

    name: str
    approvals: Literal["one", "two_people"] = "one"
    people: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    plan: str | None = None
    provider: str | None = None
    geography: str | None = None
    region: str | None = None
    transfers: Mapping[str, Transfer] = field(default_factory=dict)
    ai: AiSwitch = "off"
    placed: bool = False


@dataclass(frozen=True, kw_only=True)
class KeysSettings:
    """Which provider holds the keys; `options` holds what it alone has, secrets as `SecretRef`.
    `epoch_days` is how long a version of the key wraps; None where nobody ends it but by hand.
    """

    provider: Literal["local", "pkcs11", "aws_kms", "gcp_kms", "vault"] = "local"
    options: Mapping[str, object] = field(default_factory=dict)
    epoch_days: int | None = None


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """Where the truth of acts is stored; `region` is where its server is declared to be."""

    url: str = "sqlite"
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class PluginSettings:
    """A kind of source that another distribution adds, in the version that the project names."""

    type: str
    distribution: str
    version: str


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """One warehouse, database or folder that is read; `options` holds what its type alone has,
    secrets as `SecretRef`.
    """

    name: str
    type: str
    path: Path | None = None
    dsn: SecretRef | None = None
    schema: str = "public"
    state: Literal["source", "local"] = "source"
    memory_limit: str | None = None
    state_schema: str = "_mayfly"
    classify: object = None
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ColumnSettings:
    """What is declared of one column of a model.

    `cls` is the stricter of the declared class and dbt's `mark`. Where it is the mark, or the mark
    says no more than that a person's data is meant, the column is `closed`: nobody who wrote the
    project files decided how such a value may leave in clear, so at a third party it does not.
    """

    name: str
    cls: str | None = None
    mark: str | None = None
    closed: bool = False
    rule: Literal["pseudonym", "match", "clear"] | None = None
    default_country: str | None = None
    default_country_column: str | None = None
    reason: str | None = None
    values: tuple[str, ...] | None = None
    minimum: float | None = None
    maximum: float | None = None
    tells: str | None = None


@dataclass(frozen=True, kw_only=True)
class ConsentTableSettings:
    """Events of consent in another table of the model's source, and what of them counts.

    `name` is the table, `matches` the model's column with the same as `subject`.
    """

    name: tuple[str | None, str]
    subject: str
    matches: str
    purpose: str
    purposes: tuple[Spelling, ...]
    state: str
    granted: tuple[Spelling, ...]
    unknown: tuple[Spelling, ...] = ()
    time: str
    valid_until: str | None = None
    without_end: bool = False
    source: str | None = None
    sources: tuple[Spelling, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are read, each once."""
        named = (self.subject, self.purpose, self.state, self.time, self.valid_until, self.source)
        return tuple(dict.fromkeys(c for c in named if c is not None))


@dataclass(frozen=True, kw_only=True)
class ConsentBinding:
    """What states consent to one purpose: a column and the values that grant, a table, or both.

    `constant` is the reason why every row may grant, `withdrawn_at` the column that says since
    when a row does not.
    """

    purpose: str
    column: str | None = None
    equals: bool | str | int | None = None
    in_: tuple[bool | str | int, ...] | None = None
    table: ConsentTableSettings | None = None
    lawful_basis: str | None = None
    notice_version: str | None = None
    withdrawn_at: str | None = None
    constant: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the model that it reads."""
        matches = self.table.matches if self.table else None
        return tuple(c for c in (self.column, self.withdrawn_at, matches) if c is not None)


@dataclass(frozen=True, kw_only=True)
class DbtSettings:
    """The dbt project that builds the models; `owner` is who answers for the exposures.

    Where its manifest was not `read`, tables and marks are not known, and no sync can be compiled.
    """

    owner: str | None = None
    read: bool = True


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """One set of rows: exactly one of `table` and `sql` is set.

    `dbt` is what dbt calls the table, such as `ref('customers')`; None where dbt does not know it.
    `policy` says what columns may do that `columns` does not have, `blocked` which never leave, and
    `where` which rows there are.
    """

    name: str
    source: str
    table: tuple[str | None, str] | None = None
    sql: str | None = None
    primary_key: tuple[str, ...]
    columns: Mapping[str, ColumnSettings]
    consent: Mapping[str, ConsentBinding] = field(default_factory=dict)
    dbt: str | None = None
    policy: Literal["block_all", "allow_columns", "allow_all"] = "block_all"
    blocked: tuple[str, ...] = ()
    where: str | None = None

    @property
    def read_columns(self) -> Mapping[str, ColumnSettings]:
        """Columns that are read, without those that tell a consent."""
        return {n: c for n, c in self.columns.items() if c.tells is None}


TOLD = "consent."
"""What a mapping begins with that sends what consent to a purpose is."""


@dataclass(frozen=True, kw_only=True)
class DestinationSettings:
    """One place rows are sent to; `options` holds what its type alone has."""

    name: str
    type: str
    kind: Literal["internal", "external"] = "external"
    owner: str | None = None
    reason: str | None = None
    endpoint: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    limits: AccountLimits | None = None
    responsibility: Responsibility | None = None


RECHECK_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class SyncSettings:
    """One model sent to one destination; `mapping` is destination field to model column.

    `trial` is of `mayfly test`: its people do not exist.
    """

    name: str
    id: str
    model: str
    destination: str
    mode: Literal["upsert", "mirror", "append", "audience"]
    audience: str | None = None
    table: str | None = None
    key: tuple[str, ...] = ()
    purpose: str | None = None
    mapping: Mapping[str, str]
    schedule: str | None = None
    tags: tuple[str, ...] = ()
    on_outage: Literal["replan", "hold"] = "replan"
    outside_repertoire: Literal["worker", "withhold"] = "worker"
    batch_rows: int | None = None
    withheld_threshold: float = 0.05
    recheck_after_seconds: int = RECHECK_SECONDS
    description: str = ""
    trial: bool = False


@dataclass(frozen=True, kw_only=True)
class BucketSettings:
    """A folder of a bucket; without `credentials` the machine's own are taken."""

    type: Literal["s3", "gcs"]
    bucket: str
    prefix: str = ""
    region: str = ""
    endpoint: str | None = None
    credentials: Mapping[str, SecretRef] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AnchorSettings:
    """Where checkpoints go; what its type does not have is None."""

    name: str
    region: str | None = None
    path: Path | None = None
    source: str | None = None
    url: str | None = None
    secret: SecretRef | None = None
    bucket: BucketSettings | None = None


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """A channel for alerts; what its type does not have is None or empty.

    `url` is an address, or of Slack a reference to one; `secret` what signs or logs in.
    """

    name: str
    type: Literal["webhook", "mail", "slack"]
    kinds: frozenset[AlertKind]
    again_after_seconds: int
    region: str | None = None
    url: str = ""
    secret: SecretRef | None = None
    host: str = ""
    port: int = 0
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    sender: str = ""
    to: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TelemetrySettings:
    """A receiver of OTLP.

    Args:
        endpoint: its address, to which `/v1/traces` and `/v1/metrics` are added.
        headers: references to what logs in, by name.
        signals: what it is sent.
        region: where it is; None where it is on this machine.
    """

    endpoint: str
    headers: Mapping[str, SecretRef] = field(default_factory=dict)
    signals: frozenset[Literal["traces", "metrics"]] = frozenset(("traces", "metrics"))
    region: str | None = None


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """What a process that runs syncs listens on; None is nothing."""

    listen: str | None = None
    public: bool = False


@dataclass(frozen=True, kw_only=True)
class Project:
    """A whole project under one target; `warnings` lists what is not enforced.

    `organisation` is who processes, `controller` whom for; None where nobody says.

    `spool` is the bucket of sealed batches; None where they wait in the project's own folder.
    `processors` is the register of sub-processors. `plugins` has the kinds of sources
    that are not Mayfly's own, by their `type`; `files` are those that all of it was read from; none
    of a project that was made in memory.
    """

    root: Path
    workspace: Workspace
    organisation: Party | None = None
    controller: Party | None = None
    keys: KeysSettings
    store: StoreSettings
    anchors: Mapping[str, AnchorSettings] = field(default_factory=dict)
    alerts: Mapping[str, AlertSettings] = field(default_factory=dict)
    serve: ServeSettings = field(default_factory=ServeSettings)
    telemetry: TelemetrySettings | None = None
    spool: BucketSettings | None = None
    dbt: DbtSettings | None = None
    target: str
    sources: Mapping[str, SourceSettings]
    models: Mapping[str, ModelSettings]
    destinations: Mapping[str, DestinationSettings]
    syncs: Mapping[str, SyncSettings]
    processors: Mapping[str, Processor] = field(default_factory=dict)
    register: RegisterSettings = field(default_factory=RegisterSettings)
    plugins: Mapping[str, PluginSettings] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = field(default=(), compare=False)
