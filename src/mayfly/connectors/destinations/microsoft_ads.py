"""Microsoft Advertising customer match, through its REST API: what it declares, and how it is
opened. The connector itself is `microsoft_ads_audience`.
"""

from __future__ import annotations

from datetime import timedelta

from mayfly.connectors.destinations.microsoft_ads_audience import (
    HOST,
    MicrosoftAds,
    MicrosoftAdsSettings,
)
from mayfly.connectors.destinations.microsoft_ads_lists import DAYS_MAX
from mayfly.connectors.destinations.microsoft_ads_requests import FIELDS, LIMITS
from mayfly.domain.batch import SyncMode
from mayfly.domain.settings import DestinationSettings
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
from mayfly.ports.destination import DestinationSpec, Erasure, Processor
from mayfly.ports.oauth import OAuthSpec

_OFFLINE = "offline_access"
LOGIN = OAuthSpec(
    authorise_url="https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
    token_url="https://login.microsoftonline.com/common/oauth2/v2.0/token",  # noqa: S106, an address
    scopes=("https://ads.microsoft.com/msads.manage", _OFFLINE),
    unlisted_scopes=frozenset({_OFFLINE}),
    life_seconds=3600,
    redirect_host="localhost",
    redirect_port=8976,
)

SPEC = DestinationSpec(
    name="microsoft_ads",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST}),
    processor=Processor(
        legal_name="Microsoft Ireland Operations Limited", countries=frozenset({"IE", "US"})
    ),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    concurrency=2,
    oauth=LOGIN,
)


def _days(settings: DestinationSettings) -> int:
    return int(str(settings.options.get("membership_days") or DAYS_MAX))


def _open(request: DestinationRequest) -> MicrosoftAds:
    settings = MicrosoftAdsSettings(
        account_id=request.text("account_id"),
        customer_id=request.text("customer_id"),
        developer_token=request.secret("developer_token"),
        access_token=request.secret("access_token"),
        audience=request.sync.audience or "",
        membership_days=_days(request.settings),
        endpoint=request.settings.endpoint or f"https://{HOST}",
    )
    return MicrosoftAds(settings, request.connect(), request.context)


PAGE = ConnectorPage(
    title="Microsoft Advertising customer match",
    example="""
destinations:
  microsoft:
    type: microsoft_ads
    account_id: "123456789"
    customer_id: "987654321"
    developer_token: env:MICROSOFT_DEVELOPER_TOKEN
    access_token: connection:microsoft
    client_id: 00001111-aaaa-2222-bbbb-3333cccc4444
    customer_match_terms: accepted
syncs:
  vip_to_microsoft:
    id: vip_to_microsoft
    model: people
    destination: microsoft
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {Email: email}
""",
    rights=(
        "A developer token of Microsoft Advertising, and an app of the Microsoft identity platform "
        "for accounts of any directory and personal ones.",
        "For `mayfly connect`: `http://localhost:8976/callback` among the app's redirect addresses "
        "(*Mobile and desktop applications*, then without `client_secret`; or *Web*, with it).",
        "The person who logs in, as a user of the ad account who may change audiences.",
        "The Customer Match terms: every request says that they are accepted "
        "(`AcceptCustomerMatchTerm`), as `customer_match_terms: accepted` has it.",
    ),
    notes=(
        "Microsoft takes people in requests of 1,000, and names at once whom it does not take; "
        "*delivered* means that it named no error. Whom it matches shows within 48 hours, and ads "
        "are shown from 300 matched people on; that is never told for a single person.",
        "`Email` is the address in lower case without white space around it, dots and plus kept. "
        "Identifiers of a CRM and telephone numbers stand in the API, marked as not supported: "
        "they are not offered.",
        "Who is in a list stays for `membership_days` and is sent again after a third of that. A "
        "list that keeps its members for less is refused (`audience_forgets`).",
        "There is no field for consent: who has not agreed is not sent. Campaigns that target the "
        "European Union, or places with similar restrictions, take no combination of customer "
        "lists, says Microsoft.",
        "Error 117 is waited for, a minute at least; errors of one item that are Microsoft's own "
        "are sent again in the same run.",
        "An audience is never replaced whole (`Replace` empties it first): people are added and "
        "removed.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by Microsoft's own client too, and "
        "our requests were read by its models.",
        "Whether Microsoft wants dots and what follows a plus taken out of an address: its guide "
        "to conversions does, its pages on customer lists say nothing, and it is not done.",
        "Whether an error about the list, and not about an item, comes beside an answer or in its "
        "place: both are understood.",
        "Whether the days of a membership begin anew when somebody is added again.",
        "Whether a removal of somebody who is not there is answered like any other.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("account_id",),
    page=PAGE,
    # A third of a membership, so that a run may be late by the rest.
    renewal=lambda settings: timedelta(days=_days(settings)) / 3,
)
