"""The page of the reference about Braze."""

from __future__ import annotations

from mayfly.ports.connector import ConnectorPage

PAGE = ConnectorPage(
    title="Braze",
    example="""
destinations:
  engagement:
    type: braze
    kind: internal
    owner: Marketing
    reason: our own messages
    cluster: fra-01
    workspace: shop-production
    api_key: env:BRAZE_KEY
    subscriptions:
      newsletter: {state: email_subscribe}
      sms: {group: 12345678-aaaa-bbbb-cccc-123456789012}
syncs:
  people_to_braze:
    id: people_to_braze
    model: people
    destination: engagement
    mode: upsert
    key: [external_id]
    mapping:
      external_id: customer_key
      email: email
      first_name: first_name
      plan: plan
      subscription.newsletter: newsletter
      subscription.sms: sms
""",
    rights=(
        "A REST API key of the workspace with `users.track` and `users.export.ids`; for `mirror` "
        "and erasure `users.delete`, too.",
    ),
    notes=(
        "**Key.** `key` is `external_id`, an opaque key of your own: an address, or a number that "
        "can be guessed, lets others write to a profile. Case matters in it. `workspace` is a name "
        "that you give the workspace of the API key, since Braze tells none: a state belongs to "
        "it, and another is another state.",
        "**Modes.** `upsert` writes attributes. `mirror` deletes the profiles of people who left "
        "for good, with their history: Braze has no recycle bin.",
        "**Values.** Nothing is hashed. Braze's own fields are text, any other name is an "
        "attribute of the workspace: Braze makes it where it is not there. A name that differs "
        "from one of Braze's own in case or underscores is refused. Times leave in UTC. A null "
        "removes the attribute. Rows are sent when they change, with all mapped attributes, each "
        "of which Braze may count as a data point.",
        "**Outcomes.** Braze queues what it takes, and tells nothing afterwards: accepted means "
        "queued. `row_refused`: Braze named the row. `error_not_named` and `counts_differ`: it "
        "named or counted another number of rows, so that some are not there. `not_e164` and "
        "`no_address` (Braze would drop such a number or address without a word), "
        "`list_too_long` (more than 25), `no_key`, `key_too_long`, `duplicate_key` and "
        "`not_a_number` were not sent.",
        "**Subscriptions.** A field `subscription.NAME` holds what a person said at the source: "
        "true, false, or null, which is told to nobody. Such a sync has no `purpose` of that name. "
        "A refusal is always written. With `state`, a yes (`opted_in`) is written where Braze has "
        "the profile, with the row's address, and no refusal in it; else the row counts as "
        "unconfirmed (`unsubscribed_there`) and is not sent again. Of a profile that Braze does "
        "not have yet, or has with another address, the yes waits (`status_unknown`): the address "
        "may have been unsubscribed before. A `group` is told refusals alone, and a yes counts as "
        "unconfirmed (`yes_not_told`): Braze tells the states of groups only by an address in "
        "which the person stands. `subscription_refused`: Braze did not take what was said.",
        "**Erasure** by `external_id`, `email` or `phone` looks all profiles up and deletes them.",
        "**Region.** Calls go to the cluster's own host alone; `fra-01` and `fra-02` are in "
        "the EU.",
        "**Limits.** `objects_per_request` is 50 unless the contract allows 75. After 429 a run "
        "waits until the moment that Braze names.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, which was written from Braze's "
        "documentation. Braze has no client for servers that could have driven it.",
        "What becomes of somebody who unsubscribes between the question and the writing: Braze "
        "works writings off later.",
        "Whether a state that is written of one profile reaches others with the same address.",
        "How soon a profile that was just made is told by an export.",
        "How large a request may be; none is larger than 4 MB.",
        "Bulk loads by `/users/track/bulk`, which are not used.",
    ),
)
