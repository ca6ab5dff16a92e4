"""Files of reports: what their signature binds, and what a verifier finds."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mayfly.ledger import verify
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.report_note import sign_report
from mayfly.services.report_document import content_digest

SIGNER = Signer.from_seed(workspace="w", seed=bytes(32))
OTHER = Signer.from_seed(workspace="w", seed=bytes([1] * 32))
ROOT = bytes(range(32))
NOTE = SIGNER.checkpoint(7, ROOT)
CONTENT = {"name": "caf\u00e9", "count": 3, "list": [None, True]}
DIGEST = content_digest(CONTENT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A report in three forms, signed, with the key and the checkpoint that it was made by."""
    document = json.dumps({"content_sha256": DIGEST, "content": CONTENT}, indent=2)
    for form, text in (
        ("json", document),
        ("html", f"<p>{DIGEST}"),
        ("csv", f"x,{DIGEST}\r\n"),
    ):
        put(tmp_path / f"r.{form}", text.encode())
    (tmp_path / "key.pub").write_text(SIGNER.verifier_key.to_line() + "\n")
    (tmp_path / "kept").write_text(NOTE)
    return tmp_path


def put(path: Path, data: bytes, *, signer: Signer = SIGNER, digest: str = DIGEST) -> None:
    """A file and its signature."""
    path.write_bytes(data)
    note = sign_report(signer, kind="security", file=data, content_sha256=digest, checkpoint=NOTE)
    Path(f"{path}.sig").write_text(note)


def found(folder: Path, form: str = "json") -> list[str]:
    """Codes of what is wrong with one form."""
    report = verify.verify_report(folder / f"r.{form}", folder / "key.pub")
    return [p.code for p in report.problems]


def test_a_report_verifies_in_each_form(folder: Path) -> None:
    """By the key alone; with the checkpoint that it was made by it is anchored."""
    for form in ("json", "html", "csv"):
        path = folder / f"r.{form}"
        assert verify.is_report(path)
        report = verify.verify_report(path, folder / "key.pub")
        assert (report.ok, report.anchored, report.kind) == (True, False, "security")
        assert report.content_sha256 == DIGEST
        assert report.checkpoint is not None
        assert report.checkpoint["size"] == 7
        assert verify.verify_report(path, folder / "key.pub", [folder / "kept"]).anchored


CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a changed number": (
        "file_differs",
        lambda f: (f / "r.json").write_text((f / "r.json").read_text().replace("3", "4")),
    ),
    "a page that is not the signed one": (
        "file_differs",
        lambda f: (f / "r.json").write_bytes((f / "r.json").read_bytes() + b"\n"),
    ),
    "no signature": ("signature_missing", lambda f: (f / "r.json.sig").unlink()),
    "a signature of another form": (
        "file_differs",
        lambda f: (f / "r.json.sig").write_bytes((f / "r.html.sig").read_bytes()),
    ),
    "another key": (
        "signature_invalid",
        lambda f: (f / "key.pub").write_text(OTHER.verifier_key.to_line()),
    ),
    "a changed signature": (
        "signature_invalid",
        lambda f: (f / "r.json.sig").write_text(
            (f / "r.json.sig").read_text().replace("\n7\n", "\n8\n")
        ),
    ),
    "a checkpoint for a signature": (
        "signature_invalid",
        lambda f: (f / "r.json.sig").write_text(NOTE),
    ),
    "an embedded digest that is not of the content": (
        "content_differs",
        lambda f: put(f / "r.json", json.dumps({"content_sha256": DIGEST, "content": {}}).encode()),
    ),
    "a file that is no report": ("report_malformed", lambda f: put(f / "r.json", b"[1]")),
    "no file": ("unreadable", lambda f: (f / "r.json").unlink()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_wrong_is_found(folder: Path, change: str) -> None:
    """Each with its code, and nothing is raised."""
    code, act = CHANGES[change]
    act(folder)
    assert code in found(folder)


def test_a_form_that_says_something_else_is_found(folder: Path) -> None:
    """The digest that was signed must stand in pages and tables, too."""
    put(folder / "r.html", b"<p>nothing")
    assert found(folder, "html") == ["content_differs"]


def test_a_kept_checkpoint_of_that_size_must_have_its_root(folder: Path) -> None:
    """Else the ledger was written anew; one of another size says nothing of it."""
    (folder / "kept").write_text(SIGNER.checkpoint(7, bytes(32)))
    report = verify.verify_report(folder / "r.csv", folder / "key.pub", [folder / "kept"])
    assert [p.code for p in report.problems] == ["checkpoint_differs"]
    (folder / "kept").write_text(SIGNER.checkpoint(9, bytes(32)))
    report = verify.verify_report(folder / "r.csv", folder / "key.pub", [folder / "kept"])
    assert (report.ok, report.anchored) == (True, False)


def test_a_note_of_a_report_is_no_checkpoint(folder: Path) -> None:
    """No verifier of ledgers takes it for one."""
    note = (folder / "r.csv.sig").read_bytes()
    key = verify._parse_key((folder / "key.pub").read_bytes())
    with pytest.raises(ValueError, match="checkpoint"):
        verify._signed_head(note, key)


def test_the_file_alone_verifies_reports(folder: Path) -> None:
    """Copied away and run as a program, it checks several at once and exits by what it finds."""
    alone = folder / "verify.py"
    alone.write_bytes(Path(verify.__file__).read_bytes())
    words = ["r.json", "r.html", "--key", "key.pub", "--output", "json"]

    def run() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [sys.executable, "-I", str(alone), *words], cwd=folder, capture_output=True, check=False
        )

    good = run()
    assert (good.returncode, json.loads(good.stdout)["ok"]) == (0, True)
    (folder / "r.html").write_text("changed")
    bad = run()
    assert bad.returncode == 1
    assert [r["ok"] for r in json.loads(bad.stdout)["reports"]] == [True, False]


def test_the_note_is_the_form_that_is_written_down() -> None:
    """Six lines, an empty one, and the signature by the ledger's key: docs/specs/report.md."""
    note = sign_report(SIGNER, kind="record", file=b"x", content_sha256=DIGEST, checkpoint=NOTE)
    text, _, tail = note.partition("\n\n")
    assert text.split("\n")[:5] == [
        "mayfly/report/1/w",
        "record",
        hashlib.sha256(b"x").hexdigest(),
        DIGEST,
        "7",
    ]
    assert tail.startswith("\u2014 mayfly/ledger/1/w ")
