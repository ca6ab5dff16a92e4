"""The classes a column can have: what kind of personal value stands in it."""

from __future__ import annotations

from typing import Literal, get_args

ColumnClass = Literal[
    "email",
    "phone",
    "first_name",
    "last_name",
    "full_name",
    "street_address",
    "city",
    "postal_code",
    "region",
    "country",
    "date_of_birth",
    "gender",
    "national_id",
    "iban",
    "credit_card",
    "ip_address",
    "device_id",
    "user_agent",
    "geo",
    "username",
    "url_pii",
    "free_text_pii",
    "special",
    "hashed",
    "dirty_hashed",
    "uuid",
    "opaque_id",
    "none",
]
CLASSES: tuple[str, ...] = get_args(ColumnClass)
