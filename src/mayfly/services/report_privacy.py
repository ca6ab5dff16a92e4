"""The public privacy page: sentences whose mechanisms work now, and tables from live settings."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from mayfly.domain.errors import ConfigError
from mayfly.domain.parties import Party, stated
from mayfly.domain.plans import PLANS
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.services.privacy_sentences import Part, held_sentences
from mayfly.services.register import Recipient
from mayfly.services.render_html import add, element, page, rows_table, scrolling, span
from mayfly.services.report_facts import Facts

_CLASSES = {
    RetentionClass.CUSTOMER_DATA: (
        "Rows on their way, and sealed batches that wait",
        "the answer of their destination; a purge or an erasure; their deadline",
    ),
    RetentionClass.TEMPORARY: ("Working copies", "the end of the run; their deadline"),
    RetentionClass.KEPT_BY_NEED: (
        "Keyed digests needed to remove, erase or suppress",
        "erasure of the person; the end of the need; deletion of the workspace",
    ),
    RetentionClass.ACCESS_KEYS: (
        "Keys and credentials",
        "rotation, disconnection, deletion of the workspace",
    ),
    RetentionClass.METADATA: ("Settings, names, counts", "deletion of the workspace"),
}
_CATEGORIES = {"internal": "The customer's own systems", "external": "Platforms of third parties"}


def require_named(facts: Facts) -> Party:
    """Who the page is of, with contact and data protection officer.

    Raises:
        ConfigError: `privacy_page_incomplete`, with what to write where.
    """
    party = facts.project.organisation
    missing = [
        key for key in ("name", "contact", "dpo") if party is None or not getattr(party, key)
    ]
    if party is None or missing:
        raise ConfigError(
            "privacy_page_incomplete",
            "A public page must name who can be asked: missing under `organisation` is "
            f"{', '.join(missing)}.",
            hint="Write in mayfly.yml: `organisation: {name: …, contact: …, dpo: …}`, each a text "
            "on one line.",
        )
    return party


def privacy_page(facts: Facts) -> str:
    """The page as HTML.

    Raises:
        ConfigError: as `require_named`.
    """
    party = require_named(facts)
    body = element("main")
    header = add(body, "header")
    add(header, "h1", f"How {party.name} handles data in transit")
    updated = f"{facts.now:%Y-%m-%d}"
    line = add(header, "p", "Last updated ", cls="lead")
    add(line, "time", updated, datetime=updated)
    _retention(body, facts)
    _sentences(_section(body, "purge", "When data is purged"), facts, "purge")
    _residency(body, facts)
    _processors(body, facts)
    _platforms(body, facts)
    _sentences(_section(body, "safeguards", "Technical safeguards"), facts, "safeguards")
    _contact(body, party)
    return page(f"Privacy at {party.name}", body, {})


def _section(body: ET.Element, id_: str, title: str) -> ET.Element:
    found = add(body, "section", id=id_)
    add(found, "h2", title)
    return found


def _sentences(section: ET.Element, facts: Facts, part: Part) -> None:
    held = held_sentences(facts, part)
    if held:
        listed = add(section, "ul")
        for sentence in held:
            add(listed, "li", sentence.says(facts), id=f"says-{sentence.id}")


def _retention(body: ET.Element, facts: Facts) -> None:
    section = _section(body, "retention", "How long data is kept")
    _sentences(section, facts, "retention")
    rows = [
        (
            text,
            _length(LIMITS[cls].target_seconds),
            _length(LIMITS[cls].cap_seconds),
            ends,
        )
        for cls, (text, ends) in _CLASSES.items()
    ]
    head = ("What", "Typically", "At the latest", "What ends it")
    section.append(scrolling(rows_table(head, rows), "How long each kind of data is kept"))


def _length(seconds: int | None) -> str:
    return "no limit in time" if seconds is None else span(seconds * 1000)


def _residency(body: ET.Element, facts: Facts) -> None:
    section = _section(body, "residency", "Where data is")
    _sentences(section, facts, "residency")
    plan = facts.project.workspace.plan
    if plan is not None:
        rows = [
            (
                f"{name} (this workspace)" if name == plan else name,
                _choice(offer.provider, "Google Cloud"),
                _choice(offer.geography, "European Union"),
                _choice(offer.region, "any of the geography"),
            )
            for name, offer in PLANS.items()
        ]
        add(section, "h3", "What each plan lets a customer choose")
        head = ("Plan", "Provider", "Geography", "Region")
        section.append(scrolling(rows_table(head, rows), "Plans and residency"))


def _choice(chosen: bool, usual: str) -> str:
    return "chosen" if chosen else usual


def _processors(body: ET.Element, facts: Facts) -> None:
    section = _section(body, "sub-processors", "Sub-processors")
    _sentences(section, facts, "sub_processors")
    listed = (*facts.register.active, *facts.register.announced)
    if not listed:
        add(section, "p", "The register of sub-processors has no active or announced entry.")
        return
    rows = [(p.legal_name, p.purpose, ", ".join(p.locations), p.status) for p in listed]
    head = ("Who", "What for", "Countries", "Status")
    section.append(scrolling(rows_table(head, rows), "Sub-processors"))


def _platforms(body: ET.Element, facts: Facts) -> None:
    section = _section(body, "platforms", "Platforms, and who answers for what")
    used = {s.destination for s in facts.project.syncs.values()}
    recipients = [r for r in facts.register.recipients if r.name in used]
    if recipients:
        head = ("Category", "Recipient", "Countries", "Who decides")
        rows = [_platform(facts, r) for r in recipients]
        section.append(scrolling(rows_table(head, rows), "Platforms"))
    _sentences(section, facts, "platforms")


def _platform(facts: Facts, recipient: Recipient) -> tuple[str, ...]:
    external = facts.is_external(facts.project.destinations[recipient.name])
    said = recipient.responsibility
    return (
        _CATEGORIES["external" if external else "internal"],
        recipient.legal_name or recipient.type,
        ", ".join(recipient.countries) or stated(None),
        stated(said.decides if said else None),
    )


def _contact(body: ET.Element, party: Party) -> None:
    section = _section(body, "contact", "Contact")
    listed = add(section, "dl")
    parts: Sequence[tuple[str, str | None]] = (
        ("Organisation", party.name),
        ("Address", party.address),
        ("Contact", party.contact),
        ("Data protection officer", party.dpo),
        ("Representative", party.representative),
    )
    for label, text in parts:
        if text:
            add(listed, "dt", label)
            add(listed, "dd", text)
