"""Sections 1 to 4 of the security report: whose it is, what is held, for how long, and its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from mayfly.domain.parties import stated
from mayfly.domain.retention import RetentionClass
from mayfly.ledger.entry import Entry, EntryType
from mayfly.services.report_document import Column, Evidence, Figure, Section, Table, unknown
from mayfly.services.report_erasure import erasure_report
from mayfly.services.report_facts import Facts, Missing, milliseconds, time_of
from mayfly.services.report_retention import retention_report

_RETENTION = "mayfly report retention"
_ERASURE = "mayfly report erasure"
_VERIFY = "mayfly verify LEDGER --key key.pub"
_BOUNDS_MS = (
    ("under a minute", 60_000),
    ("under 10 minutes", 600_000),
    ("under an hour", 3_600_000),
    ("under 8 hours", 8 * 3_600_000),
    ("under 24 hours", 24 * 3_600_000),
    ("under 30 days", 30 * 86_400_000),
)
_LONGER = "30 days or longer"


def identity(facts: Facts) -> Section:
    """Whose report it is, of when, and what it rests on."""
    project, files = facts.project, facts.configuration("mayfly validate")
    head = facts.ledger(_VERIFY)
    parties = [
        Figure(id=role, label=label, value=stated(party.name if party else None), evidence=files)
        for role, label, party in (
            ("processor", "Processor", project.organisation),
            ("controller", "Controller", project.controller),
        )
    ]
    since, until = time_of(facts.period.since), time_of(facts.period.until)
    return Section(
        id="identity",
        title="Identity",
        figures=[
            Figure(id="workspace", label="Workspace", value=project.workspace.name, evidence=files),
            _figure("workspace_id", "Its id", facts.workspace_id, facts.store("workspace", "")),
            Figure(id="target", label="Target", value=project.target, evidence=files),
            *parties,
            _figure("since", "From", since or "the beginning of the ledger", head),
            _figure("until", "To, and without", until or "the time it was made", head),
            _figure("made_at", "Made at", time_of(facts.now), facts.program("clock"), unit="time"),
            _figure("software", "Made by", facts.software, facts.program("mayfly --version")),
            _figure("configuration", "Project files, SHA-256", facts.config_sha256, files),
            _figure("signer", "Signed by", facts.key_line, facts.ledger("mayfly ledger export")),
            _figure("entries", "Entries of the ledger", len(facts.entries), head),
            _figure("root", "Root over them", facts.root, head),
            _figure(
                "anchored",
                "Checkpoint of all of them kept elsewhere",
                "yes" if facts.anchored else "no: the ledger speaks for itself",
                facts.store("anchors", _RETENTION),
            ),
        ],
        tables=[
            Table(
                id="anchors",
                title="Where checkpoints are kept",
                columns=(
                    Column(id="anchor", label="Anchor"),
                    Column(id="entries", label="Entries covered"),
                    Column(id="code", label="Last fault"),
                ),
                rows=[(a["name"], a["entries"], a["code"] or "none") for a in facts.anchors],
                evidence=facts.store("anchors", _RETENTION),
                empty="No anchor is configured",
            )
        ],
    )


def held_now(facts: Facts) -> Section:
    """What is there at this moment, by class, and until when."""
    found = retention_report(facts.entries, period=facts.period, now=facts.now)["open"]
    evidence = facts.ledger(_RETENTION)
    held = facts.held
    spool = Evidence(source="spool", where="spool, its table of keys", command="mayfly status")
    figures = [
        _figure("copies", "Working copies in the warehouse", _count(found, "temporary"), evidence),
        _figure("sealed", "Sealed batches", _count(found, "customer_data"), evidence),
    ]
    if isinstance(held, Missing):
        figures.append(unknown("sealed_rows", "Rows in them", held.code, "mayfly status"))
    else:
        figures.append(_figure("sealed_rows", "Rows in them", sum(h.rows for h in held), spool))
    if isinstance(facts.held_bytes, Missing):
        figures.append(unknown("sealed_bytes", "Bytes of them", facts.held_bytes.code))
    else:
        figures.append(
            _figure("sealed_bytes", "Bytes of them", facts.held_bytes, spool, unit="bytes")
        )
    for cls, label in (
        (RetentionClass.TEMPORARY, "Oldest working copy"),
        (RetentionClass.CUSTOMER_DATA, "Oldest sealed batch"),
    ):
        ages = [milliseconds(o["age_seconds"]) for o in found if o["class"] == cls.value]
        id_ = f"oldest_{cls.value}"
        figures.append(
            _figure(id_, label, max(ages), evidence, unit="ms")
            if ages
            else Figure(id=id_, label=label, state="empty", evidence=evidence)
        )
    listed = facts.store("suppressions", "mayfly suppress list")
    figures.append(
        _figure("suppressed", "Keyed digests that may not leave", _listed(facts), listed)
        if facts.list_current
        else unknown(
            "suppressed", "Keyed digests that may not leave", "list and ledger differ", "mayfly run"
        )
    )
    return Section(
        id="held",
        title="Held now",
        figures=figures,
        tables=[
            Table(
                id="exceptions",
                title="What waits, and its deadline",
                columns=(
                    Column(id="sync", label="Sync"),
                    Column(id="class", label="Class"),
                    Column(id="reason", label="Reason"),
                    Column(id="age", label="Age", unit="ms"),
                    Column(id="purge_by", label="Purged by", unit="time"),
                ),
                rows=[
                    (
                        o["sync"],
                        o["class"],
                        o["reason"] or "its run said nothing",
                        milliseconds(o["age_seconds"]),
                        o["purge_by"],
                    )
                    for o in found
                ],
                evidence=evidence,
                empty="Nothing waits",
            )
        ],
    )


def retention(facts: Facts) -> Section:
    """How old data was when it ended."""
    found = retention_report(facts.entries, period=facts.period, now=facts.now)
    evidence = facts.ledger(_RETENTION)
    figures = [f for cls in found["classes"] for f in _ages(cls, evidence)]
    figures.append(_figure("expired", "Ended undelivered", found["expired"], evidence))
    delivered = facts.in_period(EntryType.DELIVERED)
    aged = [e for e in delivered if e.age_ms is not None]
    counted = Counter(_bound(e.age_ms or 0) for e in aged)
    labels = [*(label for label, _ in _BOUNDS_MS), _LONGER]
    rows = [(label, counted[label]) for label in labels] if aged else []
    return Section(
        id="retention",
        title="Retention",
        figures=figures,
        tables=[
            Table(
                id="ages",
                title="Delivered batches by how long their rows were held",
                columns=(Column(id="age", label="Held"), Column(id="batches", label="Batches")),
                rows=rows,
                evidence=facts.ledger_of(aged, _RETENTION),
                charted=("batches",),
                empty="No batch was delivered in this period",
            )
        ],
    )


def purge_proof(facts: Facts) -> Section:
    """What was ended, which keys were destroyed, and how anybody checks it."""
    ends = facts.in_period(EntryType.PURGED, EntryType.EXPIRED, EntryType.DROPPED)
    keys = facts.in_period(EntryType.KEK_DESTROYED)
    batches = erasure_report(facts.entries, period=facts.period, now=facts.now)["batches"]
    states = Counter(b["cryptographic"]["state"] for b in batches)
    counts = Counter((e.type.value, e.reason) for e in ends)
    erased = facts.ledger(_ERASURE)
    return Section(
        id="purge",
        title="Purge proof",
        figures=[
            _figure("receipts", "Receipts of an end", len(ends), facts.ledger_of(ends, _ERASURE)),
            _figure(
                "keys_destroyed",
                "Versions of the key encryption key destroyed",
                len(keys),
                facts.ledger_of(keys, "mayfly keys versions"),
            ),
            _figure("logical", "Sealed batches erased logically", _ended(batches), erased),
            *(
                _figure(f"cryptographic_{state}", label, states[state], erased)
                for state, label in (
                    ("final", "Cryptographic erase complete"),
                    ("pending", "Complete once a key version cannot be restored"),
                    ("open", "Waits for a key version to be destroyed"),
                    ("unknown", "Sealed before versions were recorded"),
                )
            ),
            _figure("head", "Signed head: entries", len(facts.entries), facts.ledger(_VERIFY)),
            _figure("head_root", "Signed head: root", facts.root, facts.ledger(_VERIFY)),
        ],
        tables=[
            Table(
                id="ends",
                title="Ends by kind and reason",
                columns=(
                    Column(id="kind", label="Kind"),
                    Column(id="reason", label="Reason"),
                    Column(id="count", label="Count"),
                ),
                rows=[(*key, count) for key, count in sorted(counts.items())],
                evidence=facts.ledger_of(ends, _ERASURE),
                charted=("count",),
                empty="Nothing ended in this period",
            )
        ],
        notes=[
            "Logical erase: the data key is deleted, then the sealed bytes. Cryptographic erase: "
            "every version of the key encryption key that ever wrapped it is destroyed. Designed "
            "after the cryptographic-erase principle of NIST SP 800-88 Rev. 2."
        ],
    )


def _ages(cls: dict[str, Any], evidence: Evidence) -> list[Figure]:
    name, label = cls["class"], cls["what"]
    ended = cls["count"]
    figures = [_figure(f"{name}_ended", f"Ended: {label}", ended, evidence)]
    for part, words in (("p50", "half"), ("p95", "95 of 100"), ("max", "all")):
        id_, text = f"{name}_{part}", f"Age at purge, {words} ({part}): {label}"
        age = milliseconds(cls["age_at_purge_seconds"][part])
        figures.append(
            _figure(id_, text, age, evidence, unit="ms")
            if ended
            else Figure(id=id_, label=text, state="empty", evidence=evidence)
        )
    for limit in ("target", "cap"):
        seconds = cls[f"{limit}_seconds"]
        if seconds is not None:
            text = f"Past the {limit} of {_hours(seconds)}: {label}"
            figures.append(_figure(f"{name}_over_{limit}", text, cls[f"over_{limit}"], evidence))
    return figures


def _hours(seconds: int) -> str:
    days = seconds // 86_400
    return f"{days} days" if days > 1 else f"{seconds // 3600} hours"


def _bound(age_ms: int) -> str:
    return next((label for label, below in _BOUNDS_MS if age_ms < below), _LONGER)


def _count(found: Sequence[dict[str, Any]], cls: str) -> int:
    return sum(o["class"] == cls for o in found)


def _ended(batches: Sequence[dict[str, Any]]) -> int:
    return sum(b["logical_at"] is not None for b in batches)


def _listed(facts: Facts) -> int:
    return sum(facts.suppressed.values())


def _figure(
    id_: str, label: str, value: str | int | None, evidence: Evidence, *, unit: Any = ""
) -> Figure:
    return Figure(id=id_, label=label, value=value, evidence=evidence, unit=unit)


def admin_entries(facts: Facts) -> list[Entry]:
    """Acts of administration that the ledger itself records."""
    return facts.in_period(
        EntryType.ACT,
        EntryType.STATE_DROPPED,
        EntryType.STATE_ADOPTED,
        EntryType.REWRAPPED,
        EntryType.KEK_DESTROYED,
        EntryType.SUPPRESSION,
    )
