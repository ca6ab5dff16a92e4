"""What the public page may say, each sentence with the check of its mechanism. Pure.

A sentence is there only while its check holds for the project as it is wired now; nothing is said
in its place. What a check cannot find out counts as not holding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mayfly.domain.processors import why_not_engaged
from mayfly.domain.retention import LIMITS, RetentionClass
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.domain.transfers import why_not
from mayfly.ledger.entry import EntryType
from mayfly.ports.destination import Erasure
from mayfly.services.compiled_sync import CompiledSync
from mayfly.services.report_document import Evidence
from mayfly.services.report_facts import Facts, Missing
from mayfly.services.report_record import leaves_clear
from mayfly.services.report_retention import retention_report
from mayfly.services.transfers import transfers_to

Part = Literal["retention", "purge", "residency", "sub_processors", "platforms", "safeguards"]


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence of the page.

    Args:
        id: names it.
        part: of the page.
        says: the sentence, as the project's settings make it.
        holds: whether its mechanism works for the project as it is now.
        command: that shows the same.
    """

    id: str
    part: Part
    says: Callable[[Facts], str]
    holds: Callable[[Facts], bool]
    command: str

    def evidence(self, facts: Facts) -> Evidence:
        """The check, named, and a command that shows the same."""
        return facts.program(f"check {self.id}", self.command)


def _rows_limit(facts: Facts) -> str:
    del facts
    limit = LIMITS[RetentionClass.CUSTOMER_DATA]
    return (
        f"Rows end when their destination has answered for them, typically within "
        f"{_hours(limit.target_seconds)}, and at the latest after {_days(limit.cap_seconds)}."
    )


def _copies_limit(facts: Facts) -> str:
    del facts
    limit = LIMITS[RetentionClass.TEMPORARY]
    return (
        f"Working copies stay in the customer's own systems and are dropped when a run ends, "
        f"typically within {_hours(limit.target_seconds)}."
    )


def _no_cap_broken(cls: RetentionClass) -> Callable[[Facts], bool]:
    """The class has a cap, and by the ledger's word nothing is, or was, there beyond it."""

    def check(facts: Facts) -> bool:
        limit = LIMITS[cls]
        if limit.cap_seconds is None or limit.target_seconds is None:
            return False
        found = retention_report(facts.entries, period=facts.period, now=facts.now)
        ended = [c for c in found["classes"] if c["class"] == cls.value]
        late = [
            o
            for o in found["open"]
            if o["class"] == cls.value and o["age_seconds"] > limit.cap_seconds
        ]
        return not late and all(c["over_cap"] == 0 for c in ended)

    return check


def _nothing_overdue(facts: Facts) -> bool:
    """Nothing waits past its own deadline."""
    found = retention_report(facts.entries, period=facts.period, now=facts.now)
    return all(o["purge_by"] > facts.now.isoformat() for o in found["open"])


def _holds_sealed(facts: Facts) -> bool:
    """Batches may wait, and what would tell of those that do answers."""
    syncs = facts.project.syncs.values()
    return any(s.on_outage == "hold" for s in syncs) and not isinstance(facts.held, Missing)


def _nothing_waits_outside(facts: Facts) -> bool:
    syncs = facts.project.syncs.values()
    return bool(syncs) and all(s.on_outage != "hold" for s in syncs) and facts.held == []


def _placed(facts: Facts) -> bool:
    """A region is chosen, and no part is found elsewhere or unknown where personal data is."""
    places = facts.places
    if facts.project.workspace.region is None or isinstance(places, Missing):
        return False
    return all(r.state != "differs" and not (r.personal and r.state == "unknown") for r in places)


def _in_geography(facts: Facts) -> bool:
    places = facts.places
    if facts.project.workspace.region is not None or isinstance(places, Missing):
        return False
    return all(r.state != "differs" for r in places)


def _transfers_carried(facts: Facts) -> bool:
    """There is a transfer, and each has a mechanism that carries it."""
    where = facts.project.workspace
    geography = where.geography or "eu"
    found = [t for d in _used(facts) for t in transfers_to(where, facts.specs[d.type], d)]
    return bool(found) and all(
        t.mechanism is not None and not why_not(t, geography, facts.now.date()) for t in found
    )


def _no_transfers(facts: Facts) -> bool:
    where = facts.project.workspace
    used = _used(facts)
    return bool(used) and not any(transfers_to(where, facts.specs[d.type], d) for d in used)


def _consent_asked(facts: Facts) -> bool:
    """Each sync to a third party is bound to consent that no constant stands in for."""
    found = _to_third_parties(facts)
    return bool(found) and all(_is_bound(facts, s) for s in found)


def _is_bound(facts: Facts, sync: SyncSettings) -> bool:
    consent = facts.project.models[sync.model].consent
    binding = consent.get(sync.purpose) if sync.purpose else None
    return binding is not None and binding.constant is None


def _only_hashed(facts: Facts) -> bool:
    """No column of a sync to a third party leaves in clear; one that cannot be compiled may."""
    found = _to_third_parties(facts)
    compiled = [facts.compiled.get(s.name) for s in found]
    return bool(found) and all(
        isinstance(c, CompiledSync)
        and not c.refusals
        and not any(leaves_clear(c, column) for column in c.columns)
        for c in compiled
    )


def _erasable(facts: Facts) -> bool:
    """Each recipient in use can be asked to forget one person."""
    used = _used(facts)
    return bool(used) and all(facts.specs[d.type].erasure is not Erasure.NONE for d in used)


def _answered_in_time(facts: Facts) -> bool:
    """No request for a person is overdue, and the store has every one that the ledger has."""
    known = {r.request for r, _ in facts.requests}
    received = {
        e.reason.split("/")[1]
        for e in facts.entries
        if e.type is EntryType.ERASURE and e.reason.count("/") == 2
    }
    overdue = any(r.ended_at is None and r.due_at < facts.now for r, _ in facts.requests)
    return not overdue and received <= known


def _block_all(facts: Facts) -> bool:
    models = facts.project.models.values()
    return bool(models) and all(m.policy == "block_all" for m in models)


def _epoch(facts: Facts) -> bool:
    return facts.project.keys.epoch_days is not None and not isinstance(facts.key_versions, Missing)


def _answers(facts: Facts) -> bool:
    """Somebody is named as deciding for every destination in use."""
    used = _used(facts)
    return bool(used) and all(d.responsibility and d.responsibility.decides for d in used)


def _geography(facts: Facts) -> str:
    where = facts.project.workspace.geography or "eu"
    names = {"eu": "the European Union", "uk": "the United Kingdom", "us": "the United States"}
    return names.get(where, where.replace("_", " ").title())


def _registered(facts: Facts) -> bool:
    """Some are active, and each of them may be engaged today."""
    where, today = facts.project.workspace, facts.now.date()
    found = facts.register.active
    return bool(found) and not any(
        why_not_engaged(p, where.geography or "eu", where.ai, today) for p in found if not p.ai_only
    )


def _used(facts: Facts) -> list[DestinationSettings]:
    names = dict.fromkeys(s.destination for s in facts.project.syncs.values())
    return [facts.project.destinations[name] for name in names]


def _to_third_parties(facts: Facts) -> list[SyncSettings]:
    destinations = facts.project.destinations
    syncs: Iterable[SyncSettings] = facts.project.syncs.values()
    return [s for s in syncs if facts.is_external(destinations[s.destination])]


def _probe(name: str) -> Callable[[Facts], bool]:
    return lambda facts: facts.probes.get(name, False)


def _fixed(text: str) -> Callable[[Facts], str]:
    return lambda _: text


def _hours(seconds: int | None) -> str:
    return f"{(seconds or 0) // 3600} hours"


def _days(seconds: int | None) -> str:
    return f"{(seconds or 0) // 86_400} days"


SENTENCES: tuple[Sentence, ...] = (
    Sentence(
        id="rows_end",
        part="retention",
        says=_rows_limit,
        holds=_no_cap_broken(RetentionClass.CUSTOMER_DATA),
        command="mayfly report retention",
    ),
    Sentence(
        id="copies_end",
        part="retention",
        says=_copies_limit,
        holds=_no_cap_broken(RetentionClass.TEMPORARY),
        command="mayfly report retention",
    ),
    Sentence(
        id="nothing_overdue",
        part="retention",
        says=_fixed("When this page was made, nothing was waiting past its deadline."),
        holds=_nothing_overdue,
        command="mayfly status",
    ),
    Sentence(
        id="waits_sealed",
        part="purge",
        says=_fixed(
            "Where a destination is away, a batch may wait outside the customer's warehouse: "
            "sealed under a key of its own, with a deadline that no retry moves. It is purged "
            "when it is delivered, given up or erased, or at its deadline."
        ),
        holds=_holds_sealed,
        command="mayfly status",
    ),
    Sentence(
        id="waits_in_warehouse",
        part="purge",
        says=_fixed(
            "Where a destination is away, rows wait in the customer's own warehouse and are read "
            "again; no copy of them is kept outside of it."
        ),
        holds=_nothing_waits_outside,
        command="mayfly status",
    ),
    Sentence(
        id="requests_in_time",
        part="purge",
        says=_fixed(
            "A person's request suppresses first, and is then carried to every place that holds "
            "something of the person; no request is overdue."
        ),
        holds=_answered_in_time,
        command="mayfly erase list",
    ),
    Sentence(
        id="recipients_can_erase",
        part="purge",
        says=_fixed("Each platform in use is asked to erase the person, too."),
        holds=_erasable,
        command="mayfly erase show REQUEST",
    ),
    Sentence(
        id="region",
        part="residency",
        says=lambda f: (
            f"Workers, keys and what waits are in {f.project.workspace.region}; a run is refused "
            "where one is found elsewhere."
        ),
        holds=_placed,
        command="mayfly residency",
    ),
    Sentence(
        id="geography",
        part="residency",
        says=lambda f: f"Processing is placed in {_geography(f)}.",
        holds=_in_geography,
        command="mayfly residency",
    ),
    Sentence(
        id="transfers",
        part="residency",
        says=_fixed(
            "Where a platform has data in a country outside of that law, it is a transfer; each "
            "one in use has a mechanism that carries it."
        ),
        holds=_transfers_carried,
        command="mayfly plan",
    ),
    Sentence(
        id="no_transfers",
        part="residency",
        says=_fixed("No platform in use is known to have data outside of that law."),
        holds=_no_transfers,
        command="mayfly plan",
    ),
    Sentence(
        id="registered",
        part="sub_processors",
        says=_fixed("Who processes on our behalf stands in a register, with contract and country."),
        holds=_registered,
        command="mayfly processors list",
    ),
    Sentence(
        id="answers",
        part="platforms",
        says=_fixed("For each platform somebody is named who decides why data is sent there."),
        holds=_answers,
        command="mayfly report record --for 30.1",
    ),
    Sentence(
        id="consent",
        part="platforms",
        says=_fixed(
            "Data goes to platforms of third parties only for people whose consent is on record; "
            "without one the answer is no."
        ),
        holds=_consent_asked,
        command="mayfly plan",
    ),
    Sentence(
        id="hashed",
        part="platforms",
        says=_fixed(
            "Such platforms get hashed identifiers alone. Hashed identifiers are still personal "
            "data."
        ),
        holds=_only_hashed,
        command="mayfly plan",
    ),
    Sentence(
        id="block_all",
        part="safeguards",
        says=_fixed("A column leaves only where it is named; all others are blocked."),
        holds=_block_all,
        command="mayfly plan",
    ),
    Sentence(
        id="approved",
        part="safeguards",
        says=_fixed("Everything that is sent was approved as it is; what changed waits."),
        holds=lambda f: bool(f.approved) and all(f.approved.values()),
        command="mayfly approve --check",
    ),
    Sentence(
        id="two_people",
        part="safeguards",
        says=_fixed("Two people sign each approval: one asks, another one approves."),
        holds=lambda f: f.project.workspace.approvals == "two_people",
        command="mayfly approve --people",
    ),
    Sentence(
        id="suppression",
        part="safeguards",
        says=_fixed(
            "Who must not be contacted is on a list of keyed digests that every batch is "
            "held against; the list agrees with the signed record."
        ),
        holds=lambda f: f.list_current,
        command="mayfly suppress list",
    ),
    Sentence(
        id="hsm",
        part="safeguards",
        says=_fixed("Keys are held by a hardware security module, by its provider's own word."),
        holds=lambda f: f.keys["protection"] == "hsm",
        command="mayfly keys versions",
    ),
    Sentence(
        id="epoch",
        part="safeguards",
        says=lambda f: (
            f"The key that wraps others is replaced every {f.project.keys.epoch_days} days, and "
            "the version before is destroyed."
        ),
        holds=_epoch,
        command="mayfly keys versions",
    ),
    Sentence(
        id="anchored",
        part="safeguards",
        says=_fixed("Every act is on a signed record, whose head is kept by others, too."),
        holds=lambda f: f.anchored and bool(f.entries),
        command="mayfly report retention",
    ),
    Sentence(
        id="egress",
        part="safeguards",
        says=_fixed("The program connects to hosts on its list alone."),
        holds=_probe("egress"),
        command="mayfly report security",
    ),
    Sentence(
        id="logs",
        part="safeguards",
        says=_fixed("Logs of libraries are closed; events hold ids, counts and codes."),
        holds=_probe("logs"),
        command="mayfly report security",
    ),
    Sentence(
        id="dumps",
        part="safeguards",
        says=_fixed("The program's memory is not written to disk when it fails."),
        holds=_probe("dumps"),
        command="mayfly report security",
    ),
)
"""Every sentence of the page about a mechanism."""


def held_sentences(facts: Facts, part: Part) -> list[Sentence]:
    """Those of a part whose mechanism works now."""
    return [s for s in SENTENCES if s.part == part and s.holds(facts)]
