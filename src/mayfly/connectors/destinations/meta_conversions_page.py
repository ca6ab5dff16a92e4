"""What the page of Meta's Conversions API says beside its specification."""

from __future__ import annotations

from mayfly.ports.connector import ConnectorPage

PAGE = ConnectorPage(
    title="Meta Conversions API",
    example="""
destinations:
  conversions:
    type: meta_conversions
    dataset_id: "1234567890"
    access_token: env:META_TOKEN
    action_source: physical_store
    full_use: [ads]
syncs:
  orders_to_meta:
    id: orders_to_meta
    model: people
    destination: conversions
    mode: append
    purpose: ads
    mapping:
      event_name: event_name
      event_time: ordered_at
      event_id: order_id
      em: email
      ph: phone
      value: total
      currency: currency
""",
    rights=(
        "A token that may send events to the dataset: of a system user that the dataset is "
        "assigned to, or as Events Manager makes one.",
    ),
    notes=(
        "**Ids.** Meta takes an event for known that has the `event_name` and `event_id` of one it "
        "got within 48 hours, from a browser, too. Map what the browser sends as `eventID`, or the "
        "order's number: never what is made anew for each sending. So a request without an answer "
        "is sent again, and `mayfly run --resend` doubles nothing within that time.",
        "**Time.** `event_time` is a time, a day, or whole seconds since 1970; without a zone it "
        "is of UTC. Events older than 7 days (`physical_store`: 62), or more than 5 minutes ahead, "
        "are rejected unsent: `event_too_old`, `event_in_future`. Leave old ones out in the "
        "model's SQL.",
        "**Consent.** Only rows whose consent for the sync's purpose is granted are sent. They are "
        "sent with `data_processing_options: []` where `full_use` lists that purpose; else with "
        '`["LDU"]`, country 0 and state 0, by which Meta finds out where the person is. A column '
        "mapped to `limited_data_use` asks for it row by row (true or false; or `consent.PURPOSE`, "
        "which asks for it where that purpose is not granted); one mapped to "
        "`opt_out` keeps events from the delivery of ads. Unknown counts as true in both.",
        "**What must be there.** `event_name`, `event_time`, `event_id`, `action_source`; of "
        "`website` also `event_source_url` (without a query: cut it off in the model's SQL) and "
        "`client_user_agent`; of `Purchase` also `value` and `currency`. Somebody must be told by "
        "more than one of these: places with `ge` and `client_user_agent`; `db` with it; `fn` or "
        "`ln` with `ge`. Else a row is rejected unsent: `no_identifier` and so on.",
        "**Refusals.** Meta refuses a request for one wrong event, and takes nothing of it. It is "
        "halved until the wrong events stand alone: `row_refused`, with Meta's code.",
        "**Trying.** `mayfly test` needs `test_event_code`, and sends it; runs never do. Meta "
        "takes nothing back: what was sent once stays there, whoever withdraws later.",
        "Left out: events of apps and of business messaging, `contents`, names of content, ids of "
        "leads. What people may have typed has no field.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by Meta's own client too.",
        "Whether Meta answers a request without events with its code 100, as `check` expects.",
        "How far ahead of Meta's clock an event may be; that one of a store may be 62 days old.",
        "Which code Meta gives for which wrong event: any of its code 100 is taken for a row's.",
    ),
)
