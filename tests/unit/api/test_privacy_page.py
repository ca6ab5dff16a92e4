"""The public page: each sentence is there while its mechanism works, and goes with it."""

from __future__ import annotations

import ctypes
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import create_engine, text

from mayfly.adapters import egress
from mayfly.adapters.processes import close_leaks
from mayfly.api import load
from mayfly.api.reporting import facts_of
from mayfly.bootstrap import initialise
from mayfly.domain.erasures import ErasureRequest, Regulation, RequestKind
from mayfly.domain.errors import ConfigError
from mayfly.ledger.entry import EntryType
from mayfly.privacy.closed_logs import close_logs
from mayfly.services.privacy_sentences import SENTENCES
from mayfly.services.report_retention import Period
from mayfly.services.residency_report import Place, residency_rows

FORBIDDEN = (
    *("fully compliant", "ensures compliance", "anonymous", "impossible", "guaranteed"),
    *("certified", "never stored"),
)
PROJECT = """version: 1
workspace:
  name: shop
  plan: enterprise
  residency: {provider: own, geography: eu, transfers: {US: {mechanism: dpf}}}
organisation: {name: "<script>x</script> SARL", contact: https://host.example, dpo: "dpo, Paris"}
anchors: {audit: {type: folder, path: AUDIT}}
targets: {dev: {}}
sources:
  shop: {type: duckdb, path: shop.duckdb}
models:
  customers:
    source: shop
    table: customers
    primary_key: [id]
    columns: {id: {}, email: {class: email}, note: {class: none, values: [a, b]}}
    policy: block_all
    consent:
      ads: {column: ok, equals: true, lawful_basis: consent}
destinations:
  meta:
    type: meta_ads
    account_id: "1234567890"
    access_token: env:META_TOKEN
    responsibility: {decides: Shop SAS}
syncs:
  vip:
    id: vip
    model: customers
    destination: meta
    mode: audience
    audience: VIP
    purpose: ads
    on_outage: hold
    mapping: {EMAIL: email}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is approved, with an anchor that has the whole ledger."""
    root = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAYFLY_KEYS_DIR", str(root / "keys"))
        folder = root / "project"
        folder.mkdir()
        (root / "audit").mkdir()
        write(folder)
        with duckdb.connect(str(folder / "shop.duckdb")) as con:
            con.execute("CREATE TABLE customers (id INT, email VARCHAR, note VARCHAR, ok BOOLEAN)")
        initialise(folder)
        project = load(folder)
        project.approve(actor="ops")
        project.make_report("record", root / "out")
        return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, as it was made, with its keys."""
    monkeypatch.setenv("MAYFLY_KEYS_DIR", str(made.parent / "keys"))
    kept = {f: f.read_bytes() for f in (made / ".mayfly").rglob("*") if f.is_file()}
    yield made
    write(made)
    for file, data in kept.items():
        file.write_bytes(data)


def write(folder: Path, *changes: tuple[str, str]) -> None:
    """The project files, with some texts changed."""
    found = PROJECT.replace("AUDIT", str(folder.parent / "audit"))
    for old, new in changes:
        assert old in found, old
        found = found.replace(old, new)
    (folder / "mayfly.yml").write_text(found, encoding="utf-8")


def said(
    folder: Path,
    *,
    days: int = 0,
    after: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> set[str]:
    """Ids of the sentences that a page of the project has, as it stands in the file."""
    file = folder.parent / "privacy.html"
    project = load(folder)
    now = project.app.clock.now
    with pytest.MonkeyPatch.context() as patch, after():
        patch.setattr(project.app.clock, "now", lambda: now() + timedelta(days=days))
        document = project.privacy_page(file)
    html = file.read_text(encoding="utf-8")
    found = set(re.findall(r'id="says-([a-z_]+)"', html))
    assert found == {s["id"] for s in document["says"]}
    assert found.isdisjoint(document["left_out"])
    return found


@dataclass(frozen=True, kw_only=True)
class Switch:
    """How a mechanism is on, and what switches it off.

    Args:
        on, off: changes of the project files.
        act: done to the project before it is loaded.
        after: done once it is loaded, and taken back.
        days: that pass before the page is made.
    """

    on: tuple[tuple[str, str], ...] = ()
    off: tuple[tuple[str, str], ...] | None = None
    act: Callable[[Path], object] | None = None
    after: Callable[[], AbstractContextManager[None]] = nullcontext
    days: int = 0


@contextmanager
def log_opened() -> Iterator[None]:
    """A library's log is open again, as after a change of another part."""
    logging.getLogger("httpx").propagate = True
    yield
    close_logs("httpx")


@contextmanager
def dumps_written() -> Iterator[None]:
    """The system may dump this process again."""
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
    yield
    close_leaks()


@contextmanager
def every_host_allowed() -> Iterator[None]:
    """The list of hosts refuses nobody."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(egress._Egress, "named", lambda _, host: bool(host))
        yield


def began(type_: EntryType, **fields: Any) -> Callable[[Path], None]:
    """Something is on record as begun, and not as ended."""

    def act(folder: Path) -> None:
        app = load(folder).app
        entry = app.workspace_entry(type_, sync="vip", run="r", target="dev", **fields)
        app.ledger.append([entry])

    return act


def request(folder: Path) -> None:
    """A request for a person is open."""
    load(folder).app.store.add_erasure(
        ErasureRequest(
            request="r1",
            target="dev",
            kind=RequestKind.ERASURE,
            regulation=Regulation.GDPR,
            received_at=datetime.now(UTC),
            due_at=datetime.now(UTC) + timedelta(days=30),
        ),
        [bytes(32)],
    )


def stale_list(folder: Path) -> None:
    """The store's suppression list lacks somebody whom the ledger has."""
    load(folder).suppress("add", [b'{"kind": "email", "value": "a@example.com"}\n'])
    engine = create_engine(f"sqlite:///{folder}/.mayfly/store.sqlite")
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM suppressions"))
        connection.execute(
            text("UPDATE suppression_list SET version = 0, recorded = 0, recorded_version = 0")
        )
    engine.dispose()


HELD = began(EntryType.HELD, batch=0, rows=1, reason="destination_outage")
FILES = """
  out: {type: files, path: out, format: csv, kind: external}
syncs:
  out:
    id: out
    model: customers
    destination: out
    mode: append
    purpose: ads
    mapping: {note: note}
"""
INTERNAL = (
    (
        '    type: meta_ads\n    account_id: "1234567890"\n    access_token: env:META_TOKEN\n',
        "    type: duckdb\n    path: own.duckdb\n    kind: internal\n    owner: A\n    reason: b\n",
    ),
    ("mode: audience\n    audience: VIP\n", "mode: mirror\n    table: p\n    key: [EMAIL]\n"),
    ("mapping: {EMAIL: email}", "mapping: {EMAIL: id}"),
)
PROCESSOR = """processors:
  cloud:
    legal_name: Cloud Ltd
    address: Dublin, Ireland
    contact: https://cloud.example
    purpose: Hosting
    data_categories: [user.contact.email]
    locations: [IE]
    status: active
    announced: 2026-01-01
    effective: 2026-02-01
    dpa: {reference: DPA-1, version: "1", signed: 2026-01-15}
    security: {report: SOC 2, date: 2026-01-01, next_due: 2027-06-01}
targets:"""
PEOPLE = """name: shop
  approvals: two_people
  people:
    ana: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"]
    ben: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"]
"""
SWITCHES: dict[str, Switch] = {
    "rows_end": Switch(act=HELD, days=31),
    "copies_end": Switch(act=began(EntryType.CREATED), days=31),
    "nothing_overdue": Switch(act=began(EntryType.CREATED), days=2),
    "waits_sealed": Switch(off=(("on_outage: hold", "on_outage: replan"),)),
    "waits_in_warehouse": Switch(on=(("on_outage: hold", "on_outage: replan"),), off=()),
    "requests_in_time": Switch(act=request, days=31),
    "recipients_can_erase": Switch(off=(("syncs:\n", FILES[1:]),)),
    "transfers": Switch(off=(("mechanism: dpf", "mechanism: adequacy"),)),
    "no_transfers": Switch(on=INTERNAL, off=()),
    "registered": Switch(on=(("targets:", PROCESSOR),), off=()),
    "answers": Switch(off=(("{decides: Shop SAS}", "{consent_source: banner}"),)),
    "consent": Switch(off=(("equals: true,", "equals: true, constant: members,"),)),
    "hashed": Switch(off=(("syncs:\n", FILES[1:]),)),
    "block_all": Switch(off=(*INTERNAL, ("policy: block_all", "policy: allow_columns"))),
    "approved": Switch(off=(("audience: VIP", "audience: Others"),)),
    "two_people": Switch(on=(("name: shop\n", PEOPLE),), off=()),
    "suppression": Switch(act=stale_list),
    "epoch": Switch(on=(("targets:", "keys: {provider: local, epoch_days: 7}\ntargets:"),), off=()),
    "anchored": Switch(act=began(EntryType.STATE_DROPPED)),
    "egress": Switch(after=every_host_allowed),
    "logs": Switch(after=log_opened),
    "dumps": Switch(after=dumps_written),
}


def test_every_sentence_has_its_switch() -> None:
    """But for those whose facts the tests below make: keys are bound to module and region."""
    assert {s.id for s in SENTENCES} == {*SWITCHES, "hsm", "region", "geography"}


@pytest.mark.each
@pytest.mark.slow
@pytest.mark.parametrize("sentence", SWITCHES)
def test_a_sentence_goes_with_its_mechanism(folder: Path, sentence: str) -> None:
    """It is on the page while the mechanism works, and off it once that is switched off."""
    switch = SWITCHES[sentence]
    write(folder, *switch.on)
    assert sentence in said(folder)
    write(folder, *(switch.on if switch.off is None else switch.off))
    if switch.act is not None:
        switch.act(folder)
    assert sentence not in said(folder, days=switch.days, after=switch.after)


def test_a_module_of_hardware_is_named_by_its_providers_word(folder: Path) -> None:
    """Only where the provider attests it: software keys and silence say nothing."""
    facts = facts_of(load(folder).app, Period())
    [sentence] = [s for s in SENTENCES if s.id == "hsm"]
    told = {
        word: sentence.holds(replace(facts, keys={"provider": "pkcs11", "protection": word}))
        for word in ("hsm", "software", "unknown")
    }
    assert told == {"hsm": True, "software": False, "unknown": False}


def test_a_place_is_said_while_everything_is_there(folder: Path) -> None:
    """The region where one is chosen, else the geography; not where a part is found elsewhere."""
    facts = facts_of(load(folder).app, Period())

    def placed(region: str | None, *found: str) -> set[str]:
        workspace = replace(facts.project.workspace, region=region, provider="gcp")
        parts = zip(("worker", "keys"), found, strict=True)
        rows = residency_rows(
            workspace,
            [Place(part=part, observed=at, by="metadata") for part, at in parts],  # type: ignore[arg-type]
        )
        project = replace(facts.project, workspace=workspace)
        there = replace(facts, project=project, places=rows)
        return {s.id for s in SENTENCES if s.part == "residency" and s.holds(there)}

    assert "region" in placed("europe-west1", "europe-west1", "europe-west1")
    assert "region" not in placed("europe-west1", "europe-west1", "europe-west2")
    assert "region" not in placed("europe-west1", "europe-west1", "")
    assert "geography" in placed(None, "europe-west1", "europe-west1")
    assert "geography" not in placed(None, "us-east1", "us-east1")


@pytest.mark.parametrize("key", ["contact", "dpo", "all"])
def test_nobody_is_told_to_ask_nobody(folder: Path, key: str) -> None:
    """Without contact and data protection officer there is no page: it says what to write where,
    and the page of before stays.
    """
    file = folder.parent / "kept.html"
    load(folder).privacy_page(file)
    before = file.read_bytes()
    line = next(x for x in PROJECT.splitlines(keepends=True) if x.startswith("organisation:"))
    change = (line, "")
    if key == "dpo":
        change = (', dpo: "dpo, Paris"', "")
    if key == "contact":
        change = ("contact: https://host.example, ", "")
    write(folder, change)
    with pytest.raises(ConfigError) as refused:
        load(folder).privacy_page(file)
    assert refused.value.code == "privacy_page_incomplete"
    assert ("contact" if key == "all" else key) in str(refused.value)
    assert "organisation: {" in refused.value.hint
    assert refused.value.exit_code == 1
    assert file.read_bytes() == before


def test_the_page_says_what_holds_and_who_answers(folder: Path) -> None:
    """Tables, contact, officer and date; names are escaped; none of the words that promise."""
    found = said(folder)
    html = (folder.parent / "privacy.html").read_text(encoding="utf-8")
    assert found >= {"rows_end", "consent", "hashed", "anchored", "egress", "logs", "dumps"}
    assert "<script" not in html
    assert "&lt;script&gt;x&lt;/script&gt; SARL" in html
    for wanted in ("Meta Platforms", "Shop SAS", "dpo, Paris", "https://host.example", "30 d"):
        assert wanted in html
    assert f'datetime="{datetime.now(UTC):%Y-%m-%d}"' in html
    plain = html.lower()
    assert not [word for word in FORBIDDEN if word in plain]
