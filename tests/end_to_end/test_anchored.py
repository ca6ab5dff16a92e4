"""Checkpoints leave our hands, and show a ledger that was written anew with the real key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import FILES, approved, make_project
from end_to_end.spool_buckets import anchor_bucket
from mayfly.api.host import HOST_CODES
from mayfly.cli.commands import app
from mayfly.cli.entry import main
from mayfly.sandbox.server import SandboxServer

ANCHORS = "anchors:\n  share: {type: folder, path: SHARE}\n  shop: {type: source, source: shop}\n"


def call(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of a command."""
    done = CliRunner().invoke(app, [*words, "--project", str(root), "--output", "json"])
    return done.exit_code, json.loads(done.stdout)


def verified(root: Path, *checkpoints: Path) -> tuple[int, dict[str, Any]]:
    """What `mayfly verify` says with checkpoints that were kept elsewhere."""
    folder = root / ".mayfly" / "ledger"
    words = ["verify", str(folder), "--key", str(folder / "key.pub"), "--output", "json"]
    for path in checkpoints:
        words += ["--checkpoint", str(path)]
    done = CliRunner().invoke(app, words)
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def root(tmp_path: Path, sandbox: SandboxServer) -> Path:
    """A project with a share and its own warehouse as anchors."""
    (tmp_path / "share").mkdir()
    text = FILES + ANCHORS.replace("SHARE", str(tmp_path / "share"))
    return make_project(tmp_path / "project", sandbox.url, rows=20, text=text)


def in_order(folder: Path) -> list[Path]:
    """Checkpoints that are kept there, by how many entries each covers."""
    return sorted(folder.iterdir(), key=lambda p: int(p.stem.rpartition("-")[2]))


def test_every_act_leaves_its_checkpoint(root: Path, tmp_path: Path) -> None:
    """At each anchor; the ledger holds against them, and the report says that it is anchored."""
    code, document = call(root, "report", "retention")
    assert (document["anchored"], [a["code"] for a in document["anchors"]]) == (
        False,
        ["never"] * 2,
    )
    approved(root)
    assert call(root, "run", "to_crm")[0] == 0
    assert call(root, "run", "to_meta")[0] == 0
    kept = in_order(tmp_path / "share")
    assert len(kept) == 3
    code, document = call(root, "report", "retention")
    assert (code, document["anchored"]) == (0, True)
    assert {a["name"]: a["code"] for a in document["anchors"]} == {"share": "", "shop": ""}
    code, report = verified(root, *kept)
    assert (code, report["anchored"], report["inconsistent"]) == (0, True, 0)
    assert "unanchored" not in {p["code"] for p in call(root, "doctor")[1]["problems"]}


@pytest.mark.parametrize(
    "words", [["keys", "destroy", "1", "--yes"], ["state", "drop", "to_crm", "--yes"]]
)
def test_an_act_without_a_run_leaves_its_checkpoint_too(
    root: Path, tmp_path: Path, words: list[str]
) -> None:
    """Whatever the ledger has is at the anchors as soon as the act is over."""
    approved(root)
    assert call(root, "run", "to_crm")[0] == 0
    assert call(root, "keys", "rotate")[0] == 0
    before = len(list((tmp_path / "share").iterdir()))
    assert call(root, *words)[0] == 0
    kept = in_order(tmp_path / "share")
    assert len(kept) == before + 1
    assert call(root, "report", "retention")[1]["anchored"]
    assert verified(root, *kept)[1]["anchored"]


def test_a_ledger_written_anew_does_not_hold_against_what_was_kept(
    root: Path, tmp_path: Path
) -> None:
    """Its owner has the key, and everything else fits."""
    approved(root)
    folder = root / ".mayfly" / "ledger"
    before = tmp_path / "before"
    shutil.copytree(folder, before)
    call(root, "run", "to_crm")
    [_, kept] = in_order(tmp_path / "share")
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    call(root, "run", "to_meta")
    assert verified(root)[0] == 0
    code, report = verified(root, kept)
    assert (code, report["inconsistent"]) == (1, 1)


def test_an_anchor_that_is_away_stops_nothing_and_is_made_up(root: Path, tmp_path: Path) -> None:
    """It is told of, by the command, by the report and by `doctor`."""
    approved(root)
    shutil.rmtree(tmp_path / "share")
    done = CliRunner().invoke(app, ["run", "to_crm", "--project", str(root)])
    assert done.exit_code == 0
    assert "anchor share: the checkpoint did not arrive [anchor_refused]" in done.stderr
    document = call(root, "report", "retention")[1]
    assert document["anchored"]  # by the other one
    assert {a["name"]: a["code"] for a in document["anchors"]} == {
        "share": "anchor_refused",
        "shop": "",
    }
    assert "anchor_failed" in {p["code"] for p in call(root, "doctor")[1]["problems"]}
    (tmp_path / "share").mkdir()
    call(root, "sweep")
    assert len(list((tmp_path / "share").iterdir())) == 1


@pytest.mark.parametrize("kind", ["s3", "gcs"])
def test_a_bucket_keeps_each_checkpoint(
    tmp_path: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Each act leaves one; while it is away that is told, and made up for afterwards."""
    with anchor_bucket(kind, monkeypatch) as (bucket, anchors):
        root = make_project(tmp_path / "project", sandbox.url, rows=5, text=FILES + anchors)
        approved(root)
        assert call(root, "run", "to_crm")[0] == 0
        bucket.status = 503
        done = CliRunner().invoke(app, ["run", "to_meta", "--project", str(root)])
        assert done.exit_code == 0
        assert "anchor audit: the checkpoint did not arrive [anchor_away]" in done.stderr
        assert "anchor_failed" in {p["code"] for p in call(root, "doctor")[1]["problems"]}
        assert len(bucket.objects) == 2
        bucket.status = 0
        call(root, "sweep")
        kept = []
        for name, content in bucket.objects.items():
            kept.append(tmp_path / name.rpartition("/")[2])
            kept[-1].write_bytes(content)
    assert len(kept) == 3
    code, report = verified(root, *kept)
    assert (code, report["anchored"], report["inconsistent"]) == (0, True, 0)


def test_without_an_anchor_every_report_says_so(tmp_path: Path, sandbox: SandboxServer) -> None:
    """And `doctor` tells, though nothing is wrong for a run."""
    root = make_project(tmp_path / "project", sandbox.url, rows=5, text=FILES)
    approved(root)
    call(root, "run", "to_crm")
    assert call(root, "report", "retention")[1]["anchored"] is False
    text = CliRunner().invoke(app, ["report", "retention", "--project", str(root)]).stdout
    assert "not anchored" in text
    code, document = call(root, "doctor")
    told = {p["code"] for p in document["problems"]}
    assert (code, told - set(HOST_CODES)) == (0, {"keys_not_hsm", "unanchored"})


def test_a_proof_is_checked_without_the_ledger(root: Path, tmp_path: Path) -> None:
    """With the checkpoint that an anchor kept and the key: the ledger goes on from it, and an
    entry of today stands in it.
    """
    approved(root)
    assert call(root, "run", "to_meta")[0] == 0
    [_, kept] = in_order(tmp_path / "share")
    old = kept.read_text().splitlines()[1]
    assert call(root, "run", "to_meta", "--full-refresh")[0] == 0
    key = root / ".mayfly" / "ledger" / "key.pub"
    for words in (["--from", old], ["--entry", old], ["--entry", "0", "--to", old]):
        done = CliRunner().invoke(app, ["prove", *words, "--project", str(root)])
        assert done.exit_code == 0, done.output
        (tmp_path / "proof.json").write_text(done.stdout)
        asked = ["verify", str(tmp_path / "proof.json"), "--key", str(key), "--output", "json"]
        done = CliRunner().invoke(app, asked)
        assert (done.exit_code, json.loads(done.stdout)["ok"]) == (1, False)
        asked += ["--proof"]
        asked += ["--checkpoint", str(kept)] * (words != ["--entry", old])
        done = CliRunner().invoke(app, asked)
        document = json.loads(done.stdout)
        assert (done.exit_code, document["ok"]) == (0, True)
        assert document["anchored"] == (words != ["--entry", old])


@pytest.mark.parametrize("words", [[], ["--from", "1", "--entry", "1"], ["--from", "0"]])
def test_one_thing_is_proven_at_a_time(root: Path, words: list[str]) -> None:
    """Neither nothing nor two things, nor what holds of every ledger."""
    with pytest.raises(SystemExit) as ended:
        main(["prove", *words, "--project", str(root)])
    assert ended.value.code == 64


@pytest.mark.parametrize("words", [["--from", "9"], ["--entry", "0"], ["--from", "1", "--to", "7"]])
def test_nothing_beyond_the_ledger_is_proven(
    root: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no entry yet, and says how to count."""
    with pytest.raises(SystemExit) as ended:
        main(["prove", *words, "--project", str(root)])
    assert ended.value.code == 64
    assert "[beyond_ledger]" in capsys.readouterr().err
