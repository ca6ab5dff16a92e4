"""Google Customer Match, through the Data Manager API: what it declares, and how it is opened.

The connector itself is `google_ads_audience`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from mayfly.connectors.destinations.google_ads_audience import HOST, GoogleAds, GoogleAdsSettings
from mayfly.connectors.destinations.google_ads_jobs import AT_GOOGLE
from mayfly.connectors.destinations.google_ads_lists import DAYS_MAX
from mayfly.connectors.destinations.google_ads_requests import FIELDS, LIMITS, refusals
from mayfly.connectors.destinations.google_ads_tokens import (
    LOGIN,
    TOKEN_PATH,
    GivenToken,
    ServiceAccount,
    TokenSource,
)
from mayfly.connectors.google_keys import TOKENS
from mayfly.connectors.jobs import AT_ONCE
from mayfly.domain.batch import SyncMode
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest, HostsRequest
from mayfly.ports.destination import DestinationSpec, Erasure, Processor

SPEC = DestinationSpec(
    name="google_ads",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST, TOKENS}),
    processor=Processor(legal_name="Google Ireland Limited", countries=frozenset({"IE", "US"})),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    concurrency=2,
    oauth=LOGIN,
    batch_rows=LIMITS.rows_max,
)


def _open(request: DestinationRequest) -> GoogleAds:
    options, endpoint = request.settings.options, request.settings.endpoint
    http = request.connect()
    settings = GoogleAdsSettings(
        account_id=request.text("account_id"),
        audience=request.sync.audience or "",
        may_personalise=request.sync.purpose in _purposes(options.get("ad_personalization")),
        login_account_id=request.text("login_account_id") or None,
        membership_days=int(request.text("membership_days", "0")) or None,
        endpoint=endpoint or f"https://{HOST}",
        pace=AT_ONCE if endpoint else AT_GOOGLE,
    )
    key = request.secret_if("service_account_key")
    tokens: TokenSource
    if key is None:
        tokens = GivenToken(request.secret("access_token"))
    else:
        url = f"{endpoint}{TOKEN_PATH}" if endpoint else LOGIN.token_url
        tokens = ServiceAccount(key, http, token_url=url)
    return GoogleAds(settings, tokens, http, request.context)


def _purposes(value: object) -> Collection[str]:
    return value if isinstance(value, list) else ()


def _hosts(request: HostsRequest) -> frozenset[str]:
    """A service account gets its tokens itself; of a connection others see to it."""
    by_key = request.settings.options.get("service_account_key")
    return frozenset({HOST, TOKENS} if by_key else {HOST})


def _renewal(settings: DestinationSettings) -> timedelta:
    """A third of a membership, so that a run may be late by the rest."""
    return timedelta(days=int(str(settings.options.get("membership_days") or DAYS_MAX))) / 3


def _refuses(settings: DestinationSettings, sync: SyncSettings) -> Iterable[tuple[str, str]]:
    return refusals(
        list(sync.mapping),
        addresses=settings.options.get("send_addresses") is True,
        purpose=sync.purpose,
        user_data=_purposes(settings.options.get("ad_user_data")),
    )


PAGE = ConnectorPage(
    title="Google Customer Match",
    example="""
destinations:
  google:
    type: google_ads
    account_id: "1234567890"
    access_token: connection:google
    client_id: 1234-abcd.apps.googleusercontent.com
    client_secret: env:GOOGLE_CLIENT_SECRET
    customer_match_terms: accepted
    ad_user_data: [ads]
    ad_personalization: [ads]
syncs:
  vip_to_google:
    id: vip_to_google
    model: people
    destination: google
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {emailAddress: email, phoneNumber: phone}
""",
    rights=(
        "The Data Manager API enabled in a Google Cloud project, and in it an OAuth client of type "
        "*Desktop app*, or a service account with a key.",
        "The person who logs in, or the service account's address, as a user of the Google Ads "
        "account with at least *Standard* access, or of a manager account (`login_account_id`).",
        "The Customer Match terms accepted in the Google Ads account.",
    ),
    notes=("[Send to Google](../../howto/google-ads.md) says what outcomes and errors mean.",),
    untested=(
        "Everything: it was tried against the sandbox, driven by Google's own client too, and our "
        "requests were read by its message types.",
        "Whether Google names every wrong member of a request at once, or some of them: Mayfly "
        "goes on without those that are named, up to 64 times.",
        "How soon a list that was just made takes members.",
        "Whether Google works requests off in the order in which it took them: a removal that came "
        "after an addition, and was worked off before it, would leave somebody in.",
        "Whether Google compares ids of devices without regard to capital letters: they go small.",
    ),
)

CONNECTOR = Connector(
    spec=SPEC,
    open=_open,
    address=("account_id",),
    hosts=_hosts,
    page=PAGE,
    renewal=_renewal,
    refuses=_refuses,
)
