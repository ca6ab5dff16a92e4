"""Support desks and messengers, as destinations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.destinations.base import Limited, Owned, own_endpoint
from mayfly.config.fields import (
    Digits,
    Line,
    Login,
    Name,
    Part,
    PlatformId,
    Reference,
    Subdomain,
    VendorEndpoint,
)

ZENDESK = "https://SUBDOMAIN.zendesk.com"


class ZendeskDestination(Owned, Limited):
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
    endpoint: Annotated[str, VendorEndpoint(ZENDESK)] | None = own_endpoint("the account's")


BRAZE = "https://rest.iad-01.braze.com"


class BrazeSubscription(Part):
    """What a person can say of one thing: a state of their profile, or a subscription group."""

    state: Literal["email_subscribe", "push_subscribe"] | None = Field(
        default=None, description="Whether they want any mail, or any push messages."
    )
    group: PlatformId | None = Field(
        default=None, description="Id of a subscription group, which is told refusals alone."
    )


class BrazeDestination(Owned, Limited):
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
    endpoint: Annotated[str, VendorEndpoint(BRAZE)] | None = own_endpoint("the cluster's")


INTERCOM = "https://api.intercom.io"


class IntercomSubscription(Part):
    """A subscription type of Intercom."""

    id: Digits = Field(description="Of the type, quoted.", examples=["91"])


class IntercomDestination(Owned, Limited):
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
    endpoint: Annotated[str, VendorEndpoint(INTERCOM)] | None = own_endpoint("Intercom's")
