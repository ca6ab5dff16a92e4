"""Approval: what is pinned, what is refused, and what the lock file says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.domain.approval import Compiled, approval_document, fingerprint, names_in, renamed
from mayfly.domain.errors import PolicyError, TransientError
from mayfly.domain.settings import (
    ColumnSettings,
    ConsentBinding,
    ConsentTableSettings,
    DestinationSettings,
    KeysSettings,
    ModelSettings,
    Project,
    SecretRef,
    SourceSettings,
    StoreSettings,
    SyncSettings,
    Workspace,
)
from mayfly.services.approvals_lock import LOCK_FILE, read_lock
from mayfly.services.approve import approve_syncs, pending, require_approved
from mayfly.services.find_views import UNREADABLE
from mayfly.services.shown_names import kept_document

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TYPES = Compiled(types={"email": "VARCHAR", "phone": "VARCHAR", "loyalty_no": "INTEGER"})
SYNC = "vip"


@pytest.fixture
def store(tmp_path: Path) -> SqlStore:
    """An empty store."""
    made = SqlStore("sqlite", tmp_path / ".mayfly")
    made.create(workspace_id="shop-1", name="shop", installation_id="i", now=NOW)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One model, one destination of each kind of address, two syncs."""
    columns = {
        "email": ColumnSettings(name="email", cls="email"),
        "phone": ColumnSettings(name="phone", cls="phone", default_country="FR"),
        "loyalty_no": ColumnSettings(name="loyalty_no", rule="pseudonym", maximum=10.0),
    }
    consent = ConsentBinding(
        purpose="ads", column="ads_opt_in", equals=True, lawful_basis="consent"
    )
    model = ModelSettings(
        name="customers",
        source="shop",
        table=(None, "customers"),
        primary_key=("customer_id",),
        columns=columns,
        consent={"ads": consent},
    )
    options = {"account_id": "1", "dsn": SecretRef(kind="env", name="CRM_DSN"), "schema": "crm"}
    meta = DestinationSettings(name="meta", type="meta_ads", endpoint="sandbox", options=options)
    sync = SyncSettings(
        name=SYNC,
        id="vip_id",
        model="customers",
        destination="meta",
        mode="audience",
        audience="VIP",
        key=("EMAIL",),
        purpose="ads",
        mapping={"EMAIL": "email", "PHONE": "phone"},
    )
    return Project(
        root=tmp_path,
        workspace=Workspace(name="shop"),
        keys=KeysSettings(),
        store=StoreSettings(),
        target="dev",
        sources={
            name: SourceSettings(name=name, type="duckdb", path=tmp_path / "shop.duckdb")
            for name in ("shop", "other")
        },
        models={"customers": model},
        destinations={"meta": meta},
        syncs={SYNC: sync, "other": replace(sync, name="other", id="other_id")},
    )


def types_of(name: str) -> Compiled:
    """Column types, the same for each sync."""
    del name
    return TYPES


def approve_it(project: Project, store: SqlStore, *names: str) -> None:
    """Approve as `operator`."""
    approve_syncs(project, store, names or (SYNC,), actor="operator", now=NOW, compiled_of=types_of)


def with_sync(project: Project, **changes: Any) -> Project:
    """The project with another sync of the same name."""
    return replace(project, syncs={**project.syncs, SYNC: replace(project.syncs[SYNC], **changes)})


def with_model(project: Project, **changes: Any) -> Project:
    """The project with another model of the same name."""
    return replace(project, models={"customers": replace(project.models["customers"], **changes)})


def with_column(project: Project, name: str = "email", **changes: Any) -> Project:
    """The project with another declaration of a column."""
    columns = project.models["customers"].columns
    return with_model(project, columns={**columns, name: replace(columns[name], **changes)})


def with_consent(project: Project, **changes: Any) -> Project:
    """The project with another consent binding."""
    consent = project.models["customers"].consent
    return with_model(project, consent={"ads": replace(consent["ads"], **changes)})


def with_source(project: Project, **changes: Any) -> Project:
    """The project with another source of the same name."""
    shop = replace(project.sources["shop"], **changes)
    return replace(project, sources={**project.sources, "shop": shop})


def with_destination(project: Project, **changes: Any) -> Project:
    """The project with another destination of the same name."""
    return replace(project, destinations={"meta": replace(project.destinations["meta"], **changes)})


def with_option(project: Project, name: str, value: object) -> Project:
    """The project with another part of the address."""
    options = project.destinations["meta"].options
    return with_destination(project, options={**options, name: value})


EVENTS = ConsentTableSettings(
    name=(None, "consents"),
    subject="customer",
    matches="loyalty_no",
    purpose="purpose",
    purposes=("ads",),
    state="state",
    granted=("given",),
    time="at",
)
TABLE_CHANGES: dict[str, Any] = {
    "name": ("crm", "consents"),
    "subject": "other",
    "matches": "email",
    "purpose": "about",
    "purposes": ("ads", "Ads"),
    "state": "said",
    "granted": ("given", "renewed"),
    "unknown": ("asked",),
    "time": "noted_at",
    "valid_until": "ends",
    "without_end": True,
    "source": "channel",
    "sources": ("web",),
}
_NEW_COLUMN = {"EMAIL": "email", "PHONE": "phone", "EXTERN_ID": "loyalty_no"}
CHANGES: dict[str, tuple[Callable[[Project], Project], str]] = {
    "class": (lambda p: with_column(p, cls="none"), "column EMAIL (class)"),
    "rule": (lambda p: with_column(p, rule="clear"), "column EMAIL (rule)"),
    "country": (
        lambda p: with_column(p, "phone", default_country="DE"),
        "column PHONE (default_country)",
    ),
    "country column": (
        lambda p: with_column(p, "phone", default_country_column="land"),
        "column PHONE (default_country_column)",
    ),
    "reason": (lambda p: with_column(p, reason="asked"), "column EMAIL (reason)"),
    "values": (lambda p: with_column(p, values=("a",)), "column EMAIL (values)"),
    "minimum": (lambda p: with_column(p, minimum=1.0), "column EMAIL (minimum)"),
    "maximum": (lambda p: with_column(p, maximum=1.0), "column EMAIL (maximum)"),
    "mapping": (
        lambda p: with_sync(p, mapping={"EMAIL": "loyalty_no", "PHONE": "phone"}),
        "column EMAIL (class, column, maximum, rule, type)",
    ),
    "field added": (lambda p: with_sync(p, mapping=_NEW_COLUMN), "column EXTERN_ID added"),
    "field removed": (lambda p: with_sync(p, mapping={"EMAIL": "email"}), "column PHONE removed"),
    "mode": (lambda p: with_sync(p, mode="mirror"), "mode"),
    "audience": (lambda p: with_sync(p, audience="All"), "object"),
    "key": (lambda p: with_sync(p, key=("PHONE",)), "key"),
    "repertoire": (lambda p: with_sync(p, outside_repertoire="withhold"), "outside_repertoire"),
    "purpose": (lambda p: with_sync(p, purpose=None), "consent; purpose"),
    "source": (lambda p: with_model(p, source="other"), "source (name)"),
    "source type": (lambda p: with_source(p, type="postgres"), "source (type)"),
    "source path": (lambda p: with_source(p, path=p.root / "other.duckdb"), "source (path)"),
    "source schema": (lambda p: with_source(p, schema="crm"), "source (schema)"),
    "source dsn": (
        lambda p: with_source(p, dsn=SecretRef(kind="env", name="OTHER")),
        "source (dsn)",
    ),
    "table": (lambda p: with_model(p, table=("crm", "customers")), "table"),
    "query": (lambda p: with_model(p, sql="SELECT 1"), "query_sha256"),
    "primary key": (lambda p: with_model(p, primary_key=("email",)), "primary_key"),
    "consent column": (lambda p: with_consent(p, column="terms"), "consent (column)"),
    "consent value": (lambda p: with_consent(p, equals=False), "consent (equals)"),
    "consent of another type": (lambda p: with_consent(p, equals=1), "consent (equals)"),
    "notice": (
        lambda p: with_consent(p, notice_version="2026-03"),
        "consent (notice_version)",
    ),
    "every row": (lambda p: with_consent(p, constant="all agreed"), "consent (constant)"),
    "time of withdrawals": (
        lambda p: with_consent(p, withdrawn_at="left_at"),
        "consent (withdrawn_at)",
    ),
    "consent table": (lambda p: with_consent(p, table=EVENTS), "consent (table)"),
    "consent values": (lambda p: with_consent(p, in_=("yes",)), "consent (in)"),
    "lawful basis": (
        lambda p: with_consent(p, lawful_basis="contract"),
        "consent (lawful_basis)",
    ),
    "recheck": (lambda p: with_sync(p, recheck_after_seconds=60), "recheck_after_seconds"),
    "destination kind": (lambda p: with_destination(p, kind="internal"), "destination (kind)"),
    "destination type": (lambda p: with_destination(p, type="files"), "destination (type)"),
    "destination owner": (lambda p: with_destination(p, owner="crm"), "destination (owner)"),
    "destination reason": (lambda p: with_destination(p, reason="r"), "destination (reason)"),
    "endpoint": (
        lambda p: with_destination(p, endpoint="http://127.0.0.1:9"),
        "destination (endpoint)",
    ),
    "account": (lambda p: with_option(p, "account_id", "2"), "destination (address)"),
    "dsn": (
        lambda p: with_option(p, "dsn", SecretRef(kind="env", name="OTHER")),
        "destination (address)",
    ),
    "schema": (lambda p: with_option(p, "schema", "other"), "destination (address)"),
    "path": (lambda p: with_option(p, "path", "out"), "destination (address)"),
    "format": (lambda p: with_option(p, "format", "csv"), "destination (address)"),
    "advertiser": (lambda p: with_option(p, "advertiser_id", "b2"), "destination (address)"),
    "identity": (lambda p: with_option(p, "identity", "uid2"), "destination (address)"),
    "data centre": (lambda p: with_option(p, "data_centre", "us_west"), "destination (address)"),
    "workspace": (lambda p: replace(p, workspace=Workspace(name="shop2")), "workspace"),
}


def refusal(project: Project, store: SqlStore, types: Compiled = TYPES) -> PolicyError:
    """How a run of the sync is refused."""
    with pytest.raises(PolicyError) as caught:
        require_approved(project, store, SYNC, types)
    return caught.value


def test_a_sync_never_approved_is_refused(project: Project, store: SqlStore) -> None:
    """An approval of another sync does not count, and the hint names the command."""
    approve_it(project, store, "other")
    error = refusal(project, store)
    assert error.code == "not_approved"
    assert error.exit_code == 3
    assert "mayfly approve vip" in error.hint


def test_an_approved_sync_passes(project: Project, store: SqlStore) -> None:
    """In this process and, from the files alone, in another."""
    approve_it(project, store)
    require_approved(project, store, SYNC, TYPES)
    require_approved(project, SqlStore("sqlite", project.root / ".mayfly"), SYNC, TYPES)


def test_an_approval_holds_in_another_checkout(project: Project, store: SqlStore) -> None:
    """Files below the project's folder are pinned from there; others by their whole path."""
    within = with_option(project, "path", project.root / "out")
    moved = Path("/srv/shop")
    elsewhere = with_source(with_option(within, "path", moved / "out"), path=moved / "shop.duckdb")
    documents = [
        approval_document(p, SYNC, TYPES) for p in (within, replace(elsewhere, root=moved))
    ]
    assert documents[0] == documents[1]
    assert documents[0] != approval_document(elsewhere, SYNC, TYPES)


def test_another_target_is_not_approved(project: Project, store: SqlStore) -> None:
    """An approval for dev says nothing of prod."""
    approve_it(project, store)
    assert refusal(replace(project, target="prod"), store).code == "not_approved"


@pytest.mark.parametrize("name", sorted(TABLE_CHANGES))
def test_every_part_of_a_consent_table_is_pinned(
    project: Project, store: SqlStore, name: str
) -> None:
    """Which rows grant is decided by all of it."""
    assert set(TABLE_CHANGES) == {f.name for f in fields(ConsentTableSettings)}
    bound = with_consent(project, table=EVENTS)
    approve_it(bound, store)
    other = replace(EVENTS, **{name: TABLE_CHANGES[name]})
    assert "consent (table)" in refusal(with_consent(bound, table=other), store).message


def test_a_binding_of_a_column_alone_keeps_its_fingerprint(project: Project) -> None:
    """What is new is in the document only where it is used."""
    document = approval_document(project, SYNC, TYPES)
    assert set(document["consent"]) == {"column", "equals", "in", "lawful_basis"}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_each_pinned_thing_is_refused_when_changed(
    project: Project, store: SqlStore, name: str
) -> None:
    """The refusal says exactly what changed; so does the list of what waits."""
    change, words = CHANGES[name]
    approve_it(project, store)
    changed = change(project)
    error = refusal(changed, store)
    assert error.code == "approval_changed"
    assert error.message.endswith(f" Changed: {words}.")
    waiting = pending(changed, store, [SYNC], compiled_of=types_of, now=NOW)
    assert [p.change for p in waiting] == [f"changed: {w}" for w in words.split("; ")]
    approve_it(changed, store)
    require_approved(changed, store, SYNC, TYPES)
    assert refusal(project, store).code == "approval_changed"


def test_what_waits_names_the_model_column(project: Project, store: SqlStore) -> None:
    """Of a column, the one in the model and not the destination's field; of a sync, none."""
    approve_it(project, store)
    changed = with_consent(with_column(with_sync(project, mode="mirror"), cls="none"), equals=False)
    waiting = pending(changed, store, [SYNC], compiled_of=types_of, now=NOW)
    assert [(p.to_dict()["column"], p.change) for p in waiting] == [
        ("ads_opt_in", "changed: consent (equals)"),
        (None, "changed: mode"),
        ("email", "changed: column EMAIL (class)"),
    ]


def test_another_column_type_is_refused(project: Project, store: SqlStore) -> None:
    """A column that became another in the source is not what was approved."""
    approve_it(project, store)
    error = refusal(project, store, Compiled(types={**TYPES.types, "email": "BLOB"}))
    assert error.code == "approval_changed"
    assert "column EMAIL (type)" in error.message
    require_approved(project, store, SYNC, Compiled(types={**TYPES.types, "not_mapped": "BLOB"}))


WRITTEN = "select email,phone from c"
SEEN = replace(
    TYPES,
    query="SELECT email, phone FROM c",
    lineage={"email": ["c.email"], "phone": ["c.phone"], "ads_opt_in": ["c.ads_opt_in"]},
)


def test_an_approval_of_an_earlier_form_holds_for_the_same_text(
    project: Project, store: SqlStore
) -> None:
    """A release that pins more asks for nothing while nothing of the project changed."""
    written = with_model(project, table=None, sql=WRITTEN)
    approve_it(written, store)
    require_approved(written, store, SYNC, SEEN)
    assert pending(written, store, [SYNC], compiled_of=lambda _: SEEN, now=NOW) == []
    other = with_model(project, table=None, sql=WRITTEN + " ")
    assert refusal(other, store, SEEN).code == "approval_changed"
    for unseen in (
        replace(SEEN, views={"v": "0"}),
        replace(SEEN, found={"email": "special"}),
        replace(SEEN, rules={"EMAIL": 2}),
    ):
        assert refusal(written, store, unseen).code == "approval_changed"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(SEEN, lineage={**SEEN.lineage, "email": ["c.note"]}), "column EMAIL (lineage)"),
        (replace(SEEN, lineage={**SEEN.lineage, "ads_opt_in": ["c.x"]}), "consent (lineage)"),
        (replace(SEEN, query="SELECT email, phone FROM d"), "query_sha256"),
        (replace(SEEN, views={"v": "0"}), "views"),
        (replace(SEEN, found={"email": "special"}), "column EMAIL (found)"),
        (replace(SEEN, rules={"EMAIL": 2}), "column EMAIL (rule_version)"),
    ],
)
def test_what_a_compilation_finds_is_pinned(
    project: Project, store: SqlStore, changed: Compiled, words: str
) -> None:
    """The canonical text of a model, its views, lineage, classes and versions of rules."""
    written = with_model(project, table=None, sql=WRITTEN)
    approve_syncs(written, store, [SYNC], actor="o", now=NOW, compiled_of=lambda _: SEEN)
    other = with_model(project, table=None, sql=WRITTEN + " -- again")
    require_approved(other, store, SYNC, SEEN)
    assert refusal(other, store, changed).message.endswith(f" Changed: {words}.")


@pytest.mark.parametrize("why", ["unreadable", "too deep"])
def test_a_view_that_nobody_can_see_is_told(project: Project, store: SqlStore, why: str) -> None:
    """Before each approval that holds whatever becomes of it; one that is seen is not named."""
    seen = replace(SEEN, views={"crm.w": "0" * 64, "crm.v": why})
    line = f"view crm.v is {why}: what is in it may change without an approval"

    def told(compiled: Compiled) -> list[str]:
        waiting = pending(project, store, [SYNC], compiled_of=lambda _: compiled, now=NOW)
        return [p.change for p in waiting]

    assert told(seen) == ["never approved", line]
    approve_syncs(project, store, [SYNC], actor="o", now=NOW, compiled_of=lambda _: seen)
    assert told(seen) == []
    assert told(replace(seen, rules={"EMAIL": 2})) == ["changed: column EMAIL (rule_version)", line]


def test_a_column_that_is_not_sent_is_not_pinned(project: Project, store: SqlStore) -> None:
    """What does not leave may change without an approval."""
    approve_it(project, store)
    require_approved(with_column(project, "loyalty_no", rule="clear"), store, SYNC, TYPES)


@pytest.mark.parametrize(
    "text",
    ["", '{"sync": "vip_id", "target": "dev", "fingerprint": "0"}\n', None],
    ids=["empty", "another fingerprint", "missing"],
)
def test_a_lock_that_differs_is_refused(
    project: Project, store: SqlStore, text: str | None
) -> None:
    """The store alone does not approve; approving again restores the file."""
    approve_it(project, store)
    file = project.root / LOCK_FILE
    if text is None:
        file.unlink()
    else:
        file.write_text(text, "utf-8")
    assert refusal(project, store).code == "approvals_lock_differs"
    (waiting,) = pending(project, store, [SYNC], compiled_of=types_of, now=NOW)
    assert waiting.change == "approvals.lock differs from the store"
    approve_it(project, store)
    require_approved(project, store, SYNC, TYPES)


def test_a_lock_alone_does_not_approve(project: Project, store: SqlStore, tmp_path: Path) -> None:
    """A file from Git does not stand for the act."""
    approve_it(project, store)
    fresh = SqlStore("sqlite", tmp_path / "fresh")
    fresh.create(workspace_id="shop-2", name="shop", installation_id="i", now=NOW)
    assert refusal(project, fresh).code == "not_approved"


def test_self_approval_is_recorded(project: Project, store: SqlStore) -> None:
    """With the actor and the moment, in what is returned and in the store."""
    (record,) = approve_syncs(
        project, store, [SYNC], actor="operator", now=NOW, compiled_of=types_of
    )
    assert (record.self_approved, record.actor, record.at) == (True, "operator", NOW)
    assert store.approval("vip_id", "dev") == record
    assert read_lock(project.root)["vip_id", "dev"].actor == "operator"


def test_nothing_waits_after_approval(project: Project, store: SqlStore) -> None:
    """Before it each sync waits once, with the fingerprint that will be in the lock file."""
    names = [SYNC, "other"]
    before = pending(project, store, names, compiled_of=types_of, now=NOW)
    assert [(p.sync, p.change) for p in before] == [(n, "never approved") for n in names]
    approve_it(project, store, *names)
    assert pending(project, store, names, compiled_of=types_of, now=NOW) == []
    marks = [p.fingerprint for p in before]
    lock = read_lock(project.root)
    assert [lock["vip_id", "dev"].fingerprint, lock["other_id", "dev"].fingerprint] == marks
    assert before[0].to_dict()["expires_at"] == "2026-03-31T00:00:00+00:00"


def test_nothing_is_recorded_when_one_sync_cannot_be_described(
    project: Project, store: SqlStore
) -> None:
    """A source that is away for the second sync leaves the first unapproved, too."""

    def away(name: str) -> Compiled:
        if name == "other":
            raise TransientError("source_away", "The source does not answer.")
        return TYPES

    with pytest.raises(TransientError):
        approve_syncs(project, store, [SYNC, "other"], actor="o", now=NOW, compiled_of=away)
    assert store.approval("vip_id", "dev") is None
    assert not (project.root / LOCK_FILE).exists()


ANNA, BO = "anna@example.com", "bo@example.com"


def of_people(project: Project, *names: str) -> Project:
    """The project with columns that have people's addresses for names, which are sent as they are
    called.
    """
    columns = {name: ColumnSettings(name=name) for name in names}
    told = with_model(project, columns={**project.models["customers"].columns, **columns})
    return with_sync(told, mapping={"EMAIL": "email", **{name: name for name in names}})


@pytest.mark.parametrize("earlier", [False, True])
def test_a_name_that_is_personal_is_pinned_and_not_kept(
    project: Project, store: SqlStore, earlier: bool
) -> None:
    """The fingerprint is of the name, what is kept has its digest; what an earlier release kept in
    clear holds, too, and nothing that is told of a change has a name in it.
    """
    both = of_people(project, ANNA, BO)
    document = approval_document(both, SYNC, TYPES)
    approve_it(both, store)
    record = store.approval("vip_id", "dev")
    assert record is not None
    assert record.fingerprint == fingerprint(document)
    assert "example.com" not in repr(record.document)
    if earlier:
        store.approve(replace(record, document=document))
    require_approved(both, store, SYNC, TYPES)
    other = of_people(project, BO, "cy@example.com")
    refused = refusal(other, store)
    waits = pending(other, store, [SYNC], compiled_of=types_of, now=NOW)
    assert {p.change for p in waits} == {
        "changed: column (withheld 2) added", "changed: column (withheld 3) removed",
    }  # fmt: skip
    assert "column (withheld 3) removed" in refused.message
    assert "example.com" not in f"{refused.message}{waits}"


def test_every_name_of_an_approval_is_found(project: Project) -> None:
    """Of columns, keys, tables of consent, views and what columns are made of; all else is left."""
    bound = with_consent(of_people(project, ANNA), table=EVENTS)
    compiled = replace(TYPES, views={"v": UNREADABLE}, lineage={ANNA: ["people.anna"]})
    document = approval_document(bound, SYNC, compiled)
    assert renamed(document, str, str) == document
    plain, made = names_in(document)
    assert {ANNA, "email", "EMAIL", "customer_id", "customers", "ads_opt_in"} <= {*plain}
    assert {*EVENTS.columns, EVENTS.matches, EVENTS.name[1]} <= {*plain}
    assert {*made} == {"v", "people.anna", "VARCHAR"}
    assert kept_document(kept_document(document)) == kept_document(document)
