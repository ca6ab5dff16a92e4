"""What the local key provider and the keyring must hold; every provider: `test_key_services`."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from mayfly.adapters.keys.keyring import PURPOSES, FileKeyring
from mayfly.adapters.keys.local import LocalKeyProvider, keys_directory
from mayfly.crypto.aead import associated_data
from mayfly.domain.errors import ConfigError, IntegrityError, PolicyError
from mayfly.ports.keys import KeyProvider, Keyring

DEK = bytes(range(32))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture
def local(tmp_path: Path, project: Path) -> LocalKeyProvider:
    """A local provider with a key."""
    provider = LocalKeyProvider(tmp_path / "keys" / "w1", project_directory=project)
    provider.create()
    return provider


@pytest.fixture
def keyring(tmp_path: Path, local: LocalKeyProvider) -> FileKeyring:
    """A keyring made in full."""
    ring = FileKeyring(local, tmp_path / "keys" / "w1" / "ring")
    ring.create_all()
    return ring


@pytest.fixture(autouse=True)
def no_temporary_files(tmp_path: Path) -> Iterator[None]:
    """After each test no half-made key file lies about."""
    yield
    assert not [f.name for f in tmp_path.rglob(".*")]


def test_no_two_wrappings_are_alike(local: LocalKeyProvider) -> None:
    """Each has a nonce of its own."""
    assert local.wrap(DEK, b"a") != local.wrap(DEK, b"a")


def test_files_are_private(tmp_path: Path, keyring: FileKeyring) -> None:
    """Directories have mode 0700 and files 0600, whatever the umask."""
    keyring.ensure("pseudonym", "meta")
    paths = [*(tmp_path / "keys").rglob("*")]
    assert len(paths) == 9  # w1, kek, ring, four keys, one of a scope, the mark
    for path in paths:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600)


def test_an_open_umask_changes_nothing(tmp_path: Path, project: Path) -> None:
    """Modes do not rest on the umask."""
    old = os.umask(0)
    try:
        LocalKeyProvider(tmp_path / "p" / "k", project_directory=project).create()
    finally:
        os.umask(old)
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "p" / "k").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "p" / "k" / "kek").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
@pytest.mark.parametrize("what", ["kek", "."])
def test_keys_open_to_others_are_refused(
    tmp_path: Path, project: Path, local: LocalKeyProvider, what: str, mode: int
) -> None:
    """Any right of group or others on the key or its directory stops wrapping and health."""
    blob = local.wrap(DEK, b"a")
    directory = tmp_path / "keys" / "w1"
    (directory / what).chmod(mode if what == "kek" else mode | 0o100)
    fresh = LocalKeyProvider(directory, project_directory=project)
    for call in (
        lambda: fresh.wrap(DEK, b"a"),
        lambda: fresh.unwrap(blob, b"a"),
        fresh.health,
        local.health,
    ):
        with pytest.raises(PolicyError) as caught:
            call()
        assert caught.value.code == "keys_too_open"


def test_keys_beside_the_data_are_refused(tmp_path: Path, project: Path) -> None:
    """A key directory in the project is refused, also by way of a link or `..`."""
    link = tmp_path / "link"
    link.symlink_to(project)
    for directory in (project, project / "keys", link / "keys", tmp_path / "x/../project/keys"):
        with pytest.raises(PolicyError, match="keys_beside_data"):
            LocalKeyProvider(directory, project_directory=project)
    with pytest.raises(PolicyError, match="keys_beside_data"):
        LocalKeyProvider(project / "keys", project_directory=link)


def test_a_missing_key_is_never_made_silently(tmp_path: Path, project: Path) -> None:
    """Without `create` there is no key; the error says what to do; nothing is written."""
    provider = LocalKeyProvider(tmp_path / "none", project_directory=project)
    assert not provider.exists()
    for call in (lambda: provider.wrap(DEK, b"a"), provider.health):
        with pytest.raises(PolicyError) as caught:
            call()
        assert caught.value.code == "key_missing"
        assert "mayfly init" in caught.value.hint
        assert "restore" in caught.value.hint
    assert not (tmp_path / "none").exists()


def test_a_key_is_never_overwritten(tmp_path: Path, local: LocalKeyProvider) -> None:
    """A second `create` is refused and leaves the key as it was."""
    before = (tmp_path / "keys" / "w1" / "kek").read_bytes()
    with pytest.raises(PolicyError, match="key_exists"):
        local.create()
    assert (tmp_path / "keys" / "w1" / "kek").read_bytes() == before


def test_racing_creators_make_one_key(tmp_path: Path, project: Path) -> None:
    """Of several that create at once, one succeeds and all use its key."""
    providers = [LocalKeyProvider(tmp_path / "k", project_directory=project) for _ in range(8)]
    refused: list[str] = []

    def make(provider: LocalKeyProvider) -> None:
        try:
            provider.create()
        except PolicyError as error:
            refused.append(error.code)

    threads = [Thread(target=make, args=(provider,)) for provider in providers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["key_exists"] * 7
    blob = providers[0].wrap(DEK, b"a")
    assert all(provider.unwrap(blob, b"a") == DEK for provider in providers)


@pytest.mark.parametrize("content", [b"", b"mayfly-kek/1\nAAAA\n", b"\xff" * 40, b"x" * 70_000])
def test_a_damaged_key_file_is_named(
    tmp_path: Path, project: Path, local: LocalKeyProvider, content: bytes
) -> None:
    """A damaged file is an integrity error, not a new key."""
    (tmp_path / "keys" / "w1" / "kek").write_bytes(content)
    fresh = LocalKeyProvider(tmp_path / "keys" / "w1", project_directory=project)
    with pytest.raises(IntegrityError, match="key_malformed"):
        fresh.wrap(DEK, b"a")


def test_where_keys_lie() -> None:
    """Each workspace has its own folder, under the variable or under the home directory."""
    home = {"HOME": "/nowhere/x"}
    assert keys_directory("w1", home) == Path("/nowhere/x/.config/mayfly/keys/w1")
    assert keys_directory("w1", home | {"MAYFLY_KEYS_DIR": ""}) == keys_directory("w1", home)
    assert keys_directory("w1", home | {"MAYFLY_KEYS_DIR": "/safe"}) == Path("/safe/w1")
    assert keys_directory("w1", home | {"MAYFLY_KEYS_DIR": "~/k"}) == Path("/nowhere/x/k/w1")
    with pytest.raises(ConfigError, match="keys_directory_unknown"):
        keys_directory("w1", {})
    for bad in ("", "..", "a/b", "a\n", "-a"):
        with pytest.raises(ConfigError, match="workspace_id_invalid"):
            keys_directory(bad, home)


def test_keys_differ_by_purpose_and_scope(keyring: FileKeyring) -> None:
    """Every purpose and scope has a key of its own, 32 bytes, and keeps it."""
    keyring.ensure("pseudonym", "meta")
    keyring.ensure("pseudonym", "https://crm.example.com/a")
    ring: Keyring = keyring
    keys = [ring.key(purpose) for purpose in PURPOSES]
    keys += [ring.key("pseudonym", "meta"), ring.key("pseudonym", "https://crm.example.com/a")]
    assert len(set(keys)) == 6
    assert {len(key) for key in keys} == {32}
    keyring.ensure("pseudonym", "meta")
    assert ring.key("pseudonym", "meta") == keys[4]


def test_keys_are_found_again(tmp_path: Path, project: Path, keyring: FileKeyring) -> None:
    """Another process reads the same keys."""
    directory = tmp_path / "keys" / "w1"
    again = FileKeyring(LocalKeyProvider(directory, project_directory=project), directory / "ring")
    assert [again.key(p) for p in PURPOSES] == [keyring.key(p) for p in PURPOSES]


def test_missing_keys_are_named_and_not_made(tmp_path: Path, local: LocalKeyProvider) -> None:
    """Asking for a key that is not there is refused, and so is a scope of no keyring."""
    ring = FileKeyring(local, tmp_path / "keys" / "w1" / "ring")
    for call in (lambda: ring.key("suppression"), lambda: ring.ensure("pseudonym", "meta")):
        with pytest.raises(PolicyError, match="key_missing") as caught:
            call()
        assert "mayfly init" in caught.value.hint
    assert not (tmp_path / "keys" / "w1" / "ring").exists()


def test_a_lost_key_is_not_replaced(tmp_path: Path, keyring: FileKeyring) -> None:
    """Once the keyring was made in full, making it again does not renew what is missing."""
    (tmp_path / "keys" / "w1" / "ring" / "suppression.key").unlink()
    keyring.create_all()
    with pytest.raises(PolicyError, match="key_missing"):
        keyring.key("suppression")


def test_a_creation_cut_off_is_finished(tmp_path: Path, keyring: FileKeyring) -> None:
    """Where the mark of completeness is missing, missing keys are made and others kept."""
    ring = tmp_path / "keys" / "w1" / "ring"
    kept = (ring / "pseudonym.key").read_bytes()
    (ring / "complete").unlink()
    (ring / "suppression.key").unlink()
    keyring.create_all()
    assert keyring.exists()
    assert len(keyring.key("suppression")) == 32
    assert (ring / "pseudonym.key").read_bytes() == kept


def test_a_key_in_anothers_place_does_not_unwrap(tmp_path: Path, keyring: FileKeyring) -> None:
    """Purpose and scope are bound into the wrapping."""
    ring = tmp_path / "keys" / "w1" / "ring"
    shutil.copy(ring / "pseudonym.key", ring / "suppression.key")
    with pytest.raises(IntegrityError, match="unwrap_failed"):
        keyring.key("suppression")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"wrapped":1}', b'{"wrapped":"a"}', b"\xff"]
)
def test_a_damaged_keyring_file_is_named(
    tmp_path: Path, keyring: FileKeyring, content: bytes
) -> None:
    """A damaged file is an integrity error."""
    (tmp_path / "keys" / "w1" / "ring" / "suppression.key").write_bytes(content)
    with pytest.raises(IntegrityError, match="key_malformed"):
        keyring.key("suppression")


def test_keyring_files_open_to_others_are_refused(tmp_path: Path, keyring: FileKeyring) -> None:
    """The rules of the key encryption key hold for wrapped keys."""
    (tmp_path / "keys" / "w1" / "ring" / "suppression.key").chmod(0o644)
    with pytest.raises(PolicyError, match="keys_too_open"):
        keyring.key("suppression")


def test_odd_scopes_and_purposes_are_refused(keyring: FileKeyring) -> None:
    """Scopes are identifiers, purposes a closed list."""
    for scope in ("", "a b", "é", "x" * 513, "a\n"):
        with pytest.raises(ValueError, match="scope"):
            keyring.ensure("pseudonym", scope)
    with pytest.raises(ValueError, match="purpose"):
        keyring.key("../../etc/passwd")


def test_nothing_prints_a_key(
    tmp_path: Path, keyring: FileKeyring, local: LocalKeyProvider
) -> None:
    """Neither repr holds key material or a path."""
    keyring.key("suppression")
    assert repr(keyring) == "FileKeyring()"
    assert repr(local) == "LocalKeyProvider()"
    assert keyring.key("suppression") not in b"".join(
        file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()
    )


def ring_of(tmp_path: Path, provider: KeyProvider, **bound: str) -> FileKeyring:
    """The keyring of the tests, opened for a workspace and region."""
    return FileKeyring(provider, tmp_path / "keys" / "w1" / "ring", **bound)


def test_keys_are_rewrapped(tmp_path: Path, local: LocalKeyProvider) -> None:
    """After a rotation the same keys stand under the new version, and the old may go."""
    ring = ring_of(tmp_path, local, workspace="w1", region="eu")
    ring.create_all()
    ring.ensure("pseudonym", "meta")
    before = [*map(ring.key, PURPOSES), ring.key("pseudonym", "meta")]
    assert local.rotate() == "2"
    assert ring.rewrap() == 5
    assert ring.rewrap() == 5
    local.destroy("1")
    again = ring_of(tmp_path, local, workspace="w1", region="eu")
    assert [*map(again.key, PURPOSES), again.key("pseudonym", "meta")] == before


def test_what_was_not_rewrapped_goes_with_its_version(tmp_path: Path, keyring: FileKeyring) -> None:
    """The version's key is gone for every process, and its number is not used again."""
    local = LocalKeyProvider(tmp_path / "keys" / "w1", project_directory=tmp_path / "project")
    local.rotate()
    local.destroy("1")
    assert not (tmp_path / "keys" / "w1" / "kek").exists()
    with pytest.raises(PolicyError, match="keys_denied"):
        ring_of(tmp_path, local).key("suppression")
    with pytest.raises(PolicyError, match="key_exists"):
        local.create()
    assert local.rotate() == "3"
    assert [v.state for v in local.versions()] == ["destroyed", "enabled", "enabled"]


def test_a_destruction_that_was_cut_off_is_finished(
    tmp_path: Path, local: LocalKeyProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not told as done while the file is there; the destruction of any version ends it."""
    kek, blob = tmp_path / "keys" / "w1" / "kek", local.wrap(DEK, b"a")
    local.rotate()

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("mayfly.adapters.keys.local.destroy_private", killed)
        with pytest.raises(KeyboardInterrupt):
            local.destroy("1")
    assert kek.exists()
    assert [v.state for v in local.versions()] == ["disabled", "enabled"]
    with pytest.raises(PolicyError, match="keys_denied"):
        local.unwrap(blob, b"a")
    local.rotate()
    local.destroy("2")
    assert not kek.exists()
    assert [v.state for v in local.versions()] == ["destroyed", "destroyed", "enabled"]


def test_keys_are_bound_to_workspace_and_region(tmp_path: Path, local: LocalKeyProvider) -> None:
    """Opened for another, they are refused; a file that lies about itself does not unwrap."""
    ring_of(tmp_path, local, workspace="w1", region="eu").create_all()
    for bound in ({"workspace": "w1", "region": "us"}, {"workspace": "w2", "region": "eu"}):
        with pytest.raises(PolicyError, match="keys_elsewhere"):
            ring_of(tmp_path, local, **bound).key("suppression")
    path = tmp_path / "keys" / "w1" / "ring" / "suppression.key"
    path.write_text(path.read_text().replace('"region": "eu"', '"region": "us"'))
    with pytest.raises(IntegrityError, match="unwrap_failed"):
        ring_of(tmp_path, local, workspace="w1", region="us").key("suppression")


def test_keys_of_the_first_form_are_read_and_rewrapped(
    tmp_path: Path, local: LocalKeyProvider, keyring: FileKeyring
) -> None:
    """They were bound to purpose and scope; rewrapped, they are bound to the workspace, too."""
    path = tmp_path / "keys" / "w1" / "ring" / "suppression.key"
    wrapped = local.wrap(DEK, associated_data("mayfly/key/1", "suppression", ""))
    document = {"schema": "mayfly/key/1", "purpose": "suppression", "scope": ""}
    path.write_text(json.dumps(document | {"wrapped": base64.b64encode(wrapped).decode()}))
    for other in PURPOSES:
        if other != "suppression":
            (path.parent / f"{other}.key").unlink()
    ring = ring_of(tmp_path, local, workspace="w1")
    assert ring.key("suppression") == DEK
    assert ring.rewrap() == 1
    assert '"workspace": "w1"' in path.read_text()
    assert ring_of(tmp_path, local, workspace="w1").key("suppression") == DEK
