"""A place for a spool under test: what is put there, looked for there, and made to fail there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from mayfly.domain.errors import EngineError
from mayfly.domain.held import HeldBatch, HoldException
from mayfly.domain.retention import RetentionClass
from mayfly.ports.spool import Spool
from mayfly.privacy.scan import KNOWN, scan_bytes
from mayfly.testing.fake_keys import FakeKeyProvider

NOW_MS = 1_772_366_400_000
DAY_MS = 86_400_000


class Killed(BaseException):
    """The process ended here: nothing of it tidies up."""


class OpenSpool(Protocol):
    """Opens the spool of a place as another process would."""

    def __call__(
        self,
        *,
        workspace: str = "shop-1",
        region: str = "eu-west-1",
        fault: Callable[[str], None] | None = None,
    ) -> Spool:
        """The spool; `fault` is called before and after each change of the place, with its name.

        Names end in `:before` and `:after`. What it raises goes through the spool as if the change
        had failed, or had been done and then the process had ended.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SpoolWorld:
    """A place where nothing is held yet.

    Args:
        open: see `OpenSpool`. All have the provider and the clock below.
        provider: wraps the data keys.
        clock: its one item is the present time, ms since 1970.
        stored: everything at rest in the place, keys and sealed bytes, by name.
        sealed: the sealed bytes alone, by name.
        replace: put other bytes in the place of sealed ones, behind the spool's back; None removes.
    """

    open: OpenSpool
    provider: FakeKeyProvider
    clock: list[int]
    stored: Callable[[], Mapping[str, bytes]]
    sealed: Callable[[], Mapping[str, bytes]]
    replace: Callable[[str, bytes | None], None]

    def is_clean(self) -> bool:
        """Whether no sealed bytes and no wrapped key that was ever made are there."""
        return not self.sealed() and not self.keys_found()

    def keys_found(self) -> Sequence[bytes]:
        """Wrapped keys that lie somewhere in the place."""
        everything = b"\n".join(self.stored().values())
        return [key for key in self.provider.given if key in everything]


def batch(number: int = 1, **other: Any) -> HeldBatch:
    """A batch of run `r1` of sync `vip`, read now, that may wait for 30 days."""
    values: dict[str, Any] = {
        "id": hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest(),
        "workspace": "shop-1",
        "region": "eu-west-1",
        "target": "dev",
        "sync": "vip",
        "run": "r1",
        "batch": number,
        "operation": "remove",
        "identifier": "EMAIL",
        "rows": 3,
        "cls": RetentionClass.CUSTOMER_DATA,
        "exception": HoldException.DESTINATION_OUTAGE,
        "read_at_ms": NOW_MS,
        "purge_by_ms": NOW_MS + 30 * DAY_MS,
    }
    return HeldBatch(**{**values, **other})


def marker() -> bytes:
    """Never a literal, so that no source line can be taken for it."""
    return b"-".join((b"canary", str(os.getpid() * 7919).encode(), b"of", b"ann"))


def rows(number: int = 1) -> bytes:
    """An Arrow IPC stream with the marker in every row, which compresses well."""
    table = pa.table({"email": [f"{marker().decode()}-{number}-{n}@shop.test" for n in range(50)]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def finds(content: bytes, text: bytes) -> bool:
    """Whether a text stands in bytes: as it is, encoded, or in a compressed stream at any place."""
    return any(hit.class_name == KNOWN for hit in scan_bytes(content, [text]))


def code_of(act: Callable[..., object], *arguments: object) -> str:
    """The code an act is refused with; empty where it is done."""
    try:
        act(*arguments)
    except EngineError as error:
        return error.code
    return ""


def steps_of(world: SpoolWorld, act: Callable[[Spool], object]) -> list[str]:
    """The changes that an act makes in a place, in their order."""
    seen: list[str] = []
    act(world.open(fault=seen.append))
    return seen


def at_step(number: int, error: BaseException) -> Callable[[str], None]:
    """Raises at the step of that number, and at no other."""
    left = [number]

    def fault(name: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise error

    return fault


def on_step(step: str, act: BaseException | Callable[[], object]) -> Callable[[str], None]:
    """Raises, or acts, at the first step of that name."""
    waiting = [act]

    def fault(name: str) -> None:
        if name != step or not waiting:
            return
        found = waiting.pop()
        if isinstance(found, BaseException):
            raise found
        found()

    return fault
