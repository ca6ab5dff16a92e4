"""A whole job with keys in a service, and what happens where it is away or refuses."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from end_to_end.projects import SHOP, TO_LOG, approved, make_project
from key_services import softhsm
from key_services.aws import REGION, FakeAwsKms
from key_services.gcp import FakeGcpKms
from key_services.vault import TOKEN, FakeVault
from key_services.worlds import AWS_ENVIRONMENT
from mayfly.adapters import clock
from mayfly.adapters.keys.keyring import FileKeyring
from mayfly.adapters.keys.local import LocalKeyProvider
from mayfly.adapters.ledgers.folder import FolderLedger
from mayfly.api import Project, load
from mayfly.api.examine import examine
from mayfly.api.host import HOST_CODES
from mayfly.bootstrap import initialise
from mayfly.cli.commands import app
from mayfly.cli.entry import main
from mayfly.domain.errors import ConfigError, PolicyError, TransientError
from mayfly.ledger.verify import verify_ledger
from mayfly.ports.ledger import KeyTimes


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVault]:
    """A transit engine with the key `shop`, and its token in the environment."""
    monkeypatch.setenv("VAULT_SECRET", TOKEN)
    with FakeVault() as fake:
        fake.make_key("shop")
        yield fake


def text(keys: str) -> str:
    """A project with a `keys:` block."""
    return SHOP + f"keys: {{{keys}}}" + TO_LOG


def vault_project(folder: Path, fake: FakeVault) -> Project:
    """Five people, approved, with keys in Vault."""
    keys = f"provider: vault, address: '{fake.address}', key: shop, token: env:VAULT_SECRET"
    make_project(folder, "", rows=5, text=text(keys))
    return approved(folder)


def codes(folder: Path) -> list[str]:
    """What `doctor` finds, beside that no checkpoint is kept elsewhere, and of the machine."""
    found = [problem["code"] for problem in examine(folder, target="dev")]
    return [code for code in found if code not in ("unanchored", *HOST_CODES)]


def test_a_job_with_keys_in_vault(tmp_path: Path, vault: FakeVault) -> None:
    """It runs; the key directory holds nothing that opens without Vault; doctor warns."""
    project = vault_project(tmp_path, vault)
    [done] = project.run().syncs
    assert done.status == "succeeded"
    names = {path.name for path in Path(os.environ["MAYFLY_KEYS_DIR"]).rglob("*")}
    assert "suppression.key" in names
    assert [name for name in names if name.startswith("kek")] == []
    assert codes(tmp_path) == ["keys_not_hsm"]
    shown = CliRunner().invoke(app, ["report", "retention", "--project", str(tmp_path)]).stdout
    assert "keys in no HSM: provider vault, software" in shown


def test_keys_are_rotated_while_data_stays(tmp_path: Path, vault: FakeVault) -> None:
    """After a rotation every key is the same, and needs the new version alone."""
    project = vault_project(tmp_path, vault)
    before = project.app.keyring.key("suppression")
    done = project.keys("rotate")
    assert [v["version"] for v in done["versions"]] == ["1", "2"]
    assert done["rewrapped"] >= 4
    assert (done["provider"], done["protection"]) == ("vault", "software")
    project.app.keys.destroy("1")
    again = load(tmp_path, target="dev")
    assert again.app.keyring.key("suppression") == before
    assert [v["state"] for v in again.keys()["versions"]] == ["destroyed", "enabled"]


def test_a_new_version_that_does_not_wrap_yet_destroys_nothing(tmp_path: Path) -> None:
    """Google's primary version takes its time; until then the old one has all keys."""
    with FakeGcpKms() as fake:
        name = fake.make_key("shop")
        keys = f"provider: gcp_kms, key_name: {name}, endpoint: 'http://{fake.address}'"
        make_project(tmp_path, "", rows=5, text=text(keys))
        project = approved(tmp_path)
        before = project.app.keyring.key("suppression")
        fake.wraps_with = "1"
        for act, version in (("rotate", ""), ("rewrap", ""), ("destroy", "1")):
            with pytest.raises(TransientError, match="keys_unavailable"):
                project.keys(act, version)
        assert [v["state"] for v in project.keys()["versions"]] == ["enabled", "enabled"]
        assert kek_destroyed(tmp_path) == []
        fake.wraps_with = ""
        shown = project.keys("destroy", "1")["versions"]
        assert [v["state"] for v in shown] == ["pending", "enabled"]
        assert load(tmp_path, target="dev").app.keyring.key("suppression") == before


def test_a_key_of_aws_is_on_record_by_its_arn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what it wrapped names it, also where its id alone was given."""
    for variable, value in AWS_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    with FakeAwsKms() as fake:
        arn, later = fake.make_key(), fake.make_key()
        own_id = arn.rpartition("/")[2]
        keys = f"provider: aws_kms, region: {REGION}, endpoint: '{fake.address}', key_id: '{arn}'"
        make_project(tmp_path, "", rows=5, text=text(keys))
        approved(tmp_path)
        main_file = tmp_path / "mayfly.yml"
        after = f"'{later}', earlier_key_ids: ['{own_id}']"
        main_file.write_text(main_file.read_text().replace(f"'{arn}'", after))
        done = load(tmp_path, target="dev").keys("destroy", own_id)
        assert done["destroyed"]["version"] == arn
        assert kek_destroyed(tmp_path) == [arn]
        assert [v["state"] for v in done["versions"]] == ["pending", "enabled"]


def test_versions_that_go_with_another_are_on_record(tmp_path: Path, vault: FakeVault) -> None:
    """Vault destroys what is older, too; none of them is told twice."""
    project = vault_project(tmp_path, vault)
    for _ in range(3):
        project.keys("rotate")
    project.keys("destroy", "2")
    assert kek_destroyed(tmp_path) == ["2", "1"]
    project.keys("destroy", "3")
    assert kek_destroyed(tmp_path) == ["2", "1", "3"]


def test_epochs_of_a_key_in_vault(
    tmp_path: Path, vault: FakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes, rewraps and trims; the keys stay what they are. Not asked where nothing is due."""
    project = vault_project(tmp_path, vault)
    before = project.app.keyring.key("suppression")
    main = tmp_path / "mayfly.yml"
    main.write_text(main.read_text().replace("key: shop,", "key: shop, epoch_days: 15,"))
    real = clock._system_ms
    for day, states in ((16, "ee"), (30, "ee"), (32, "dee"), (48, "ddee")):
        monkeypatch.setattr(clock, "_system_ms", lambda day=day: real() + day * 86_400_000)
        load(tmp_path, target="dev").sweep()
        again = load(tmp_path, target="dev")
        assert "".join(v["state"][0] for v in again.keys()["versions"]) == states
        assert again.app.keyring.key("suppression") == before
    assert kek_destroyed(tmp_path) == ["1", "2"]
    size = again.app.ledger.size()
    monkeypatch.setattr("mayfly.adapters.keys.vault.VaultService.versions", pytest.fail)
    load(tmp_path, target="dev").sweep()
    assert again.app.ledger.size() == size


def is_locked(folder: Path) -> bool:
    """Whether somebody has the lock of keys."""
    with (folder / ".mayfly/keys.lock").open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_two_at_the_end_of_an_epoch_make_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second waits, looks again and finds nothing to do."""
    make_project(tmp_path, "", rows=5, text=text("epoch_days: 7"))
    approved(tmp_path)
    real = clock._system_ms
    monkeypatch.setattr(clock, "_system_ms", lambda: real() + 8 * 86_400_000)
    first, second = (load(tmp_path, target="dev") for _ in range(2))
    looked, key_times, rotate = threading.Event(), FolderLedger.key_times, LocalKeyProvider.rotate

    def watched(ledger: FolderLedger) -> KeyTimes:
        found = key_times(ledger)
        if ledger is second.app.ledger:
            looked.set()
        return found

    def while_the_other_looks(keys: LocalKeyProvider) -> str:
        others.append(pool.submit(second.sweep))
        assert looked.wait(30)
        assert is_locked(tmp_path)
        return rotate(keys)

    monkeypatch.setattr(FolderLedger, "key_times", watched)
    monkeypatch.setattr(LocalKeyProvider, "rotate", while_the_other_looks)
    others: list[Future[dict[str, Any]]] = []
    with ThreadPoolExecutor(1) as pool:
        first.sweep()
    [other] = others
    assert other.result()["ok"]
    assert [v["version"] for v in first.keys()["versions"]] == ["1", "2"]
    assert told(tmp_path, "rewrapped", "kek_version") == ["1", "2"]


def test_versions_are_changed_by_one_process_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is done with them; to list them takes no lock."""
    make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    project, rewrap, found = approved(tmp_path), FileKeyring.rewrap, []

    def watched(ring: FileKeyring) -> int:
        found.append(is_locked(tmp_path))
        return rewrap(ring)

    project.keys()
    assert not (tmp_path / ".mayfly/keys.lock").exists()
    monkeypatch.setattr(FileKeyring, "rewrap", watched)
    for act, version in (("rotate", ""), ("rewrap", ""), ("destroy", "1")):
        project.keys(act, version)
    assert found == [True] * 3
    assert not is_locked(tmp_path)
    (tmp_path / ".mayfly/keys.lock").unlink()
    (tmp_path / ".mayfly/keys.lock").mkdir()
    with pytest.raises(ConfigError, match="keys_unwritable"):
        project.keys("rotate")


def test_a_run_without_its_keys_is_retried_later(tmp_path: Path, vault: FakeVault) -> None:
    """Away is exit 4, refused is exit 3, and neither makes a key or goes on without."""
    vault_project(tmp_path, vault)
    vault.status = 403
    with pytest.raises(PolicyError, match="keys_denied") as denied:
        load(tmp_path, target="dev")
    assert denied.value.exit_code == 3
    vault.stop()
    with pytest.raises(TransientError, match="keys_unavailable") as away:
        load(tmp_path, target="dev")
    assert away.value.exit_code == 4
    assert codes(tmp_path) == ["keys_unavailable"]


def test_init_makes_a_key_in_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the token has none of the label; in a second workspace of the label it is used."""
    monkeypatch.setenv("HSM_PIN", softhsm.PIN)
    keys = (
        f"provider: pkcs11, module: {softhsm.module()}, token: {softhsm.TOKEN}, "
        "key_label: init-test, pin: env:HSM_PIN"
    )
    for name, made in (("one", ["key encryption key"]), ("two", [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mayfly.yml").write_text(text(keys), "utf-8")
        found = initialise(tmp_path / name)
        assert found == [*made, "workspace keys", "store", "ledger"]
        assert initialise(tmp_path / name) == []


def test_nothing_is_made_where_a_key_is_missing(tmp_path: Path, vault: FakeVault) -> None:
    """A key of a service is made by its operator: init is refused and leaves no store."""
    keys = f"provider: vault, address: '{vault.address}', key: none, token: env:VAULT_SECRET"
    (tmp_path / "mayfly.yml").write_text(text(keys), "utf-8")
    with pytest.raises(PolicyError, match="keys_denied"):
        initialise(tmp_path)
    assert not (tmp_path / ".mayfly/store.sqlite").exists()


def test_an_hsm_needs_no_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Google attests the level of the key's version."""
    with FakeGcpKms() as fake:
        name = fake.make_key("shop")
        keys = f"provider: gcp_kms, key_name: {name}, endpoint: 'http://{fake.address}'"
        make_project(tmp_path, "", rows=5, text=text(keys))
        [done] = approved(tmp_path).run().syncs
        assert done.status == "succeeded"
        assert codes(tmp_path) == []
        report = CliRunner().invoke(app, ["report", "retention", "--project", str(tmp_path)])
        assert (report.exit_code, "HSM" in report.stdout) == (0, False)


def test_a_local_key_beside_a_shared_store_is_refused(tmp_path: Path) -> None:
    """Exit 3, before anything is connected to or made."""
    words = SHOP + "store: {url: 'postgresql+psycopg://db.example.com/shop'}" + TO_LOG
    (tmp_path / "mayfly.yml").write_text(words, "utf-8")
    with pytest.raises(PolicyError) as caught:
        initialise(tmp_path)
    assert caught.value.code == "local_keys_shared_store"
    assert caught.value.exit_code == 3
    assert "aws_kms" in caught.value.hint
    assert codes(tmp_path) == ["local_keys_shared_store"]


def test_the_command_rotates_local_keys(tmp_path: Path) -> None:
    """`mayfly keys rotate`, as text and as JSON."""
    make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    words = ["keys", "rotate", "--project", str(tmp_path)]
    shown = CliRunner().invoke(app, words).stdout
    assert "provider local, protection software" in shown
    assert "no data was touched" in shown
    document = json.loads(CliRunner().invoke(app, [*words, "--output", "json"]).stdout)
    assert [v["version"] for v in document["versions"]] == ["1", "2", "3"]
    [done] = approved(tmp_path).run().syncs
    assert done.status == "succeeded"


Destroy = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def destroy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Destroy:
    """Exit code and JSON of `mayfly keys destroy` in the folder of the test."""

    def call(*words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["keys", "destroy", *words, "--project", str(tmp_path), "--output", "json"])
        return int(caught.value.code or 0), json.loads(capsys.readouterr().out)

    return call


def told(folder: Path, type_: str, field: str) -> list[str]:
    """A field of each entry of a type that the ledger has."""
    lines = (folder / ".mayfly" / "ledger" / "entries.jsonl").read_text().splitlines()
    return [e[field] for e in map(json.loads, lines) if e["type"] == type_]


def kek_destroyed(folder: Path) -> list[str]:
    """Versions whose end the ledger has."""
    return told(folder, "kek_destroyed", "reason")


def test_an_old_version_is_destroyed_and_nothing_is_lost(tmp_path: Path, destroy: Destroy) -> None:
    """What lies here is rewrapped first; the file is gone, the ledger says so, and runs go on."""
    make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    project = approved(tmp_path)
    before = project.app.keyring.key("suppression")
    project.app.keys.rotate()  # and cut off before anything is rewrapped
    code, document = destroy("1", "--yes")
    assert (code, document["destroyed"]) == (0, {"version": "1", "final_at": None})
    assert [v["state"] for v in document["versions"]] == ["destroyed", "enabled"]
    assert kek_destroyed(tmp_path) == ["1"]
    again = load(tmp_path, target="dev")
    assert again.app.keyring.key("suppression") == before
    assert again.run().syncs[0].status == "succeeded"
    folder = tmp_path / ".mayfly" / "ledger"
    assert verify_ledger(folder, folder / "key.pub").ok


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        (("1",), "not_confirmed", 64),
        (("2", "--yes"), "key_current", 3),
        (("7", "--yes"), "key_unknown", 3),
        (("a version", "--yes"), "key_unknown", 3),
    ],
)
def test_what_is_in_use_or_unknown_is_not_destroyed(
    tmp_path: Path, destroy: Destroy, words: tuple[str, ...], code: str, exit_code: int
) -> None:
    """Nor anything that nobody confirmed."""
    make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    project = approved(tmp_path)
    project.keys("rotate")
    found, document = destroy(*words)
    assert (found, document["error"]["code"]) == (exit_code, code)
    assert [v["state"] for v in project.keys()["versions"]] == ["enabled", "enabled"]
    assert kek_destroyed(tmp_path) == []


def test_where_a_key_cannot_be_rewrapped_nothing_is_destroyed(
    tmp_path: Path, destroy: Destroy
) -> None:
    """Its only hope may be a backup of the old version."""
    make_project(tmp_path, "", rows=5, text=SHOP + TO_LOG)
    project = approved(tmp_path)
    project.app.keys.rotate()
    keys = Path(os.environ["MAYFLY_KEYS_DIR"])
    key, other = (next(keys.rglob(f"{name}.key")) for name in ("suppression", "local_state"))
    stored = json.loads(key.read_text())
    stored["wrapped"] = json.loads(other.read_text())["wrapped"]
    key.write_text(json.dumps(stored))
    code, document = destroy("1", "--yes")
    assert (code, document["error"]["code"]) == (1, "unwrap_failed")
    assert [v["state"] for v in project.keys()["versions"]] == ["enabled", "enabled"]
    assert kek_destroyed(tmp_path) == []
