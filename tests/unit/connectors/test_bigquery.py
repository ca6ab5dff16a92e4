"""What the BigQuery source says and refuses, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google.api_core.exceptions as api
import google.auth.exceptions as auth
import pytest
import requests

from mayfly.connectors.google_keys import service_account_key
from mayfly.connectors.sources.bigquery import SPEC, BigquerySource
from mayfly.connectors.sources.bigquery_connect import hosts
from mayfly.connectors.sources.bigquery_errors import translated
from mayfly.connectors.sources.bigquery_session import BigquerySession
from mayfly.connectors.sources.bigquery_statements import labels, statement
from mayfly.domain.errors import ConfigError, ContractError, EngineError, TransientError
from mayfly.domain.settings import SecretRef, SourceSettings
from mayfly.planning.model_reads import TableRead
from mayfly.ports.source_spec import GrantRequest, SourceRequest

SECRET = "marked-7f3a"
MEMBER = "serviceAccount:mayfly@acme-data.iam.gserviceaccount.com"
KEY = {"type": "service_account", "client_email": MEMBER.partition(":")[2], "private_key": "k"}


class _Secret:
    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text."""
        return self._text


def _request(**options: object) -> SourceRequest:
    settings = SourceSettings(
        name="shop",
        type="bigquery",
        options={"project": "acme-data", "dataset": "shop", **options},
    )
    key = _Secret(json.dumps(KEY))
    return SourceRequest(settings=settings, root=Path("/"), resolve=lambda _: key)


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (api.BadRequest(f"Unrecognized name: {SECRET} at [1:8]"), ConfigError, "column_missing"),
        (api.BadRequest(f"Syntax error: Unexpected {SECRET}"), ConfigError, "query_syntax"),
        (api.BadRequest(f"Function not found: {SECRET}"), ConfigError, "function_missing"),
        (api.BadRequest(f"Bad int64 value: {SECRET}"), ConfigError, "value_conversion"),
        (api.BadRequest("Column name a is ambiguous"), ConfigError, "column_ambiguous"),
        (api.BadRequest(SECRET), ConfigError, "query_invalid"),
        (api.NotFound(f"Not found: Table x.{SECRET}"), ConfigError, "table_missing"),
        (api.Conflict(f"Already Exists: Table {SECRET}"), ConfigError, "table_exists"),
        (
            api.BadRequest("Transaction is aborted due to concurrent update against table x"),
            TransientError,
            "transaction_conflict",
        ),
        (
            api.BadRequest("Could not serialize access to table x due to concurrent update"),
            TransientError,
            "transaction_conflict",
        ),
        (api.BadRequest("Session x has expired"), TransientError, "connection_lost"),
        (api.Unauthorized(SECRET), ConfigError, "source_refused"),
        (api.TooManyRequests(SECRET), TransientError, "source_busy"),
        (api.ServiceUnavailable(SECRET), TransientError, "source_busy"),
        (
            api.Forbidden("x", errors=[{"reason": "rateLimitExceeded"}]),
            TransientError,
            "source_busy",
        ),
        (api.PreconditionFailed(SECRET), ContractError, "query_failed"),
        (api.RetryError(SECRET, None), TransientError, "source_away"),
        (requests.ConnectionError(SECRET), TransientError, "source_away"),
        (requests.TooManyRedirects(SECRET), TransientError, "source_away"),
        (auth.TransportError(SECRET), TransientError, "source_away"),
        (auth.RefreshError(SECRET, retryable=True), TransientError, "source_away"),
        (auth.RefreshError(SECRET), ConfigError, "source_refused"),
    ],
)
def test_each_answer_has_its_code_and_no_value(
    raised: Exception, kind: type[EngineError], code: str
) -> None:
    """The service's own text stays out."""
    with pytest.raises(kind, match=code) as caught, translated(MEMBER):
        raise raised
    assert SECRET not in str(caught.value) + caught.value.hint
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "Access Denied: Table acme-data:shop.people: User does not have permission to query",
            f'GRANT `roles/bigquery.dataViewer` ON SCHEMA `acme-data`.`shop` TO "{MEMBER}";',
        ),
        (
            "Access Denied: Dataset acme-data:_mayfly: Permission bigquery.tables.create denied",
            f'GRANT `roles/bigquery.dataEditor` ON SCHEMA `acme-data`.`_mayfly` TO "{MEMBER}";',
        ),
        (
            "Access Denied: Project acme-data: User does not have bigquery.jobs.create permission",
            "gcloud projects add-iam-policy-binding PROJECT "
            f"--member={MEMBER} --role=roles/bigquery.jobUser",
        ),
    ],
)
def test_a_missing_right_prints_what_gives_it(text: str, hint: str) -> None:
    """By the name that the answer has, of a dataset alone."""
    with pytest.raises(ConfigError, match="missing_grant") as caught, translated(MEMBER):
        raise api.Forbidden(text)
    assert caught.value.hint == hint


# -- statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "kind", "name"),
    [
        ("SELECT 1", "query", None),
        ("/* a; b */ WITH x AS (SELECT ';' AS a) SELECT a FROM x;", "query", None),
        ("-- first\n(SELECT 1)", "query", None),
        ("SELECT 1; DROP TABLE people", "table", None),
        ("SELECT '\\'; DROP TABLE x; --'", "query", None),
        ("SELECT '''it's; ''' AS a", "query", None),
        ("SELECT r'\\' ; DROP TABLE people --'", "query", None),
        ("SELECT 1 # a\n; DELETE FROM people WHERE TRUE", "table", None),
        ("create temp table if not exists `mf_scan` (n INT64)", "temporary", "mf_scan"),
        ("/* x */ CREATE OR REPLACE TEMPORARY TABLE mf_scan AS SELECT 1", "temporary", "mf_scan"),
        ("CREATE TABLE mf_scan AS SELECT 1", "table", None),
        ("UPDATE mf_scan AS mf_t SET a = 1 WHERE TRUE", "rows", "mf_scan"),
        ("DELETE FROM `shop`.`mf_scan` AS mf_t WHERE TRUE", "rows", None),
        ("INSERT INTO mf_drop SELECT 1", "rows", "mf_drop"),
        ("MERGE `a`.`b` AS t USING c ON FALSE WHEN NOT MATCHED THEN INSERT ROW", "rows", None),
        ("DROP TABLE IF EXISTS mf_scan", "table", "mf_scan"),
        ("BEGIN SELECT 1; END", "table", None),
        ("EXECUTE IMMEDIATE 'DROP TABLE x'", "table", None),
        ("CALL shop.f()", "table", None),
    ],
)
def test_a_statement_is_told_by_its_first_words(sql: str, kind: str, name: str | None) -> None:
    """What is not known to be harmless is taken to make or drop a table."""
    found = statement(sql)
    assert (found.kind, found.name) == (kind, name)


def test_labels_are_ids_alone() -> None:
    """Those of the statement's own comment, and nothing of the statement."""
    told = labels("/* mayfly sync=to_meta run=20261129T06-a1 scan */ SELECT 'x'")
    assert told == {"mayfly_sync": "to_meta", "mayfly_run": "20261129t06-a1"}
    assert labels("SELECT '/* mayfly sync=a run=b */'") == {"mayfly": "statement"}


# -- settings -----------------------------------------------------------------------------------


def test_hosts_are_those_of_the_credentials() -> None:
    """A key asks for its tokens at one place; other credentials may come from the machine."""
    reference = SecretRef(kind="env", name="KEY")
    named = {"bigquery.googleapis.com", "oauth2.googleapis.com"}
    assert hosts(_request(credentials=reference)) == named
    assert hosts(_request()) > named
    assert hosts(_request(endpoint="http://127.0.0.1:9050")) == {"127.0.0.1"}


@pytest.mark.parametrize(
    "endpoint",
    ["http://10.0.0.1:9050", "https://bigquery.example.com", "http://127.0.0.1:1@example.com"],
)
def test_an_endpoint_elsewhere_is_refused(endpoint: str) -> None:
    """Only an emulator on this machine is asked without credentials."""
    with pytest.raises(ConfigError, match="endpoint_refused"):
        SPEC.open(_request(endpoint=endpoint))


@pytest.mark.parametrize("text", ["", "[]", "{}", SECRET, json.dumps({**KEY, "type": "user"})])
def test_credentials_that_are_no_key_are_refused(text: str) -> None:
    """And not told."""
    with pytest.raises(ConfigError, match="credentials_invalid") as caught:
        service_account_key("source shop", _Secret(text))
    assert SECRET not in str(caught.value)


def test_tokens_are_asked_for_at_google_alone() -> None:
    """Whatever address the key names."""
    key = service_account_key(
        "source shop", _Secret(json.dumps({**KEY, "token_uri": "https://example.com"}))
    )
    assert key["token_uri"] == "https://oauth2.googleapis.com/token"


@pytest.mark.parametrize("name", ["a`b", "", "a b", "a.b"])
def test_a_bad_name_of_a_dataset_is_refused(name: str) -> None:
    """It stands in statements."""
    with pytest.raises(ConfigError, match="setting_invalid"):
        BigquerySource("shop", project="acme-data", dataset=name)


def test_the_least_grants() -> None:
    """Queries in the project, the tables that are read, and the dataset of state."""
    reads = [
        TableRead(schema=None, name="people", columns=("id",)),
        TableRead(schema="crm", name="notes", columns=None),
        TableRead(schema="other-project.crm", name="notes", columns=None),
    ]
    request = _request(credentials=SecretRef(kind="env", name="KEY"))
    first, *lines = SPEC.grants(GrantRequest(source=request, reads=reads))
    assert first.startswith("-- ")
    assert "roles/bigquery.jobUser" in first
    assert MEMBER in first
    to = f'TO "{MEMBER}";'
    assert lines == [
        f"GRANT `roles/bigquery.metadataViewer` ON SCHEMA `acme-data`.`shop` {to}",
        f"GRANT `roles/bigquery.metadataViewer` ON SCHEMA `acme-data`.`crm` {to}",
        f"GRANT `roles/bigquery.metadataViewer` ON SCHEMA `other-project`.`crm` {to}",
        f"GRANT `roles/bigquery.dataViewer` ON TABLE `acme-data`.`shop`.`people` {to}",
        f"GRANT `roles/bigquery.dataViewer` ON TABLE `acme-data`.`crm`.`notes` {to}",
        f"GRANT `roles/bigquery.dataViewer` ON TABLE `other-project`.`crm`.`notes` {to}",
        "CREATE SCHEMA IF NOT EXISTS `acme-data`.`_mayfly` OPTIONS(location='EU');",
        f"GRANT `roles/bigquery.dataEditor` ON SCHEMA `acme-data`.`_mayfly` {to}",
    ]


# -- jobs ---------------------------------------------------------------------------------------


class _Job:
    """A job that runs until it is cancelled."""

    job_type = "query"
    state = "RUNNING"

    def __init__(self, fail: Callable[[], BaseException]) -> None:
        self._fail = fail
        self.cancelled = False

    def result(self, **_: object) -> object:
        raise self._fail()

    def cancel(self, **_: object) -> None:
        self.cancelled = True


class _Client:
    project = "acme-data"

    def __init__(self, job: _Job) -> None:
        self._job = job
        self.asked: Any = None

    def query(self, sql: str, **settings: Any) -> _Job:
        self.asked = settings
        return self._job


@pytest.mark.parametrize(
    ("failure", "told"),
    [(KeyboardInterrupt, KeyboardInterrupt), (requests.ConnectionError, TransientError)],
)
def test_a_job_that_nobody_waits_for_is_cancelled(
    failure: Callable[[], BaseException], told: type[BaseException]
) -> None:
    """Whoever stops waiting leaves nothing running, and pays for nothing more."""
    job = _Job(failure)
    client = _Client(job)
    session = BigquerySession(client, dataset="shop", write=False, member=MEMBER)
    with pytest.raises(told):
        session.table("SELECT 1")
    assert job.cancelled
    config = client.asked["job_config"]
    assert [(p.key, p.value) for p in config.connection_properties] == [("time_zone", "UTC")]
    assert config.default_dataset.dataset_id == "shop"
    assert config.labels == {"mayfly": "statement"}
