"""What requests cost: CPU from a batch that passed the gate to the bodies that leave.

A connector writes its batches to the sandbox first, in this process, and what the sandbox answers
is kept; then the same batches are written once more, and only given those answers. So nothing but
the connector's own work is counted: bodies, and outcomes of what is answered.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import time
from abc import ABC, abstractmethod
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import httpx
import orjson
import pyarrow as pa
from ruamel.yaml import YAML

from mayfly.bootstrap import CONNECTORS
from mayfly.config.load import load_project
from mayfly.domain.batch import Batch, BatchHead, Operation, SyncMode
from mayfly.domain.errors import ConfigError, EngineError
from mayfly.domain.outcomes import OutcomeCode
from mayfly.domain.settings import DestinationSettings, SyncSettings
from mayfly.ports.connector import DestinationRequest
from mayfly.ports.destination import Destination, DestinationContext, Done, Progress, Submitted
from mayfly.ports.http import HttpReply
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.gate import GateField, GatePolicy, pass_gate
from mayfly.sandbox.app import SandboxApp

PER_ROWS = 100_000
CPU_SECONDS_MAX, ONE_BY_ONE_MAX = 0.5, 2.0
"""For 100,000 rows: 5 µs for each, and 20 where a request holds one row."""
ROUNDS = 3
"""Of which the cheapest counts: others may work on the machine."""
URL = "http://127.0.0.1:1"
Cost: TypeAlias = "dict[str, str | int | float | bool | None]"
_ASKED_MAX = 5
_FILES = frozenset({"gcs", "s3"})  # their requests are files, and no JSON
_SECRETS = {"webhook": "whsec_" + "bW" * 20}
_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "hubspot": {"region": None},
    "intercom": {"region": "us", "subscriptions": None},
    "webhook": {"url": f"{URL}/webhook/bench"},
    "the_trade_desk": {"uid2_api_key": None, "uid2_client_secret": None},
}
# What an operator maps comes under a nonce, and cannot be answered twice.
_MAPPINGS: Mapping[str, Mapping[str, str]] = {
    "the_trade_desk": {"TDID": "tdid", "DAID": "daid"},
}


_OPERATIONS = {SyncMode.AUDIENCE: Operation.ADD, SyncMode.APPEND: Operation.INSERT}
_NOW = "{now}"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One kind of destination, as the example of its page has it.

    Args:
        type_: of destination.
        settings, sync: of the example, at an address that nobody serves.
        context: what the connector is told.
    """

    type_: str
    settings: DestinationSettings
    sync: SyncSettings
    context: DestinationContext

    def opened(self, http: Recorded | Replayed) -> Destination:
        """Its connector."""
        secret = _Secret(_SECRETS.get(self.type_, "bench"))
        return CONNECTORS[self.type_].open(
            DestinationRequest(
                settings=self.settings,
                sync=self.sync,
                context=self.context,
                reveal=lambda _: secret,
                connect=lambda: http,
            )
        )

    def batches(self, rows: int) -> list[ProtectedBatch]:
        """People who do not exist, in batches as large as the connector takes."""
        most = CONNECTORS[self.type_].spec.batch_rows
        operation = _OPERATIONS.get(self.context.mode, Operation.WRITE)
        firsts = range(0, rows, most)
        return [
            _protected(self, operation, number, len(firsts), range(n, min(n + most, rows)))
            for number, n in enumerate(firsts)
        ]


def subjects() -> dict[str, Subject]:
    """Every kind of destination that the sandbox plays and that sends rows in JSON."""
    played = [vendor.name for vendor in SandboxApp().vendors]
    names = sorted(n for n in played if n in CONNECTORS and n not in _FILES)
    return {name: _subject(name) for name in names}


def measured(subject: Subject, rows: int) -> Cost:
    """CPU seconds for 100,000 rows, and how many times those of orjson alone on the same rows.

    Raises:
        EngineError: the example of its page is not one that the sandbox takes.
    """
    batches = subject.batches(rows)
    answers = asyncio.run(_answers(subject, batches))
    spent = min(_spent(subject, batches, answers) for _ in range(ROUNDS))
    floor = min(_floor(batches) for _ in range(ROUNDS))
    return {
        "destination": subject.type_,
        "rows": rows,
        "cpu_seconds": spent * PER_ROWS / rows,
        "over_orjson": spent / floor,
        "expected": f"at most {most(subject):g}",
        "kept": spent * PER_ROWS / rows <= most(subject),
    }


def most(subject: Subject) -> float:
    """CPU seconds that 100,000 rows should not exceed."""
    by_one = CONNECTORS[subject.type_].spec.request.rows_max == 1
    return ONE_BY_ONE_MAX if by_one else CPU_SECONDS_MAX


def requests(rows: int) -> list[Cost]:
    """The same for each; without figures where its example cannot be played."""
    return [_tried(subject, min(rows, PER_ROWS)) for subject in subjects().values()]


def _tried(subject: Subject, rows: int) -> Cost:
    try:
        return measured(subject, rows)
    except EngineError:
        return {
            "destination": subject.type_,
            "rows": rows,
            "cpu_seconds": None,
            "over_orjson": None,
            "expected": f"at most {most(subject):g}",
            "kept": None,
        }


class _Whole(ABC):
    """What streams is asked for like anything else, and handed on in one piece."""

    @abstractmethod
    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See the port."""

    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        take: Callable[[bytes], None],
        bytes_max: int,
        timeout_seconds: float,
    ) -> HttpReply:
        """See the port."""
        del bytes_max
        found = await self.request(method, url, headers=headers, timeout_seconds=timeout_seconds)
        if not 200 <= found.status < 300:
            return found
        take(found.body)
        return replace(found, body=b"")


class Recorded(_Whole):
    """An `HttpClient` that asks a sandbox of its own without a socket, and keeps its answers."""

    def __init__(self, app: SandboxApp) -> None:
        self.answers: dict[tuple[str, str], list[HttpReply]] = defaultdict(list)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), trust_env=False)

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See the port."""
        del timeout_seconds
        found = await self._client.request(
            method, url, params=params, headers=dict(headers or {}), content=content, data=form
        )
        told = {name.lower(): value for name, value in found.headers.items()}
        reply = HttpReply(status=found.status_code, headers=told, body=found.content)
        self.answers[method, url].append(reply)
        return reply

    async def close(self) -> None:
        """See the port."""
        await self._client.aclose()


class Replayed(_Whole):
    """An `HttpClient` that gives what was answered before, per method and address in order."""

    def __init__(self, answers: Mapping[tuple[str, str], Sequence[HttpReply]]) -> None:
        self._answers = {key: deque(found) for key, found in answers.items()}

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        form: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpReply:
        """See the port."""
        del params, headers, content, form, timeout_seconds
        found = self._answers.get((method, url))
        if not found:
            raise ConfigError("bench_failed", "A connector does not ask the same things twice.")
        return found.popleft()

    async def close(self) -> None:
        """See the port."""


@dataclass(frozen=True)
class _Secret:
    text: str

    def reveal(self) -> str:
        """The text."""
        return self.text


async def _answers(
    subject: Subject, batches: Sequence[ProtectedBatch]
) -> Mapping[tuple[str, str], Sequence[HttpReply]]:
    """What the sandbox answers; every row must be taken.

    Raises:
        ConfigError: `bench_failed`.
    """
    http = Recorded(SandboxApp(record_bodies=False))
    destination = subject.opened(http)
    for batch in batches:
        answer = await _written(destination, batch)
        if not _is_taken(answer):
            raise ConfigError("bench_failed", f"The sandbox of {subject.type_} refused rows.")
    await destination.close()
    return http.answers


async def _written(destination: Destination, batch: ProtectedBatch) -> Done | Submitted:
    """A batch, and what becomes of its job: a platform takes so many at a time."""
    answer = await destination.write(batch, Progress(rows=len(batch)))
    if isinstance(answer, Submitted):
        for _ in range(_ASKED_MAX):
            told = await destination.poll(answer.job)
            if isinstance(told, Done):
                return told
    return answer


def _is_taken(answer: Done | Submitted) -> bool:
    if isinstance(answer, Submitted):
        return answer.known is None
    return answer.outcomes.count(OutcomeCode.ACCEPTED) == len(answer.outcomes)


def _spent(
    subject: Subject,
    batches: Sequence[ProtectedBatch],
    answers: Mapping[tuple[str, str], Sequence[HttpReply]],
) -> float:
    """CPU seconds of this process, all its threads."""

    async def writing() -> float:
        destination = subject.opened(Replayed(answers))
        started = time.process_time()
        for batch in batches:
            await _written(destination, batch)
        spent = time.process_time() - started
        await destination.close()
        return spent

    return asyncio.run(writing())


def _floor(batches: Sequence[ProtectedBatch]) -> float:
    """CPU seconds of the same cells as JSON by orjson, a list for each row, and nothing else."""
    started = time.process_time()
    for batch in batches:
        columns = [column.to_pylist() for column in batch.rendered().columns]
        orjson.dumps(list(zip(*columns, strict=True)))
    return time.process_time() - started


def _subject(type_: str) -> Subject:
    """From the example of its page; of several syncs the first."""
    page = CONNECTORS[type_].page
    if page is None:
        raise ConfigError("bench_failed", f"The page of {type_} has no example to measure.")
    example = YAML(typ="safe").load(page.example)
    columns = {c for sync in example["syncs"].values() for c in sync["mapping"].values()}
    people = {
        "source": "shop",
        "table": "people",
        "primary_key": ["id"],
        "columns": {column: {} for column in {"id", *columns}},
        "consent": {"ads": {"column": "ads", "equals": True, "constant": "made up"}},
    }
    shop = {"type": "duckdb", "path": "shop.duckdb"}
    whole = {
        "version": 1,
        "workspace": {"name": "bench"},
        "sources": {"shop": shop},
        "models": {"people": people},
        **example,
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mayfly.yml").write_text(json.dumps(whole), encoding="utf-8")
        project = load_project(Path(folder))
    sync = next(iter(project.syncs.values()))
    settings = project.destinations[sync.destination]
    options = {**settings.options, **_OPTIONS.get(type_, {})}
    at_home = None if "url" in options else URL
    # Consents have a dot in their name: they are requests of their own, a person each.
    plain = {name: column for name, column in sync.mapping.items() if "." not in name}
    sync = replace(sync, mapping=_MAPPINGS.get(type_, plain))
    return Subject(
        type_=type_,
        settings=replace(settings, endpoint=at_home, options=options),
        sync=sync,
        context=_context(type_, sync),
    )


def _context(type_: str, sync: SyncSettings) -> DestinationContext:
    forms = {name: _form(type_, name) for name in sync.mapping}
    return DestinationContext(
        workspace="bench",
        sync=sync.id,
        mode=SyncMode(sync.mode),
        object_name=sync.audience or sync.table or sync.id,
        key=sync.key,
        columns={n: _kind(type_, n, f) for n, f in forms.items()},
        forms=forms,
    )


def _form(type_: str, name: str) -> Form:
    """The form of a declared field; where fields are the mapping's, clear."""
    field = CONNECTORS[type_].spec.field(name)
    return Form.CLEAR if field is None else field.form


def _sample(type_: str, name: str) -> str:
    """What a field has to hold that is taken in no other form; see `FieldSpec.sample`."""
    field = CONNECTORS[type_].spec.field(name)
    return "" if field is None else field.sample


def _kind(type_: str, name: str, form: Form) -> pa.DataType:
    if form is not Form.CLEAR:
        return pa.binary()
    return pa.int64() if _sample(type_, name) == _NOW else pa.string()


def _protected(
    subject: Subject, operation: Operation, number: int, of: int, people: range
) -> ProtectedBatch:
    """One batch through the gate."""
    names = {n: subject.sync.mapping[n] for n in subject.context.columns}
    rows = pa.table(
        {
            n: _column(subject.context.forms[n], column, people, _sample(subject.type_, n))
            for n, column in names.items()
        }
    )
    head = BatchHead(
        sync=subject.sync.id,
        run="bench",
        number=number,
        of=of,
        operation=operation,
        rows=len(people),
    )
    fields = [GateField(name=n, form=f, shape="any") for n, f in subject.context.forms.items()]
    positions = pa.array(range(len(people)), pa.int32())
    policy = GatePolicy(external=False, fields=tuple(fields))
    return pass_gate(Batch(head=head, rows=rows, positions=positions), policy).batch


_WORDS: Mapping[str, Callable[[int], str]] = {
    "email": "person{}@example.com".format,
    "phone": "+1555{:07}".format,
    "tdid": "00000000-0000-4000-8000-{:012}".format,
    "daid": "00000000-0000-4000-9000-{:012}".format,
    "country": lambda _: "fr",
}


def _column(form: Form, name: str, people: range, sample: str) -> pa.Array:
    if form is not Form.CLEAR:
        digests = (hashlib.sha256(b"%b%d" % (name.encode(), n)).digest() for n in people)
        return pa.array(digests, pa.binary())
    now = int(time.time())
    if sample == _NOW:
        return pa.array([now] * len(people), pa.int64())
    if sample:
        return pa.array((sample.format(n=n, now=now) for n in people), pa.string())
    word = _WORDS.get(name, f"{name} {{}}".format)
    return pa.array((word(n) for n in people), pa.string())
