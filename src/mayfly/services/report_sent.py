"""Sections 5 to 8 of the security report: rights, recipients, residency, sub-processors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from statistics import median

from mayfly.domain.erasures import ErasureRequest, StepStatus
from mayfly.domain.parties import NOT_STATED, stated
from mayfly.domain.transfers import why_not
from mayfly.ledger.entry import EntryType
from mayfly.services.compiled_sync import ColumnPlan, CompiledSync
from mayfly.services.report_document import Cell, Column, Evidence, Figure, Section, Table, unknown
from mayfly.services.report_facts import Facts, Missing
from mayfly.services.report_record import leaves_clear
from mayfly.services.residency_report import State
from mayfly.services.transfers import countries_of, transfers_to

_LIST, _PLAN, _RUNS = "mayfly erase list", "mayfly plan", "mayfly runs"


def rights(facts: Facts) -> Section:
    """Requests of people: how many, how long, and what became of them at each destination."""
    requests = [r for r, _ in facts.requests]
    received = [r for r in requests if facts.period.holds(r.received_at)]
    evidence = facts.store("erasures", _LIST)
    on_ledger = {
        e.reason.split("/")[1]
        for e in facts.in_period(EntryType.ERASURE)
        if e.reason.endswith("/received") and e.reason.count("/") == 2
    }
    lost = on_ledger - {r.request for r in requests}
    if lost:
        why = f"{len(lost)} requests of the ledger are not in the store"
        counts = [
            unknown(id_, label, why, _LIST)
            for id_, label in (
                ("received", "Received"),
                ("open", "Open"),
                ("overdue", "Overdue"),
                ("median_days", "Median days until the end"),
            )
        ]
    else:
        counts = _requests(facts, requests, received, evidence)
    return Section(
        id="rights",
        title="Rights requests",
        figures=counts,
        tables=[_steps(facts, lost=bool(lost))],
    )


def _requests(
    facts: Facts,
    requests: Sequence[ErasureRequest],
    received: Sequence[ErasureRequest],
    evidence: Evidence,
) -> list[Figure]:
    open_ = [r for r in requests if r.ended_at is None]
    overdue = [r for r in open_ if r.due_at < facts.now]
    days = [
        (r.ended_at - r.received_at) // timedelta(days=1)
        for r in requests
        if r.ended_at is not None and facts.period.holds(r.ended_at)
    ]
    label = "Median days until the end"
    return [
        Figure(id="received", label="Received", value=len(received), evidence=evidence),
        Figure(id="open", label="Open", value=len(open_), evidence=evidence),
        Figure(id="overdue", label="Overdue", value=len(overdue), evidence=evidence),
        Figure(id="median_days", label=label, value=int(median(days)), evidence=evidence)
        if days
        else Figure(id="median_days", label=label, state="empty", evidence=evidence),
    ]


def _steps(facts: Facts, *, lost: bool) -> Table:
    counted: Counter[tuple[str, str]] = Counter(
        (step.destination, step.status.value)
        for request, steps in facts.requests
        if facts.period.holds(request.received_at)
        for step in steps
    )
    names = sorted({destination for destination, _ in counted})
    statuses = [status.value for status in StepStatus]
    return Table(
        id="outcomes",
        title="Outcomes by destination",
        columns=(
            Column(id="destination", label="Destination"),
            *(Column(id=s, label=s.replace("_", " ")) for s in statuses),
        ),
        rows=[] if lost else [(n, *(counted[n, s] for s in statuses)) for n in names],
        evidence=Evidence(source="none", where="requests are missing from the store", command=_LIST)
        if lost
        else facts.store("erasure_steps", _LIST),
        empty="No destination was asked in this period",
        state="unknown" if lost else "known",
    )


def recipients(facts: Facts) -> Section:
    """Which columns go where, as what; how many rows did, and how many were kept back."""
    plan = facts.configuration(_PLAN)
    columns: list[tuple[Cell, ...]] = []
    forms: list[tuple[Cell, ...]] = []
    missing = []
    for name, compiled in facts.compiled.items():
        if isinstance(compiled, Missing):
            missing.append((name, compiled.code))
            continue
        columns += map(partial(_line, compiled), compiled.columns)
        clear = sum(leaves_clear(compiled, c) for c in compiled.columns)
        forms.append((name, clear, len(compiled.columns) - clear, _blocked(compiled)))
    forms += [(name, None, None, None) for name, _ in missing]
    return Section(
        id="recipients",
        title="Recipients",
        tables=[
            Table(
                id="columns",
                title="Column, rule and destination",
                columns=tuple(
                    Column(id=c, label=label)
                    for c, label in (
                        ("sync", "Sync"),
                        ("column", "Column"),
                        ("class", "Class"),
                        ("rule", "Rule"),
                        ("where", "Changed in"),
                        ("to", "Destination field"),
                    )
                ),
                rows=columns,
                evidence=plan,
                empty="No column leaves",
            ),
            Table(
                id="forms",
                title="Columns by how they leave",
                columns=(
                    Column(id="sync", label="Sync"),
                    Column(id="clear", label="In clear"),
                    Column(id="hashed", label="Hashed"),
                    Column(id="blocked", label="Kept back"),
                ),
                rows=forms,
                evidence=plan,
                charted=("clear", "hashed", "blocked"),
                empty="There is no sync",
            ),
            _rows(facts),
            _answering(facts),
        ],
        notes=[
            f"Unknown, as its source did not answer or its files are faulty: {name} [{code}]"
            for name, code in missing
        ],
    )


def _line(compiled: CompiledSync, column: ColumnPlan) -> tuple[Cell, ...]:
    sync, line = compiled.sync, column.to_dict(compiled.shown)
    parts = (line[part] for part in ("from", "class", "rule", "where"))
    return (sync.name, *parts, f"{sync.destination}.{line['to']}")


def _blocked(compiled: CompiledSync) -> int:
    mapped = {c.source for c in compiled.columns}
    declared = {*compiled.model.columns, *compiled.model.blocked}
    return len(declared - mapped)


def _rows(facts: Facts) -> Table:
    """Delivered by the ledger's word, withheld by the store's; unknown where a run is missing."""
    sent: Counter[str] = Counter()
    for entry in facts.in_period(EntryType.DELIVERED):
        sent[entry.destination] += entry.rows
    syncs = {s.name: s.destination for s in facts.project.syncs.values()}
    kept: dict[str, Counter[str]] = {}
    whole = not facts.lost_runs()
    for run in facts.runs_in_period():
        if run.counts is None:
            whole = whole and run.finished_at is None
            continue
        counts = kept.setdefault(syncs.get(run.sync, ""), Counter())
        counts.update({k: v for k, v in run.counts.items() if k.startswith(("withheld", "suppr"))})
    names = sorted({*sent, *syncs.values()} - {""})
    rows = [(n, sent[n], *_kept(kept.get(n, Counter()), known=whole)) for n in names]
    return Table(
        id="rows",
        title="Rows by destination",
        columns=(
            Column(id="destination", label="Destination"),
            Column(id="delivered", label="Answered for"),
            Column(id="withheld_consent", label="Withheld for consent"),
            Column(id="withheld_guard", label="Withheld by the guard"),
            Column(id="suppressed", label="Suppressed"),
        ),
        rows=rows,
        evidence=Evidence(
            source="ledger",
            where=f"{facts.ledger(_RUNS).where}; withheld: store, table runs",
            command=_RUNS,
        ),
        charted=("delivered", "withheld_consent"),
        empty="There is no destination",
    )


def _kept(counts: Mapping[str, int], *, known: bool) -> tuple[int | None, int | None, int | None]:
    if not known:
        return None, None, None
    return (
        counts.get("withheld_consent", 0),
        counts.get("withheld_guard", 0),
        counts.get("suppressed", 0),
    )


def _answering(facts: Facts) -> Table:
    rows = []
    for name, settings in facts.project.destinations.items():
        said = settings.responsibility
        rows.append(
            (
                name,
                stated(facts.recipient(settings)),
                stated(said.decides if said else None),
                stated(said.lawful_basis if said else None),
                f"{said.terms.version}, {said.terms.on}" if said and said.terms else NOT_STATED,
            )
        )
    return Table(
        id="responsibilities",
        title="Who answers for each destination",
        columns=(
            Column(id="destination", label="Destination"),
            Column(id="recipient", label="Recipient"),
            Column(id="decides", label="Decides"),
            Column(id="lawful_basis", label="Lawful basis"),
            Column(id="terms", label="Terms"),
        ),
        rows=rows,
        evidence=facts.configuration("mayfly report record --for 30.1"),
        empty="There is no destination",
    )


def residency(facts: Facts) -> Section:
    """Where it is planned to be, and which transfers there are."""
    where = facts.project.workspace
    files = facts.configuration("mayfly validate")
    planned = [
        ("plan", "Plan", where.plan or "none: an installation of its own"),
        ("provider", "Provider", where.provider),
        ("geography", "Geography", where.geography),
        ("region", "Region", where.region or "any of the geography"),
    ]
    rows = []
    for name, settings in facts.project.destinations.items():
        spec = facts.specs[settings.type]
        for t in transfers_to(where, spec, settings):
            geography = where.geography or "eu"
            reason = "no mechanism" if t.mechanism is None else ""
            reason = reason or why_not(t, geography, facts.now.date())
            carried = f"refused: {reason}" if reason else "yes"
            mechanism = t.mechanism or "none"
            rows.append((name, t.country, mechanism, stated(t.assessment), carried))
    unsaid = [
        name
        for name, settings in facts.project.destinations.items()
        if not countries_of(facts.specs[settings.type], settings)
    ]
    return Section(
        id="residency",
        title="Residency",
        figures=[
            *(
                Figure(id=id_, label=f"Planned: {label}", value=value or "none", evidence=files)
                for id_, label, value in planned
            ),
            *_observed(facts),
        ],
        tables=[
            _places(facts),
            Table(
                id="transfers",
                title="Transfers out of the workspace's law",
                columns=(
                    Column(id="destination", label="Destination"),
                    Column(id="country", label="Country"),
                    Column(id="mechanism", label="Mechanism"),
                    Column(id="assessment", label="Assessment"),
                    Column(id="carried", label="Carried"),
                ),
                rows=rows,
                evidence=facts.configuration(_PLAN),
                empty="No recipient is known to be in a third country",
            ),
        ],
        notes=[f"Of these destinations nobody states a country: {', '.join(unsaid)}."]
        if unsaid
        else [],
    )


def _places_evidence(facts: Facts) -> Evidence:
    return facts.program("asked when this report was made", "mayfly residency")


def _observed(facts: Facts) -> list[Figure]:
    labels: Mapping[State, str] = {
        "differs": "Parts found elsewhere than planned",
        "unknown": "Parts of which nobody knows where they are",
        "ok": "Parts found where they are planned",
    }
    places = facts.places
    if isinstance(places, Missing):
        return [unknown(s, text, places.code, "mayfly residency") for s, text in labels.items()]
    counted = Counter(row.state for row in places)
    return [
        Figure(id=state, label=label, value=counted[state], evidence=_places_evidence(facts))
        for state, label in labels.items()
    ]


def _places(facts: Facts) -> Table:
    places = facts.places
    missing = isinstance(places, Missing)
    return Table(
        id="places",
        title="Each part, planned and found",
        columns=tuple(
            Column(id=c, label=label)
            for c, label in (
                ("part", "Part"),
                ("planned", "Planned"),
                ("found", "Found"),
                ("basis", "Observed or declared"),
                ("by", "By whom"),
                ("state", "State"),
            )
        ),
        rows=[]
        if isinstance(places, Missing)
        else [
            (
                f"{row.part} {row.name}".rstrip(),
                row.planned or "where the customer has it",
                row.found,
                row.basis,
                row.by.replace("_", " "),
                row.state,
            )
            for row in places
        ],
        evidence=Evidence(source="none", where="nobody answered", command="mayfly residency")
        if missing
        else _places_evidence(facts),
        state="unknown" if missing else "known",
    )


def sub_processors(facts: Facts) -> Section:
    """Who else processes for the processor, and what was told of it."""
    register = facts.register
    files = facts.configuration("mayfly processors list")
    counted = Counter(p.status for p in register.processors)
    told = [n for n in facts.notices if facts.period.holds(n.at)]
    return Section(
        id="sub_processors",
        title="Sub-processors",
        figures=[
            *(
                Figure(id=s, label=s.capitalize(), value=counted[s], evidence=files)
                for s in ("active", "announced", "objected", "retired")
            ),
            Figure(
                id="register_sha256",
                label="SHA-256 of the register",
                value=register.digest,
                evidence=files,
            ),
            Figure(
                id="notices",
                label="Notices sent in this period",
                value=sum(not n.failure for n in told),
                evidence=facts.store("register_notices", "mayfly processors notify"),
                note=f"{sum(bool(n.failure) for n in told)} more did not arrive, or nobody knows",
            ),
            Figure(
                id="objections",
                label="Objections in force",
                value=len(facts.objections),
                evidence=facts.store("register_objections", "mayfly processors list"),
            ),
        ],
        tables=[
            Table(
                id="processors",
                title="The register",
                columns=tuple(
                    Column(id=c, label=label)
                    for c, label in (
                        ("name", "Legal name"),
                        ("list", "List"),
                        ("purpose", "Purpose"),
                        ("locations", "Countries"),
                        ("status", "Status"),
                    )
                ),
                rows=[
                    (p.legal_name, p.kind, p.purpose, ", ".join(p.locations), p.status)
                    for p in register.processors
                ],
                evidence=files,
                empty="The register has no entry",
            )
        ],
    )
