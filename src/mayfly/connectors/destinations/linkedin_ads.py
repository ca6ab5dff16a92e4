"""LinkedIn Matched Audiences, through its API of DMP segments: what it declares, and how it is
opened. The connector itself is `linkedin_ads_audience`.
"""

from __future__ import annotations

from mayfly.connectors.destinations.linkedin_ads_audience import (
    API_VERSION,
    HOST,
    SETTLE_SECONDS,
    SOURCE_PLATFORM,
    LinkedInAds,
    LinkedInSettings,
)
from mayfly.connectors.destinations.linkedin_ads_requests import FIELDS, LIMITS
from mayfly.domain.batch import SyncMode
from mayfly.ports.connector import Connector, ConnectorPage, DestinationRequest
from mayfly.ports.destination import DestinationSpec, Erasure, Processor
from mayfly.ports.oauth import OAuthSpec

LOGIN = OAuthSpec(
    authorise_url="https://www.linkedin.com/oauth/v2/authorization",
    token_url="https://www.linkedin.com/oauth/v2/accessToken",  # noqa: S106, an address
    scopes=("rw_dmp_segments",),
    life_seconds=60 * 24 * 3600,
    redirect_host="localhost",
    redirect_port=8976,
    scope_separator=",",
    # LinkedIn answers a verifier of a client with a secret by 401 `invalid_client`.
    pkce=False,
)

SPEC = DestinationSpec(
    name="linkedin_ads",
    modes=frozenset({SyncMode.AUDIENCE, SyncMode.UPSERT}),
    fields=FIELDS,
    request=LIMITS,
    hosts=frozenset({HOST}),
    processor=Processor(
        legal_name="LinkedIn Ireland Unlimited Company", countries=frozenset({"IE", "US"})
    ),
    erasure=Erasure.BY_IDENTIFIER,
    always_external=True,
    locates=True,
    concurrency=2,
    oauth=LOGIN,
)


def _open(request: DestinationRequest) -> LinkedInAds:
    endpoint = request.settings.endpoint
    settings = LinkedInSettings(
        account_id=request.text("account_id"),
        access_token=request.secret("access_token"),
        audience=request.sync.audience or "",
        source_platform=request.text("source_platform", SOURCE_PLATFORM),
        api_version=request.text("api_version", API_VERSION),
        # The sandbox has a segment at once.
        settle_seconds=0.0 if endpoint else SETTLE_SECONDS,
        endpoint=endpoint or f"https://{HOST}",
    )
    return LinkedInAds(settings, request.connect(), request.context)


PAGE = ConnectorPage(
    title="LinkedIn Matched Audiences",
    example="""
destinations:
  linkedin:
    type: linkedin_ads
    account_id: "516848833"
    access_token: connection:linkedin
    client_id: 86abcdefghij
    client_secret: env:LINKEDIN_CLIENT_SECRET
syncs:
  vip_to_linkedin:
    id: vip_to_linkedin
    model: people
    destination: linkedin
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping: {SHA256_EMAIL: email}
""",
    rights=(
        "An app that LinkedIn has approved for its Audiences program, with the right "
        "`rw_dmp_segments`.",
        "The person who logs in, with a role above *Viewer* in the ad account.",
        "For `mayfly connect`: `http://localhost:8976/callback` among the app's redirect "
        "addresses, and refresh tokens, which LinkedIn gives to approved partners; log in again "
        "after a year. "
        "Without them, give a token that was made in the developer portal: it lives 60 days.",
    ),
    notes=(
        "People are streamed: LinkedIn answers for each row, and its answer 201 is what "
        "*delivered* means. Whom it matches shows within 48 hours, and ads are shown from 300 "
        "matched members on; that is never told for a single person.",
        "`SHA256_EMAIL` is the address in lower case without any white space, dots and plus kept. "
        "Names, job titles, companies and countries, which LinkedIn takes in clear, are not sent, "
        "nor are telephone numbers, for which it has no identifier.",
        "There is no field for consent: who has not agreed is not sent.",
        "The status of a segment is read in every run. To one that is `EXPIRED`, `FAILED` or "
        "`ERROR` nobody is added (`audience_unusable`); removals still go.",
        "A segment that was just made may be unknown to LinkedIn for a minute or two: the run "
        "waits (`audience_not_ready`). Rows to which LinkedIn answers 404, 429 or 5xx are sent "
        "again in the same run, and what is left by the next one.",
        "Limits are per minute, which is waited for, and per day, for which the run is held until "
        "midnight UTC.",
        "LinkedIn ends each version of its API about a year after it came (`version_ended`): write "
        "a later one as `api_version`.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by LinkedIn's own client too.",
        "Which names LinkedIn takes as `sourcePlatform` of a segment from an app: `MAYFLY` by "
        "default.",
        "How LinkedIn refuses a refresh token that has ended: anything but `invalid_grant` is told "
        "as an answer that is not understood, and not as `needs_consent`.",
        "In which header the id of a new segment comes: `x-restli-id` and `x-linkedin-id` are "
        "read.",
        "Whether somebody who was added by two identifiers, and is removed by one, stays by the "
        "other: Mayfly removes each that it sent.",
        "Whether a removal of somebody who is not there is answered like any other.",
        "`APPLE_IDFA` and `SHA512_EMAIL`, which some copies of the documentation have: not "
        "offered.",
        "By which codes a row is refused: 400, 409 and 422 are taken for final, any status that "
        "is not documented stops the run.",
    ),
)

CONNECTOR = Connector(spec=SPEC, open=_open, address=("account_id",), page=PAGE)
