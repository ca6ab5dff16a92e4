"""The page of the reference about Zendesk."""

from __future__ import annotations

from mayfly.connectors.destinations.zendesk_api import KEYS, STANDARD
from mayfly.ports.connector import ConnectorPage

PAGE = ConnectorPage(
    title="Zendesk",
    example="""
destinations:
  desk:
    type: zendesk
    kind: internal
    owner: Customer care
    reason: our own help desk
    subdomain: shop
    access_token: env:ZENDESK_TOKEN
syncs:
  people_to_desk:
    id: people_to_desk
    model: people
    destination: desk
    mode: upsert
    key: [external_id]
    mapping:
      external_id: id
      name: name
      email: email
      phone: phone
      user_fields.plan: plan
  vip:
    id: vip
    model: people
    destination: desk
    mode: audience
    audience: is_vip
    key: [external_id]
    purpose: ads
    mapping: {external_id: id, name: name}
""",
    rights=(
        "A token of OAuth with `users:read` and `users:write` (or `read` and `write`), of an "
        "administrator: only administrators may delete many users. Or `api_token`, with the "
        "administrator's address as `api_user`; Zendesk is phasing these tokens out.",
        "Bulk imports of users, which Zendesk's support enables at the account owner's request; "
        "without them Zendesk answers 403.",
    ),
    notes=(
        "**Key.** `key` is `external_id` or `email`; Zendesk tells neither by case. `name` is "
        "mapped, since no user is made without one. Other fields are "
        f"{', '.join(f'`{name}`' for name in sorted(STANDARD - {'name', *KEYS}))} and "
        "`user_fields.KEY` of the account; a mapping to one that is not there is refused with the "
        "nearest name. Roles are never sent: a new user is an end user.",
        "**Modes.** `upsert` writes; `skip_verify_email` keeps Zendesk from mailing whoever is "
        "written. `mirror` also deletes users who left, for good. `audience` checks a checkbox "
        "among the account's user fields, whose key it names, and unchecks it for who leaves: the "
        "user stays. In the last two `key` carries the model's primary key.",
        "**Values.** A null clears a field; not `email`, `external_id` and `phone`. An address "
        "that changed is added by Zendesk as another one of the user, and the old one stays.",
        "**Jobs.** Zendesk works users off in jobs of 100 and answers row by row. One is followed "
        "to its end, by the next run where one was killed; rows of a job that was killed there, or "
        "that Zendesk has forgotten, go again (`job_not_done`). `row_refused` has Zendesk's code "
        "beside it; `no_key`, `duplicate_key` and `not_a_number` were not sent.",
        "**Erasure** deletes a user, then the record for good (at most 700 in ten minutes). People "
        "are looked up by a write of their key alone, so that it stands in no address; who is not "
        "there is not made, since the name is missing. `not_an_end_user`: agents and "
        "administrators are never deleted, neither by a mirror. `erasure_refused`: Zendesk keeps "
        "the user, such as one with open tickets: close them first. `lookup_refused`: it did not "
        "tell who that is, and nothing was deleted. Tickets stay, without the person.",
        "**Consent.** Zendesk has no subscriptions. Map what people said to a field of your own.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by a public client, too.",
        "That a user who is written to without a name and is not there is refused with `Name` "
        "first in the text, in accounts of another language, too; anything else counts as not "
        "told.",
        "How large a request may be.",
        "How long Zendesk remembers a job.",
    ),
)
