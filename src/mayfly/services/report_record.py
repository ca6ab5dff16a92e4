"""Records of processing: GDPR Article 30(2) of the processor, and what 30(1) wants to know. Pure.

Both are made from the configuration as it is now, and hold no time: what changes is another
version, whose digest and number stand on the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from mayfly.domain.parties import NOT_STATED, Party, Responsibility, stated
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.domain.settings import DestinationSettings, ModelSettings, SyncSettings
from mayfly.privacy.gate import Form
from mayfly.services.compiled_sync import ColumnPlan, CompiledSync
from mayfly.services.report_document import Column, Evidence, Report, Section, Table
from mayfly.services.report_facts import Facts
from mayfly.services.transfers import countries_of, transfers_to

Article = Literal["30.1", "30.2"]
KINDS: Mapping[Article, str] = {"30.2": "record", "30.1": "recipients"}
SCHEMAS: Mapping[Article, str] = {"30.2": "mayfly/record/1", "30.1": "mayfly/recipients/1"}
_PARTS = ("name", "address", "contact", "dpo", "representative")
_SUBJECTS = "people in the rows of the model"


def record(facts: Facts, article: Article) -> Report:
    """The record of one paragraph of Article 30."""
    if article == "30.2":
        content, sections = _processor(facts)
        title = "Record of processing activities, GDPR Article 30(2)"
    else:
        content, sections = _controller(facts)
        title = "Recipients and purposes, for the record of GDPR Article 30(1)"
    content = {
        "workspace": facts.project.workspace.name,
        "target": facts.project.target,
        "configuration_sha256": facts.config_sha256,
        **content,
    }
    return Report(
        kind=KINDS[article],
        title=title,
        subtitle=f"Workspace {facts.project.workspace.name}, target {facts.project.target}",
        schema=SCHEMAS[article],
        content=content,
        sections=sections,
    )


def _processor(facts: Facts) -> tuple[dict[str, Any], list[Section]]:
    processor = _party(facts.project.organisation)
    controllers = [_party(facts.project.controller)]
    categories = [_category(facts, s) for s in facts.project.syncs.values()]
    transfers = _transfers(facts)
    found = measures(facts)
    content = {
        "processor": processor,
        "controllers": controllers,
        "categories": categories,
        "transfers": transfers,
        "measures": [{"measure": name, "state": state} for name, state in found],
    }
    at = facts.configuration("mayfly report record")
    return content, [
        _parties(processor, controllers, at),
        _categories(categories, controllers[0]["name"], at),
        _third_countries(transfers, at),
        Section(
            id="measures",
            title="(d) Technical and organisational measures, Article 32(1)",
            tables=[_table("measures", "As configured now", ("Measure", "State"), found, at)],
        ),
    ]


def _parties(
    processor: Mapping[str, str], controllers: Sequence[Mapping[str, str]], at: Evidence
) -> Section:
    names = ("Role", "Name", "Address", "Contact", "Data protection officer", "Representative")
    people = [("processor", processor), *(("controller", c) for c in controllers)]
    rows = [(role, *(party[part] for part in _PARTS)) for role, party in people]
    return Section(
        id="parties",
        title="(a) Processor and controllers",
        tables=[_table("parties", "Who", names, rows, at)],
    )


def _categories(categories: Sequence[Mapping[str, Any]], controller: str, at: Evidence) -> Section:
    names = ("Sync", "Controller", "Processing", "Purpose", "Recipient")
    rows = [
        (c["sync"], controller, c["processing"], c["purpose"], c["recipient"]) for c in categories
    ]
    return Section(
        id="categories",
        title="(b) Categories of processing for each controller",
        tables=[_table("categories", "What is done", names, rows, at)],
    )


def _third_countries(transfers: Sequence[Mapping[str, Any]], at: Evidence) -> Section:
    names = ("Recipient", "Country", "Mechanism", "Assessment")
    rows = [tuple(t[n.lower()] for n in names) for t in transfers]
    none = "No recipient is known to be in a third country"
    return Section(
        id="transfers",
        title="(c) Transfers to third countries",
        tables=[_table("transfers", "Where to, and by what", names, rows, at, empty=none)],
        notes=[
            "Under Article 49(1), second subparagraph, nothing is transferred: no such "
            "mechanism can be configured."
        ],
    )


def _controller(facts: Facts) -> tuple[dict[str, Any], list[Section]]:
    entries = [_recipient(facts, s) for s in facts.project.syncs.values()]
    limits = [
        {
            "class": cls.value,
            "target_seconds": LIMITS[cls].target_seconds,
            "cap_seconds": LIMITS[cls].cap_seconds,
        }
        for cls in (RetentionClass.CUSTOMER_DATA, RetentionClass.TEMPORARY)
    ]
    content = {
        "controller": _party(facts.project.controller),
        "processor": _party(facts.project.organisation),
        "activities": entries,
        "erasure_limits_at_the_processor": limits,
    }
    at = facts.configuration("mayfly report record --for 30.1")
    activities = _table(
        "activities",
        "Purposes, people, categories and recipients",
        ("Sync", "Purpose", "Data subjects", "Categories of data", "Recipient", "Countries"),
        [
            (
                e["sync"],
                e["purpose"],
                e["data_subjects"],
                ", ".join(e["categories"]) or "unknown",
                e["recipient"],
                ", ".join(e["countries"]) or NOT_STATED,
            )
            for e in entries
        ],
        at,
    )
    answers = _table(
        "responsibilities",
        "Who answers for what",
        ("Sync", "Decides", "Lawful basis", "Terms", "Source of consent"),
        [
            (
                e["sync"],
                e["responsibility"]["decides"],
                e["responsibility"]["lawful_basis"],
                e["responsibility"]["terms"],
                e["responsibility"]["consent_source"],
            )
            for e in entries
        ],
        at,
    )
    erasing = _table(
        "erasure",
        "Limits for erasure",
        ("Sync", "At the recipient", "At the processor"),
        [(e["sync"], e["erasure_at_recipient"], e["erasure_at_processor"]) for e in entries],
        at,
    )
    return content, [
        Section(
            id="activities", title="Purposes, people, data and recipients", tables=[activities]
        ),
        Section(id="responsibilities", title="Who answers for what", tables=[answers]),
        Section(id="erasure", title="Limits for erasure", tables=[erasing]),
    ]


def _recipient(facts: Facts, sync: SyncSettings) -> dict[str, Any]:
    settings = facts.project.destinations[sync.destination]
    model = facts.project.models[sync.model]
    compiled = facts.compiled.get(sync.name)
    classes = (
        sorted({c.cls for c in compiled.columns}) if isinstance(compiled, CompiledSync) else []
    )
    return {
        "sync": sync.name,
        "purpose": sync.purpose or NOT_STATED,
        "data_subjects": f"{_SUBJECTS} {model.name}",
        "categories": classes,
        "recipient": stated(facts.recipient(settings)),
        "platform": settings.type,
        "external": facts.is_external(settings),
        "countries": sorted(countries_of(facts.specs[settings.type], settings)),
        "responsibility": responsibility(settings, model, sync),
        "erasure_at_recipient": f"{facts.specs[settings.type].erasure.value}, on request; the "
        "recipient's own limits are the controller's to state",
        "erasure_at_processor": _processor_limit(),
    }


def responsibility(
    settings: DestinationSettings, model: ModelSettings, sync: SyncSettings
) -> dict[str, str]:
    """Who answers for a destination, in texts; what the consent of the model says of the basis
    stands where the destination says nothing.
    """
    said = settings.responsibility or Responsibility()
    binding = model.consent.get(sync.purpose) if sync.purpose else None
    terms = said.terms
    return {
        "decides": stated(said.decides),
        "lawful_basis": stated(said.lawful_basis or (binding.lawful_basis if binding else None)),
        "terms": stated(
            f"version {terms.version}, accepted by {terms.accepted_by} on {terms.on}"
            if terms
            else None
        ),
        "consent_source": stated(said.consent_source),
    }


def _category(facts: Facts, sync: SyncSettings) -> dict[str, str]:
    settings = facts.project.destinations[sync.destination]
    return {
        "sync": sync.name,
        "processing": f"{sync.mode}: reads model {sync.model}, protects columns by rule, sends to "
        f"{settings.type}",
        "purpose": sync.purpose or NOT_STATED,
        "recipient": stated(facts.recipient(settings)),
    }


def _transfers(facts: Facts) -> list[dict[str, str]]:
    used = {s.destination for s in facts.project.syncs.values()}
    return [
        {
            "destination": name,
            "recipient": stated(facts.recipient(settings)),
            "country": t.country,
            "mechanism": t.mechanism or "none: refused",
            "assessment": stated(t.assessment),
        }
        for name, settings in facts.project.destinations.items()
        if name in used
        for t in transfers_to(facts.project.workspace, facts.specs[settings.type], settings)
    ]


def measures(facts: Facts) -> list[tuple[str, str]]:
    """What protects the data, and how it is configured now."""
    project = facts.project
    hashed, clear = rules_of(facts)
    epoch = project.keys.epoch_days
    anchors = ", ".join(project.anchors) or "none: the ledger is not anchored"
    return [
        ("Pseudonymisation", f"{hashed} columns leave as hashes or pseudonyms, {clear} in clear"),
        (
            "Encryption of what waits",
            "each sealed batch under a data key of its own, wrapped by a key encryption key",
        ),
        ("Holder of the keys", f"{facts.keys['provider']}, protection {facts.keys['protection']}"),
        ("Age of key versions", f"{epoch} days at most" if epoch else "no limit is configured"),
        ("Approval before data leaves", f"by {project.workspace.approvals.replace('_', ' ')}"),
        ("Signed record of every act", f"anchors: {anchors}"),
        ("Erasure at the processor", _processor_limit()),
        ("Regular tests of restoring", NOT_STATED),
    ]


def rules_of(facts: Facts) -> tuple[int, int]:
    """How many columns leave hashed, and in clear, as far as syncs could be compiled."""
    forms = [
        leaves_clear(compiled, column)
        for compiled in facts.compiled.values()
        if isinstance(compiled, CompiledSync)
        for column in compiled.columns
    ]
    return forms.count(False), forms.count(True)


def leaves_clear(compiled: CompiledSync, column: ColumnPlan) -> bool:
    """Whether a column's values leave as they are, or only written another way."""
    context = compiled.context
    if context is None or column.to not in context.forms:
        return column.rule == "clear"
    return context.forms[column.to] is Form.CLEAR


def _processor_limit() -> str:
    limit = LIMITS[RetentionClass.CUSTOMER_DATA]
    hours, days = (limit.target_seconds or 0) // 3600, (limit.cap_seconds or 0) // 86_400
    return f"rows end with their delivery, target {hours} hours, at the latest after {days} days"


def _party(party: Party | None) -> dict[str, str]:
    found = asdict(party) if party else dict.fromkeys(_PARTS)
    return {name: stated(found[name]) for name in _PARTS}


def _table(
    id_: str,
    title: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    evidence: Any,
    empty: str = "none",
) -> Table:
    return Table(
        id=id_,
        title=title,
        columns=tuple(Column(id=c.lower().replace(" ", "_"), label=c) for c in columns),
        rows=rows,
        evidence=evidence,
        empty=empty,
    )
