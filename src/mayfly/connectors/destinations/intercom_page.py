"""The page of the reference about Intercom."""

from __future__ import annotations

from mayfly.ports.connector import ConnectorPage

PAGE = ConnectorPage(
    title="Intercom",
    example="""
destinations:
  inbox:
    type: intercom
    kind: internal
    owner: Customer care
    reason: our own inbox
    app_id: ab12cd34
    access_token: env:INTERCOM_TOKEN
    region: eu
    subscriptions:
      newsletter: {id: "91"}
syncs:
  people_to_inbox:
    id: people_to_inbox
    model: people
    destination: inbox
    mode: upsert
    key: [external_id]
    mapping:
      external_id: id
      email: email
      name: name
      custom_attributes.plan: plan
      subscription.newsletter: newsletter
  vip:
    id: vip
    model: people
    destination: inbox
    mode: audience
    audience: VIP customers
    key: [external_id]
    purpose: ads
    mapping: {external_id: id}
""",
    rights=(
        "A token of an app in the workspace that may read and write one user and company, list "
        "users and companies, read and write tags, and read and write subscription data.",
        "`app_id`, the id of the workspace, as it stands in the address of its settings; a token "
        "of another one is refused before any row goes.",
    ),
    notes=(
        "**Key.** `key` is `external_id` or `email`. Contacts are looked up by searches, so that "
        "no key stands in an address, and written one by one: Intercom has no batch. A new "
        "contact, which no search sees for minutes, is known by the refusal to make it again. "
        "`ambiguous_key`: several users have that address, and none was written.",
        "**Fields** are `external_id`, `email`, `phone`, `name`, `signed_up_at`, `owner_id`, "
        "`unsubscribed_from_emails` and `custom_attributes.NAME` of the workspace; a mapping to "
        "one that is not there is refused with the nearest name. A null clears a field; not "
        "`external_id`, `email` and `phone`. Times and days leave as seconds since 1970.",
        "**Modes.** `upsert` writes. `mirror` also archives who left; who comes back is taken out "
        "of the archive. `audience` writes, and tags with the tag of that name, which is made "
        "where it is not there; who leaves loses the tag and stays. In the last two `key` carries "
        "the model's primary key.",
        "**Outcomes.** `row_refused` has Intercom's code and the field beside it. "
        "`record_missing` and `contact_merged`: the contact went away meanwhile, and the row goes "
        "again. `no_key`, `duplicate_key` and `not_a_number` were not sent.",
        "**Subscriptions.** A field `subscription.NAME` holds what a person said: true, false or "
        "null, which is told to nobody. Such a sync has no `purpose` of that name. A refusal is "
        "always written. A yes to an opt-out type changes nothing at Intercom; where the person "
        "refused there, or wants no mail at all, the row counts as unconfirmed "
        "(`unsubscribed_there`). A yes to an opt-in type is written of a contact that the same "
        "write makes; of others Intercom does not tell a withdrawal from a question that was "
        "never asked, so that it is not (`consent_unknown_there`): ask them in Intercom. Of "
        "`unsubscribed_from_emails` true is written, and false never.",
        "**Erasure** deletes contacts of that key for good, leads and archived ones, too. Whom a "
        "search does not find is asked for by an attempt to make them, and whom that makes is "
        "deleted at once. Intercom can bring a deleted contact back for seven days.",
        "**Region.** Calls go to the host of `region` alone: `us`, `eu` or `au`; a workspace that "
        "is hosted elsewhere is refused.",
        "**Limits.** 10,000 calls a minute and app, 25,000 a workspace, counted in windows of ten "
        "seconds; a row is one call, a subscription or tag another. After 429 the run waits for "
        "the end of the window.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by Intercom's own client, too.",
        "How many keys a search takes; it is asked for 50.",
        "That the refusal to make a contact names the one that is there in the words "
        "`already exists with id=`, as people have shown it; else the row is refused.",
    ),
)
