"""What every kind of destination declares, and keys that many of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from mayfly.config.fields import Line, Part
from mayfly.config.parties import ResponsibilityFile

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

    responsibility: ResponsibilityFile | None = Field(
        default=None, description="Who answers for what is sent there, for records and pages."
    )


class LimitsPart(Part):
    """What all workers together may do at one account of the destination."""

    requests_per_minute: int | None = Field(
        default=None, ge=1, le=10_000_000, description="In any 60 seconds.", examples=[600]
    )
    rows_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Counted as their batches begin.",
        examples=[100_000],
    )
    concurrency: int | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="Requests on their way at the same time.",
        examples=[4],
    )


class Limited(DestinationPart):
    """What every destination declares that is called over HTTP."""

    limits: LimitsPart | None = Field(
        default=None, description="Of the account, shared by all workers of this store."
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


class AdPlatform(Limited):
    """Base of the ad platforms, which are never your own."""

    type: str = Field(description="Kind of destination.")
    kind: Literal["external"] = Field(default="external", description="An ad platform is external.")


class AudienceLists(AdPlatform):
    """Base of the ad platforms that keep lists of people."""

    modes = ("audience", "upsert")
    needs = ("audience",)


def own_endpoint(whose: str) -> Any:
    """Key for an address in place of the vendor's own; `whose` says what stands without it."""
    return Field(
        default=None,
        description=f"`sandbox` or `http://127.0.0.1:PORT`; by default {whose} own.",
    )


def pasted_token() -> Any:
    """Key for a token that the vendor's pages show."""
    return Field(description="Reference to the token, or `connection:NAME`, see `mayfly connect`.")


def granted_token() -> Any:
    """Key for a token that a login of OAuth gives."""
    return Field(description="`connection:NAME`, see `mayfly connect`, or a reference to a token.")


def app_id() -> Any:
    """Key for the OAuth client of a login."""
    return Field(default=None, description="Of the app that `mayfly connect` logs in with.")


def app_secret() -> Any:
    """Key for that client's secret."""
    return Field(default=None, description="Reference to that app's secret.")


def event_test_code() -> Any:
    """Key for the code that has a vendor treat events as a test."""
    return Field(
        default=None,
        description="As Events Manager shows it; `mayfly test` alone sends it.",
        examples=["TEST12345"],
    )
