"""The page of the reference about HubSpot."""

from __future__ import annotations

from mayfly.ports.connector import ConnectorPage

PAGE = ConnectorPage(
    title="HubSpot",
    example="""
destinations:
  crm:
    type: hubspot
    kind: internal
    owner: Sales operations
    reason: our own CRM
    account_id: "1234567"
    access_token: env:HUBSPOT_TOKEN
    region: eu1
    subscriptions:
      newsletter: {id: "4471", legal_basis: CONSENT_WITH_NOTICE, explanation: ticked in the shop}
syncs:
  people_to_crm:
    id: people_to_crm
    model: people
    destination: crm
    mode: upsert
    key: [email]
    mapping:
      email: email
      firstname: first_name
      phone: phone
      subscription.newsletter: newsletter
  vip_list:
    id: vip_list
    model: people
    destination: crm
    mode: audience
    audience: VIP customers
    key: [customer_no]
    purpose: ads
    mapping: {customer_no: id, email: email}
""",
    rights=(
        "A token of a private app with `crm.objects.contacts.read` and `.write`; of other objects "
        "those of their own.",
        "For `mode: audience`, `crm.lists.read` and `crm.lists.write`.",
        "For subscriptions, `communication_preferences.read`, "
        "`communication_preferences.statuses.batch.read` and "
        "`communication_preferences.statuses.batch.write`; HubSpot gives these to paid editions.",
    ),
    notes=(
        "**Key.** `key` names one property whose values are unique: `email` of contacts, or one "
        "that was made with unique values. `table` is the type of object, `contacts` by default. "
        "`account_id` is the Hub ID; a token of another account is refused before any row goes. "
        "So is a mapping to a property that is not there, with the nearest name, or that nobody "
        "may write.",
        "**Modes.** `upsert` writes. `mirror` archives records that left, too: they stay in the "
        "recycle bin for 90 days. `audience` writes them and makes them members of the static "
        "list of that name, which is made where it is not there; who leaves is taken out of the "
        "list and stays a contact, and so do the people of `mayfly test`. In these two modes `key` "
        "carries the model's primary key.",
        "**Values.** All leave as text; times as milliseconds since 1970, lists with semicolons. "
        "A null clears the property. Nothing is hashed.",
        "**Outcomes.** `row_refused`: HubSpot named the row, its code and the property stand "
        "beside it. `no_key`, `duplicate_key` (e-mail addresses without regard to case) and "
        "`not_a_number` were not sent. `error_not_named`: HubSpot counted an error and named no "
        "row, so that some of these rows are not there. `record_missing`: lists did not know the "
        "record yet; it is sent again.",
        "**Erasure** deletes a contact for good, one in the recycle bin, too. It is looked up "
        "first, since HubSpot blocks an address that it does not know.",
        "**Subscriptions.** A field `subscription.NAME` holds what a person said at the source: "
        "true, false or null, which is told to nobody. Such a sync has no `purpose` of that name: "
        "who refuses would not be sent, and HubSpot not told. A refusal is always written. A yes "
        "is written where HubSpot has no word of the person yet. Where it says that they "
        "unsubscribed, from this or from all mail, it is not: the row counts as unconfirmed, is "
        "not sent again, and HubSpot's own form is the way back. `status_unknown`: HubSpot gave no "
        "status, and nothing was written; `subscription_refused`: it did not take what was said.",
        "**Region.** With `region: eu1` calls go to `api-eu1.hubapi.com` alone, and an account "
        "that is hosted elsewhere is refused. Without it they go to `api.hubapi.com`.",
        "**Log-in.** With `access_token: connection:NAME`, `client_id` and `client_secret`, "
        "`mayfly connect` logs in. Register `http://localhost:8976/callback` as redirect address "
        "of the app: HubSpot takes no other address without TLS. Tokens come from "
        "`api.hubapi.com`, with `region: eu1`, too. The log-in asks for contacts alone; lists and "
        "subscriptions need a private app's token.",
        "**Limits.** After 429 the run waits as HubSpot says. Where the day's calls are spent it "
        "is held until the account's midnight.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by HubSpot's own client too.",
        "That HubSpot's log-in takes the parameters of PKCE.",
        "How large a request may be; requests of more than 10 MB are not sent.",
        "Whether contacts in the recycle bin can be deleted for good by their ids.",
        "A contact that is found by a second address: HubSpot may write another record than was "
        "meant.",
    ),
)
