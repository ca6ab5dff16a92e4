"""What waits sealed, while the key provider is away in the middle of a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from end_to_end.holding import (
    BATCHES,
    HOLD,
    ROWS,
    about_batches,
    come_back,
    leave,
    sealed,
    verified,
    waiting,
)
from end_to_end.projects import approved, get, make_project, members
from key_services.aws import REGION, FakeAwsKms
from key_services.http import JsonServer
from key_services.vault import TOKEN, FakeVault
from mayfly.adapters import clock
from mayfly.api import RunRequest, load
from mayfly.domain.errors import TransientError
from mayfly.sandbox.server import SandboxServer

DAY_MS = 86_400_000


@pytest.fixture(params=["vault", pytest.param("aws_kms", marks=pytest.mark.slow)])
def keys(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A key service, and the `keys:` block for it."""
    if request.param == "vault":
        monkeypatch.setenv("VAULT_SECRET", TOKEN)
        with FakeVault() as vault:
            vault.make_key("shop")
            yield (
                vault,
                f"provider: vault, address: '{vault.address}', key: shop, token: env:VAULT_SECRET",
            )
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "canary")
    with FakeAwsKms() as kms:
        arn = kms.make_key()
        yield (
            kms,
            f"provider: aws_kms, key_id: '{arn}', region: {REGION}, endpoint: '{kms.address}'",
        )


@pytest.fixture
def service(keys: tuple[JsonServer, str]) -> JsonServer:
    """Answers or fails, as its `status` says."""
    return keys[0]


@pytest.fixture
def root(
    tmp_path: Path,
    sandbox: SandboxServer,
    keys: tuple[JsonServer, str],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A hundred people for a platform that is away."""
    monkeypatch.setattr("mayfly.services.deliver._wait", lambda state: 0.0)
    text = HOLD.replace("\nsources:", f"\nkeys: {{{keys[1]}}}\nsources:")
    made = make_project(tmp_path / "project", sandbox.url, text=text)
    approved(made)
    leave(sandbox)
    return made


def run(root: Path, *, away: JsonServer | None = None) -> dict[str, Any]:
    """How the sync ended; the keys are away from when it begins, with the project open already."""
    request = RunRequest()

    def begins(sync: str, rows: int, planned: int) -> None:
        if away is not None:
            away.status = 503

    project = load(root)
    request.progress = begins
    try:
        [ended] = project.run("to_meta", request=request).to_dict()["syncs"]
    finally:
        if away is not None:
            away.status = None
    return dict(ended)


def sent(sandbox: SandboxServer) -> int:
    """Requests with people."""
    return sum(r["path"].endswith("/users") for r in get(f"{sandbox.url}/_sandbox/requests"))


def test_what_cannot_be_sealed_is_planned_anew(
    root: Path, sandbox: SandboxServer, service: JsonServer
) -> None:
    """Nothing is written unsealed, the plan waits where it was made, and the next run delivers
    everybody once.
    """
    ended = run(root, away=service)
    assert (ended["status"], ended["error"]["code"]) == ("held", "destination_busy")
    assert (sealed(root), waiting(root)) == ([], [])
    # Not even announced: under which version nobody could say.
    assert about_batches(root, "held") == []
    come_back(sandbox)
    ended = run(root)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    assert len(members(sandbox)) == ROWS
    assert verified(root) == (0, 0, 0)


def test_what_cannot_be_opened_waits_on(
    root: Path, sandbox: SandboxServer, service: JsonServer
) -> None:
    """Until the keys are back: nothing goes, nothing is lost, and no deadline moves."""
    assert run(root)["status"] == "held"
    files, told = sealed(root), waiting(root)
    assert len(files) == len(BATCHES)
    come_back(sandbox)
    before = sent(sandbox)
    for _ in range(2):
        ended = run(root, away=service)
        assert (ended["status"], ended["error"]["code"]) == ("held", "keys_unavailable")
        assert (sealed(root), waiting(root), sent(sandbox)) == (files, told, before)
    ended = run(root)
    assert (ended["status"], ended["rows"]["delivered"]) == ("succeeded", ROWS)
    assert (len(members(sandbox)), sealed(root)) == (ROWS, [])
    assert verified(root) == (0, 0, 0)


def test_thirty_days_end_it_though_the_keys_are_away(
    root: Path, service: JsonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a command that cannot even open the project; the ledger has it once it can be signed. An
    hour before, it destroys nothing.
    """
    assert run(root)["status"] == "held"
    real, files = clock._system_ms, sealed(root)
    service.status = 503
    for hours, left in ((-1, files), (1, [])):
        shift = 30 * DAY_MS + hours * 3_600_000
        monkeypatch.setattr(clock, "_system_ms", lambda shift=shift: real() + shift)
        with pytest.raises(TransientError, match="keys_unavailable"):
            load(root)
        assert sealed(root) == left
    service.status = None
    load(root).sweep()
    assert [e["rows"] for e in about_batches(root, "expired")] == BATCHES
    assert verified(root)[0] == 0
