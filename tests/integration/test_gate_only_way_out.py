"""A second way out is planted, and the type checker, the import contract and the run-time check
each see it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from mayfly.domain.batch import Batch, BatchHead, Operation, SyncMode
from mayfly.domain.errors import IntegrityError
from mayfly.ports.destination import DestinationContext
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.gate import GateField, GatePolicy, pass_gate
from mayfly.services.deliver import Sender
from mayfly.testing.fake_destination import FakeDestination, FakeWorld

ROOT = Path(__file__).parents[2]
HEAD = BatchHead(sync="s", run="r", number=0, of=1, operation=Operation.ADD, rows=1)
ROWS = pa.table({"EMAIL": ["someone@example.com"]})

PLANTED = """
from mayfly.domain.batch import Batch
from mayfly.ports.destination import Destination, Progress


async def smuggle(destination: Destination, batch: Batch) -> None:
    await destination.write(batch, Progress(rows=1))
    await destination.erase(batch)
"""


@pytest.mark.slow
def test_the_type_checker_sees_it(tmp_path: Path) -> None:
    """A batch that did not pass the gate is no argument of `write`, nor of `erase`."""
    file = tmp_path / "smuggle.py"
    file.write_text(PLANTED)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "--cache-dir",
            str(tmp_path / "cache"),
            str(file),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert done.stdout.count('expected "ProtectedBatch"') == 2


def test_the_import_contract_names_the_seal() -> None:
    """Nothing but the gate may import the seal; the contract stands in the build."""
    text = (ROOT / ".importlinter").read_text()
    assert "type = protected" in text
    assert "mayfly.privacy.gate.seal" in text
    users = [
        p
        for p in (ROOT / "src").rglob("*.py")
        if "gate.seal" in p.read_text() and p.parent.name != "gate"
    ]
    assert users == []


def test_the_run_time_check_sees_it() -> None:
    """Neither a made-up seal nor a plain batch gets through."""
    with pytest.raises(IntegrityError, match="not_through_the_gate"):
        ProtectedBatch(HEAD, ROWS, {"EMAIL": Form.CLEAR}, seal=object())
    batch = Batch(head=HEAD, rows=ROWS, positions=pa.array([0], pa.int32()))
    context = DestinationContext(
        workspace="w",
        sync="s",
        mode=SyncMode.AUDIENCE,
        object_name="people",
        key=(),
        columns={"EMAIL": pa.binary()},
        forms={"EMAIL": Form.DIGEST},
    )
    sender = Sender(destination=FakeDestination(FakeWorld(), context))
    for way in (sender.send, sender.erase):
        with pytest.raises(IntegrityError, match="not_through_the_gate"):
            asyncio.run(way(batch))


def field(shape: str, form: Form = Form.CLEAR, **more: object) -> GatePolicy:
    """A policy of one external field."""
    item = GateField(name="EMAIL", form=form, shape=shape, **more)
    return GatePolicy(external=True, fields=(item,))


@pytest.mark.parametrize(
    ("policy", "values", "kept"),
    [
        (field("digest", Form.DIGEST), [b"x" * 32, b"short", None], [0, 2]),
        (field("pattern", pattern="[A-Z]{2}"), ["FR", "france", "FR\n"], [0]),
        (field("any"), ["fine", "call +33 6 39 98 12 34", "a@example.com"], [0]),
        (field("number", minimum=0, maximum=10), [5.0, 11.0, float("nan")], [0]),
        (field("list", values=("a", "b")), ["a", "c", None], [0, 2]),
        (field("boolean"), ["true", "x", None], [2]),
    ],
)
def test_what_does_not_fit_is_withheld(
    policy: GatePolicy, values: list[object], kept: list[int]
) -> None:
    """Row by row, with a reason, and the rest goes."""
    rows = pa.table({"EMAIL": pa.array(values)})
    batch = Batch(head=HEAD, rows=rows, positions=pa.array(range(len(values)), pa.int32()))
    gated = pass_gate(batch, policy)
    assert gated.positions.to_pylist() == kept
    assert set(gated.withheld) == set(range(len(values))) - set(kept)


def test_an_unknown_column_stops_everything() -> None:
    """A column nobody approved is refused, not dropped."""
    rows = pa.table({"EMAIL": [b"x" * 32], "extra": ["y"]})
    batch = Batch(head=HEAD, rows=rows, positions=pa.array([0], pa.int32()))
    with pytest.raises(IntegrityError, match="unknown_column"):
        pass_gate(batch, field("digest", Form.DIGEST))


def test_a_text_in_a_digest_field_stops_everything() -> None:
    """A clear text column where digests belong is a fault of ours, never sent."""
    batch = Batch(head=HEAD, rows=ROWS, positions=pa.array([0], pa.int32()))
    with pytest.raises(IntegrityError, match="not_a_digest"):
        pass_gate(batch, field("digest", Form.DIGEST))
