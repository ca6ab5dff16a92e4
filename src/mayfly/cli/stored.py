"""The page of what Mayfly writes where, made from the registry of retention."""

from __future__ import annotations

from mayfly.domain.retention import LIMITS, REGISTRY, Place, Retention, RetentionClass

_PLACES = {
    Place.STORE: "Tables of the store",
    Place.WAREHOUSE: "Tables of the schema `_mayfly` in your warehouse",
    Place.DESTINATION: "Beside what a destination receives",
    Place.PROJECT: "Files of the project's folder",
    Place.KEYS: "Files of the key directory",
    Place.SPOOL: "Tables of the spool's file of keys",
    Place.BUCKET: "Objects of the spool's bucket",
    Place.STREAM: "Outputs of the process",
}
_CLASSES = {
    RetentionClass.CUSTOMER_DATA: "rows of people, in memory or sealed",
    RetentionClass.TEMPORARY: "what a run needs while it goes on",
    RetentionClass.KEPT_BY_NEED: "personal data without which no removal, erasure or suppression "
    "could be carried out: digests",
    RetentionClass.ACCESS_KEYS: "keys, wrapped, and secrets sealed under one",
    RetentionClass.METADATA: "ids, names, counts, codes and times",
}
_PAGE = """# What Mayfly stores, and where

This page is made from the registry that the program itself goes by (`domain/retention/`): tests
hold the store, the warehouse and a project's files to it, and what is not here is not written.

## Classes

| Class | What it is | Target | Cap |
|---|---|---|---|
"""


def stored_page() -> str:
    """The page as Markdown."""
    lines = [
        f"| `{cls.value}` | {_CLASSES[cls]} | {_time(limit.target_seconds)} | "
        f"{_time(limit.cap_seconds)} |"
        for cls, limit in LIMITS.items()
    ]
    parts = [_PAGE + "\n".join(lines) + "\n"]
    parts += [_section(place, title) for place, title in _PLACES.items()]
    return "\n".join(parts)


def _section(place: Place, title: str) -> str:
    lines = [
        f"## {title}",
        "",
        "| Name | Class | Holds | Clock starts | Ends |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(entry) for entry in REGISTRY if entry.place is place]
    return "\n".join(lines) + "\n"


def _row(entry: Retention) -> str:
    return (
        f"| `{entry.name}` | `{entry.cls.value}` | {entry.holds} | {entry.clock_starts} | "
        f"{entry.ends_when} |"
    )


def _time(seconds: int | None) -> str:
    if seconds is None:
        return "none"
    hours = seconds // 3_600
    return f"{hours} hours" if hours <= 24 else f"{hours // 24} days"
