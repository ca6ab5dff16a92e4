"""The destination contract on Salesforce, over HTTP against the sandbox, small and as jobs.

Statuses that Salesforce documents and that are played here: 200, 201, 204, 400, 401, 403, 404, 503
of calls; the five states of a job; ten codes of rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from mayfly.connectors.destinations import salesforce_jobs
from mayfly.connectors.destinations.salesforce import Salesforce
from mayfly.connectors.destinations.salesforce_tokens import Credentials
from mayfly.domain.batch import BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.outcomes import OutcomeCode, Outcomes
from mayfly.ports.destination import DestinationContext, Pending, Progress, Submitted
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.sandbox.server import SandboxServer
from mayfly.testing.destination_contract import DestinationContract, finished
from salesforce_world import (
    KEY,
    Secret,
    batch,
    contacts,
    context,
    made,
    people,
    plan_fault,
    raises,
    requests,
    write,
    written,
)

ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED = range(4)
WRONG = Credentials(consumer_key="app-1", consumer_secret=Secret("wrong"))
UPSERT = f"/services/data/v62.0/composite/sobjects/Contact/{KEY}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    """One sandbox for the module; each test begins with an empty one."""
    with SandboxServer(tokens=frozenset()) as server:
        yield server


@pytest.fixture(autouse=True)
def _empty(sandbox: SandboxServer) -> None:
    sandbox.app.salesforce_vendor.reset()
    sandbox.app.faults.planned.clear()
    sandbox.app.recorder.clear()


@pytest.fixture
def small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two rows a job is made."""
    monkeypatch.setattr("mayfly.connectors.destinations.salesforce.ROWS_MIN", 2)


class TestCollections(DestinationContract):
    """Contacts that are deleted when they leave."""

    adds = Operation.WRITE

    @pytest.fixture(autouse=True)
    def _url(self, sandbox: SandboxServer) -> None:
        self.sandbox = sandbox

    def context(self) -> DestinationContext:
        """Two columns, one of which is the key."""
        return context({KEY: pa.string(), "LastName": pa.string()}, mode=SyncMode.MIRROR)

    def make(self) -> Salesforce:
        """Another connection to the test's organisation."""
        return made(self.sandbox.url, self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    def name_of(self, subject: int) -> str:
        """A key that SOQL has to escape."""
        return f"O'N\\eil {subject}"

    def rows(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form]]:
        """Keys and names."""
        keys = pa.array([self.name_of(n) for n in subjects], pa.string())
        table = pa.table({KEY: keys, "LastName": pa.array(["Zoë" for _ in subjects], pa.string())})
        return table, dict.fromkeys(table.column_names, Form.CLEAR)

    def removal(self, subjects: Sequence[int]) -> tuple[pa.Table, Mapping[str, Form], str | None]:
        """The key alone."""
        table, _ = self.rows(subjects)
        return table.select([KEY]), {KEY: Form.CLEAR}, None

    async def contents(self) -> set[str]:
        """Keys of contacts."""
        return set(contacts(self.sandbox))


def test_the_contract_holds_of_jobs(sandbox: SandboxServer, small_jobs: None) -> None:
    """What is written and taken back, with each batch as a job."""
    for fact in (
        TestCollections.test_rows_written_are_there_with_one_code_each,
        TestCollections.test_batches_may_run_at_once_in_any_order,
        TestCollections.test_a_removal_takes_out_what_it_names_and_nothing_else,
    ):
        sandbox.app.salesforce.reset()
        world = TestCollections()
        world.sandbox = sandbox
        fact(world)
    assert len(requests(sandbox, "/batches")) == 5


# -- values ----------------------------------------------------------------------------------------


def test_every_type_arrives_alike_both_ways(sandbox: SandboxServer, small_jobs: None) -> None:
    """In collections and in files; a null clears what was there, and a comma makes no column."""
    rows: dict[str, pa.Array] = {
        KEY: pa.array([7]),
        "LastName": pa.array(['a,"b"\r\n\tŁódź']),
        "Points__c": pa.array([7.5]),
        "Vip__c": pa.array([True]),
        "Birthdate": pa.array([20000], pa.date32()),
        "Seen__c": pa.array([1_700_000_000_123_456], pa.timestamp("us", "Europe/Paris")),
        "Interests__c": pa.array([["shoes", "hats"]]),
        "Description": pa.array([12], pa.int64()),
        "Account.Number__c": pa.array(["A-1"]),
    }
    account, _ = sandbox.app.salesforce.upsert(
        "Account", "Number__c", {"Number__c": "A-1", "Name": "Acme"}
    )
    expected = {
        KEY: "7",
        "LastName": 'a,"b"\r\n\tŁódź',
        "Points__c": 7.5,
        "Vip__c": True,
        "Birthdate": "2024-10-04",
        "Seen__c": "2023-11-14T22:13:20.123Z",
        "Interests__c": "shoes;hats",
        "Description": "12",
        "AccountId": account.record_id,
    }
    nothing = {k: v if k in (KEY, "LastName") else pa.nulls(1, v.type) for k, v in rows.items()}
    cleared = {
        k: {"Vip__c": False}.get(k) if k not in (KEY, "LastName", "AccountId") else v
        for k, v in expected.items()
    }
    for run in ("run-1", "run-1.again1"):
        for sent, kept in ((rows, expected), (nothing, cleared)):
            # Of one row no job is made.
            two = {k: pa.concat_arrays([v, v]) for k, v in sent.items()} | {KEY: pa.array([7, 8])}
            given = context({k: v.type for k, v in two.items()})
            assert write(made(sandbox.url, given), batch(two, run=run)).not_accepted() == []
            assert contacts(sandbox)["7"] == kept
    assert len(requests(sandbox, "/batches")) == 2


@pytest.mark.parametrize("text", ["#N/A", " #N/A"])
def test_the_text_that_is_a_null_in_files_stays_a_text(
    sandbox: SandboxServer, small_jobs: None, text: str
) -> None:
    """Its batch goes without a file."""
    rows = people(3, Description=pa.array(["x", text, None]))
    assert written(sandbox.url, rows).not_accepted() == []
    assert requests(sandbox, "/batches") == []
    assert contacts(sandbox)["C-1"]["Description"] == "#N/A"


def test_rows_that_cannot_be_sent_are_not(sandbox: SandboxServer, small_jobs: None) -> None:
    """Without a key, with one of an earlier row but for case, with what is no number, and with a
    byte that files do not hold; neither small nor as a job.
    """
    rows = {
        KEY: pa.array(["A", None, "a ", " ", "b", "c", "d" * 256, "d" * 255]),
        "LastName": pa.array(["n"] * 5 + ["x\x00"] + ["n"] * 2),
        "Points__c": pa.array([1.0, 1, 1, 1, float("inf"), 1, 1, 1]),
    }
    wrong = {
        1: "no_key",
        2: "duplicate_key",
        3: "no_key",
        4: "not_a_number",
        5: "null_byte",
        6: "key_too_long",
    }
    given = context({k: v.type for k, v in rows.items()})
    for run in ("run-1", "run-1.again1"):
        outcomes = write(made(sandbox.url, given), batch(rows, run=run))
        assert {n: r.code for n, r in outcomes.reasons.items()} == wrong
        assert set(contacts(sandbox)) == {"A", "d" * 255}
    assert len(requests(sandbox, "/batches")) == 1


def test_keys_that_differ_in_case_are_two_where_the_field_says_so(sandbox: SandboxServer) -> None:
    """As its description has it."""
    rows = {"Code__c": pa.array(["a", "A"]), "LastName": pa.array(["x", "y"])}
    given = context({k: v.type for k, v in rows.items()}, key="Code__c", mode=SyncMode.MIRROR)
    gone = batch({"Code__c": pa.array(["A"])}, Operation.REMOVE)
    assert write(made(sandbox.url, given), batch(rows), gone).not_accepted() == []
    records = sandbox.app.salesforce.objects["Contact"].records.values()
    assert [r.values["Code__c"] for r in records if not r.deleted] == ["a"]


# -- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "asked"), [(200, 1), (201, 2)])
def test_a_collection_holds_two_hundred_rows(sandbox: SandboxServer, rows: int, asked: int) -> None:
    """At the limit one, beyond it two."""
    assert written(sandbox.url, people(rows)).not_accepted() == []
    assert len(requests(sandbox, UPSERT)) == asked


def test_from_two_thousand_rows_on_a_batch_is_a_job(sandbox: SandboxServer) -> None:
    """One below goes in collections; a job and its files are gone afterwards."""
    assert written(sandbox.url, people(1_999)).not_accepted() == []
    assert requests(sandbox, "/jobs/") == []
    assert written(sandbox.url, people(2_000)).not_accepted() == []
    assert len(requests(sandbox, "/batches")) == 1
    assert len(contacts(sandbox)) == 2_000
    jobs = sandbox.app.salesforce_vendor.jobs
    assert (len(jobs.jobs), jobs.deleted) == (0, 1)


def test_a_file_that_would_be_too_large_is_none(
    sandbox: SandboxServer, small_jobs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit it is one; one byte beyond, collections."""
    size = len(salesforce_size(people(3)))
    for most, files in ((size, 1), (size - 1, 1)):
        monkeypatch.setattr("mayfly.connectors.destinations.salesforce.FILE_BYTES_MAX", most)
        assert written(sandbox.url, people(3)).not_accepted() == []
        assert len(requests(sandbox, "/batches")) == files
    assert len(requests(sandbox, UPSERT)) == 1


def salesforce_size(rows: Mapping[str, pa.Array]) -> bytes:
    """The file of some rows."""
    from mayfly.connectors.destinations.salesforce_requests import Records

    records = Records(batch(rows), KEY)
    return records.csv(records.good())


def test_calls_of_a_day_are_left_to_others(sandbox: SandboxServer) -> None:
    """At 95 in a hundred a run waits, and asks anew afterwards."""
    sandbox.app.salesforce.used, sandbox.app.salesforce.most = 950, 1_000

    async def scenario() -> None:
        destination = made(sandbox.url, context({KEY: pa.string(), "LastName": pa.string()}))
        await destination.check()
        with pytest.raises(TransientError) as caught:
            await destination.check()
        assert (caught.value.code, caught.value.retry_after_seconds) == ("rate_limited", 3600.0)
        sandbox.app.salesforce.used = 10
        await destination.check()
        await destination.check()
        await destination.close()

    asyncio.run(scenario())


# -- rows that are refused -------------------------------------------------------------------------


BAD: Sequence[tuple[str, str | None, str]] = (
    ("Email", "marked-person", "INVALID_EMAIL_ADDRESS.Email"),
    ("FirstName", "marked" * 10, "STRING_TOO_LONG.FirstName"),
    ("Interests__c", "marked", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST.Interests__c"),
    ("Birthdate", "marked", "INVALID_TYPE_ON_FIELD_IN_RECORD.Birthdate"),
    ("Account.Number__c", "marked", "INVALID_FIELD"),
    ("LastName", None, "REQUIRED_FIELD_MISSING.LastName"),
)


@pytest.mark.parametrize("as_job", [False, True])
def test_rows_are_refused_by_themselves(
    sandbox: SandboxServer, small_jobs: None, *, as_job: bool
) -> None:
    """With Salesforce's code, which is all that is told of them; the others are there."""
    rows = {name: [None] * 8 for name, _, _ in BAD} | {"LastName": ["Doe"] * 8}
    for number, (name, value, _) in enumerate(BAD):
        rows[name][number + 1] = value
    columns = {KEY: people(8)[KEY]} | {k: pa.array(v, pa.string()) for k, v in rows.items()}
    given = context({k: v.type for k, v in columns.items()})
    run = "run-1" if as_job else "run-1.again1"
    outcomes = write(made(sandbox.url, given), batch(columns, run=run))
    assert outcomes.codes.to_pylist() == [ACCEPTED, *[REJECTED] * len(BAD), ACCEPTED]
    # A file names no field.
    shown = [code.partition(".")[0] if as_job else code for _, _, code in BAD]
    assert [outcomes.reasons[n + 1].vendor_code for n in range(len(BAD))] == shown
    assert {r.code for r in outcomes.reasons.values()} == {"row_refused"}
    assert set(contacts(sandbox)) == {"C-0", "C-7"}
    assert bool(requests(sandbox, "/batches")) == as_job


def test_a_refused_request_is_halved_to_its_row(sandbox: SandboxServer) -> None:
    """Where Salesforce refuses all for one; of a request that is refused in every part none is."""
    columns = {KEY: pa.string(), "LastName": pa.string()}
    plan_fault(sandbox, UPSERT, "100", 4)
    outcomes = write(made(sandbox.url, context(columns)), batch(people(8)))
    assert outcomes.codes.to_pylist() == [REJECTED] + [ACCEPTED] * 7
    assert outcomes.reasons[0].vendor_code == "salesforce_json_parser_error"
    plan_fault(sandbox, UPSERT, "100", 1_000)
    error = raises(made(sandbox.url, context(columns)), batch(people(100)))
    assert (type(error), error.code) == (ContractError, "salesforce_json_parser_error")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("503", "destination_busy"),
        ("429", "rate_limited"),
        ("reset", "destination_unreachable"),
        ("garbage", "garbage_answer"),
        ("redirect", "redirected"),
    ],
)
def test_faults_change_nothing(sandbox: SandboxServer, kind: str, code: str) -> None:
    """Each is told by its code; what was answered before is not sent again."""

    async def scenario() -> None:
        destination = made(sandbox.url, context({KEY: pa.string(), "LastName": pa.string()}))
        one, progress = batch(people(300)), Progress(rows=300)
        await destination.check()
        plan_fault(sandbox, UPSERT, kind)
        with pytest.raises(EngineError) as caught:
            await destination.write(one, progress)
        assert caught.value.code == code
        assert contacts(sandbox) == {}
        await destination.write(one, progress)
        assert progress.next_row == 300
        await destination.close()

    asyncio.run(scenario())
    assert len(contacts(sandbox)) == 300


# -- jobs ------------------------------------------------------------------------------------------


async def begun(
    sandbox: SandboxServer, rows: Mapping[str, pa.Array]
) -> tuple[Salesforce, Submitted]:
    """A job, and the connector that began it."""
    given = context({name: column.type for name, column in rows.items()})
    destination = made(sandbox.url, given)
    answer = await destination.write(batch(rows), Progress(rows=len(rows[KEY])))
    assert isinstance(answer, Submitted)
    return destination, answer


def followed(sandbox: SandboxServer, rows: Mapping[str, pa.Array], *, elsewhere: bool) -> Outcomes:
    """The end of a job, asked for by the connector that began it, or by another."""

    async def scenario() -> Outcomes:
        first, answer = await begun(sandbox, rows)
        second = made(sandbox.url, context({KEY: pa.string(), "LastName": pa.string()}))
        try:
            return await finished(second if elsewhere else first, answer)
        finally:
            await first.close()
            await second.close()

    return asyncio.run(scenario())


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_job_is_waited_for(sandbox: SandboxServer, small_jobs: None, *, elsewhere: bool) -> None:
    """Also by another process, which knows of it what the plan keeps."""
    sandbox.app.salesforce_vendor.jobs.polls = 3
    outcomes = followed(sandbox, people(3), elsewhere=elsewhere)
    assert outcomes.codes.to_pylist() == [ACCEPTED] * 3
    assert sandbox.app.salesforce_vendor.jobs.deleted == 1


def test_a_job_is_asked_for_ever_more_seldom(sandbox: SandboxServer, small_jobs: None) -> None:
    """From a second to half a minute."""
    sandbox.app.salesforce_vendor.jobs.polls = 7

    async def scenario() -> list[float]:
        destination, answer = await begun(sandbox, people(2))
        waits = []
        while isinstance(found := await destination.poll(answer.job), Pending):
            waits.append(found.retry_after_seconds)
        await destination.close()
        return waits

    assert asyncio.run(scenario()) == [1, 2, 4, 8, 16, 30, 30]


def test_a_job_of_an_earlier_process_that_ended_in_two_ways_is_sent_again(
    sandbox: SandboxServer, small_jobs: None
) -> None:
    """Which of its rows is which is not known; where all are refused alike, it is."""
    good, bad = "Doe", None
    for names, code in (([good, bad], "rows_not_known"), ([bad, bad], "row_refused")):
        rows = people(2) | {"LastName": pa.array(names, pa.string())}
        outcomes = followed(sandbox, rows, elsewhere=True)
        assert {r.code for r in outcomes.reasons.values()} == {code}
        assert len(outcomes.reasons) == 2
        here = followed(sandbox, rows, elsewhere=False)
        assert here.codes.to_pylist() == [ACCEPTED if n else REJECTED for n in names]


def test_what_a_stopped_job_left_is_sent_again(sandbox: SandboxServer, small_jobs: None) -> None:
    """What it did is not; each by the file that it stands in."""
    sandbox.app.salesforce_vendor.jobs.stops_after = 2
    rows = people(4) | {"LastName": pa.array([None, "b", "c", "d"])}
    outcomes = followed(sandbox, rows, elsewhere=False)
    assert outcomes.codes.to_pylist() == [REJECTED, ACCEPTED, DEFERRED, DEFERRED]
    assert outcomes.reasons[2].code == "row_not_processed"
    assert outcomes.reasons[2].vendor_code == "Failed.TOOMANYLOCKFAILURE"


def test_a_row_that_stands_in_no_file_was_not_answered(
    sandbox: SandboxServer, small_jobs: None
) -> None:
    """A job that is complete is no proof of a row."""
    sandbox.app.salesforce_vendor.jobs.forgets = 1
    for elsewhere, codes in ((False, [0, 0, DEFERRED]), (True, [DEFERRED] * 3)):
        outcomes = followed(sandbox, people(3), elsewhere=elsewhere)
        assert outcomes.codes.to_pylist() == codes


def test_a_job_that_is_gone_is_sent_again(sandbox: SandboxServer, small_jobs: None) -> None:
    """Somebody has deleted it, or seven days are over."""

    async def scenario() -> Outcomes:
        destination, answer = await begun(sandbox, people(2))
        sandbox.app.salesforce_vendor.jobs.jobs.clear()
        try:
            return await finished(destination, answer)
        finally:
            await destination.close()

    outcomes = asyncio.run(scenario())
    assert {r.code for r in outcomes.reasons.values()} == {"job_lost"}


def test_a_job_that_cannot_be_deleted_is_told(sandbox: SandboxServer, small_jobs: None) -> None:
    """Its files hold people; the next run reads it again."""

    async def scenario() -> None:
        jobs = sandbox.app.salesforce_vendor.jobs
        jobs.may_delete_jobs = False
        destination, answer = await begun(sandbox, people(2))
        with pytest.raises(ConfigError) as caught:
            await destination.poll(answer.job)
        assert caught.value.code == "job_not_deleted"
        jobs.may_delete_jobs = True
        assert (await finished(destination, answer)).not_accepted() == []
        await destination.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["503", "reset", "accept_then_hang"])
def test_an_upload_that_fails_leaves_nothing(
    sandbox: SandboxServer, small_jobs: None, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The job is aborted and deleted, and the batch sent anew."""
    monkeypatch.setattr("mayfly.connectors.destinations.salesforce_api.FILE_SECONDS", 0.3)
    plan_fault(sandbox, "*/batches", kind)
    columns = {KEY: pa.string(), "LastName": pa.string()}
    error = raises(made(sandbox.url, context(columns)), batch(people(2)))
    assert isinstance(error, TransientError)
    jobs = sandbox.app.salesforce_vendor.jobs
    assert (jobs.jobs, jobs.deleted, contacts(sandbox)) == ({}, 1, {})


def test_a_beginning_that_was_not_heard_is_said_again(
    sandbox: SandboxServer, small_jobs: None
) -> None:
    """The job is kept, and begun by whoever asks for it."""

    async def scenario() -> Outcomes:
        destination = made(sandbox.url, context({KEY: pa.string(), "LastName": pa.string()}))
        await destination.check()
        # The third call of the job: after making it and its file.
        real = sandbox.app.salesforce_vendor.jobs.upload

        def uploaded(job: str, content: bytes) -> None:
            real(job, content)
            plan_fault(sandbox, "/services/data/v62.0/jobs/ingest/750", "503")

        sandbox.app.salesforce_vendor.jobs.upload = uploaded  # type: ignore[method-assign]
        try:
            one = batch(people(2))
            answer = await destination.write(one, Progress(rows=2))
            [job] = sandbox.app.salesforce_vendor.jobs.jobs.values()
            assert job.state == "Open"
            return await finished(destination, answer)
        finally:
            sandbox.app.salesforce_vendor.jobs.upload = real  # type: ignore[method-assign]
            await destination.close()

    assert asyncio.run(scenario()).not_accepted() == []


def test_a_reference_of_another_kind_is_refused(sandbox: SandboxServer) -> None:
    """It is none of ours."""
    from mayfly.ports.destination import JobRef

    async def scenario() -> None:
        destination = made(sandbox.url, context({KEY: pa.string()}))
        for text in ("x", "upsert/Id", "insert/Id/750000000000001AAA", "upsert//x"):
            with pytest.raises(ContractError):
                await destination.poll(JobRef(batch=0, rows=1, reference=text))
        await destination.close()

    asyncio.run(scenario())


# -- before a row goes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "settings", "code", "said"),
    [
        ({"Lastname": pa.string()}, {}, "unknown_field", "LastName for Lastname"),
        ({"Acount.Number__c": pa.string()}, {}, "unknown_field", "Account"),
        ({"CreatedDate": pa.string()}, {}, "read_only_field", "right to edit"),
        ({}, {"object_name": "Tickle"}, "not_found", "`table`"),
        (
            {},
            {"credentials": Credentials(consumer_key="app-1", consumer_secret=Secret("x"))},
            "reauthorise",
            "integration user",
        ),
        ({}, {"object_name": "Account"}, "unknown_field", ""),
    ],
)
def test_what_cannot_work_is_told_before_a_row_goes(
    sandbox: SandboxServer,
    columns: dict[str, pa.DataType],
    settings: dict[str, Any],
    code: str,
    said: str,
) -> None:
    """By `check`, and by the first writing, with what to do."""
    sandbox.app.salesforce_vendor.secrets = {"app-1": "s3cret"}
    given = context({KEY: pa.string(), **columns})
    error = raises(made(sandbox.url, given, **settings))
    assert error.code == code
    assert said in error.hint
    rows = {KEY: pa.array(["1"])} | {n: pa.array(["x"]) for n in columns}
    assert raises(made(sandbox.url, given, **settings), batch(rows)).code == code
    assert [r for r in requests(sandbox) if r["method"] == "PATCH"] == []


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("Email", "key_not_unique"),
        ("Loose__c", "key_not_unique"),
        ("Rank__c", "key_not_text"),
        ("LastName", "key_not_unique"),
    ],
)
def test_a_key_that_names_no_record_is_refused(sandbox: SandboxServer, key: str, code: str) -> None:
    """An address is not unique at Salesforce."""
    assert raises(made(sandbox.url, context({key: pa.string()}, key=key))).code == code


def test_the_organisation_tells_what_can_be_mapped(sandbox: SandboxServer) -> None:
    """Its fields but those that nobody may write, and which a new record needs."""

    async def scenario() -> dict[str, bool]:
        destination = made(sandbox.url, context({KEY: pa.string()}))
        found = {f.name: f.is_required for f in await destination.fields()}
        await destination.close()
        return found

    found = asyncio.run(scenario())
    assert {"LastName", "Email", KEY} < set(found)
    assert not {"CreatedDate", "Id"} & set(found)
    assert {name for name, needed in found.items() if needed} == {KEY, "LastName"}


def test_a_session_that_ends_is_begun_anew(sandbox: SandboxServer) -> None:
    """Once a call; a run does not notice."""

    async def scenario() -> None:
        destination = made(sandbox.url, context({KEY: pa.string(), "LastName": pa.string()}))
        await destination.check()
        sandbox.app.salesforce_vendor.given.clear()
        one = batch(people(2))
        await destination.write(one, Progress(rows=2))
        plan_fault(sandbox, UPSERT, "401", 2)
        with pytest.raises(ConfigError) as caught:
            await destination.write(one, Progress(rows=2))
        assert caught.value.code == "reauthorise"
        await destination.close()

    asyncio.run(scenario())
    assert len(contacts(sandbox)) == 2
    assert len(requests(sandbox, "oauth2")) == 3


def test_a_token_for_another_address_is_refused(sandbox: SandboxServer) -> None:
    """Rows go to the configured organisation or nowhere."""
    sandbox.app.salesforce_vendor.instance = "https://evil.my.salesforce.com"
    error = raises(made(sandbox.url, context({KEY: pa.string()})))
    assert error.code == "wrong_instance"
    assert "evil" not in str(error) + error.hint
    assert len(requests(sandbox)) == 1


def test_an_organisation_made_anew_is_another(sandbox: SandboxServer) -> None:
    """As after a sandbox's refresh."""

    async def located() -> str | None:
        destination = made(sandbox.url, context({KEY: pa.string()}))
        found = await destination.locate(None)
        await destination.close()
        return found

    first = asyncio.run(located())
    sandbox.app.salesforce.organisation = "00D000000000002AAA"
    assert (first, asyncio.run(located())) == ("00D000000000001AAA", "00D000000000002AAA")


# -- going away ------------------------------------------------------------------------------------


def test_a_removal_that_salesforce_refuses_is_told(sandbox: SandboxServer) -> None:
    """What is locked is tried again; who is not there is gone."""
    given = context({KEY: pa.string(), "LastName": pa.string()}, mode=SyncMode.MIRROR)
    write(made(sandbox.url, given), batch(people(3)))
    records = sandbox.app.salesforce.objects["Contact"]
    real = records.delete

    def delete(record: Any) -> None:
        from mayfly.sandbox.salesforce_records import RowError

        if record.values[KEY] == "C-1":
            raise RowError("UNABLE_TO_LOCK_ROW", "marked")
        real(record)

    records.delete = delete  # type: ignore[method-assign]
    try:
        gone = batch({KEY: pa.array(["c-0", "C-1", "nobody", None])}, Operation.REMOVE)
        outcomes = write(made(sandbox.url, given), gone)
    finally:
        records.delete = real  # type: ignore[method-assign]
    assert outcomes.codes.to_pylist() == [ACCEPTED, DEFERRED, ACCEPTED, ACCEPTED]
    assert outcomes.reasons[1].vendor_code == "UNABLE_TO_LOCK_ROW"
    assert set(contacts(sandbox)) == {"C-1", "C-2"}


def test_nobody_stands_in_an_address(sandbox: SandboxServer, small_jobs: None) -> None:
    """Neither keys nor ids of records, whatever is done."""
    given = context({KEY: pa.string(), "LastName": pa.string()}, mode=SyncMode.MIRROR)

    async def scenario() -> None:
        destination = made(sandbox.url, given)
        for one in (
            batch(people(3)),
            batch(people(3), run="run-1.0-3"),
            batch({KEY: pa.array(["C-0"])}, Operation.REMOVE),
        ):
            await finished(destination, await destination.write(one, Progress(rows=len(one))))
        gone = batch({KEY: pa.array(["C-1"])}, Operation.REMOVE)
        await finished(destination, await destination.erase(gone))
        await destination.close()

    asyncio.run(scenario())
    assert set(contacts(sandbox)) == {"C-2"}
    asked = [f"{r['path']}?{r['query']}" for r in requests(sandbox)]
    assert not [text for text in asked if "C-" in text or "003" in text]


def test_erasure_is_of_every_record_and_of_the_recycle_bin(sandbox: SandboxServer) -> None:
    """By an address that two have; who is in the bin already is told by Salesforce's code."""
    same = pa.array(["a@example.com", "A@example.com", "b@example.com", "c@example.com"])
    given = context({KEY: pa.string(), "LastName": pa.string(), "Email": pa.string()})
    write(made(sandbox.url, given), batch(people(4, Email=same)))
    sandbox.app.salesforce.objects["Contact"].delete(
        next(
            r
            for r in sandbox.app.salesforce.objects["Contact"].records.values()
            if r.values[KEY] == "C-2"
        )
    )

    async def scenario(*addresses: str) -> Outcomes:
        destination = made(sandbox.url, given)
        asked = batch({"Email": pa.array(addresses)}, Operation.REMOVE)
        try:
            return await finished(destination, await destination.erase(asked))
        finally:
            await destination.close()

    outcomes = asyncio.run(scenario("a@example.com", "nobody@example.com", "b@example.com"))
    assert outcomes.codes.to_pylist() == [ACCEPTED, ACCEPTED, REJECTED]
    assert outcomes.reasons[2].vendor_code == "ENTITY_IS_DELETED"
    left = sandbox.app.salesforce.objects["Contact"].records.values()
    assert {r.values[KEY] for r in left} == {"C-2", "C-3"}
    assert asyncio.run(scenario("x@example.com")).not_accepted() == []
    sandbox.app.salesforce_vendor.jobs.may_erase = False
    with pytest.raises(ConfigError) as caught:
        asyncio.run(scenario("c@example.com"))
    assert caught.value.code == "not_enabled"


@pytest.mark.parametrize("locked", [False, True])
def test_another_process_hears_of_an_erasure(sandbox: SandboxServer, *, locked: bool) -> None:
    """Where all that was found is gone, everybody is; where not, nobody is sure."""
    same = pa.array(["a@example.com", "a@example.com", "b@example.com"])
    given = context({KEY: pa.string(), "LastName": pa.string(), "Email": pa.string()})
    write(made(sandbox.url, given), batch(people(3, Email=same)))
    found = sandbox.app.salesforce.objects["Contact"]
    if locked:
        found.delete(next(iter(found.records.values())))

    async def scenario() -> Outcomes:
        first, second = made(sandbox.url, given), made(sandbox.url, given)
        asked = batch({"Email": pa.array(["a@example.com", "nobody@example.com"])})
        answer = await first.erase(asked)
        await first.close()
        try:
            return await finished(second, answer)
        finally:
            await second.close()

    outcomes = asyncio.run(scenario())
    assert outcomes.codes.to_pylist() == [DEFERRED if locked else ACCEPTED] * 2
    assert {r.code for r in outcomes.reasons.values()} == ({"rows_not_known"} if locked else set())


def test_erasure_is_by_one_identifier_that_can_be_asked_for(sandbox: SandboxServer) -> None:
    """Anything else is refused, not half done."""

    async def scenario(rows: Mapping[str, pa.Array]) -> str:
        destination = made(sandbox.url, context({KEY: pa.string()}))
        try:
            with pytest.raises(EngineError) as caught:
                await destination.erase(batch(rows, Operation.REMOVE))
            return caught.value.code
        finally:
            await destination.close()

    one = pa.array(["x"])
    assert asyncio.run(scenario({KEY: one, "LastName": one})) == "one_identifier"
    assert asyncio.run(scenario({"Description": one})) == "not_filterable"
    assert asyncio.run(scenario({"Nothing": one})) == "unknown_field"


@pytest.mark.slow
def test_a_hundred_thousand_rows(sandbox: SandboxServer) -> None:
    """In ten jobs; each row is there, and no job is left."""
    columns = {KEY: pa.string(), "LastName": pa.string()}
    whole = pa.table(people(100_000))
    parts = [
        batch({name: whole.column(name).combine_chunks().slice(n, 10_000) for name in columns})
        for n in range(0, 100_000, 10_000)
    ]
    assert write(made(sandbox.url, context(columns)), *parts).not_accepted() == []
    assert len(contacts(sandbox)) == 100_000
    assert sandbox.app.salesforce_vendor.jobs.jobs == {}


def test_codes_are_those_of_outcomes() -> None:
    """The numbers above, and the file that Salesforce takes."""
    assert [int(code) for code in OutcomeCode][:4] == [ACCEPTED, UNCONFIRMED, REJECTED, DEFERRED]
    assert salesforce_jobs.FILE_BYTES_MAX * 4 / 3 < 150_000_000
