"""The files `mayfly init` writes; what exists is never touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mayfly.domain.errors import ConfigError

SCHEMA_FILE = ".mayfly/project.schema.json"
_FIRST = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
_FIRST_BELOW = f"# yaml-language-server: $schema=../{SCHEMA_FILE}\n"

_DEMO = {
    "mayfly.yml": """version: 1
workspace:
  name: shop
  residency:
    transfers: {US: {mechanism: dpf}}   # Meta has what it gets in Ireland and the United States
keys: {provider: local}
store: {url: sqlite}
targets:
  dev: {destinations: {meta: {endpoint: sandbox}}}
  prod: {}
""",
    "sources/shop.yml": """sources:
  shop: {type: duckdb, path: shop.duckdb}
""",
    "models/customers.yml": """models:
  customers:
    source: shop
    table: customers
    primary_key: [customer_id]
    columns:                       # anything not named here is blocked
      customer_id: {}
      email: {class: email}
      phone: {class: phone, default_country_column: country}
      first_name: {class: first_name}
      last_name: {class: last_name}
      city: {class: city}
      postal_code: {class: postal_code}
      country: {class: country}
      loyalty_no: {class: opaque_id, rule: pseudonym}
      lifetime_value: {}
      updated_at: {}
    consent:
      ads: {column: ads_opt_in, equals: true, lawful_basis: consent}
      service: {column: service_opt_in, equals: true, lawful_basis: contract}
""",
    "destinations/meta.yml": """destinations:
  meta:
    type: meta_ads
    account_id: "1234567890"
    access_token: env:META_TOKEN
""",
    "destinations/crm.yml": """destinations:
  crm:
    type: duckdb
    path: crm.duckdb
    kind: internal
    owner: customer care
    reason: the care team answers customers from this table
""",
    "syncs/vip_to_meta.yml": """syncs:
  vip_to_meta:
    id: vip_to_meta
    model: customers
    destination: meta
    mode: audience
    audience: VIP customers
    purpose: ads
    mapping:
      EMAIL: email
      PHONE: phone
      EXTERN_ID: loyalty_no
      FN: first_name
      LN: last_name
      ZIP: postal_code
      COUNTRY: country
    tags: [ads]
""",
    "syncs/customers_to_crm.yml": """syncs:
  customers_to_crm:
    id: customers_to_crm
    model: customers
    destination: crm
    mode: mirror
    table: customers
    key: [customer_id]
    purpose: service
    mapping:
      customer_id: customer_id
      email: email
      phone: phone
      first_name: first_name
      last_name: last_name
      city: city
      country: country
      lifetime_value: lifetime_value
      updated_at: updated_at
    tags: [crm]
""",
}

_POSTGRES = {
    "mayfly.yml": """version: 1
workspace: {name: shop}
keys: {provider: local}
store: {url: sqlite}
targets: {dev: {}, prod: {}}
""",
    "sources/warehouse.yml": """sources:
  warehouse: {type: postgres, dsn: env:WAREHOUSE_DSN, schema: public}
""",
    "models/customers.yml": """models:
  customers:
    source: warehouse
    table: customers
    primary_key: [customer_id]
    columns:
      customer_id: {}
      email: {class: email}
      country: {class: country}
    consent:
      service: {column: service_opt_in, equals: true, lawful_basis: contract}
""",
    "destinations/crm.yml": """destinations:
  crm:
    type: postgres
    dsn: env:CRM_DSN
    schema: public
    kind: internal
    owner: customer care
    reason: the care team answers customers from this table
""",
    "syncs/customers_to_crm.yml": """syncs:
  customers_to_crm:
    id: customers_to_crm
    model: customers
    destination: crm
    mode: mirror
    table: customers_from_warehouse
    key: [customer_id]
    purpose: service
    mapping: {customer_id: customer_id, email: email, country: country}
""",
}

TEMPLATES: Mapping[str, Mapping[str, str]] = {"demo": _DEMO, "postgres": _POSTGRES}


def plan_files(template: str) -> Mapping[str, str]:
    """Relative path to text of every file of a template."""
    files = {
        name: (_FIRST_BELOW if "/" in name else _FIRST) + text
        for name, text in TEMPLATES[template].items()
    }
    return {**files, ".gitignore": ".mayfly/\n"}


def write_missing(root: Path, *, template: str) -> list[str]:
    """Write the files of a template that are not there yet; their names."""
    written = []
    try:
        for name, text in plan_files(template).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(text, encoding="utf-8")
                written.append(name)
    except OSError as error:
        raise ConfigError(
            "project_unwritable",
            f"The project files cannot be written (error {error.errno}).",
            hint="Choose a folder that you may write, on a disk with room.",
        ) from None
    return written


def write_schema(root: Path, schema: Mapping[str, Any]) -> None:
    """The JSON Schema that editors read, in our own folder."""
    path = root / SCHEMA_FILE
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
