"""Kinds of destinations in the project files: one model each, with what a sync to it must say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mayfly.config.buckets import GcsBucket, S3Bucket
from mayfly.config.fields import (
    Account,
    ApiVersion,
    AwsAccount,
    AwsKeyArn,
    Digits,
    Formed,
    GcpKey,
    GcsLocation,
    GoogleAdsAccount,
    HostKey,
    HostName,
    Line,
    Login,
    Name,
    Part,
    PinterestAccount,
    PlatformId,
    RedirectUri,
    Reference,
    SalesforceDomain,
    SalesforceId,
    SftpFolder,
    Subdomain,
    VendorEndpoint,
    WebhookUrl,
)

Mode = Literal["upsert", "mirror", "append", "audience"]
SyncKey = Literal["audience", "table", "key"]
Format = Literal["parquet", "csv", "jsonl"]


class DestinationPart(Part):
    """Base of every kind of destination.

    Attributes:
        modes: that a sync to it may have.
        needs: keys that a sync to it must have.
        takes: keys that it may have, further to those.
        keyed: modes in which a sync must name its `key`.
        listed: modes in which a sync must name its `audience`.
        table_name: whether `table` is the name of a table, with or without a schema.
        logins: keys of which one must be given, and one only.
        vendor: address of the vendor's own service, where `endpoint` may say another.
        inner: parts within a key, by the key: what a member is called, and its model.
        together: keys of which none stands without the others.
    """

    modes: ClassVar[tuple[Mode, ...]]
    needs: ClassVar[tuple[SyncKey, ...]] = ()
    takes: ClassVar[tuple[SyncKey, ...]] = ()
    keyed: ClassVar[tuple[Mode, ...]] = ()
    listed: ClassVar[tuple[Mode, ...]] = ()
    table_name: ClassVar[bool] = False
    logins: ClassVar[tuple[str, ...]] = ()
    vendor: ClassVar[str | None] = None
    inner: ClassVar[Mapping[str, tuple[str, type[Part]]]] = {}
    together: ClassVar[tuple[str, ...]] = ()


META = "https://graph.facebook.com"
TRADE_DESK = "https://euw-data.adsrvr.org"


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


class MetaConversionsDestination(DestinationPart):
    """Events of people in a dataset of Meta's, through the Conversions API."""

    modes = ("append",)
    vendor = META

    type: Literal["meta_conversions"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    dataset_id: Digits = Field(
        description="The dataset, which is the pixel's id, quoted.", examples=["1234567890"]
    )
    access_token: Login = Field(
        description="Reference to the token, or `connection:NAME`, see `mayfly connect`."
    )
    app_secret: Reference | None = Field(default=None, description="Reference to the app secret.")
    api_version: ApiVersion | None = Field(
        default=None, description="Of the Graph API.", examples=["v26.0"]
    )
    action_source: (
        Literal[
            "website",
            "email",
            "phone_call",
            "chat",
            "physical_store",
            "system_generated",
            "other",
        ]
        | None
    ) = Field(default=None, description="Where events happen, of rows that do not say it.")
    full_use: list[Name] = Field(
        description="Purposes whose consent covers every use that Meta makes of an event; events "
        "of any other are sent with Limited Data Use.",
        examples=["[ads]"],
    )
    test_event_code: Annotated[str, Formed("[A-Za-z0-9_-]{1,64}")] | None = Field(
        default=None,
        description="As Events Manager shows it; `mayfly test` alone sends it.",
        examples=["TEST12345"],
    )
    endpoint: Annotated[str, VendorEndpoint(META)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Meta's own."
    )


TIKTOK = "https://business-api.tiktok.com"


class TiktokAdsDestination(DestinationPart):
    """Custom audiences of a TikTok advertiser."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = TIKTOK

    type: Literal["tiktok_ads"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: Digits = Field(description="The advertiser, quoted.", examples=["1234567890"])
    access_token: Login = Field(
        description="Reference to the token, or `connection:NAME`, see `mayfly connect`."
    )
    endpoint: Annotated[str, VendorEndpoint(TIKTOK)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default TikTok's own."
    )


class TiktokEventsDestination(DestinationPart):
    """Events of people at a pixel or an event set of TikTok's."""

    modes = ("append",)
    vendor = TIKTOK

    type: Literal["tiktok_events"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    event_source: Literal["web", "offline", "crm"] = Field(description="Where events happen.")
    event_source_id: Annotated[str, Formed("[A-Za-z0-9]{1,64}")] = Field(
        description="The pixel, or the event set, quoted.", examples=["C4A5B6D7E8F9G0"]
    )
    access_token: Login = Field(
        description="Reference to the token, or `connection:NAME`, see `mayfly connect`."
    )
    full_use: list[Name] = Field(
        description="Purposes whose consent covers every use that TikTok makes of an event; events "
        "of any other are sent with `limited_data_use`.",
        examples=["[ads]"],
    )
    test_event_code: Annotated[str, Formed("[A-Za-z0-9_-]{1,64}")] | None = Field(
        default=None,
        description="As Events Manager shows it; `mayfly test` alone sends it.",
        examples=["TEST12345"],
    )
    endpoint: Annotated[str, VendorEndpoint(TIKTOK)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default TikTok's own."
    )


class TheTradeDeskDestination(DestinationPart):
    """First-party segments of an advertiser of The Trade Desk."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = TRADE_DESK
    together = ("uid2_api_key", "uid2_client_secret")

    type: Literal["the_trade_desk"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    advertiser_id: PlatformId = Field(description="The advertiser.", examples=["abc123"])
    data_provider_id: PlatformId | None = Field(
        default=None, description="Who uploads for the advertiser, where that is another."
    )
    token: Login = Field(
        description="Reference to the platform's API token, or `connection:NAME`, see "
        "`mayfly connect`."
    )
    data_centre: Literal["eu", "us_west", "us_east", "singapore", "tokyo"] = Field(
        default="eu", description="The one that data goes to; the platform copies it to all."
    )
    identity: Literal["euid", "uid2"] = Field(
        default="euid",
        description="What `EMAIL` and `PHONE` are mapped to: EUID for Europe, UID2 elsewhere.",
    )
    uid2_api_key: Reference | None = Field(
        default=None, description="Reference to the API key for UID2 or EUID."
    )
    uid2_client_secret: Reference | None = Field(
        default=None, description="Reference to the client secret that belongs to the API key."
    )
    uid2_operator: Literal["global", "us_west", "australia", "japan", "singapore", "test"] = Field(
        default="global", description="Who maps; of EUID there are `global` and `test`."
    )
    ttl_days: int = Field(
        default=90,
        ge=30,
        le=180,
        description="How long a member stays that is not sent again; at most 90 with `EMAIL` or "
        "`PHONE`.",
    )
    endpoint: Annotated[str, VendorEndpoint(TRADE_DESK)] | None = Field(
        default=None,
        description="`sandbox` or `http://127.0.0.1:PORT`; by default the data centre's own.",
    )


GOOGLE = "https://datamanager.googleapis.com"


class GoogleAdsDestination(DestinationPart):
    """Customer Match lists of a Google Ads account, through the Data Manager API."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    logins = ("access_token", "service_account_key")
    vendor = GOOGLE

    type: Literal["google_ads"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: GoogleAdsAccount = Field(
        description="The Google Ads account of the list, without dashes.", examples=["1234567890"]
    )
    login_account_id: GoogleAdsAccount | None = Field(
        default=None,
        description="The manager account that the credentials belong to, where it is another.",
    )
    access_token: Login | None = Field(
        default=None,
        description="`connection:NAME`, see `mayfly connect`, or a reference to a token.",
    )
    client_id: Line | None = Field(
        default=None, description="OAuth client that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to the client's secret."
    )
    service_account_key: Reference | None = Field(
        default=None, description="Reference to the JSON key of a service account, in its place."
    )
    customer_match_terms: Literal["accepted"] = Field(
        description="That the account has accepted the Customer Match terms of service; every "
        "upload says so to Google."
    )
    ad_user_data: list[Name] = Field(
        min_length=1,
        description="Purposes whose consent covers sending a person's data to Google "
        "(`ad_user_data`). A sync of another purpose is refused.",
        examples=["[ads]"],
    )
    ad_personalization: list[Name] = Field(
        description="Purposes whose consent covers ads made for a person (`ad_personalization`); "
        "for any other Google is told that it is denied.",
        examples=["[ads]"],
    )
    send_addresses: bool = Field(
        default=False,
        description="Whether names with postcode and country may go, too. Removals go by e-mail "
        "and phone: whom Google found by the address alone stays until the membership ends.",
    )
    membership_days: int | None = Field(
        default=None,
        ge=1,
        le=540,
        description="How long somebody stays in the list; 540, Google's longest, by default. Who "
        "is in it is sent again after a third of that.",
    )
    endpoint: Annotated[str, VendorEndpoint(GOOGLE)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Google's own."
    )


SNAP = "https://adsapi.snapchat.com"


class SnapDestination(DestinationPart):
    """Customer lists of a Snap ad account."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = SNAP

    type: Literal["snap"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: PlatformId = Field(
        description="The ad account.", examples=["8adc3db7-8148-4fbf-999c-8d2266369d74"]
    )
    access_token: Login = Field(
        description="`connection:NAME`, see `mayfly connect`, or a reference to a token."
    )
    client_id: Line | None = Field(
        default=None, description="Of the OAuth app that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to that app's secret."
    )
    redirect_uri: RedirectUri | None = Field(
        default=None,
        description="Redirect address of the app, where it is not "
        "`http://localhost:8976/callback`; `mayfly connect` then asks for the address that the "
        "browser ended at.",
        examples=["https://shop.example.com/snap"],
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        le=540,
        description="How long somebody stays in the list; for good by default. Who is in it is "
        "sent again after a third of that.",
    )
    endpoint: Annotated[str, VendorEndpoint(SNAP)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Snap's own."
    )


LINKEDIN = "https://api.linkedin.com"


class LinkedInAdsDestination(DestinationPart):
    """Segments of people of a LinkedIn ad account (Matched Audiences)."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = LINKEDIN

    type: Literal["linkedin_ads"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: Digits = Field(description="The ad account, quoted.", examples=["516848833"])
    access_token: Login = Field(
        description="`connection:NAME`, see `mayfly connect`, or a reference to a token."
    )
    client_id: Line | None = Field(
        default=None, description="Of the app that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to that app's secret."
    )
    source_platform: Annotated[str, Formed("[A-Z][A-Z0-9_]{0,63}")] | None = Field(
        default=None,
        description="What a segment that is made says it comes from, where LinkedIn has given your "
        "app a name; `MAYFLY` by default.",
    )
    api_version: Annotated[str, Formed("20[0-9]{2}(0[1-9]|1[0-2])")] | None = Field(
        default=None,
        description="Year and month, quoted; `202604` by default.",
        examples=["202609"],
    )
    endpoint: Annotated[str, VendorEndpoint(LINKEDIN)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default LinkedIn's own."
    )


PINTEREST = "https://api.pinterest.com"


class PinterestDestination(DestinationPart):
    """Customer lists of a Pinterest ad account."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = PINTEREST

    type: Literal["pinterest"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: PinterestAccount = Field(
        description="The ad account, quoted.", examples=["549755885175"]
    )
    access_token: Login = Field(
        description="`connection:NAME`, see `mayfly connect`, or a reference to a token."
    )
    client_id: Line | None = Field(
        default=None, description="Of the app that `mayfly connect` logs in with, quoted."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to that app's secret."
    )
    endpoint: Annotated[str, VendorEndpoint(PINTEREST)] | None = Field(
        default=None,
        description="`sandbox` or `http://127.0.0.1:PORT`; by default Pinterest's own.",
    )


MICROSOFT = "https://campaign.api.bingads.microsoft.com"


class MicrosoftAdsDestination(DestinationPart):
    """Customer lists of a Microsoft Advertising account."""

    modes = ("audience", "upsert")
    needs = ("audience",)
    vendor = MICROSOFT

    type: Literal["microsoft_ads"] = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")
    account_id: Digits = Field(
        description="The ad account, quoted: `aid` in the address of Microsoft Advertising.",
        examples=["123456789"],
    )
    customer_id: Digits = Field(
        description="The manager account above it, quoted: `cid` there.", examples=["987654321"]
    )
    developer_token: Reference = Field(description="Reference to the developer token.")
    access_token: Login = Field(
        description="`connection:NAME`, see `mayfly connect`, or a reference to a token."
    )
    client_id: Line | None = Field(
        default=None, description="Of the app that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to that app's secret, where it has one."
    )
    customer_match_terms: Literal["accepted"] = Field(
        description="That whoever answers for the account accepts the Customer Match terms; every "
        "request says so to Microsoft."
    )
    membership_days: int | None = Field(
        default=None,
        ge=1,
        le=390,
        description="How long somebody stays in the list; 390, the longest that ends, by default. "
        "Who is in it is sent again after a third of that.",
    )
    endpoint: Annotated[str, VendorEndpoint(MICROSOFT)] | None = Field(
        default=None,
        description="`sandbox` or `http://127.0.0.1:PORT`; by default Microsoft's own.",
    )


class Owned(DestinationPart):
    """What every destination declares that can be your own."""

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


class MysqlDestination(Tables):
    """Tables of a MariaDB database."""

    type: Literal["mysql"] = Field(description="Kind of destination.")
    dsn: Login = Field(
        description="Reference to the dsn, mysql://user:password@host:3306/database, or "
        "`connection:NAME`, see `mayfly connect`.",
        examples=["env:CRM_DSN"],
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
    format: Format = Field(description="Format of the files.")


class RemoteFiles(Owned):
    """Base of the places beyond this machine that get one file for each batch."""

    modes = ("upsert", "append")
    takes = ("key",)


S3 = "https://s3.amazonaws.com"


class S3Destination(RemoteFiles, S3Bucket):
    """A bucket of Amazon S3 that gets one object for each batch.

    Without keys, credentials are those of the machine, as Amazon's own tools find them.
    """

    vendor = S3

    type: Literal["s3"] = Field(description="Kind of destination.")
    format: Format = Field(default="parquet", description="Format of the objects.")
    kms_key: AwsKeyArn | None = Field(
        default=None,
        description="ARN of the key of KMS that encrypts each object; by default the bucket's own "
        "encryption.",
    )
    bucket_owner: AwsAccount | None = Field(
        default=None, description="Id of the account that the bucket must belong to, quoted."
    )


GCS = "https://storage.googleapis.com"


class GcsDestination(RemoteFiles, GcsBucket):
    """A bucket of Google Cloud Storage that gets one object for each batch."""

    logins = ("service_account_key", "access_token")
    vendor = GCS

    type: Literal["gcs"] = Field(description="Kind of destination.")
    region: GcsLocation = Field(
        description="Location of the bucket; another one is refused.", examples=["europe-west1"]
    )
    format: Format = Field(default="parquet", description="Format of the objects.")
    kms_key: GcpKey | None = Field(
        default=None,
        description="Key of Cloud KMS that encrypts each object; by default the bucket's own "
        "encryption.",
    )
    endpoint: Annotated[str, VendorEndpoint(GCS)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Google's own."
    )


class SftpDestination(RemoteFiles):
    """A folder of an SFTP server that gets one file for each batch."""

    logins = ("private_key", "password")

    type: Literal["sftp"] = Field(description="Kind of destination.")
    host: HostName = Field(description="The server.", examples=["sftp.example.com"])
    port: int = Field(default=22, ge=1, le=65_535, description="Of the server.")
    host_keys: list[HostKey] = Field(
        min_length=1,
        max_length=8,
        description="Public keys that the server may show, as `ssh-keyscan` gives them without the "
        "host; any other is refused.",
        examples=["[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…]"],
    )
    username: Line = Field(description="Who logs in.", examples=["mayfly"])
    private_key: Reference | None = Field(
        default=None, description="Reference to a private key, in OpenSSH's form or PEM."
    )
    passphrase: Reference | None = Field(
        default=None, description="Reference to what the private key is encrypted with."
    )
    password: Reference | None = Field(
        default=None, description="Reference to a password, in the key's place."
    )
    folder: SftpFolder = Field(
        description="The folder, which must exist: from where the login begins, or from `/`.",
        examples=["upload/customers"],
    )
    group_reads: bool = Field(
        default=False, description="Whether the group of the file may read it, too."
    )
    format: Format = Field(default="csv", description="Format of the files.")


HUBSPOT = "https://api.hubapi.com"


class HubspotSubscription(Part):
    """A subscription type of HubSpot, and on what basis people are subscribed to it."""

    id: Digits = Field(description="Of the type, quoted.", examples=["4471"])
    legal_basis: (
        Literal[
            "LEGITIMATE_INTEREST_PQL",
            "LEGITIMATE_INTEREST_CLIENT",
            "LEGITIMATE_INTEREST_OTHER",
            "PERFORMANCE_OF_CONTRACT",
            "CONSENT_WITH_NOTICE",
            "PROCESS_AND_STORE",
            "NON_GDPR",
        ]
        | None
    ) = Field(default=None, description="Needed where HubSpot's privacy settings are on.")
    explanation: Line | None = Field(
        default=None, description="How the basis came about.", examples=["ticked in the shop"]
    )


class HubspotDestination(Owned):
    """Records and static lists of a HubSpot account."""

    modes = ("upsert", "mirror", "audience")
    takes = ("table",)
    keyed = ("upsert", "mirror", "audience")
    listed = ("audience",)
    vendor = HUBSPOT
    inner = {"subscriptions": ("NAME", HubspotSubscription)}  # noqa: RUF012, never changed

    type: Literal["hubspot"] = Field(description="Kind of destination.")
    account_id: Digits = Field(description="The Hub ID, quoted.", examples=["1234567"])
    access_token: Login = Field(
        description="Reference to a private app's token, or `connection:NAME`, see "
        "`mayfly connect`."
    )
    client_id: Line | None = Field(
        default=None, description="Of the app that `mayfly connect` logs in with."
    )
    client_secret: Reference | None = Field(
        default=None, description="Reference to that app's secret."
    )
    region: Literal["eu1"] | None = Field(
        default=None, description="`eu1` for the host in the EU; the account must be there."
    )
    api_version: Annotated[str, Formed("v3|20[0-9]{2}-(03|09)")] | None = Field(
        default=None, description="Style of the paths, `v3` by default.", examples=["2026-09"]
    )
    subscriptions: dict[Name, HubspotSubscription] = Field(
        default={}, description="Subscription types, by the name that a mapping gives them."
    )
    endpoint: Annotated[str, VendorEndpoint(HUBSPOT)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default HubSpot's own."
    )


SALESFORCE = "https://login.salesforce.com"


class SalesforceConsent(Part):
    """Where Salesforce keeps what people said of one thing: a flag, or consents to a purpose."""

    flag: (
        Literal[
            "HasOptedOutOfEmail",
            "HasOptedOutOfFax",
            "DoNotCall",
            "HasOptedOutProcessing",
            "HasOptedOutProfiling",
            "HasOptedOutSolicit",
            "HasOptedOutTracking",
            "HasOptedOutGeoTracking",
        ]
        | None
    ) = Field(default=None, description="Field of the object that is true where they refused.")
    contact_point: Literal["Email", "Phone", "MailingAddress", "Social", "Web"] | None = Field(
        default=None, description="Kind of address that they may be reached by."
    )
    data_use_purpose: SalesforceId | None = Field(
        default=None, description="Id of the `DataUsePurpose`.", examples=["0ZW000000000001AAA"]
    )
    capture_source: Line | None = Field(
        default=None, description="As consents say where they were given; `Mayfly` by default."
    )


class SalesforceDestination(Owned):
    """Records of an object in a Salesforce organisation, by an external id."""

    modes = ("upsert", "mirror")
    needs = ("table",)
    keyed = ("upsert", "mirror")
    logins = ("consumer_secret", "private_key")
    vendor = SALESFORCE
    inner = {"consents": ("NAME", SalesforceConsent)}  # noqa: RUF012, never changed

    type: Literal["salesforce"] = Field(description="Kind of destination.")
    domain: SalesforceDomain = Field(
        description="The organisation's My Domain.", examples=["acme.my.salesforce.com"]
    )
    consumer_key: Line = Field(description="Of the external client app.")
    consumer_secret: Login | None = Field(
        default=None,
        description="Reference to the app's secret, or `connection:NAME`: client credentials.",
    )
    private_key: Login | None = Field(
        default=None,
        description="Reference to the PEM of an RSA key, or `connection:NAME`, in its place: JWT "
        "bearer.",
    )
    username: Line | None = Field(default=None, description="User that the private key logs in.")
    api_version: ApiVersion | None = Field(
        default=None, description="Of the API, `v62.0` by default.", examples=["v67.0"]
    )
    consents: dict[Name, SalesforceConsent] = Field(
        default={}, description="Consents, by the name that a mapping gives them."
    )
    endpoint: Annotated[str, VendorEndpoint(SALESFORCE)] | None = Field(
        default=None,
        description="`sandbox` or `http://127.0.0.1:PORT`; by default the organisation's own.",
    )


ZENDESK = "https://SUBDOMAIN.zendesk.com"


class ZendeskDestination(Owned):
    """Users of a Zendesk account."""

    modes = ("upsert", "mirror", "audience")
    keyed = ("upsert", "mirror", "audience")
    listed = ("audience",)
    logins = ("access_token", "api_token")
    together = ("api_user", "api_token")
    vendor = ZENDESK

    type: Literal["zendesk"] = Field(description="Kind of destination.")
    subdomain: Subdomain = Field(
        description="Of the account: `SUBDOMAIN.zendesk.com`.", examples=["shop"]
    )
    access_token: Reference | None = Field(
        default=None, description="Reference to a token of OAuth."
    )
    api_user: Line | None = Field(
        default=None, description="Address of the administrator that `api_token` stands for."
    )
    api_token: Reference | None = Field(
        default=None, description="Reference to a token of the API, in the other's place."
    )
    endpoint: Annotated[str, VendorEndpoint(ZENDESK)] | None = Field(
        default=None,
        description="`sandbox` or `http://127.0.0.1:PORT`; by default the account's own.",
    )


BRAZE = "https://rest.iad-01.braze.com"


class BrazeSubscription(Part):
    """What a person can say of one thing: a state of their profile, or a subscription group."""

    state: Literal["email_subscribe", "push_subscribe"] | None = Field(
        default=None, description="Whether they want any mail, or any push messages."
    )
    group: PlatformId | None = Field(
        default=None, description="Id of a subscription group, which is told refusals alone."
    )


class BrazeDestination(Owned):
    """People of a Braze workspace, by their external id."""

    modes = ("upsert", "mirror")
    keyed = ("upsert", "mirror")
    vendor = BRAZE
    inner = {"subscriptions": ("NAME", BrazeSubscription)}  # noqa: RUF012, never changed

    type: Literal["braze"] = Field(description="Kind of destination.")
    cluster: Literal[
        "iad-01",
        "iad-02",
        "iad-03",
        "iad-04",
        "iad-05",
        "iad-06",
        "iad-07",
        "iad-08",
        "us-10",
        "fra-01",
        "fra-02",
        "au-01",
        "id-01",
        "jp-01",
        "kr-01",
    ] = Field(description="Of the workspace's REST endpoint.", examples=["fra-01"])
    workspace: PlatformId = Field(
        description="A name of your own for the workspace of the key: a state belongs to it.",
        examples=["shop-production"],
    )
    api_key: Login = Field(
        description="Reference to a REST API key, or `connection:NAME`, see `mayfly connect`."
    )
    objects_per_request: int = Field(
        default=50, ge=1, le=75, description="As the contract with Braze has it: 50 or 75."
    )
    subscriptions: dict[Name, BrazeSubscription] = Field(
        default={}, description="Subscriptions, by the name that a mapping gives them."
    )
    endpoint: Annotated[str, VendorEndpoint(BRAZE)] | None = Field(
        default=None,
        description="`sandbox` or `http://127.0.0.1:PORT`; by default the cluster's own.",
    )


INTERCOM = "https://api.intercom.io"


class IntercomSubscription(Part):
    """A subscription type of Intercom."""

    id: Digits = Field(description="Of the type, quoted.", examples=["91"])


class IntercomDestination(Owned):
    """Contacts of an Intercom workspace."""

    modes = ("upsert", "mirror", "audience")
    keyed = ("upsert", "mirror", "audience")
    listed = ("audience",)
    vendor = INTERCOM
    inner = {"subscriptions": ("NAME", IntercomSubscription)}  # noqa: RUF012, never changed

    type: Literal["intercom"] = Field(description="Kind of destination.")
    app_id: PlatformId = Field(description="Id of the workspace.", examples=["ab12cd34"])
    access_token: Reference = Field(description="Reference to an app's token.")
    region: Literal["us", "eu", "au"] = Field(
        default="us", description="Where the workspace is hosted; another one is refused."
    )
    subscriptions: dict[Name, IntercomSubscription] = Field(
        default={}, description="Subscription types, by the name that a mapping gives them."
    )
    endpoint: Annotated[str, VendorEndpoint(INTERCOM)] | None = Field(
        default=None, description="`sandbox` or `http://127.0.0.1:PORT`; by default Intercom's own."
    )


class WebhookDestination(Owned):
    """An address of your own that is sent signed messages, after Standard Webhooks."""

    modes = ("upsert", "mirror", "append")
    takes = ("key",)
    keyed = ("upsert", "mirror")

    type: Literal["webhook"] = Field(description="Kind of destination.")
    url: WebhookUrl = Field(description="https://HOST/PATH, or http://127.0.0.1:PORT/PATH.")
    secret: Reference = Field(
        description="Reference to the secret that signs: whsec_ and base64.", examples=["env:HOOK"]
    )
    previous_secret: Reference | None = Field(
        default=None,
        description="Reference to the one before it, which signs, too, until the receiver has the "
        "new one.",
    )


AnyDestination = (
    MetaAdsDestination
    | MetaConversionsDestination
    | HubspotDestination
    | SalesforceDestination
    | TiktokAdsDestination
    | TiktokEventsDestination
    | BrazeDestination
    | TheTradeDeskDestination
    | GoogleAdsDestination
    | LinkedInAdsDestination
    | MicrosoftAdsDestination
    | SnapDestination
    | PinterestDestination
    | PostgresDestination
    | MysqlDestination
    | DuckdbDestination
    | SqliteDestination
    | FilesDestination
    | S3Destination
    | GcsDestination
    | SftpDestination
    | WebhookDestination
    | ZendeskDestination
    | IntercomDestination
)
DestinationFile = Annotated[AnyDestination, Field(discriminator="type")]
