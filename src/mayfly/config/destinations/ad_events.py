"""Events of people at ad platforms, as destinations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mayfly.config.destinations.ad_audiences import META, TIKTOK
from mayfly.config.destinations.base import (
    AdPlatform,
    event_test_code,
    own_endpoint,
    pasted_token,
)
from mayfly.config.fields import ApiVersion, Digits, Formed, Login, Name, Reference, VendorEndpoint


class MetaConversionsDestination(AdPlatform):
    """Events of people in a dataset of Meta's, through the Conversions API."""

    modes = ("append",)
    vendor = META

    type: Literal["meta_conversions"] = Field(description="Kind of destination.")
    dataset_id: Digits = Field(
        description="The dataset, which is the pixel's id, quoted.", examples=["1234567890"]
    )
    access_token: Login = pasted_token()
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
    test_event_code: Annotated[str, Formed("[A-Za-z0-9_-]{1,64}")] | None = event_test_code()
    endpoint: Annotated[str, VendorEndpoint(META)] | None = own_endpoint("Meta's")


class TiktokEventsDestination(AdPlatform):
    """Events of people at a pixel or an event set of TikTok's."""

    modes = ("append",)
    vendor = TIKTOK

    type: Literal["tiktok_events"] = Field(description="Kind of destination.")
    event_source: Literal["web", "offline", "crm"] = Field(description="Where events happen.")
    event_source_id: Annotated[str, Formed("[A-Za-z0-9]{1,64}")] = Field(
        description="The pixel, or the event set, quoted.", examples=["C4A5B6D7E8F9G0"]
    )
    access_token: Login = pasted_token()
    full_use: list[Name] = Field(
        description="Purposes whose consent covers every use that TikTok makes of an event; events "
        "of any other are sent with `limited_data_use`.",
        examples=["[ads]"],
    )
    test_event_code: Annotated[str, Formed("[A-Za-z0-9_-]{1,64}")] | None = event_test_code()
    endpoint: Annotated[str, VendorEndpoint(TIKTOK)] | None = own_endpoint("TikTok's")
