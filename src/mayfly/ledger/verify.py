"""Verify a ledger of Mayfly, without Mayfly.

    python verify.py LEDGER --key FILE [--checkpoint FILE ...] [--output json]
    python verify.py PROOF --proof --key FILE [--checkpoint FILE ...] [--output json]
    python verify.py REPORT ... --key FILE [--checkpoint FILE ...] [--output json]

This file stands alone: it needs Python 3.11 and the package `cryptography`, no network and no
database. LEDGER is a folder or an archive (.zip, .tar, .tar.gz) with `entries.jsonl`,
`checkpoint` and `key.pub`. PROOF is the one file that `mayfly prove` printed; a proof tells nothing
of the other entries, of pairing and of deadlines, so that none is taken for a ledger. REPORT is a
file beside which `REPORT.sig` lies, or a file of one of its forms that should have it. The key
given is the anchor of trust; a checkpoint given is one that was kept away from the ledger, and
proves that nothing it covered was changed or taken away. The format and the rules are written down
in docs/specs/ledger.md and docs/specs/report.md.

Exit codes: 0 the ledger verifies, 1 it does not, 64 wrong usage. Any input gives a report.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if sys.platform != "win32":
    import fcntl

CAP = timedelta(days=30)
LINE_BYTES_MAX = 8_192
NOTE_BYTES_MAX = 16_384
PROOF_BYTES_MAX = 65_536
REPORT_BYTES_MAX = 64_000_000
PROBLEMS_LISTED_MAX = 100

_TEXT = re.compile(r"[A-Za-z0-9_.:/+=-]{0,128}")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_ORIGIN = re.compile(r"[A-Za-z0-9_.:/=-]{1,128}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_COUNT_MAX = 2**53 - 1
_HELD_AGE_MAX_MS = 10**11
_ROOT = re.compile(r"[0-9a-f]{64}")
_PROOF = "mayfly/proof/1"
_REPORT_PREFIX = "mayfly/report/1/"
_LEDGER_PREFIX = "mayfly/ledger/1/"
_REPORT_KIND = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_REPORT_FORMS = (".html", ".csv")
_REPORT_MARK = b'"content_sha256"'
_PROOF_FIELDS = {
    "consistency": {"schema", "proof", "old_checkpoint", "checkpoint", "hashes"},
    "inclusion": {"schema", "proof", "entry", "index", "checkpoint", "hashes"},
}
_OF_A_BATCH = ("held", "purged", "expired")
_OF_A_STATE = ("state_dropped", "state_adopted")
_TYPES = (
    *("created", "delivered", "dropped", "refused", "rewrapped", "kek_destroyed", "suppression"),
    *("erasure", "access", "deletion", "reported", "act"),
    *_OF_A_STATE,
    *_OF_A_BATCH,
)
_PLACE_FIELDS = ("workspace", "region", "target", "sync", "destination")
_TEXT_FIELDS = (*_PLACE_FIELDS, "run", "operation", "reason", "software")
_FIELDS = {*_TEXT_FIELDS, "type", "seq", "at", "batch", "rows", "age_ms"}
_LEFT_OUT_EMPTY = {"kek_version", "final_at", "actor", "object", "before", "after"}
_OF_A_RUN = ("created", "delivered", "dropped")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong: a code, and the line of `entries.jsonl` from 1, or 0 for none."""

    code: str
    line: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """What verification found.

    Args:
        anchored: a checkpoint of one entry or more was given, and every one given was found
            consistent.
        entries: number of well-formed entries.
        checkpoint: origin, size and base64 root that the ledger's own checkpoint states and the
            key signed; None where there is none.
        held: runs open at the last entry that said so; their working copies wait to be closed.
        unpaired: other runs and sealed batches open at the last entry, and entries of unknown runs.
        overdue: working copies and sealed batches kept beyond 30 days.
        inconsistent: number of faults in form, order, hash or signature.
        problems: the first of what was counted, for people.
    """

    anchored: bool
    entries: int
    checkpoint: dict[str, str | int] | None
    unpaired: int
    overdue: int
    inconsistent: int
    held: int = 0
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong. True also where no checkpoint anchors the ledger."""
        return not (self.unpaired or self.overdue or self.inconsistent)

    def to_dict(self) -> dict[str, object]:
        """The document that `mayfly verify --output json` prints."""
        return {
            "schema": "mayfly/verify/1",
            "ok": self.ok,
            "anchored": self.anchored,
            "entries": self.entries,
            "checkpoint": self.checkpoint,
            "held": self.held,
            "unpaired": self.unpaired,
            "overdue": self.overdue,
            "inconsistent": self.inconsistent,
            "problems": [{"code": p.code, "line": p.line} for p in self.problems],
        }

    def to_text(self) -> str:
        """The report for people, its last line ended."""
        kept = "yes, every checkpoint given holds"
        loose = "no, the ledger only speaks for itself"
        lines = [
            f"ledger        {'verifies' if self.ok else 'DOES NOT VERIFY'}",
            f"anchored      {kept if self.anchored else loose}",
            f"entries       {self.entries}",
            f"held          {self.held}",
            f"unpaired      {self.unpaired}",
            f"overdue       {self.overdue}",
            f"inconsistent  {self.inconsistent}",
        ]
        for problem in self.problems:
            where = f"line {problem.line}: " if problem.line else ""
            lines.append(f"  {where}{problem.code}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class ProofReport:
    """What verification of a proof found.

    Args:
        anchored: every checkpoint given is one that the proof is about, and so is the older, or
            the only, one of the proof, which covers one entry or more.
        proof: `consistency` or `inclusion`; None where the file says neither.
        checkpoint: origin, size and root of the tree that the proof leads to, where the key signed
            them; else None.
        old_checkpoint: of the tree that is the beginning of it; None but for `consistency`.
        entry: the line that is proven to be in the tree; None where none is.
        problems: all that was found.
    """

    anchored: bool
    proof: str | None
    checkpoint: dict[str, str | int] | None
    old_checkpoint: dict[str, str | int] | None
    entry: str | None
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong. True also where no checkpoint anchors the proof."""
        return not self.problems

    def to_dict(self) -> dict[str, object]:
        """The document that `mayfly verify --proof --output json` prints."""
        return {
            "schema": "mayfly/verify-proof/1",
            "ok": self.ok,
            "anchored": self.anchored,
            "proof": self.proof,
            "checkpoint": self.checkpoint,
            "old_checkpoint": self.old_checkpoint,
            "entry": self.entry,
            "inconsistent": len(self.problems),
            "problems": [{"code": p.code, "line": p.line} for p in self.problems],
        }

    def to_text(self) -> str:
        """The report for people, its last line ended."""
        old, head = self.old_checkpoint, self.checkpoint
        lines = [
            f"proof         {'verifies' if self.ok else 'DOES NOT VERIFY'}",
            f"anchored      {'yes' if self.anchored else 'no'}, "
            f"{'by the checkpoints given' if self.anchored else 'the proof speaks for itself'}",
        ]
        if self.ok and head is not None and old is not None:
            lines.append(f"proven        the first {old['size']} of {head['size']} entries stand")
        if self.ok and head is not None and self.entry is not None:
            lines += [f"proven        one of {head['size']} entries is", f"  {self.entry}"]
        lines += [f"  {problem.code}" for problem in self.problems]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What verification of a report's file found.

    Args:
        file: the path given.
        anchored: a checkpoint given is the head of the ledger that the report was made from.
        kind: of report, where its signature holds.
        content_sha256: of what it says, the same in each of its forms.
        checkpoint: origin, size and root of that ledger; None where no signature holds.
        problems: all that was found.
    """

    file: str
    anchored: bool
    kind: str | None
    content_sha256: str | None
    checkpoint: dict[str, str | int] | None
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems

    def to_dict(self) -> dict[str, object]:
        """Its part of the document that `mayfly verify --output json` prints."""
        return {
            "file": self.file,
            "ok": self.ok,
            "anchored": self.anchored,
            "report": self.kind,
            "content_sha256": self.content_sha256,
            "checkpoint": self.checkpoint,
            "problems": [{"code": p.code, "line": p.line} for p in self.problems],
        }

    def to_text(self) -> str:
        """The report for people, its last line ended."""
        lines = [f"report        {'verifies' if self.ok else 'DOES NOT VERIFY'}: {self.file}"]
        if self.kind is not None and self.checkpoint is not None:
            by = "by a checkpoint given" if self.anchored else "no checkpoint given is that head"
            lines += [
                f"kind          {self.kind}",
                f"says          {self.content_sha256}",
                f"made from     the first {self.checkpoint['size']} entries of the ledger",
                f"anchored      {'yes' if self.anchored else 'no'}, {by}",
            ]
        lines += [f"  {problem.code}" for problem in self.problems]
        return "\n".join(lines) + "\n"


def is_report(path: Path) -> bool:
    """Whether a path names a file of a report, by its signature or by its form."""
    path = Path(path)
    if Path(f"{path}.sig").is_file() or path.suffix.lower() in _REPORT_FORMS:
        return True
    try:
        return path.suffix.lower() == ".json" and _REPORT_MARK in _read_file(path, 400)
    except (OSError, ValueError):
        return False


def reports_document(reports: Sequence[FileReport]) -> dict[str, object]:
    """The document that `mayfly verify --output json` prints of reports."""
    return {
        "schema": "mayfly/verify-reports/1",
        "ok": all(r.ok for r in reports),
        "reports": [r.to_dict() for r in reports],
    }


def verify_report(path: Path, key_file: Path, checkpoints: Sequence[Path] = ()) -> FileReport:
    """Verify one file of a report against its `.sig`, a public key and kept checkpoints.

    Reads only. Never raises for what it reads.
    """
    faults = _Faults()
    key = _given_key(key_file, faults)
    given = [_given_checkpoint(file, key) for file in checkpoints]
    for _ in range(given.count(None)):
        faults.inconsistent("checkpoint_differs")
    note = _report_note(Path(f"{path}.sig"), key, faults)
    try:
        data = _read_file(Path(path), REPORT_BYTES_MAX + 1)
        if len(data) > REPORT_BYTES_MAX:
            raise ValueError("too large")
    except (OSError, ValueError):
        faults.inconsistent("unreadable")
        data = None
    if data is not None and note is not None:
        _check_report(Path(path), data, note, faults)
    head = note.head if note else None
    if head and any(g and g.size == head.size and g.root != head.root for g in given):
        faults.inconsistent("checkpoint_differs")
    same = [g for g in given if g and head and (g.size, g.root) == (head.size, head.root)]
    return FileReport(
        file=str(path),
        anchored=bool(same) and bool(head and head.size) and not faults.listed,
        kind=note.kind if note else None,
        content_sha256=note.content_sha256 if note else None,
        checkpoint=head.to_dict() if head else None,
        problems=tuple(faults.listed),
    )


@dataclass(frozen=True, kw_only=True)
class _ReportNote:
    kind: str
    file_sha256: str
    content_sha256: str
    head: _Head


def _report_note(path: Path, key: _Key | None, faults: _Faults) -> _ReportNote | None:
    """What the signature beside a report says; None where it does not hold."""
    try:
        data = _read_file(path)
    except (OSError, ValueError):
        faults.inconsistent("signature_missing")
        return None
    try:
        lines = _signed_lines(data, key)
        origin, kind, file_sha256, content_sha256, size, root_text = lines[:6]
        root = base64.b64decode(root_text, validate=True)
        if (
            key is None
            or origin != _REPORT_PREFIX + key.origin.removeprefix(_LEDGER_PREFIX)
            or not _REPORT_KIND.fullmatch(kind)
            or not (_ROOT.fullmatch(file_sha256) and _ROOT.fullmatch(content_sha256))
            or not _SIZE.fullmatch(size)
            or len(root) != 32
        ):
            raise ValueError("not a note of a report")
    except ValueError:
        faults.inconsistent("signature_invalid")
        return None
    head = _Head(origin=key.origin, size=int(size), root=root)
    return _ReportNote(kind=kind, file_sha256=file_sha256, content_sha256=content_sha256, head=head)


def _check_report(path: Path, data: bytes, note: _ReportNote, faults: _Faults) -> None:
    if hashlib.sha256(data).hexdigest() != note.file_sha256:
        faults.inconsistent("file_differs")
    if path.suffix.lower() != ".json":
        if note.content_sha256.encode() not in data:
            faults.inconsistent("content_differs")
        return
    try:
        document: dict[str, Any] = json.loads(data)
        # all numbers are integers and all names ASCII: this is RFC 8785
        text = json.dumps(
            document["content"], ensure_ascii=False, sort_keys=True, separators=(",", ":")
        )
        digest = hashlib.sha256(text.encode()).hexdigest()
        told = document["content_sha256"]
    except (ValueError, TypeError, KeyError, RecursionError):
        faults.inconsistent("report_malformed")
        return
    if not digest == told == note.content_sha256:
        faults.inconsistent("content_differs")


def verify_proof(path: Path, key_file: Path, checkpoints: Sequence[Path] = ()) -> ProofReport:
    """Verify a proof that `mayfly prove` printed against a public key and kept checkpoints.

    Reads only. Never raises for what it reads: what cannot be read is told as malformed.
    """
    faults = _Faults()
    key = _given_key(key_file, faults)
    given = [_given_checkpoint(file, key) for file in checkpoints]
    try:
        document = _proof_document(_read_file(Path(path), PROOF_BYTES_MAX))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        document = None
        faults.inconsistent("proof_malformed")
    old = head = entry = None
    if document is not None:
        head = _own_checkpoint(document["checkpoint"], key, faults)
        if document["proof"] == "consistency":
            old = _own_checkpoint(document["old_checkpoint"], key, faults)
            _check_consistency(document["hashes"], old, head, faults)
        else:
            entry = document["entry"]
            _check_inclusion(document["hashes"], entry, document["index"], head, faults)
    heads = [h for h in (old, head) if h is not None]
    differing = sum(g not in heads for g in given)
    for _ in range(differing):
        faults.inconsistent("checkpoint_differs")
    return ProofReport(
        anchored=bool(heads) and heads[0].size > 0 and heads[0] in given and not differing,
        proof=document["proof"] if document else None,
        checkpoint=head.to_dict() if head else None,
        old_checkpoint=old.to_dict() if old else None,
        entry=entry if not faults.listed else None,
        problems=tuple(faults.listed),
    )


def verify_ledger(path: Path, key_file: Path, checkpoints: Sequence[Path] = ()) -> Report:
    """Verify the ledger at `path` against a public key and checkpoints kept elsewhere.

    Reads only. A folder in use is locked against writing meanwhile. Never raises for what it
    reads: what cannot be read counts as inconsistent.
    """
    faults = _Faults()
    key = _given_key(key_file, faults)
    anchors = [_given_checkpoint(file, key) for file in checkpoints]
    walk = _Walk(faults=faults)
    own: _Head | None = None
    try:
        with _opened(Path(path)) as member:
            _compare_key(_small(member, "key.pub"), key, faults)
            own = _own_checkpoint(_small(member, "checkpoint"), key, faults)
            walk.wanted = {head.size for head in (own, *anchors) if head is not None}
            walk.read(member("entries.jsonl"))
    except Exception:  # archives of any sort of garbage raise errors of many libraries
        faults.inconsistent("proof_flag_missing" if _is_proof(Path(path)) else "unreadable")
    _compare_own(own, walk, faults)
    held = [walk.agrees(head) for head in anchors]
    for agrees in held:
        if not agrees:
            faults.inconsistent("checkpoint_differs")
    walk.close()
    return Report(
        anchored=any(head.size for head in anchors if head) and all(held) and not faults.unreadable,
        entries=walk.entries,
        checkpoint=own.to_dict() if own else None,
        unpaired=faults.counts["unpaired"],
        overdue=faults.counts["overdue"],
        inconsistent=faults.counts["inconsistent"],
        held=walk.held,
        problems=tuple(faults.listed),
    )


@dataclass(kw_only=True)
class _Faults:
    """What was found wrong so far: all of it counted, the first of it listed."""

    counts: dict[str, int] = field(
        default_factory=lambda: {"unpaired": 0, "overdue": 0, "inconsistent": 0}
    )
    listed: list[Problem] = field(default_factory=list)
    unreadable: bool = False

    def inconsistent(self, code: str, line: int = 0) -> None:
        self.add("inconsistent", code, line)
        self.unreadable |= code in ("unreadable", "proof_flag_missing")

    def add(self, kind: str, code: str, line: int = 0) -> None:
        self.counts[kind] += 1
        if len(self.listed) < PROBLEMS_LISTED_MAX:
            self.listed.append(Problem(code=code, line=line))


@dataclass(frozen=True, kw_only=True)
class _Key:
    line: str
    origin: str
    key_id: bytes
    public_key: Ed25519PublicKey


@dataclass(frozen=True, kw_only=True)
class _ListHead:
    """How many digests are on the suppression list, and the root over them."""

    count: int
    root: bytes


@dataclass(frozen=True, kw_only=True)
class _Head:
    origin: str
    size: int
    root: bytes
    listed: _ListHead | None = None

    def to_dict(self) -> dict[str, str | int]:
        root = base64.b64encode(self.root).decode()
        return {"origin": self.origin, "size": self.size, "root": root}


def _given_key(file: Path, faults: _Faults) -> _Key | None:
    try:
        return _parse_key(_read_file(Path(file)))
    except (OSError, ValueError):
        faults.inconsistent("key_unreadable")
        return None


def _given_checkpoint(file: Path, key: _Key | None) -> _Head | None:
    """The head of a checkpoint given; None where it is not one that the key signed."""
    try:
        return _signed_head(_read_file(Path(file)), key)
    except (OSError, ValueError):
        return None  # counted with those that differ


def _own_checkpoint(note: bytes | None, key: _Key | None, faults: _Faults) -> _Head | None:
    if note is None:
        faults.inconsistent("checkpoint_missing")
        return None
    try:
        return _signed_head(note, key)
    except ValueError:
        faults.inconsistent("checkpoint_invalid")
        return None


def _compare_key(inside: bytes | None, key: _Key | None, faults: _Faults) -> None:
    """The ledger's own copy of the key must be the key given."""
    if inside is None:
        faults.inconsistent("key_missing")
    elif key is not None and inside.strip() != key.line.encode():
        faults.inconsistent("key_differs")


def _parse_key(data: bytes) -> _Key:
    """The key of a line `origin+id+base64`; ValueError where it is none."""
    line = data.decode("ascii").strip()
    origin, key_id, body = line.split("+", 2)
    raw = base64.b64decode(body, validate=True)
    expected = hashlib.sha256(origin.encode() + b"\n" + raw).digest()[:4]
    if not _ORIGIN.fullmatch(origin) or raw[:1] != b"\x01" or expected.hex() != key_id:
        raise ValueError("not a public key of a ledger")
    public_key = Ed25519PublicKey.from_public_bytes(raw[1:])
    return _Key(line=line, origin=origin, key_id=expected, public_key=public_key)


def _signed_head(data: bytes, key: _Key | None) -> _Head:
    """The head a signed note states; ValueError where the key did not sign it."""
    lines = _signed_lines(data, key)
    origin, size, root = lines[0], lines[1], base64.b64decode(lines[2], validate=True)
    if key is None or origin != key.origin or not _SIZE.fullmatch(size) or len(root) != 32:
        raise ValueError("not a checkpoint of this ledger")
    listed = [_list_head(line) for line in lines[3:] if line.startswith("suppression ")]
    if len(listed) > 1:
        raise ValueError("two heads of one list")
    return _Head(origin=origin, size=int(size), root=root, listed=listed[0] if listed else None)


def _signed_lines(data: bytes, key: _Key | None) -> list[str]:
    """Lines of a note, once the key's signature over them is found good; else ValueError."""
    text, separator, tail = data.decode("utf-8").partition("\n\n")
    lines = text.split("\n")
    if key is None or not separator or len(lines) < 3 or not tail.endswith("\n"):
        raise ValueError("not a signed note")
    signed = False
    for line in tail[:-1].split("\n"):
        dash, name, signature_text = line.split(" ")
        signature = base64.b64decode(signature_text, validate=True)
        if dash != "\u2014":
            raise ValueError("not a signature line")
        if name == key.origin and signature[:4] == key.key_id:
            try:
                key.public_key.verify(signature[4:], (text + "\n").encode())
            except InvalidSignature:
                raise ValueError("a wrong signature") from None
            signed = True
    if not signed:
        raise ValueError("not signed by the key")
    return lines


def _list_head(line: str) -> _ListHead:
    """What a checkpoint says of the suppression list; ValueError where it is no head."""
    _, count, text = line.split(" ")
    root = base64.b64decode(text, validate=True)
    if not _SIZE.fullmatch(count) or len(root) != 32:
        raise ValueError("not a head of a list")
    return _ListHead(count=int(count), root=root)


def _is_proof(path: Path) -> bool:
    """Whether a file begins as a JSON document; an archive does not."""
    try:
        return path.is_file() and _read_file(path, 1) == b"{"
    except (OSError, ValueError):
        return False


def _proof_document(data: bytes) -> dict[str, Any]:
    """A proof whose fields have their types, hashes and notes as bytes; else one of many errors."""
    document: dict[str, Any] = json.loads(data)
    notes = {n: document[n].encode() for n in ("checkpoint", "old_checkpoint") if n in document}
    hashes = [base64.b64decode(text, validate=True) for text in document["hashes"]]
    index = document.get("index", 0)
    if (
        document["schema"] != _PROOF
        or set(document) != _PROOF_FIELDS[document["proof"]]
        or not isinstance(document.get("entry", ""), str)
        or not (type(index) is int and 0 <= index <= _COUNT_MAX)
        or any(len(node) != 32 for node in hashes)
    ):
        raise ValueError("not a proof")
    return document | notes | {"hashes": hashes}


def _check_consistency(
    hashes: Sequence[bytes], old: _Head | None, head: _Head | None, faults: _Faults
) -> None:
    """RFC 9162, 2.1.4.2."""
    if old is None or head is None:
        return  # told already
    path = list(hashes)
    if old.size and old.size & (old.size - 1) == 0 and old.size < head.size:
        path.insert(0, old.root)  # a full subtree, which is its own beginning
    if old.size == head.size:
        proven = not path and old.root == head.root
    elif old.size == 0 or old.size > head.size or not path:
        proven = False
    else:
        position, last = old.size - 1, head.size - 1
        while position & 1:
            position, last = position >> 1, last >> 1
        proven = _roots(path[0], path[1:], position, last) == (old.root, head.root)
    if not proven:
        faults.inconsistent("proof_invalid")


def _check_inclusion(
    hashes: Sequence[bytes], entry: str, index: int, head: _Head | None, faults: _Faults
) -> None:
    """RFC 9162, 2.1.3.2; and the line is an entry in its place."""
    try:
        line = entry.encode("ascii")
        if _parse_entry(line).seq != index:
            faults.inconsistent("seq_differs")
    except (ValueError, TypeError, RecursionError):
        faults.inconsistent("line_malformed")
        return
    if head is None:
        return  # told already
    leaf = hashlib.sha256(b"\x00" + line).digest()
    roots = _roots(leaf, hashes, index, head.size - 1) if index < head.size else None
    if roots is None or roots[1] != head.root:
        faults.inconsistent("proof_invalid")


def _roots(
    start: bytes, path: Sequence[bytes], position: int, last: int
) -> tuple[bytes, bytes] | None:
    """Both roots that a path leads to from a node: over all up to it, and over all. None where
    its length is wrong.
    """
    old = new = start
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            old = hashlib.sha256(b"\x01" + sibling + old).digest()
            new = hashlib.sha256(b"\x01" + sibling + new).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = hashlib.sha256(b"\x01" + new + sibling).digest()
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _compare_own(own: _Head | None, walk: _Walk, faults: _Faults) -> None:
    """The ledger's own checkpoint must cover every line, and nothing else."""
    if own is None:
        return
    if own.size > walk.lines:
        faults.inconsistent("entries_missing")
    elif own.size < walk.lines:
        faults.inconsistent("entries_unsigned", own.size + 1)
    if own.size <= walk.lines and not walk.agrees(own):
        same_root = walk.roots[own.size][0] == own.root
        faults.inconsistent("list_differs" if same_root else "root_differs")


@dataclass(kw_only=True)
class _Walk:
    """One pass over the entries: form, order, tree and pairs."""

    faults: _Faults
    wanted: set[int] = field(default_factory=set)
    lines: int = 0
    entries: int = 0
    newest: datetime | None = None
    peaks: list[bytes] = field(default_factory=list)
    roots: dict[int, tuple[bytes, _ListHead | None]] = field(default_factory=dict)
    listed: _ListHead | None = None
    runs: set[str] = field(default_factory=set)
    holding: set[str] = field(default_factory=set)
    held: int = 0
    open: dict[tuple[str, str, int | None], tuple[datetime, int]] = field(default_factory=dict)

    def read(self, stream: IO[bytes] | None) -> None:
        self._note_root()
        if stream is None:
            self.faults.inconsistent("entries_missing")
            return
        for line in _lines(stream):
            if line is None:
                self.faults.inconsistent("line_torn", self.lines + 1)
                continue
            try:
                entry = _parse_entry(line)
            except (ValueError, TypeError, RecursionError):
                self._leaf(line)
                self.faults.inconsistent("line_malformed", self.lines)
                continue
            self.listed = entry.listed or self.listed
            self._leaf(line)
            self.entries += 1
            self._order(entry)
            self._pair(entry)

    def agrees(self, head: _Head | None) -> bool:
        return head is not None and self.roots.get(head.size) == (head.root, head.listed)

    def close(self) -> None:
        """Count what is open at the last entry."""
        for (kind, run, _), (opened, line) in self.open.items():
            if kind == "run" and run in self.holding:
                self.held += 1
            else:
                self.faults.add("unpaired", "never_dropped", line)
            if self.newest is not None and self.newest - opened > CAP:
                self.faults.add("overdue", "open_beyond_cap", line)

    def _leaf(self, line: bytes) -> None:
        node, carry = hashlib.sha256(b"\x00" + line).digest(), self.lines
        while carry & 1:
            node = hashlib.sha256(b"\x01" + self.peaks.pop() + node).digest()
            carry >>= 1
        self.peaks.append(node)
        self.lines += 1
        self._note_root()

    def _note_root(self) -> None:
        if self.lines not in self.wanted:
            return
        node = hashlib.sha256(b"").digest() if not self.peaks else self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            node = hashlib.sha256(b"\x01" + peak + node).digest()
        self.roots[self.lines] = node, self.listed

    def _order(self, entry: _Entry) -> None:
        if entry.seq != self.lines - 1:
            self.faults.inconsistent("seq_differs", self.lines)
        if self.newest is not None and entry.at < self.newest:
            self.faults.inconsistent("time_backwards", self.lines)
        else:
            self.newest = entry.at

    def _pair(self, entry: _Entry) -> None:
        match entry.type:
            case "created":
                self.runs.add(entry.run)
                # made again while open: the first copy's age counts
                self.open.setdefault(("run", entry.run, None), (entry.at, self.lines))
            case "dropped":
                self._closed(("run", entry.run, None), entry)
            case "held" if entry.batch is None:
                self.holding.add(entry.run)
            case "held":
                # sealed again: its age from before counts on
                since = entry.at - timedelta(milliseconds=entry.age_ms)
                self.open.setdefault(("batch", entry.run, entry.batch), (since, self.lines))
            case "purged" | "expired":
                self._closed(("batch", entry.run, entry.batch), entry)
        of_a_run = entry.type in _OF_A_RUN or (entry.type == "held" and entry.batch is None)
        if of_a_run and entry.run not in self.runs:
            self.faults.add("unpaired", "never_created", self.lines)

    def _closed(self, key: tuple[str, str, int | None], entry: _Entry) -> None:
        """Close what is open; a second close of the same says nothing new."""
        opened = self.open.pop(key, None)
        if opened is not None and entry.at - opened[0] > CAP:
            self.faults.add("overdue", "closed_beyond_cap", self.lines)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    seq: int
    type: str
    at: datetime
    run: str
    batch: int | None
    age_ms: int
    listed: _ListHead | None


def _parse_entry(line: bytes) -> _Entry:
    """One entry; ValueError or TypeError where the line is not one in canonical form."""
    document = json.loads(line)
    if not isinstance(document, dict) or set(document) - _LEFT_OUT_EMPTY != _FIELDS:
        raise ValueError("other fields")
    # all keys are ASCII and all values integers, null or ASCII text: this is RFC 8785
    if json.dumps(document, sort_keys=True, separators=(",", ":")).encode() != line:
        raise ValueError("not canonical")
    if document["type"] not in _TYPES or not _AT.fullmatch(document["at"]):
        raise ValueError("unknown type or time")
    if not all(_TEXT.fullmatch(document[name]) for name in _TEXT_FIELDS):
        raise ValueError("not an identifier")
    if "kek_version" in document and not (
        document["kek_version"] and _TEXT.fullmatch(document["kek_version"])
    ):
        raise ValueError("not a key version")
    if "final_at" in document and not _AT.fullmatch(document["final_at"]):
        raise ValueError("not a time")
    _check_act(document)
    seq, batch, run, kind = document["seq"], document["batch"], document["run"], document["type"]
    age = document["age_ms"]
    for count in (seq, document["rows"], *(c for c in (batch, age) if c is not None)):
        if type(count) is not int or not 0 <= count <= _COUNT_MAX:
            raise ValueError("not a count")
    if (kind in (*_OF_A_RUN, "held") and not run) or (kind == "delivered" and batch is None):
        raise ValueError("a run or batch unnamed")
    listed = None
    if kind == "suppression":
        if not _ROOT.fullmatch(document["reason"]):
            raise ValueError("not a root")
        listed = _ListHead(count=document["rows"], root=bytes.fromhex(document["reason"]))
    at = datetime.fromisoformat(document["at"])
    if kind == "held" and (age or 0) > _HELD_AGE_MAX_MS:
        raise ValueError("not an age of what is held")
    held = (age or 0) if kind == "held" else 0
    return _Entry(seq=seq, type=kind, at=at, run=run, batch=batch, age_ms=held, listed=listed)


def _check_act(document: dict[str, Any]) -> None:
    """Who did what to which object; of acts alone."""
    is_act = document["type"] == "act"
    said = {"actor", "object", "before", "after"} & set(document)
    if (said and not is_act) or (is_act and not {"actor", "object"} <= said):
        raise ValueError("an act unnamed, or no act")
    if is_act and not document["operation"]:
        raise ValueError("an act without a name")
    for name in said:
        form = _ROOT if name in ("before", "after") else _TEXT
        if not document[name] or not form.fullmatch(document[name]):
            raise ValueError("not an identifier or fingerprint")


def _lines(stream: IO[bytes]) -> Iterator[bytes | None]:
    """Lines without their ends, cut at the limit; None for a last line that does not end."""
    while line := stream.readline(LINE_BYTES_MAX):
        whole = line.endswith(b"\n")
        piece = line
        while not whole and (piece := stream.readline(LINE_BYTES_MAX)):
            whole = piece.endswith(b"\n")
        if not whole:
            yield None
            return
        yield line.removesuffix(b"\n")


_Member = Callable[[str], "IO[bytes] | None"]


@contextmanager
def _opened(path: Path) -> Iterator[_Member]:
    """The ledger's files by name: a function giving an open file, or None for a missing one."""
    with ExitStack() as stack:
        if path.is_dir():
            _lock(path, stack)
            yield lambda name: _folder_member(path / name, stack)
        elif path.is_file() and zipfile.is_zipfile(path):
            archive = stack.enter_context(zipfile.ZipFile(path))
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            yield lambda name: _picked(names, name, archive.open, stack)
        elif path.is_file():  # a device could be read for ever
            tar = stack.enter_context(tarfile.open(path))
            files = [info.name for info in tar.getmembers() if info.isreg()]
            yield lambda name: _picked(files, name, tar.extractfile, stack)
        else:
            raise ValueError("neither a folder nor a file")


def _folder_member(file: Path, stack: ExitStack) -> IO[bytes] | None:
    return stack.enter_context(file.open("rb")) if file.is_file() else None


def _picked(
    names: list[str], name: str, opener: Callable[[str], IO[bytes] | None], stack: ExitStack
) -> IO[bytes] | None:
    """The one member of that name, at the top of the archive or in a folder."""
    found = [candidate for candidate in names if candidate.rsplit("/", 1)[-1] == name]
    if len(found) > 1:
        raise ValueError("the archive holds a file twice")
    opened = opener(found[0]) if found else None
    return stack.enter_context(opened) if opened is not None else None


def _lock(folder: Path, stack: ExitStack) -> None:
    """Keep a writer out while reading, where the ledger is in use on this machine."""
    lock = folder / "lock"
    if sys.platform != "win32" and lock.is_file():
        with suppress(OSError):  # a copy on a medium without locks has no writer either
            fcntl.flock(stack.enter_context(lock.open("rb")), fcntl.LOCK_SH)


def _small(member: _Member, name: str) -> bytes | None:
    stream = member(name)
    return None if stream is None else stream.read(NOTE_BYTES_MAX)


def _read_file(file: Path, bytes_max: int = NOTE_BYTES_MAX) -> bytes:
    if not file.is_file():
        raise ValueError("not a file")
    with file.open("rb") as stream:
        return stream.read(bytes_max)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify what the command line names, print the report, return the exit code."""
    parser = _Parser(prog="verify.py", description="Verify a ledger of Mayfly.")
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="folder or archive of a ledger; files of reports; with --proof, a proof",
    )
    parser.add_argument("--proof", action="store_true", help="verify what `mayfly prove` printed")
    parser.add_argument("--key", type=Path, required=True, help="public key you trust")
    parser.add_argument(
        "--checkpoint", type=Path, action="append", default=[], help="a checkpoint you kept"
    )
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    if not options.proof and all(is_report(path) for path in options.paths):
        found = [verify_report(path, options.key, options.checkpoint) for path in options.paths]
        document = reports_document(found)
        if options.output == "json":
            sys.stdout.write(json.dumps(document) + "\n")
        else:
            sys.stdout.write("".join(r.to_text() for r in found))
        return 0 if document["ok"] else 1
    if len(options.paths) > 1:
        parser.error("give one ledger or one proof, or files of reports alone")
    verify = verify_proof if options.proof else verify_ledger
    report = verify(options.paths[0], options.key, options.checkpoint)
    if options.output == "json":
        sys.stdout.write(json.dumps(report.to_dict()) + "\n")
    else:
        sys.stdout.write(report.to_text())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
