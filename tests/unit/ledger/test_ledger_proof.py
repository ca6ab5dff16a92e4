"""Proofs that are handed out: each one verifies in the stand-alone file, and no forged one does."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.errors import UsageError
from mayfly.ledger import verify
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ledger.merkle import leaf_hash, root
from mayfly.ledger.proof import prove_consistency, prove_inclusion
from mayfly.ledger.verify import ProofReport, verify_ledger, verify_proof

SIGNER = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
OTHER = Signer.from_seed(workspace="shop", seed=bytes(32))
START = datetime(2026, 3, 1, tzinfo=UTC)
SIZE = 129


def line_of(seq: int, run: str = "r") -> bytes:
    """An entry's line."""
    draft = Entry(type=EntryType.DELIVERED, workspace="shop", sync="vip", run=run, batch=seq)
    return draft.placed(seq=seq, at=START + timedelta(seconds=seq)).to_line()


LINES = [line_of(seq) for seq in range(SIZE)]
LEAVES = [leaf_hash(line) for line in LINES]
Check = Callable[..., ProofReport]


def note(size: int, signer: Signer = SIGNER) -> str:
    """The checkpoint that was signed when there were so many entries."""
    return signer.checkpoint(size, root(LEAVES[:size]))


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Verifies a document with kept checkpoints."""
    folder = tmp_path_factory.mktemp("auditor")
    (folder / "key.pub").write_text(SIGNER.verifier_key.to_line() + "\n")

    def run(document: object, *kept: str) -> ProofReport:
        (folder / "proof.json").write_text(json.dumps(document))
        for number, text in enumerate(kept):
            (folder / f"kept{number}").write_text(text)
        files = [folder / f"kept{number}" for number in range(len(kept))]
        return verify_proof(folder / "proof.json", folder / "key.pub", files)

    return run


def consistent(old: int, new: int) -> dict[str, Any]:
    """A proof for two sizes."""
    return prove_consistency(LEAVES[:new], old_size=old, signer=SIGNER)


def included(index: int, size: int) -> dict[str, Any]:
    """A proof for an entry."""
    return prove_inclusion(LEAVES[:size], index=index, line=LINES[index], signer=SIGNER)


def codes(report: ProofReport) -> set[str]:
    """Codes of what was found."""
    return {problem.code for problem in report.problems}


def test_every_pair_of_sizes_is_proven_and_no_other_root_is() -> None:
    """All m <= n < 130; with one bit of either root changed nothing is proven."""
    roots = [root(LEAVES[:size]) for size in range(SIZE + 1)]
    for new in range(1, SIZE + 1):
        for old in range(1, new + 1):
            hashes = [base64.b64decode(h) for h in consistent(old, new)["hashes"]]
            assert found(hashes, (old, roots[old]), (new, roots[new])) == 0
            assert found(hashes, (old, flipped(roots[old])), (new, roots[new])) == 1
            assert found(hashes, (old, roots[old]), (new, flipped(roots[new]))) == 1


def found(hashes: list[bytes], old: tuple[int, bytes], new: tuple[int, bytes]) -> int:
    """How many faults the verifier has with two heads; signatures are tested elsewhere."""
    faults = verify._Faults()
    heads = [verify._Head(origin=SIGNER.origin, size=s, root=r) for s, r in (old, new)]
    verify._check_consistency(hashes, *heads, faults)
    return faults.counts["inconsistent"]


def flipped(data: bytes) -> bytes:
    """With its first bit changed."""
    return bytes([data[0] ^ 1]) + data[1:]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 65, 129])
def test_every_entry_is_proven_and_none_in_another_place(check: Check, size: int) -> None:
    """Also against the one checkpoint that was kept of that size."""
    for index in range(size):
        document = included(index, size)
        report = check(document, note(size))
        assert (report.ok, report.anchored) == (True, True)
        assert report.entry == LINES[index].decode()
        if size > 1:
            moved = document | {"index": (index + 1) % size}
            assert codes(check(moved)) == {"seq_differs", "proof_invalid"}


def test_two_checkpoints_and_the_key_are_enough(check: Check) -> None:
    """The older anchors; it is the very note that was signed then."""
    document = consistent(5, 12)
    assert (document["old_checkpoint"], document["checkpoint"]) == (note(5), note(12))
    report = check(document, note(5), note(12))
    assert (report.ok, report.anchored, report.proof) == (True, True, "consistency")
    assert report.old_checkpoint is not None
    assert report.checkpoint is not None
    assert (report.old_checkpoint["size"], report.checkpoint["size"]) == (5, 12)
    assert "the first 5 of 12 entries stand" in report.to_text()


@pytest.mark.parametrize(("kept", "anchored"), [((), False), ((12,), False), ((5,), True)])
def test_only_the_older_checkpoint_anchors(
    check: Check, kept: tuple[int, ...], anchored: bool
) -> None:
    """Without it the operator could have signed both heads yesterday; that is no fault yet."""
    report = check(consistent(5, 12), *map(note, kept))
    assert (report.ok, report.anchored) == (True, anchored)


def test_a_ledger_written_anew_cannot_be_proven(check: Check) -> None:
    """Neither with its own older head, nor with the one that was kept put in its place."""
    forged = [leaf_hash(line_of(seq, "other")) for seq in range(12)]
    document = prove_consistency(forged, old_size=5, signer=SIGNER)
    report = check(document, note(5))
    assert (report.ok, report.anchored, codes(report)) == (False, False, {"checkpoint_differs"})
    report = check(document | {"old_checkpoint": note(5)}, note(5))
    assert (report.ok, codes(report)) == (False, {"proof_invalid"})


def test_another_key_proves_nothing(check: Check) -> None:
    """Heads that the key did not sign are none, in the document and beside it."""
    document = prove_consistency(LEAVES[:12], old_size=5, signer=OTHER)
    report = check(document, note(5, OTHER))
    assert codes(report) == {"checkpoint_invalid", "checkpoint_differs"}
    assert (report.anchored, report.checkpoint, report.old_checkpoint) == (False, None, None)
    document = prove_inclusion(LEAVES[:12], index=3, line=LINES[3], signer=OTHER)
    assert codes(check(document)) == {"checkpoint_invalid"}


def test_another_entry_is_not_proven(check: Check) -> None:
    """A line that was made up stands nowhere, and one that is none is not looked for."""
    report = check(included(3, 12) | {"entry": line_of(3, "other").decode()})
    assert (codes(report), report.entry) == ({"proof_invalid"}, None)
    report = check(included(3, 12) | {"entry": "\x1b[2J a@example.com"})
    assert (codes(report), report.entry) == ({"line_malformed"}, None)
    assert "example" not in report.to_text() + json.dumps(report.to_dict())


@given(
    sizes=st.tuples(st.integers(1, SIZE), st.integers(1, SIZE)).map(sorted),
    at=st.integers(0, 20),
    how=st.sampled_from(["drop", "twice", "flip", "add"]),
)
def test_an_altered_path_is_refused(sizes: list[int], at: int, how: str) -> None:
    """One hash less, more, twice or changed: nothing is proven."""
    old, new = sizes
    for path, wrong in (
        ([base64.b64decode(h) for h in consistent(old, new)["hashes"]], _wrong_consistency),
        ([base64.b64decode(h) for h in included(old - 1, new)["hashes"]], _wrong_inclusion),
    ):
        place = at % (len(path) + 1)
        if how != "add" and place == len(path):
            continue
        node = path[place] if place < len(path) else bytes(32)
        middle = {"drop": [], "twice": [node, node], "flip": [flipped(node)]}
        changed = path[:place] + middle.get(how, [bytes(32), node][: 1 + (place < len(path))])
        assert wrong(changed + path[place + 1 :], old, new)


def _wrong_consistency(path: list[bytes], old: int, new: int) -> int:
    return found(path, (old, root(LEAVES[:old])), (new, root(LEAVES[:new])))


def _wrong_inclusion(path: list[bytes], old: int, new: int) -> int:
    faults = verify._Faults()
    head = verify._Head(origin=SIGNER.origin, size=new, root=root(LEAVES[:new]))
    verify._check_inclusion(path, LINES[old - 1].decode(), old - 1, head, faults)
    return faults.counts["inconsistent"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "mayfly/proof/2"},
        {"proof": "other"},
        {"proof": ["consistency"]},
        {"hashes": ["AAAA"]},
        {"hashes": [7]},
        {"hashes": None},
        {"checkpoint": None},
        {"old_checkpoint": 7},
        {"checkpoint": "\ud800"},
        {"more": 1},
        {"proof": "inclusion"},
    ],
)
def test_what_is_no_proof_gives_a_report(check: Check, change: dict[str, object]) -> None:
    """Each field has one type, and none may be added."""
    report = check(consistent(5, 12) | change)
    assert (report.ok, codes(report)) == (False, {"proof_malformed"})


@pytest.mark.parametrize("index", [-1, True, 1.5, "3", None, 2**53, 2**80])
def test_an_index_that_is_none_gives_a_report(check: Check, index: object) -> None:
    """A position is a count."""
    assert codes(check(included(3, 12) | {"index": index})) == {"proof_malformed"}


def test_files_that_are_no_json_give_a_report(check: Check, tmp_path: Path) -> None:
    """A file that only begins as one, is too long or nests too deeply."""
    (tmp_path / "key.pub").write_text(SIGNER.verifier_key.to_line())
    for content in (b"{", b"{\xff", b'{"a":' * 9_000, b"{" + b" " * 100_000 + b"}"):
        (tmp_path / "proof").write_bytes(content)
        report = verify_proof(tmp_path / "proof", tmp_path / "key.pub")
        assert codes(report) == {"proof_malformed"}


def test_what_is_not_in_the_tree_is_not_proven() -> None:
    """Sizes and positions outside are refused."""
    for call in (lambda: consistent(13, 12), lambda: consistent(0, 12), lambda: included(12, 12)):
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == "beyond_ledger"


@pytest.mark.parametrize("document", [included(3, 12), consistent(5, 12)])
def test_a_proof_is_no_ledger(tmp_path: Path, document: dict[str, Any]) -> None:
    """Whoever is audited hands one over under a ledger's name: nobody looked at the entries."""
    (tmp_path / "key.pub").write_text(SIGNER.verifier_key.to_line())
    (tmp_path / "kept").write_text(note(12))
    (tmp_path / "ledger.tar.gz").write_text(json.dumps(document))
    words = ["ledger.tar.gz", "--key", "key.pub", "--checkpoint", "kept", "--output", "json"]
    command = [sys.executable, "-I", verify.__file__, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["schema"], told["ok"]) == (1, "mayfly/verify/1", False)
    assert (told["anchored"], told["entries"], told["checkpoint"]) == (False, 0, None)
    assert told["problems"][0] == {"code": "proof_flag_missing", "line": 0}
    report = verify_ledger(tmp_path / "ledger.tar.gz", tmp_path / "key.pub")
    assert [problem.code for problem in report.problems] == ["proof_flag_missing"]


def test_a_checkpoint_of_no_entry_anchors_no_proof(check: Check) -> None:
    """It vouches for nothing, though nothing is wrong with it."""
    document = consistent(5, 5) | {"checkpoint": note(0), "old_checkpoint": note(0)}
    report = check(document, note(0))
    assert (report.ok, report.anchored) == (True, False)


def test_the_file_checks_a_proof_alone(tmp_path: Path) -> None:
    """`python verify.py proof.json --proof` prints the document and exits 0 or 1."""
    (tmp_path / "key.pub").write_text(SIGNER.verifier_key.to_line())
    (tmp_path / "kept").write_text(note(5))

    def run(document: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "proof.json").write_text(json.dumps(document))
        words = [
            "proof.json",
            "--proof",
            "--key",
            "key.pub",
            "--checkpoint",
            "kept",
            "--output",
            "json",
        ]
        command = [sys.executable, "-I", verify.__file__, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    done = run(consistent(5, 12))
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr, document["anchored"]) == (0, "", True)
    assert document["schema"] == "mayfly/verify-proof/1"
    done = run(consistent(6, 12))
    assert (done.returncode, done.stderr, json.loads(done.stdout)["ok"]) == (1, "", False)
