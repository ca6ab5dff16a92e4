"""The shape of the project files, as pydantic models.

Every key is declared here or in `keys` once, with its type, default and meaning: the loader, the
JSON Schema and the reference page are made from it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mayfly.config.alerts import AlertFile
from mayfly.config.buckets import FolderSpool, GcsAnchor, S3Anchor, SpoolFile
from mayfly.config.destinations import DestinationFile
from mayfly.config.fields import (
    Country,
    Duration,
    Line,
    Name,
    Part,
    Reference,
    Scalar,
    SshPublicKey,
    StoreUrl,
    WebhookUrl,
    When,
)
from mayfly.config.keys import KeysFile, LocalKeys
from mayfly.config.parties import ControllerFile, OrganisationFile
from mayfly.config.plugins import PluginFile
from mayfly.config.processors import ProcessorFile, RegisterFile
from mayfly.config.source_models import SourceFile
from mayfly.config.telemetry import ServePart, TelemetryPart
from mayfly.domain.classes import ColumnClass
from mayfly.domain.places import Geography, Provider
from mayfly.domain.plans import Plan
from mayfly.domain.processors import AiSwitch
from mayfly.domain.settings import TOLD
from mayfly.domain.transfers import Mechanism


def _empty(value: object) -> object:
    return {} if value is None else value


class TransferFile(Part):
    """A country outside of the workspace's law that recipients may be in: the controller's word."""

    mechanism: Mechanism = Field(
        description="What carries it: `adequacy`, the Data Privacy Framework (`dpf`), standard "
        "contractual clauses (`scc`), for the UK `idta`, or `none_required` where the law of the "
        "workspace asks for none.",
        examples=["dpf"],
    )
    assessment: Line | None = Field(
        default=None,
        description="Name of the assessment that was made of it.",
        examples=["TIA-2026-04"],
    )


class Residency(Part):
    """Where the workspace is, and with it its keys and its spool.

    What its plan or the installation does not have is refused, and never replaced.
    """

    provider: Provider | None = Field(
        default=None,
        description="Whose machines run it: Google Cloud, AWS or one's own. By default the "
        "region's, else `gcp`.",
        examples=["gcp"],
    )
    geography: Geography | None = Field(
        default=None, description="By default the region's, else `eu`.", examples=["eu"]
    )
    region: Line | None = Field(
        default=None,
        description="Region of the workers, as the provider calls it; keys are bound to it.",
        examples=["europe-west1"],
    )
    transfers: dict[Country, TransferFile] = Field(
        default={},
        description="Countries outside of the geography, by code, that recipients may be in.",
    )


class WorkspaceFile(Part):
    """Whose project this is."""

    name: Name = Field(description="Name of the workspace.", examples=["shop"])
    plan: Plan | None = Field(
        default=None,
        description="What of `residency` may be chosen; without it everything.",
        examples=["business"],
    )
    approvals: Literal["one", "two_people"] = Field(
        default="one",
        description="`two_people`: whoever asks for an approval cannot give it, and both sign.",
    )
    people: dict[Name, Annotated[list[SshPublicKey], Field(min_length=1)]] = Field(
        default={},
        description="Who may ask and approve: by name, their public SSH keys (`ssh-ed25519 …`), "
        "of which comments are left out.",
    )
    residency: Residency = Field(default_factory=Residency, description="Where its data may be.")
    ai: AiSwitch = Field(
        default="off",
        description="Which sub-processors of AI may be engaged: none, those of the European "
        "Economic Area (`eu`), or any (`global`), which an approver signs in an EU placement.",
    )


class StoreFile(Part):
    """Where runs, approvals and notices are stored."""

    url: StoreUrl = Field(
        default="sqlite",
        description="`sqlite` (in `.mayfly/`), `postgresql+psycopg://…` without a password, "
        "or a reference to such a URL.",
    )
    region: Line | None = Field(
        default=None,
        description="Where its server is, where its host's name does not tell; of a file it is the "
        "worker's.",
        examples=["europe-west1"],
    )


class DbtFile(Part):
    """The dbt project that builds the models; see [dbt](../howto/dbt.md)."""

    manifest: Line = Field(
        description="The `manifest.json` that dbt wrote, from the project's folder.",
        examples=["dbt/target/manifest.json"],
    )
    databases: dict[Name, Line] = Field(
        default={},
        description="By source what dbt calls its database, where that is not the file's name.",
    )
    owner: Line | None = Field(
        default=None,
        description="Who answers for the exposures; by default the destination's `owner`, else "
        "the workspace.",
        examples=["Data team"],
    )


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


Spellings = Annotated[list[Scalar], Field(min_length=1)]


class ConsentTableFile(Part):
    """A table of the model's source with an event in each row; the latest of a subject counts."""

    name: Line = Field(description="`[schema.]name`.", examples=["consents"])
    subject: Line = Field(
        description="Column that names whom an event is about.", examples=["customer_id"]
    )
    matches: Line | None = Field(
        default=None,
        description="Column of the model with the same; by default its primary key, of one column.",
    )
    purpose: Line = Field(
        description="Column that says what an event is about.", examples=["purpose"]
    )
    purposes: Spellings | None = Field(
        default=None, description="How it writes this purpose; by default as its name here."
    )
    state: Line = Field(description="Column that says yes or no.", examples=["state"])
    granted: Spellings = Field(description="The states that grant.")
    unknown: list[Scalar] = Field(
        default=[], description="States that neither grant nor withdraw; no, like any other."
    )
    time: Line = Field(description="Column that says when.", examples=["recorded_at"])
    valid_until: Line | None = Field(
        default=None, description="Column that says until when a grant counts."
    )
    without_end: bool = Field(
        default=False, description="Whether a grant counts for ever where that column is null."
    )
    source: Line | None = Field(
        default=None, description="Column that says where an event came from."
    )
    sources: Spellings | None = Field(
        default=None, description="The sources whose grants count; by default all."
    )


class ConsentFile(Part):
    """What states consent: a column with exactly one of `equals` and `in`, a table, or both, which
    must agree then.
    """

    column: Line | None = Field(
        default=None, description="Column of the model.", examples=["ads_opt_in"]
    )
    equals: Scalar | None = Field(default=None, description="The value that grants.")
    in_: Spellings | None = Field(default=None, alias="in", description="The values that grant.")
    table: ConsentTableFile | None = Field(default=None, description="A table of events.")
    lawful_basis: Line | None = Field(
        default=None, description="For the record.", examples=["consent"]
    )
    notice_version: Line | None = Field(
        default=None,
        description="Version of the notice that people agreed to, for the record.",
        examples=["2026-03"],
    )
    withdrawn_at: Line | None = Field(
        default=None,
        description="Column of the model that says since when a row does not grant.",
    )
    constant: Line | None = Field(
        default=None, description="Why every row of the model may grant: an approver's word."
    )


class ModelFile(Part):
    """One set of rows; exactly one of `table`, `sql`, `file` and `ref`."""

    source: Name = Field(description="Name of the source.")
    table: Line | None = Field(default=None, description="`[schema.]name`.", examples=["customers"])
    sql: str | None = Field(default=None, description="One query that only reads.")
    file: Line | None = Field(default=None, description="A `.sql` file below the project's folder.")
    ref: Line | None = Field(
        default=None,
        description="A model, seed or snapshot of dbt: `[package.]name[.vVERSION]`, or as dbt "
        "writes it, `ref('package', 'name', v=2)`.",
        examples=["dim_customers"],
    )
    primary_key: Annotated[list[Line], Field(min_length=1)] = Field(
        description="Columns that name a row; they stand in `columns`, too."
    )
    columns: dict[Line, Annotated[ColumnFile, BeforeValidator(_empty)]] = Field(
        min_length=1, description="What is declared of columns; see `policy` for the others."
    )
    policy: Literal["block_all", "allow_columns", "allow_all"] = Field(
        default="block_all",
        description="What columns that are not named may do. `block_all`: nothing. "
        "`allow_columns`: a mapping may name them. `allow_all`: they go out under their own names, "
        "new ones once they are approved. The last two are for internal destinations only.",
    )
    blocked: list[Line] = Field(
        default=[], description="Columns that leave under no policy; the primary key's may be some."
    )
    where: str | None = Field(
        default=None,
        description="Which rows: one expression over the columns of the table or query, under the "
        "rules for model SQL.",
        examples=["country = 'FR'"],
    )
    consent: dict[Name, ConsentFile] = Field(default={}, description="Consent by purpose.")


def is_told(model: ModelFile, column: str) -> bool:
    """Whether a mapping's column is what consent to a purpose of the model is."""
    purpose = column.removeprefix(TOLD)
    return column not in model.columns and purpose != column and purpose in model.consent


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
    schedule: When | None = Field(
        default=None,
        description="When a worker runs it: every N minutes, hours or days; or five fields of cron "
        "and a zone, UTC without one.",
        examples=["every 15 minutes", "0 6 * * * Europe/Paris"],
    )
    tags: list[Line] = Field(default=[], description="For selecting syncs.")
    on_outage: Literal["replan", "hold"] | None = Field(
        default=None,
        description="What an outage leads to. By default hold for append and for local states, "
        "else replan.",
    )
    outside_repertoire: Literal["worker", "withhold"] = Field(
        default="worker", description="What becomes of values SQL may not hash."
    )
    batch_rows: int | None = Field(default=None, gt=0, le=50_000, description="Rows of a batch.")
    withheld_threshold: float = Field(
        default=0.05, ge=0, le=1, description="Share of withheld rows that stops the run."
    )
    recheck_after: Duration = Field(
        default="15m",
        description="Consent that was read so long ago is read again before a batch goes: a number "
        "and s, m or h, a day at most.",
        examples=["15m"],
    )
    description: str = Field(default="", description="For people.")


class AnchorPart(Part):
    """What places have that do not tell where they are."""

    region: Line | None = Field(
        default=None,
        description="Where it is. Refused where it is another geography than the workspace's.",
        examples=["eu"],
    )


class FolderAnchor(AnchorPart):
    """A folder outside the project, of a disk that others keep."""

    type: Literal["folder"] = Field(description="A folder.")
    path: Line = Field(description="Absolute path, outside the project.", examples=["/mnt/audit"])


class SourceAnchor(AnchorPart):
    """Table `_mayfly.checkpoints` in the customer's own warehouse."""

    type: Literal["source"] = Field(description="A source that is written.")
    source: Name = Field(description="Name of the source.")


class WebhookAnchor(AnchorPart):
    """An address that is told of each checkpoint, after Standard Webhooks."""

    type: Literal["webhook"] = Field(description="A webhook.")
    url: WebhookUrl = Field(description="https://HOST/PATH, or http://127.0.0.1:PORT/PATH.")
    secret: Reference = Field(
        description="Reference to the secret that signs: whsec_ and base64.", examples=["env:HOOK"]
    )


AnchorFile = Annotated[
    FolderAnchor | SourceAnchor | WebhookAnchor | S3Anchor | GcsAnchor,
    Field(discriminator="type"),
]


class TargetFile(Part):
    """What a target changes; each key replaces the one declared outside."""

    sources: dict[Name, dict[str, object]] = Field(default={}, description="Keys of sources.")
    destinations: dict[Name, dict[str, object]] = Field(
        default={}, description="Keys of destinations."
    )
    store: StoreFile | None = Field(default=None, description="Another store.")
    dbt: DbtFile | None = Field(default=None, description="Another manifest of dbt.")


class ProjectFile(Part):
    """A Mayfly project: `mayfly.yml` and the files merged into it."""

    version: Literal[1] = Field(description="Version of this format.")
    workspace: WorkspaceFile = Field(description="Whose project this is.")
    organisation: OrganisationFile | None = Field(
        default=None, description="Who runs Mayfly: the processor."
    )
    controller: ControllerFile | None = Field(
        default=None, description="Whom it acts for, where that is somebody else."
    )
    keys: KeysFile = Field(default_factory=LocalKeys, description="Who holds the keys.")
    store: StoreFile = Field(default_factory=StoreFile, description="Where acts are stored.")
    spool: SpoolFile = Field(
        default_factory=FolderSpool, description="Where batches wait sealed (`on_outage: hold`)."
    )
    dbt: DbtFile | None = Field(default=None, description="The dbt project that builds the models.")
    anchors: dict[Name, AnchorFile] = Field(
        default={}, description="Where checkpoints of the ledger are kept, out of our hands."
    )
    alerts: dict[Name, AlertFile] = Field(
        default={}, description="Who is told of runs that fail or wait, and of what is wrong."
    )
    telemetry: TelemetryPart | None = Field(
        default=None, description="Who is sent spans and metrics; nobody by default."
    )
    serve: ServePart = Field(
        default_factory=ServePart, description="What processes that run syncs listen on."
    )
    plugins: list[PluginFile] = Field(
        default=[], description="Distributions whose kinds of sources may be loaded."
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
    processing: RegisterFile = Field(
        default_factory=RegisterFile, description="What the workspace asks of its register."
    )
    processors: dict[Name, ProcessorFile] = Field(
        default={}, description="The register of sub-processors."
    )
