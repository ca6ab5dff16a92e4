"""The security and retention report: fourteen sections, each figure with its evidence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from mayfly.services import report_kept as kept
from mayfly.services import report_sent as sent
from mayfly.services.people import people_document
from mayfly.services.report_document import (
    Column,
    Evidence,
    Figure,
    Report,
    Section,
    Table,
    content_digest,
    unknown,
)
from mayfly.services.report_facts import Facts, Missing, milliseconds, time_of
from mayfly.services.report_record import record

SCHEMA = "mayfly/security-report/1"


def access(facts: Facts) -> Section:
    """Who may approve, what administrators did, and how old credentials and keys are."""
    files = facts.configuration("mayfly approve --people")
    people = people_document(facts.project)["people"]
    acts = kept.admin_entries(facts)
    counted = Counter(e.operation or e.type.value for e in acts)
    approvals = [a for a in facts.approvals.values() if a is not None]
    return Section(
        id="access",
        title="Access",
        figures=[
            Figure(
                id="approvals",
                label="Approvals are given by",
                value=facts.project.workspace.approvals.replace("_", " "),
                evidence=files,
            ),
            Figure(id="people", label="People who may sign", value=len(people), evidence=files),
            Figure(
                id="approved",
                label="Syncs whose approval is in force",
                value=sum(facts.approved.values()),
                evidence=facts.store("approvals", "mayfly approve --check"),
                note=f"of {len(facts.project.syncs)}",
            ),
            Figure(
                id="self_approved",
                label="Of them approved by who asked",
                value=sum(a.self_approved for a in approvals),
                evidence=facts.store("approvals", "mayfly approve --check"),
            ),
            _oldest(
                "credential_age",
                "Oldest credential of a destination",
                [c.created_at for c in facts.credentials if c.replaced_at is None],
                facts,
                facts.store("credentials", "mayfly connect"),
            ),
            _key_age(facts),
        ],
        tables=[
            Table(
                id="acts",
                title="Acts of administrators on the ledger",
                columns=(Column(id="act", label="Act"), Column(id="count", label="Count")),
                rows=sorted(counted.items()),
                evidence=facts.ledger_of(acts, "mayfly audit"),
                charted=("count",),
                empty="None in this period",
            )
        ],
    )


def _oldest(
    id_: str, label: str, made: Sequence[datetime], facts: Facts, evidence: Evidence
) -> Figure:
    if not made:
        return Figure(id=id_, label=label, state="empty", evidence=evidence)
    age = milliseconds((facts.now - min(made)).total_seconds())
    return Figure(id=id_, label=label, value=age, unit="ms", evidence=evidence)


def _key_age(facts: Facts) -> Figure:
    id_, label, command = "key_age", "Age of the key version in use", "mayfly keys versions"
    if isinstance(facts.key_versions, Missing):
        return unknown(id_, label, facts.key_versions.code, command)
    enabled = [v for v in facts.key_versions if v.state == "enabled"]
    if not enabled or enabled[-1].created is None:
        return unknown(id_, label, "the provider does not say when it was made", command)
    evidence = Evidence(
        source="keys", where=f"key provider {facts.keys['provider']}", command=command
    )
    return _oldest(id_, label, [enabled[-1].created], facts, evidence)


def security(facts: Facts) -> Section:
    """What protects the data on its way and at rest."""
    program = facts.program
    keys = Evidence(
        source="keys",
        where=f"key provider {facts.keys['provider']}",
        command="mayfly keys versions",
    )
    sbom = content_digest([list(p) for p in facts.packages])
    figures = [
        Figure(
            id="tls",
            label="Connections to others",
            value="TLS; addresses in clear are refused but on loopback",
            evidence=program("docs/reference/leak-channels.md", "mayfly doctor"),
        ),
        Figure(
            id="at_rest",
            label="What waits outside the warehouse",
            value="sealed, AES-256-GCM, each batch under a data key of its own",
            evidence=program("docs/specs/spool.md"),
        ),
        Figure(id="keys", label="Keys are held by", value=facts.keys["provider"], evidence=keys),
        Figure(
            id="protection",
            label="Protection, as attested by the provider",
            value=facts.keys["protection"],
            evidence=keys,
        )
        if facts.keys["protection"] != "unknown"
        else unknown("protection", "Protection, as attested by the provider", "not attested"),
        Figure(
            id="packages",
            label="Installed packages",
            value=len(facts.packages),
            evidence=program("metadata of the installation"),
        ),
        Figure(
            id="sbom",
            label="SHA-256 over their names and versions",
            value=sbom,
            evidence=program("metadata of the installation"),
        ),
        *(
            Figure(
                id=f"probe_{name}",
                label=_PROBES.get(name, name),
                value="held" if held else "did not hold",
                evidence=program("tried when this report was made", "mayfly report security"),
            )
            for name, held in sorted(facts.probes.items())
        ),
        unknown("vulnerabilities", "Open vulnerabilities", "Mayfly asks no list of them"),
        unknown("restore", "Last test of restoring", "restoring is tested outside of Mayfly"),
    ]
    return Section(id="security", title="Security", figures=figures)


_PROBES = {
    "egress": "A host that no list names is refused",
    "logs": "Logs of libraries are closed",
    "dumps": "No core dump of this process is written",
}


def incidents(facts: Facts) -> Section:
    """What was refused, stopped or found wrong, as the store keeps it."""
    known = [i for i in facts.incidents if facts.period.holds(i.known_at)]
    open_ = [i for i in facts.incidents if i.closed_at is None]
    evidence = facts.store("incidents", "mayfly incidents list")
    counted = Counter(i.kind.value for i in known)
    return Section(
        id="incidents",
        title="Incidents",
        figures=[
            Figure(id="opened", label="Opened in this period", value=len(known), evidence=evidence),
            Figure(id="open", label="Open now", value=len(open_), evidence=evidence),
        ],
        tables=[
            Table(
                id="kinds",
                title="Opened in this period, by kind",
                columns=(Column(id="kind", label="Kind"), Column(id="count", label="Count")),
                rows=sorted(counted.items()),
                evidence=evidence,
                charted=("count",),
                empty="None was opened in this period",
            )
        ],
    )


def processing_record(facts: Facts) -> Section:
    """Which version of the record of processing is in force."""
    digest = record(facts, "30.2").content_sha256
    recorded = [e for e in facts.entries if e.reason == f"record/{digest}"]
    evidence = facts.configuration("mayfly report record")
    version = (
        Figure(
            id="version",
            label="Version of it on the ledger",
            value=recorded[-1].rows,
            evidence=facts.ledger_of(recorded, "mayfly report record"),
        )
        if recorded
        else Figure(
            id="version",
            label="Version of it on the ledger",
            state="empty",
            evidence=evidence,
            note="this version was not issued yet: mayfly report record",
        )
    )
    return Section(
        id="record",
        title="Article 30(2) record",
        figures=[
            Figure(id="sha256", label="SHA-256 of the record", value=digest, evidence=evidence),
            version,
        ],
    )


_CONTROLS = (
    ("SOC 2 CC6.1", "Logical access", "access, security"),
    ("SOC 2 CC6.5", "Disposal of what is no longer needed", "retention, purge"),
    ("SOC 2 C1.2", "Disposal of confidential information", "retention, purge"),
    ("SOC 2 P4.2", "Retention of personal information", "held, retention"),
    ("SOC 2 P4.3", "Disposal of personal information", "purge, rights"),
    ("ISO 27001 A.8.10", "Deletion of information", "retention, purge, rights"),
    ("ISO 27001 A.8.11", "Masking of data", "recipients"),
    ("ISO 27001 A.8.12", "Prevention of leakage", "recipients, security"),
)


def controls(facts: Facts) -> Section:
    """Which sections speak to which controls of others."""
    return Section(
        id="controls",
        title="Controls",
        tables=[
            Table(
                id="controls",
                title="Where this report speaks to a control",
                columns=(
                    Column(id="control", label="Control"),
                    Column(id="about", label="About"),
                    Column(id="sections", label="Sections"),
                ),
                rows=_CONTROLS,
                evidence=facts.program("its own mapping"),
            )
        ],
        notes=["This mapping is the operator's own and no opinion of an auditor."],
    )


def not_covered(facts: Facts) -> Section:
    """What nobody may take this report for."""
    del facts
    return Section(
        id="not_covered",
        title="Not covered",
        notes=[
            "What a disk, a snapshot, a backup, time travel or object versioning may still hold: "
            "Mayfly ends what it wrote, and cannot look below it.",
            "What recipients do with what they got, and how long they keep it.",
            "The customer's warehouse, but for the tables that Mayfly made there.",
            "Acts that were never recorded: the ledger shows that nothing recorded was changed, "
            "and against its own operator only as far as checkpoints were kept elsewhere.",
            "Whether a purpose is lawful, a consent valid or a responsibility as it is stated: "
            "these are the controller's words.",
            "Security of machines, networks and people around Mayfly, penetration tests and "
            "vulnerabilities of its packages.",
            "Hashing and keyed digests pseudonymise; the data stays personal data.",
            "This report is the operator's own statement, and no audit.",
        ],
    )


SECTIONS: tuple[Callable[[Facts], Section], ...] = (
    kept.identity,
    kept.held_now,
    kept.retention,
    kept.purge_proof,
    sent.rights,
    sent.recipients,
    sent.residency,
    sent.sub_processors,
    access,
    security,
    incidents,
    processing_record,
    controls,
    not_covered,
)
"""In the order of their numbers, from 1."""


def security_report(facts: Facts) -> Report:
    """The whole report."""
    sections = [make(facts) for make in SECTIONS]
    since = time_of(facts.period.since)
    until = time_of(facts.period.until or facts.now)
    name = facts.project.workspace.name
    begin = since[:10] if since else "the beginning"
    return Report(
        kind="security",
        title="Security and retention report",
        subtitle=f"Workspace {name}, {begin} to {(until or '')[:16].replace('T', ' ')} UTC",
        schema=SCHEMA,
        content={
            "workspace": name,
            "workspace_id": facts.workspace_id,
            "target": facts.project.target,
            "since": since,
            "until": until,
            "made_at": time_of(facts.now),
            "software": facts.software,
            "configuration_sha256": facts.config_sha256,
            "ledger": {"entries": len(facts.entries), "root": facts.root},
            "sections": [s.to_dict(n) for n, s in enumerate(sections, 1)],
        },
        sections=sections,
    )
