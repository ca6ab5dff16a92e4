"""The verifier: an honest ledger passes, and each way of tampering is found."""

from __future__ import annotations

import ast
import base64
import fcntl
import io
import json
import random
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.domain.errors import IntegrityError
from mayfly.ledger import verify
from mayfly.ledger.checkpoint import Signer
from mayfly.ledger.entry import Entry, EntryType
from mayfly.ledger.merkle import leaf_hash, root
from mayfly.ledger.verify import CAP, Report, main, verify_ledger

SIGNER = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
OTHER = Signer.from_seed(workspace="shop", seed=bytes(32))
START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("entries.jsonl", "checkpoint", "key.pub")


def act(kind: str, run: str = "r1", *, batch: int | None = None, after: float = 0) -> Entry:
    """An entry `after` seconds from the start; its position is given by `lines_of`."""
    at = START + timedelta(seconds=after)
    draft = Entry(type=EntryType(kind), workspace="shop", sync="vip", run=run, batch=batch, rows=2)
    return draft.placed(seq=0, at=at)


def lines_of(*acts: Entry) -> list[bytes]:
    """The lines of entries, numbered."""
    return [replace(entry, seq=seq).to_line() for seq, entry in enumerate(acts)]


def signed(lines: list[bytes], signer: Signer = SIGNER) -> str:
    """A checkpoint over lines."""
    return signer.checkpoint(len(lines), root([leaf_hash(line) for line in lines]))


VERSIONED = replace(
    act("kek_destroyed", ""), kek_version="2", final_at="2026-03-31T00:00:00.000000Z"
)
ACTED = replace(
    act("refused", ""),
    type=EntryType.ACT,
    operation="pause",
    actor="a-1",
    object="sync/vip",
    before="0f" * 32,
    after="f0" * 32,
)
HONEST = lines_of(
    act("refused", "r0"),
    act("created", after=1),
    act("delivered", batch=0, after=2),
    act("delivered", batch=1, after=3),
    act("dropped", after=4),
)


def written(
    folder: Path, lines: list[bytes], *, note: str | None = None, key: Signer = SIGNER
) -> Path:
    """A ledger folder; its checkpoint covers the lines unless another note is given."""
    folder.mkdir(exist_ok=True)
    (folder / "entries.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    (folder / "checkpoint").write_text(signed(lines) if note is None else note)
    (folder / "key.pub").write_text(key.verifier_key.to_line() + "\n")
    return folder


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The public key, kept beside the ledger by whoever verifies."""
    file = tmp_path / "trusted.pub"
    file.write_text(SIGNER.verifier_key.to_line() + "\n")
    return file


def codes(report: Report) -> set[str]:
    """Codes of what was found."""
    return {problem.code for problem in report.problems}


def test_an_honest_ledger_verifies(tmp_path: Path, key_file: Path) -> None:
    """Nothing is found wrong, and without a checkpoint from outside it is not anchored."""
    report = verify_ledger(written(tmp_path / "l", HONEST), key_file)
    assert report.ok
    assert report.to_dict() == {
        "schema": "mayfly/verify/1",
        "ok": True,
        "anchored": False,
        "entries": 5,
        "checkpoint": {
            "origin": "mayfly/ledger/1/shop",
            "size": 5,
            "root": signed(HONEST).split("\n")[2],
        },
        "held": 0,
        "unpaired": 0,
        "overdue": 0,
        "inconsistent": 0,
        "problems": [],
    }


def test_an_empty_ledger_verifies(tmp_path: Path, key_file: Path) -> None:
    """No entries under a signed checkpoint of size 0 are fine; without it they are not."""
    folder = written(tmp_path / "l", [])
    assert verify_ledger(folder, key_file).ok
    (folder / "checkpoint").unlink()
    assert codes(verify_ledger(folder, key_file)) == {"checkpoint_missing"}


@pytest.mark.parametrize("covered", range(6))
def test_a_kept_checkpoint_of_any_age_anchors(tmp_path: Path, key_file: Path, covered: int) -> None:
    """Consistency with an older one is recomputed from the entries; one of none says nothing."""
    kept = tmp_path / "kept"
    kept.write_text(signed(HONEST[:covered]))
    report = verify_ledger(written(tmp_path / "l", HONEST), key_file, [kept])
    assert (report.ok, report.anchored) == (True, covered > 0)


def test_a_checkpoint_of_no_entry_is_checked_beside_others(tmp_path: Path, key_file: Path) -> None:
    """It is in nobody's way, and a wrong one is."""
    kept = [tmp_path / "kept1", tmp_path / "kept2"]
    kept[0].write_text(signed([]))
    kept[1].write_text(signed(HONEST[:2]))
    folder = written(tmp_path / "l", HONEST)
    report = verify_ledger(folder, key_file, kept)
    assert (report.ok, report.anchored) == (True, True)
    kept[0].write_text(SIGNER.checkpoint(0, bytes(32)))
    report = verify_ledger(folder, key_file, kept)
    assert (report.anchored, codes(report)) == (False, {"checkpoint_differs"})


def test_an_archive_may_begin_as_a_proof_does(tmp_path: Path, key_file: Path) -> None:
    """By the name of its first file: what opens as an archive is one."""
    folder = written(tmp_path / "l", HONEST)
    report = verify_ledger(tarred(folder, tmp_path / "l.tar", "{ledger}/"), key_file)
    assert (report.ok, report.entries) == (True, 5)


def test_a_rewritten_ledger_contradicts_a_kept_checkpoint(tmp_path: Path, key_file: Path) -> None:
    """An operator who rewrites and signs everything anew is caught by what left his hands."""
    kept = [tmp_path / "kept1", tmp_path / "kept2"]
    kept[0].write_text(signed(HONEST))
    rewritten = lines_of(act("created"), act("dropped", after=1), *[act("refused", after=2)] * 4)
    kept[1].write_text(signed(rewritten[:1]))
    folder = written(tmp_path / "l", rewritten)
    assert verify_ledger(folder, key_file).ok
    report = verify_ledger(folder, key_file, kept)
    assert (report.anchored, report.inconsistent) == (False, 1)
    assert codes(report) == {"checkpoint_differs"}


def test_a_ledger_rolled_back_contradicts_a_kept_checkpoint(tmp_path: Path, key_file: Path) -> None:
    """A kept checkpoint that is ahead of the ledger means that entries were taken away."""
    kept = tmp_path / "kept"
    kept.write_text(signed(HONEST))
    folder = written(tmp_path / "l", HONEST[:1])
    assert verify_ledger(folder, key_file).ok
    report = verify_ledger(folder, key_file, [kept])
    assert (report.anchored, codes(report)) == (False, {"checkpoint_differs"})


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", signed(HONEST, OTHER).encode(), signed(HONEST).encode()[:-5]]
)
def test_a_forged_checkpoint_anchors_nothing(
    tmp_path: Path, key_file: Path, content: bytes
) -> None:
    """A checkpoint given that the key did not sign counts as inconsistent, also beside a good."""
    forged, good = tmp_path / "forged", tmp_path / "good"
    forged.write_bytes(content)
    good.write_text(signed(HONEST))
    folder = written(tmp_path / "l", HONEST)
    for kept in ([forged], [good, forged], [tmp_path / "missing"]):
        report = verify_ledger(folder, key_file, kept)
        assert (report.anchored, report.inconsistent) == (False, 1)


SEVENTH = replace(act("refused", after=9), seq=5).to_line()
TAMPERED: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "changed": (lambda e: [*e[:2], e[2].replace(b'"rows":2', b'"rows":3'), *e[3:]], "root_differs"),
    "dropped first": (lambda e: e[1:], "entries_missing"),
    "dropped middle": (lambda e: [*e[:2], *e[3:]], "seq_differs"),
    "truncated": (lambda e: e[:-1], "entries_missing"),
    "emptied": (lambda e: [], "entries_missing"),
    "reordered": (lambda e: [e[0], e[2], e[1], *e[3:]], "time_backwards"),
    "swapped equal times": (lambda e: [e[1], e[0], *e[2:]], "seq_differs"),
    "duplicated": (lambda e: [*e[:3], e[2], *e[3:]], "seq_differs"),
    "appended unsigned": (lambda e: [*e, SEVENTH], "entries_unsigned"),
    "not canonical": (lambda e: [*e[:2], e[2] + b" ", *e[3:]], "line_malformed"),
    "other field": (lambda e: [*e[:2], e[2].replace(b"rows", b"mail"), *e[3:]], "line_malformed"),
    "blank line": (lambda e: [*e[:2], b"", *e[2:]], "line_malformed"),
    "long line": (lambda e: [b"x" * 100_000, *e[1:]], "line_malformed"),
    "nested": (lambda e: [b"[" * 8000, *e[1:]], "line_malformed"),
    "a value": (lambda e: [*e[:4], e[4].replace(b'"vip"', b'"a@b.c"')], "line_malformed"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_found(tmp_path: Path, key_file: Path, how: str) -> None:
    """Each change of the entries under the old checkpoint is inconsistent, and named."""
    tamper, code = TAMPERED[how]
    folder = written(tmp_path / "l", tamper(list(HONEST)), note=signed(HONEST))
    report = verify_ledger(folder, key_file)
    assert report.inconsistent
    assert code in codes(report)


@pytest.mark.parametrize("how", ["changed", "reordered", "duplicated", "not canonical", "a value"])
def test_tampering_signed_anew_is_found_where_form_or_order_breaks(
    tmp_path: Path, key_file: Path, how: str
) -> None:
    """Even a signed checkpoint over them does not make such entries good; a changed count does
    pass, which is why a checkpoint must be kept elsewhere.
    """
    lines = TAMPERED[how][0](list(HONEST))
    report = verify_ledger(written(tmp_path / "l", lines), key_file)
    assert bool(report.inconsistent) == (how != "changed")
    kept = tmp_path / "kept"
    kept.write_text(signed(HONEST))
    assert verify_ledger(tmp_path / "l", key_file, [kept]).inconsistent


def test_a_torn_last_line_is_found(tmp_path: Path, key_file: Path) -> None:
    """A last line without its end is not an entry."""
    folder = written(tmp_path / "l", HONEST)
    with (folder / "entries.jsonl").open("ab") as stream:
        stream.write(b'{"at":')
    assert codes(verify_ledger(folder, key_file)) == {"line_torn"}


def test_a_swapped_key_is_found(tmp_path: Path, key_file: Path) -> None:
    """The key given decides: a ledger signed and published under another is inconsistent."""
    folder = written(tmp_path / "l", HONEST, note=signed(HONEST, OTHER), key=OTHER)
    assert codes(verify_ledger(folder, key_file)) == {"key_differs", "checkpoint_invalid"}
    only_key = written(tmp_path / "m", HONEST, key=OTHER)
    assert codes(verify_ledger(only_key, key_file)) == {"key_differs"}
    (only_key / "key.pub").unlink()
    assert codes(verify_ledger(only_key, key_file)) == {"key_missing"}


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"a+b+c", "é".encode(), None])
def test_a_key_that_is_none_verifies_nothing(tmp_path: Path, content: bytes | None) -> None:
    """An unreadable key is reported, not raised."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    report = verify_ledger(written(tmp_path / "l", HONEST), file)
    assert {"key_unreadable", "checkpoint_invalid"} <= codes(report)
    assert report.checkpoint is None


DAY = 86_400.0


def sealed_again(*, age_days: int) -> list[Entry]:
    """On the tenth day, by which it had waited for so long, and gone on the 31st."""
    again = replace(act("held", batch=0, after=10 * DAY), age_ms=age_days * 86_400_000)
    first = [act("held", batch=0), act("purged", batch=0, after=10 * DAY)]
    return [*first, again, act("purged", batch=0, after=31 * DAY)]


CAP_SECONDS = CAP.total_seconds()


@pytest.mark.parametrize(
    ("acts", "unpaired", "overdue"),
    [
        ([act("created")], 1, 0),
        ([act("created"), act("created", "r2"), act("dropped", after=1)], 1, 0),
        ([act("created"), act("dropped", after=CAP_SECONDS)], 0, 0),
        ([act("created"), act("dropped", after=CAP_SECONDS + 1e-6)], 0, 1),
        ([act("created"), act("refused", "r2", after=CAP_SECONDS)], 1, 0),
        ([act("created"), act("refused", "r2", after=CAP_SECONDS + 1)], 1, 1),
        ([act("created"), act("created", after=DAY), act("dropped", after=2 * DAY)], 0, 0),
        ([act("created"), act("created", after=DAY), act("dropped", after=31 * DAY)], 0, 1),
        ([act("created"), *[act("dropped", after=1)] * 2], 0, 0),
        ([act("created"), act("dropped"), act("created", after=9)], 1, 0),
        ([act("delivered", batch=0)], 1, 0),
        ([act("dropped")], 1, 0),
        ([act("delivered", batch=0), act("created"), act("dropped")], 1, 0),
        ([act("created"), act("delivered", "r2", batch=0), act("dropped")], 1, 0),
        ([act("refused", "r9")], 0, 0),
        ([act("held", batch=0), act("purged", batch=0, after=1)], 0, 0),
        ([act("held", batch=0), act("purged", batch=1, after=1)], 1, 0),
        ([act("held", batch=0), act("expired", batch=0, after=31 * DAY)], 0, 1),
        (sealed_again(age_days=9), 0, 0),
        (sealed_again(age_days=10), 0, 1),
        ([act("created"), act("held", after=1)], 0, 0),
        ([act("created"), act("held", after=1), act("dropped", after=2)], 0, 0),
        ([act("created"), act("held", "r2", after=1)], 2, 0),
        ([act("created"), act("held"), act("refused", "r2", after=CAP_SECONDS + 1)], 0, 1),
    ],
)
def test_pairs(
    tmp_path: Path, key_file: Path, acts: list[Entry], unpaired: int, overdue: int
) -> None:
    """What is created must be dropped, in time; what is about a run must follow its creation."""
    report = verify_ledger(written(tmp_path / "l", lines_of(*acts)), key_file)
    assert (report.unpaired, report.overdue, report.inconsistent) == (unpaired, overdue, 0)
    assert report.ok == (not unpaired and not overdue)


def test_a_held_run_is_counted_until_it_is_dropped(tmp_path: Path, key_file: Path) -> None:
    """It is no fault, and it is not hidden."""
    acts = [act("created"), act("held", after=1)]
    held = verify_ledger(written(tmp_path / "l", lines_of(*acts)), key_file)
    assert (held.held, held.ok) == (1, True)
    closed = [
        *acts,
        act("created", "r2", after=2),
        act("dropped", after=3),
        act("dropped", "r2", after=4),
    ]
    assert verify_ledger(written(tmp_path / "m", lines_of(*closed)), key_file).held == 0


def zipped(folder: Path, file: Path, prefix: str = "") -> Path:
    """The folder as a zip archive."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.write(folder / name, prefix + name)
    return file


def tarred(folder: Path, file: Path, prefix: str = "") -> Path:
    """The folder as a tar archive, compressed as its name says."""
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as archive:
        for name in NAMES:
            archive.add(folder / name, prefix + name)
    return file


@pytest.mark.parametrize("prefix", ["", "ledger/", "./"])
def test_archives_verify_as_folders_do(tmp_path: Path, key_file: Path, prefix: str) -> None:
    """Each kind of archive is read, its files at the top or in a folder."""
    folder = written(tmp_path / "l", HONEST)
    for file in (
        zipped(folder, tmp_path / "l.zip", prefix),
        tarred(folder, tmp_path / "l.tar", prefix),
        tarred(folder, tmp_path / "l.tar.gz", prefix),
    ):
        report = verify_ledger(file, key_file)
        assert (report.ok, report.entries) == (True, 5), file.name


def test_an_archive_with_a_file_twice_is_refused(tmp_path: Path, key_file: Path) -> None:
    """An archive that could be read in two ways is not read."""
    file = zipped(written(tmp_path / "l", HONEST), tmp_path / "l.zip", "a/")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("b/entries.jsonl", b"")
    assert "unreadable" in codes(verify_ledger(file, key_file))


def garbage(tmp_path: Path) -> list[Path]:
    """Inputs of every sort that are no ledger."""
    folder = written(tmp_path / "good", HONEST)
    chance = random.Random(7)
    sources = [
        b"",
        b"PK\x03\x04" + bytes(100),
        b"\x1f\x8b" + bytes(50),
        chance.randbytes(5000),
        zipped(folder, tmp_path / "a.zip").read_bytes(),
        tarred(folder, tmp_path / "a.tar.gz").read_bytes(),
        tarred(folder, tmp_path / "a.tar").read_bytes(),
    ]
    files = [tmp_path / "empty folder", tmp_path / "missing", Path("/dev/zero"), Path("/dev/null")]
    files[0].mkdir()
    for number, source in enumerate(sources):
        for cut in {len(source), len(source) // 2, len(source) * 9 // 10}:
            file = tmp_path / f"garbage-{number}-{cut}"
            broken = bytearray(source[:cut])
            for _ in range(4 if broken else 0):
                broken[chance.randrange(len(broken))] ^= 0xFF
            file.write_bytes(broken)
            files.append(file)
    return files


def test_garbage_gives_a_report(tmp_path: Path, key_file: Path) -> None:
    """Whatever is read, a report comes back, and it is never a good one."""
    for file in garbage(tmp_path):
        report = verify_ledger(file, key_file)
        assert not report.ok, file.name
        assert not report.anchored


def test_binary_files_in_a_folder_give_a_report(tmp_path: Path, key_file: Path) -> None:
    """Random bytes in place of each file are counted, and the list of problems is bounded."""
    chance = random.Random(3)
    for name in NAMES:
        folder = written(tmp_path / f"l-{name}", HONEST)
        (folder / name).write_bytes(chance.randbytes(100_000))
        report = verify_ledger(folder, key_file)
        assert report.inconsistent
        assert len(report.problems) <= 100


def run_file(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the file as an auditor would, without the environment of this process."""
    command = [sys.executable, "-I", verify.__file__, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_runs_alone(tmp_path: Path, key_file: Path) -> None:
    """`python verify.py` prints the document and exits 0, 1 or 64, without a traceback."""
    folder = written(tmp_path / "l", HONEST)
    kept = tmp_path / "kept"
    kept.write_text(signed(HONEST[:2]))
    done = run_file(folder, "--key", key_file, "--checkpoint", kept, "--output", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["anchored"] is True
    bad = run_file(tmp_path / "missing", "--key", key_file)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert "DOES NOT VERIFY" in bad.stdout
    assert run_file(folder).returncode == 64


def test_the_file_imports_nothing_of_ours() -> None:
    """The verifier imports the standard library and `cryptography`, and nothing else."""
    tree = ast.parse(Path(verify.__file__).read_text())
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            named.add((node.module or "").split(".")[0])
    assert named - set(sys.stdlib_module_names) == {"cryptography"}


@given(
    line=st.sampled_from([*HONEST, *lines_of(act("held", batch=3), VERSIONED, ACTED)]),
    cuts=st.tuples(st.integers(0, 400), st.integers(0, 3)),
    patch=st.one_of(st.binary(max_size=3), st.sampled_from([b"null", b'""', b"0", b"-1", b"1.0"])),
)
def test_the_verifier_reads_what_the_writer_writes(
    line: bytes, cuts: tuple[int, int], patch: bytes
) -> None:
    """The two parsers, which share no code, accept and refuse the same lines."""
    start, length = cuts
    changed = line[:start] + patch + line[start + length :]
    try:
        entry = Entry.from_line(changed)
    except IntegrityError:
        with pytest.raises((ValueError, TypeError)):
            verify._parse_entry(changed)
    else:
        read = verify._parse_entry(changed)
        assert (read.seq, read.type, read.run) == (entry.seq, entry.type.value, entry.run)


@pytest.mark.parametrize("name", ["kek_version", "final_at"])
@pytest.mark.parametrize("value", ["", "a b", 7, None, ["1"], "2026-03-01"])
def test_what_may_be_left_out_is_checked_where_it_is_there(name: str, value: object) -> None:
    """Both parsers take a field that has something to say, and no other."""
    document = json.loads(lines_of(VERSIONED)[0]) | {name: value}
    line = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    if (name, value) == ("kek_version", "2026-03-01"):
        assert Entry.from_line(line).kek_version == value
        verify._parse_entry(line)
        return
    with pytest.raises(IntegrityError):
        Entry.from_line(line)
    with pytest.raises((ValueError, TypeError)):
        verify._parse_entry(line)


def test_both_parsers_know_the_same_words() -> None:
    """Types and fields are the same closed lists in the writer and the verifier."""
    assert set(verify._TYPES) == {kind.value for kind in EntryType}
    assert set(json.loads(HONEST[0])) == verify._FIELDS
    said = {name for line in lines_of(VERSIONED, ACTED) for name in json.loads(line)}
    assert said - verify._FIELDS == verify._LEFT_OUT_EMPTY


@pytest.mark.parametrize("name", ["actor", "object", "before", "after", "operation"])
@pytest.mark.parametrize("value", ["", "a b", 7, None, "0F" * 32, "e" * 129])
def test_an_act_says_who_did_what_to_which_object(name: str, value: object) -> None:
    """Both parsers take the same, of acts and of nothing else."""
    document = json.loads(lines_of(ACTED)[0]) | {name: value}
    if value == "0F" * 32 and name in ("actor", "object", "operation"):
        value = document[name] = "x" * 129  # an identifier else
    for changed in (document, json.loads(lines_of(ACTED)[0]) | {"type": "refused"}):
        line = json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(IntegrityError):
            Entry.from_line(line)
        with pytest.raises((ValueError, TypeError)):
            verify._parse_entry(line)


def test_text_names_the_line(
    tmp_path: Path, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """People see which line is at fault."""
    lines = TAMPERED["duplicated"][0](list(HONEST))
    folder = written(tmp_path / "l", lines)
    assert main([str(folder), "--key", str(key_file)]) == 1
    assert "line 4: seq_differs" in capsys.readouterr().out


def test_reading_changes_nothing(tmp_path: Path, key_file: Path) -> None:
    """Verifying leaves the folder byte for byte as it was, and works on one file at a time."""
    folder = written(tmp_path / "l", HONEST)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    verify_ledger(folder, key_file)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert list(verify._lines(io.BytesIO(b"a\nbc\nd"))) == [b"a", b"bc", None]


def resigned(text: str, dash: str = "\u2014") -> str:
    """A note over any text, with a good signature under our name and key."""
    signature = SIGNER.private_key.sign(text.encode())
    line = base64.b64encode(SIGNER.verifier_key.key_id + signature).decode()
    return f"{text}\n{dash} {SIGNER.origin} {line}\n"


def test_only_this_ledgers_notes_in_their_form_are_checkpoints(
    tmp_path: Path, key_file: Path
) -> None:
    """A good signature does not save a note of another ledger or of another form."""
    text = signed(HONEST).split("\n\n")[0] + "\n"
    folder = written(tmp_path / "l", HONEST, note=resigned(text))
    assert verify_ledger(folder, key_file).ok
    for note in (resigned(text.replace("shop", "ship")), resigned(text, dash="-")):
        (folder / "checkpoint").write_text(note)
        assert codes(verify_ledger(folder, key_file)) == {"checkpoint_invalid"}


def test_a_key_whose_id_is_wrong_is_none(tmp_path: Path) -> None:
    """The id in a key line must be that of the key."""
    folder = written(tmp_path / "l", HONEST)
    line = SIGNER.verifier_key.to_line()
    file = tmp_path / "key"
    file.write_text(line.replace(SIGNER.verifier_key.key_id.hex(), "00000000"))
    assert "key_unreadable" in codes(verify_ledger(folder, file))


def test_a_ledger_in_use_is_locked_while_read(
    tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verifier takes the lock shared, so that no writer is half-way; one of its own too."""
    folder = written(tmp_path / "l", HONEST)
    (folder / "lock").touch()
    seen: list[int] = []

    def read(walk: verify._Walk, stream: object) -> None:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            with pytest.raises(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        seen.append(walk.lines)

    monkeypatch.setattr(verify._Walk, "read", read)
    verify_ledger(folder, key_file)
    assert seen == [0]
