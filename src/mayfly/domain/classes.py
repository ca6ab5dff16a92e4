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
PERSONAL = "personal"
"""In place of a class: a person's data, and nobody said of what kind."""
# Ids, and digests, tell a person apart and do not say who it is.
_IDS = ("hashed", "dirty_hashed", "uuid", "opaque_id")


def stricter_class(declared: str | None, mark: str | None) -> tuple[str | None, bool, bool]:
    """The class that holds of a column, whether it is closed, and whether the two contradict.

    Args:
        declared: in the project files.
        mark: a class that somebody or something else tells, or `PERSONAL`.
    """
    if mark is None or mark == declared:
        return declared, False, False
    if mark == PERSONAL:
        return declared, rank(declared) < rank(PERSONAL), False
    if rank(mark) > rank(declared):
        return mark, True, False
    return declared, False, rank(mark) == rank(declared) == rank(PERSONAL)


def rank(cls: str | None) -> int:
    """How strict a class is: nothing, an id, a person's, special."""
    if cls in (None, "none"):
        return 0
    return {"special": 3}.get(str(cls), 1 if cls in _IDS else 2)
