"""Projects in drt's own format."""

from __future__ import annotations

from pathlib import Path

HUBSPOT = """name: contacts-to-hubspot
model: ref('people')
destination:
  type: hubspot
  object_type: contacts
  id_property: email
  properties_template: |
    {"email": "{{ row.email }}", "city": "{{ row.town }}"}
  auth: {type: bearer, token_env: HUBSPOT_TOKEN}
tags: [nightly]
sync:
  mode: full
  batch_size: 100
  field_mappings: {city: town}
"""
POSTGRES = """name: scores
model: |
  SELECT id, email, phone, score
  FROM people
destination:
  type: postgres
  connection_string_env: CRM_DSN
  table: crm.scores
  upsert_key: [person_id]
sync:
  mode: mirror
  field_mappings: {id: person_id}
  mask: {email: hash}
  computed_fields: {phone: "{{ row.phone | upper }}"}
  dlq: {enabled: true}
"""
OUTRIGHT = """name: everything
model: SELECT * FROM people
destination:
  type: postgres
  host: db.example.com
  dbname: crm
  user: writer
  password: hunter2
  table: people
  upsert_key: [id]
"""
LEFT_OUT = {
    "update_only": OUTRIGHT + "sync: {mode: upsert, match_policy: update_only}\n",
    "fill_empty": OUTRIGHT + "sync: {mode: upsert, write_policy: fill_empty}\n",
    "replaced": OUTRIGHT + "sync: {mode: replace}\n",
    "templated": OUTRIGHT.replace("FROM people", "FROM {{ var('table') }}"),
    "posted": """name: everything
model: ref('people')
destination: {type: rest_api, url: "https://api.example.com/people"}
""",
    "keyless": POSTGRES.replace("upsert_key: [person_id]", "upsert_key: [other]"),
}


def drt_project(root: Path, database: str = "./shop.duckdb", **syncs: str) -> Path:
    """Its files; the connections lie below `.drt`."""
    (root / "syncs").mkdir(parents=True)
    (root / ".drt").mkdir()
    (root / "drt_project.yml").write_text("name: shop\nprofile: local\n", encoding="utf-8")
    profiles = f"local: {{type: duckdb, database: {database}}}\n"
    (root / ".drt/profiles.yml").write_text(profiles, encoding="utf-8")
    for name, text in syncs.items():
        (root / f"syncs/{name}.yml").write_text(text, encoding="utf-8")
    return root
