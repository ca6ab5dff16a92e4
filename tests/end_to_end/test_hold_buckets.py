"""What holds where sealed batches wait in a bucket; the rest is as in a folder (`test_hold`)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from buckets import Bucket
from end_to_end.projects import approved, make_project, members
from end_to_end.spool_buckets import spool_bucket
from end_to_end.test_hold import DAY_MS, HOLD, call, control, emails, ledger, verified
from mayfly.adapters import clock
from mayfly.adapters.spools.spool import SealedSpool
from mayfly.cli.commands import app
from mayfly.sandbox.server import SandboxServer

pytestmark = pytest.mark.slow
AWAY = 503


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)


@pytest.fixture(params=["s3", "gcs"])
def project(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Path, Bucket]]:
    """A project with a bucket, approved, whose platform is away."""
    with spool_bucket(request.param, monkeypatch) as (bucket, text):
        root = make_project(tmp_path / "project", sandbox.url, text=HOLD + text)
        approved(root)
        control(sandbox, "POST", {"path": "/*/users", "kind": "503", "count": 10_000})
        yield root, bucket


def keys_left(root: Path) -> int:
    """Data keys that are still there, wrapped."""
    with sqlite3.connect(root / ".mayfly" / "spool.sqlite") as connection:
        return int(connection.execute("SELECT count(*) FROM keys").fetchone()[0])


def pass_days(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """The machine's clock goes on."""
    real = clock._system_ms
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + days * DAY_MS)


def test_keys_stay_on_the_machine(project: tuple[Path, Bucket]) -> None:
    """In the bucket is nothing but sealed bytes below the prefix, under names that say nothing."""
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    assert len(bucket.objects) == keys_left(root) == 4
    assert all(name.startswith("mayfly/shop/") for name in bucket.objects)
    assert not (root / ".mayfly" / "spool").exists()
    with sqlite3.connect(root / ".mayfly" / "spool.sqlite") as connection:
        wrapped = [w for (w,) in connection.execute("SELECT wrapped FROM keys")]
    stored = b"".join(bucket.objects.values())
    assert wrapped
    assert not any(key in stored for key in wrapped)
    asked = " ".join(path for _, path in bucket.requests)
    assert not any(word in asked for word in ("to_meta", "people", "dev"))


def test_a_sweep_destroys_keys_though_the_bucket_is_away(
    project: tuple[Path, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is left, ends the working copy all the same, and says that the batches are gone
    only once their bytes are.
    """
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    pass_days(monkeypatch, 31)
    bucket.status = AWAY
    for copies in (1, 0):
        code, document = call(root, "sweep")
        assert (code, document["ok"]) == (4, False)
        [left] = document["left"]
        assert (left["what"], left["sync"], left["code"]) == (
            "sealed",
            "to_meta",
            "spool_unavailable",
        )
        assert len(document["purged"]) == copies
        assert keys_left(root) == 0
        assert len(bucket.objects) == 4
        assert ledger(root, "expired") == []
    bucket.status = 0
    code, document = call(root, "sweep")
    assert (code, document["left"], bucket.objects) == (0, [], {})
    assert [e["rows"] for e in ledger(root, "expired")] == [30, 30, 30, 10]
    assert verified(root)[0] == 0


def test_a_bucket_that_is_away_stops_no_other_sync(project: tuple[Path, Bucket]) -> None:
    """What waits there waits on; that the spool was not looked through is said on the terminal."""
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    bucket.status = AWAY
    done = CliRunner().invoke(app, ["run", "to_crm", "--project", str(root)])
    assert done.exit_code == 0, done.output
    assert "the spool could not be looked through" in done.stderr
    assert "[spool_unavailable]" in done.stderr
    assert call(root, "sweep")[1]["left"] == [
        {"what": "spool", "sync": None, "target": None, "run": None, "code": "spool_unavailable"}
    ]
    assert len(bucket.objects) == keys_left(root) == 4


def test_what_waits_goes_once_the_bucket_is_back(
    project: tuple[Path, Bucket], sandbox: SandboxServer
) -> None:
    """The platform is there again before the bucket is: nothing goes, and nothing is lost."""
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    control(sandbox, "DELETE")
    bucket.status = AWAY
    code, document = call(root, "run", "to_meta")
    assert (code, document["syncs"][0]["status"]) == (4, "held")
    assert len(bucket.objects) == keys_left(root) == 4
    bucket.status = 0
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100))
    assert (bucket.objects, verified(root)) == ({}, (0, 0, 0))


def test_where_both_are_away_the_plan_waits(
    project: tuple[Path, Bucket], sandbox: SandboxServer
) -> None:
    """Nothing is held then, and the next run plans anew; the bucket may have taken a batch that it
    did not answer for, so that its end is recorded once it answers.
    """
    root, bucket = project
    bucket.status = AWAY
    assert call(root, "run", "to_meta")[0] == 4
    assert (bucket.objects, keys_left(root)) == ({}, 0)
    status = call(root, "status")[1]
    assert {h["class"] for h in status["held"]} == {"temporary"}
    assert [(r["sync"], r["batches"]) for r in status["remains"]] == [("to_meta", 1)]
    assert ledger(root, "purged") == []
    bucket.status = 0
    control(sandbox, "DELETE")
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100))
    assert [e["reason"] for e in ledger(root, "purged")] == ["bytes_removed"]
    assert verified(root) == (0, 0, 0)


@pytest.mark.parametrize("status", [AWAY, 403])
def test_a_purge_on_demand_says_what_is_left(project: tuple[Path, Bucket], status: int) -> None:
    """The keys are gone at once; the bytes with the next sweep."""
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    bucket.status = status
    code, document = call(root, "purge", "to_meta")
    assert code == 4
    assert [left["what"] for left in document["left"]] == ["sealed"]
    assert len(document["purged"]) == 1  # the working copy
    assert keys_left(root) == 0
    bucket.status = 0
    assert call(root, "sweep")[0] == 0
    assert bucket.objects == {}


def erased(root: Path) -> list[tuple[bool, bool, str]]:
    """Of each sealed batch by the report: whether its key is gone, whether all is; how it ended."""
    batches = call(root, "report", "erasure")[1]["batches"]
    return [
        (b["key_destroyed_at"] is not None, b["logical_at"] is not None, b["reason"])
        for b in batches
    ]


@pytest.mark.parametrize("command", ["sweep", "purge", "run"])
def test_what_was_purged_is_gone_once_its_bytes_are(
    project: tuple[Path, Bucket], sandbox: SandboxServer, command: str
) -> None:
    """Neither a run, nor a sweep, nor another purge says so while the bucket is away; whichever
    finds it back removes the bytes and says so, once.
    """
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    bucket.status = AWAY
    assert call(root, "purge", "to_meta")[0] == 4
    control(sandbox, "DELETE")
    for act in (("sweep",), ("purge", "to_meta"), ("run", "to_meta")):
        document = call(root, *act)[1]
        assert act[0] == "run" or {left["what"] for left in document["left"]} == {"sealed"}
        status = call(root, "status")[1]
        assert [(r["sync"], r["batches"], r["rows"]) for r in status["remains"]] == [
            ("to_meta", 4, 100)
        ]
        assert (
            "nothing opens them any more"
            in CliRunner().invoke(app, ["status", "--project", str(root)]).output
        )
        assert ledger(root, "purged") == ledger(root, "expired") == []
        assert erased(root) == [(True, False, "")] * 4
        assert len(bucket.objects) == 4
    bucket.status = 0
    assert call(root, command, *([] if command == "sweep" else ["to_meta"]))[0] == 0
    assert bucket.objects == {}
    assert [e["reason"] for e in ledger(root, "purged")] == ["bytes_removed"] * 4
    assert erased(root) == [(True, True, "bytes_removed")] * 4
    assert call(root, "status")[1]["remains"] == []
    assert verified(root) == (0, 0, 0)


def test_what_was_delivered_is_gone_once_its_bytes_are(
    project: tuple[Path, Bucket], sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket goes away between the answer and the purge: the run after says so, and its rows
    count by their answer.
    """
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    control(sandbox, "DELETE")
    purge = SealedSpool.purge

    def leave(spool: SealedSpool, batch_ids: Sequence[str]) -> Sequence[str]:
        bucket.status = AWAY
        return purge(spool, batch_ids)

    with monkeypatch.context() as patch:
        patch.setattr(SealedSpool, "purge", leave)
        assert call(root, "run", "to_meta")[0] == 4
    assert ledger(root, "purged") == []
    assert sorted(erased(root)) == [(False, False, "")] * 3 + [(True, False, "")]
    bucket.status = 0
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100))
    assert bucket.objects == {}
    assert [e["reason"] for e in ledger(root, "purged")].count("bytes_removed") == 1
    rows = call(root, "report", "retention")[1]["classes"][0]
    assert rows["count"] == len(ledger(root, "delivered"))
    assert verified(root) == (0, 0, 0)


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("HTTPS_PROXY", "http://127.0.0.1:1", "bucket_proxy_set"),
        ("S3_SECRET", "", "secret_missing"),
    ],
)
def test_a_setting_that_is_wrong_keeps_no_working_copy(
    project: tuple[Path, Bucket],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    code: str,
) -> None:
    """Past its deadline; the bucket is asked nothing."""
    root, bucket = project
    assert call(root, "run", "to_meta")[0] == 4
    pass_days(monkeypatch, 31)
    monkeypatch.setenv(variable, value)
    if "gcs" in (root / "mayfly.yml").read_text() and code == "secret_missing":
        monkeypatch.setenv("GCS_TOKEN", "")
    before = len(bucket.requests)
    document = call(root, "sweep")[1]
    assert [left["code"] for left in document["left"]] == [code]
    assert len(document["purged"]) == 1
    assert len(bucket.requests) == before


def test_the_spool_moves_while_nothing_waits(
    project: tuple[Path, Bucket], sandbox: SandboxServer
) -> None:
    """And no sooner: what is held in a place is not looked for in another."""
    root, bucket = project
    text = (root / "mayfly.yml").read_text()
    assert call(root, "run", "to_meta")[0] == 4
    (root / "mayfly.yml").write_text(text.replace("prefix: mayfly/shop", "prefix: other"))
    assert [left["code"] for left in call(root, "sweep")[1]["left"]] == ["spool_place_changed"]
    assert len(bucket.objects) == 4
    (root / "mayfly.yml").write_text(text)
    assert call(root, "purge", "to_meta")[0] == 0
    (root / "mayfly.yml").write_text(text.replace("prefix: mayfly/shop", "prefix: other"))
    assert call(root, "run", "to_meta")[0] == 4
    assert len(bucket.objects) == 4
    assert all(name.startswith("other/") for name in bucket.objects)
    control(sandbox, "DELETE")
    assert call(root, "run", "to_meta")[0] == 0
    assert members(sandbox) == emails(*range(100))
    assert bucket.objects == {}


# -- what `doctor` says of the bucket -------------------------------------------------------------


def problems(root: Path) -> tuple[int, dict[str, str]]:
    """Exit code of `doctor`, and message and hint of what it says of the spool."""
    code, document = call(root, "doctor")
    found = [p for p in document["problems"] if p["message"].startswith("spool: ")]
    return code, {p["code"]: f"{p['message']} {p['hint']}" for p in found}


@pytest.fixture
def healthy(project: tuple[Path, Bucket], sandbox: SandboxServer) -> tuple[Path, Bucket]:
    """The same, with its platform back."""
    control(sandbox, "DELETE")
    return project


def is_google(root: Path) -> bool:
    """Whether the bucket is one of Google's."""
    return "type: gcs" in (root / "mayfly.yml").read_text()


def test_a_bucket_that_keeps_nothing_is_right(healthy: tuple[Path, Bucket]) -> None:
    """Nothing is said of it, and nothing is written to it."""
    root, bucket = healthy
    assert problems(root) == (0, {})
    assert {method for method, _ in bucket.requests} == {"GET"}


def test_a_bucket_that_keeps_what_is_purged_is_told(healthy: tuple[Path, Bucket]) -> None:
    """With the way to change it; a run succeeds all the same."""
    root, bucket = healthy
    bucket.versioning = "Enabled"
    bucket.about |= {
        "versioning": {"enabled": True},
        "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    }
    code, told = problems(root)
    assert code == 0
    assert "without its key" in told["bucket_versioned"]
    if is_google(root):
        assert "--no-versioning" in told.pop("bucket_versioned")
        assert "for 7 days more" in told["bucket_soft_delete"]
        assert "--clear-soft-delete" in told.pop("bucket_soft_delete")
    else:
        assert "Status=Suspended" in told.pop("bucket_versioned")
    assert told == {}


def test_a_bucket_that_locks_objects_is_refused(healthy: tuple[Path, Bucket]) -> None:
    """What could not be purged in time does not belong there."""
    root, bucket = healthy
    bucket.versioning, bucket.lock = "Enabled", "<Days>40</Days>"
    bucket.about["retentionPolicy"] = {"retentionPeriod": str(40 * 86_400)}
    code, told = problems(root)
    assert code == 1
    assert "locks objects for 40 days" in told["bucket_locked"]
    if is_google(root):
        bucket.about |= {"retentionPolicy": {}, "defaultEventBasedHold": True}
        assert "until somebody releases them" in problems(root)[1]["bucket_locked"]


def test_a_bucket_that_lies_elsewhere_is_refused(healthy: tuple[Path, Bucket]) -> None:
    """Where its address does not say it; a bucket of S3 is asked at its region's own address."""
    root, bucket = healthy
    bucket.about["location"] = "US"
    code, told = problems(root)
    assert (code, set(told)) == ((1, {"bucket_elsewhere"}) if is_google(root) else (0, set()))


def test_a_bucket_that_is_not_asked_is_unknown(healthy: tuple[Path, Bucket]) -> None:
    """Without the right to read its settings; one that is away is a fault."""
    root, bucket = healthy
    bucket.about_status = 403
    code, told = problems(root)
    assert (code, set(told)) == (0, {"bucket_unknown"})
    assert "it answers 403" in told["bucket_unknown"]
    bucket.status = AWAY
    code, told = problems(root)
    assert (code, set(told)) == (1, {"spool_unavailable"})
