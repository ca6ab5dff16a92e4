"""The page of the reference about Salesforce."""

from __future__ import annotations

from mayfly.ports.connector import ConnectorPage

PAGE = ConnectorPage(
    title="Salesforce",
    example="""
destinations:
  crm:
    type: salesforce
    kind: internal
    owner: Sales operations
    reason: our own CRM
    domain: acme.my.salesforce.com
    consumer_key: 3MVG9example
    consumer_secret: env:SALESFORCE_SECRET
    consents:
      mail: {flag: HasOptedOutOfEmail}
      offers: {contact_point: Email, data_use_purpose: 0ZW000000000001AAA}
syncs:
  people_to_crm:
    id: people_to_crm
    model: people
    destination: crm
    table: Contact
    mode: mirror
    key: [Customer_Number__c]
    mapping:
      Customer_Number__c: id
      LastName: last_name
      Email: email
      consent.mail: newsletter
      consent.offers: offers
""",
    rights=(
        "An external client app of the organisation with the scope `api`, for client credentials "
        "or for JWT bearer, and an integration user that it runs as.",
        "Of that user: *API Enabled*, reading, creating and editing the object and the mapped "
        "fields; for `mirror` deleting it; for erasure *Bulk API Hard Delete*.",
        "For consents to a purpose: reading, creating and editing `ContactPointTypeConsent`, and "
        "reading `IndividualId`.",
    ),
    notes=(
        "**Log-in.** `consumer_secret` is for the client credentials flow. With `private_key` "
        "(PEM) and `username` a statement is signed (JWT bearer); this needs the extra "
        "`salesforce`. Tokens are asked of `domain` alone, the organisation's My Domain, and one "
        "that is good for another address is refused. A session that ends is begun anew. After a "
        "sandbox's refresh the organisation is another, and everything is sent to it.",
        "**Key.** `key` names one custom field of the type Text that is External ID and Unique; "
        "`table` is the object. A mapping to a field that is not there is refused with the nearest "
        "name, before any row goes. `Account.Number__c` sets a lookup by the other object's "
        "external id.",
        "**Modes.** `upsert` writes. `mirror` deletes records that left, too: they stay in the "
        "recycle bin for 15 days.",
        "**Values.** Nothing is hashed. Times leave in UTC with milliseconds, lists with "
        "semicolons. A null clears the field, and so does an empty text; in a lookup it changes "
        "nothing. A value that is the text `#N/A` is written as such: a batch that has one goes "
        "without files.",
        "**Requests.** From 2,000 rows on a batch is a job of Bulk API 2.0, of one file, below it "
        "collections of 200. A job is followed to its end, by the next run if need be; then its "
        "files are read as they come and deleted with it. Which rows a job of an earlier process "
        "held is not kept: where they did not all have the same end they are sent again, by their "
        "key. A batch with consents goes without files. Keys and ids of records stand in bodies "
        "alone, never in an address.",
        "**Outcomes.** `row_refused`: Salesforce refused the row, its code and the field stand "
        "beside it. `row_busy`, `row_not_processed` (Salesforce stopped the job before it), "
        "`row_not_answered` (no file names the row), `rows_not_known` and `job_lost` are sent "
        "again. `no_key`, `duplicate_key` (without regard to case, unless the field has it), "
        "`key_too_long`, `not_a_number` and `null_byte` were not sent.",
        "**Consents.** A field `consent.NAME` holds what a person said at the source: true, false, "
        "or null, which is told to nobody. Such a sync has no `purpose` of that name. With `flag`, "
        "one that says that the person opted out: a refusal sets it, and nothing of Mayfly takes "
        "it away. With `contact_point` and `data_use_purpose`, a `ContactPointTypeConsent` of the "
        "record's Individual: a refusal is written over what is there, a yes is a new record where "
        "nobody refused. Where Salesforce has a refusal (of this purpose, or `HasOptedOutOfEmail` "
        "and `DoNotCall` of mail and phone) a yes is not written: the row counts as unconfirmed "
        "(`refused_there`) and is not sent again. `no_individual`: the record has none, so that "
        "nothing could be written. `consent_refused`: Salesforce did not take what was said. "
        "Refusals are sent until they are there. Such flags, and consent objects, cannot be mapped "
        "as fields.",
        "**Erasure** deletes every record that has the identifier for good, in one job. What is in "
        "the recycle bin already may be refused as `ENTITY_IS_DELETED`: empty it. Individuals and "
        "their consents stay.",
        "**Limits.** Where the organisation has made 95 % of its calls of 24 hours, a run waits "
        "and leaves the rest to others. Salesforce takes 15,000 batches of 10,000 rows a day.",
    ),
    untested=(
        "Everything: it was tried against the sandbox, driven by simple-salesforce too.",
        "How long a question in a composite request may be; none is longer than 8,000 characters.",
        "Whether a record in the recycle bin can be deleted for good by its id.",
        "Whether an organisation's own Consent API puts a later yes over an older refusal: Mayfly "
        "never leaves both.",
        "Person accounts, and fields that Shield encrypts.",
        "Organisations of governments and of China, whose domains are others.",
    ),
)
