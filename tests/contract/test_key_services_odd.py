"""What single key services do that the others do not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.key_fixtures import refusal
from key_services import softhsm
from key_services.aws import REGION, FakeAwsKms
from key_services.gcp import FakeGcpKms
from key_services.vault import FakeVault
from key_services.worlds import World
from mayfly.adapters.keys.aws_kms import AwsKmsService
from mayfly.adapters.keys.gcp_kms import GcpKmsService, crc32c
from mayfly.adapters.keys.pkcs11 import Pkcs11Service
from mayfly.adapters.keys.refusals import driver
from mayfly.adapters.keys.service import KeyService, ServiceKeyProvider
from mayfly.adapters.keys.vault import VaultService
from mayfly.domain.errors import ConfigError, PolicyError, TransientError

DEK = bytes(range(32))
MakeWorld = Callable[[str], World]


def test_a_checksum_is_that_of_the_standard() -> None:
    """The check value of CRC-32C."""
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("what", ["request", "ciphertext", "plaintext"])
def test_google_s_answers_are_checked(make_world: MakeWorld, what: str) -> None:
    """What was altered on its way, either way, is not used."""
    world = make_world("gcp_kms")
    assert isinstance(world.fake, FakeGcpKms)
    blob = world.provider.wrap(DEK, b"a")
    world.fake.corrupt = what
    act = world.provider.unwrap if what == "plaintext" else world.provider.wrap
    error = refusal(lambda: act(blob if what == "plaintext" else DEK, b"a"))
    assert (type(error), error.code) == (TransientError, "keys_unavailable")


@pytest.mark.parametrize("name", ["aws_kms", "vault"])
def test_a_service_that_trickles_is_unavailable(make_world: MakeWorld, name: str) -> None:
    """Each byte begins a client's time limit anew; the bound on the call holds all the same."""
    world = make_world(name)
    blob = world.provider.wrap(DEK, b"a")
    assert isinstance(world.fake, FakeAwsKms | FakeVault)
    world.fake.mood = "trickles"
    assert refusal(lambda: world.provider.unwrap(blob, b"a")).code == "keys_unavailable"


@pytest.mark.parametrize("name", ["aws_kms", "vault"])
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (403, PolicyError, "keys_denied"),
        (500, TransientError, "keys_unavailable"),
        (503, TransientError, "keys_unavailable"),
        (429, TransientError, "keys_unavailable"),
    ],
)
def test_statuses_are_told_apart(
    make_world: MakeWorld, name: str, status: int, kind: type, code: str
) -> None:
    """A refusal is not retried, trouble of the service is."""
    world = make_world(name)
    assert isinstance(world.fake, FakeAwsKms | FakeVault)
    world.fake.status = status
    error = refusal(lambda: world.provider.wrap(DEK, b"a"))
    assert (type(error), error.code) == (kind, code)


def test_aws_wraps_once_per_call(make_world: MakeWorld) -> None:
    """No retries, and one request for each wrapping."""
    world = make_world("aws_kms")
    assert isinstance(world.fake, FakeAwsKms)
    world.fake.status = 500
    refusal(lambda: world.provider.wrap(DEK, b"a"))
    assert world.fake.requests == 1


def test_aws_asks_only_keys_of_the_settings(make_world: MakeWorld) -> None:
    """A blob that names another key of the account is refused before it is asked for."""
    world = make_world("aws_kms")
    assert isinstance(world.fake, FakeAwsKms)
    blob = world.other.wrap(DEK, b"a")
    assert refusal(lambda: world.provider.unwrap(blob, b"a")).code == "unwrap_failed"
    assert "Decrypt" not in world.fake.acts


def test_an_earlier_key_of_aws_that_is_gone_stops_nothing(make_world: MakeWorld) -> None:
    """Its name may stay in the settings; it is shown as destroyed."""
    world = make_world("aws_kms")
    assert isinstance(world.fake, FakeAwsKms)
    old = world.provider.wrap(DEK, b"a")
    [first] = world.provider.versions()
    rotated = world.rotate()
    del world.fake.keys[first.id]
    assert [v.state for v in rotated.versions()] == ["destroyed", "enabled"]
    assert refusal(lambda: rotated.unwrap(old, b"a")).code == "keys_denied"
    rotated.health()


def test_an_earlier_key_of_aws_that_still_wraps_is_not_deleted(make_world: MakeWorld) -> None:
    """Whatever it is called by: the alias may not have moved yet. Nor one by an alias."""
    fake = make_world("aws_kms").fake
    assert isinstance(fake, FakeAwsKms)
    [arn] = list(fake.keys)[:1]
    own_id = arn.rpartition("/")[2]
    fake.aliases = {"alias/shop": arn, "alias/old": arn}

    def make() -> KeyService:
        return AwsKmsService(
            key_id="alias/shop",
            region=REGION,
            earlier_key_ids=[own_id, "alias/old"],
            endpoint=fake.address,
        )

    provider = ServiceKeyProvider("aws_kms", make)
    for name in (own_id, arn, "alias/old"):
        assert refusal(lambda name=name: provider.destroy(name)).code == "key_current"
    fake.aliases["alias/shop"] = fake.make_key()
    assert refusal(lambda: provider.destroy("alias/old")).code == "key_unknown"
    assert {key.state for key in fake.keys.values()} == {"Enabled"}
    assert provider.destroy(arn) is not None
    assert fake.keys[arn].state == "PendingDeletion"


def test_aws_keys_are_made_elsewhere(make_world: MakeWorld) -> None:
    """Mayfly makes none; the refusal says how."""
    error = refusal(make_world("aws_kms").provider.rotate)
    assert (type(error), error.code) == (PolicyError, "rotate_elsewhere")
    assert "earlier_key_ids" in error.hint


def test_an_external_key_store_attests_nothing(make_world: MakeWorld) -> None:
    """Where AWS does not hold the key it does not say how it is held."""
    world = make_world("aws_kms")
    assert isinstance(world.fake, FakeAwsKms)
    for key in world.fake.keys.values():
        key.origin = "EXTERNAL_KEY_STORE"
    assert world.provider.protection() == "unknown"


def test_vault_keys_need_associated_data(make_world: MakeWorld) -> None:
    """A key of another type is refused, not used without."""
    world = make_world("vault")
    assert isinstance(world.fake, FakeVault)
    world.fake.keys["first"]["type"] = "managed_key"
    assert refusal(lambda: world.provider.wrap(DEK, b"a")).code == "keys_denied"
    assert world.provider.protection() == "unknown"


def vault_with(token: str, address: str) -> ServiceKeyProvider:
    """A provider with another token or address."""

    def make() -> KeyService:
        return VaultService(
            address=address, mount="transit", key="first", token=lambda: token, verify=None
        )

    return ServiceKeyProvider("vault", make)


def test_a_token_that_is_not_taken_is_denied(make_world: MakeWorld) -> None:
    """The message does not name it."""
    fake = make_world("vault").fake
    assert isinstance(fake, FakeVault)
    error = refusal(vault_with("canary-other", fake.address).health)
    assert (type(error), error.code) == (PolicyError, "keys_denied")


def pkcs11_with(**changes: str) -> ServiceKeyProvider:
    """A provider on the token of the tests, with other settings."""
    settings = {"module": softhsm.module(), "token": softhsm.TOKEN, "key_label": "none"} | changes
    return ServiceKeyProvider("pkcs11", lambda: Pkcs11Service(**settings, pin=lambda: softhsm.PIN))


def test_a_token_that_is_not_there_is_unavailable() -> None:
    """It may be plugged in again."""
    error = refusal(pkcs11_with(token="another").health)
    assert (type(error), error.code) == (TransientError, "keys_unavailable")


def test_a_wrong_pin_is_tried_once() -> None:
    """Each try brings the token nearer to locking itself."""
    asked = []

    def pin() -> str:
        asked.append(1)
        return "canary-wrong"

    settings = {"module": softhsm.module(), "token": softhsm.OTHER_TOKEN, "key_label": "none"}
    provider = ServiceKeyProvider("pkcs11", lambda: Pkcs11Service(**settings, pin=pin))
    for _ in range(3):
        error = refusal(provider.health)
        assert (type(error), error.code) == (PolicyError, "keys_denied")
        assert "PIN" in error.message
    assert len(asked) == 1


def test_a_module_that_is_not_there_is_a_setting() -> None:
    """Waiting would not help."""
    error = refusal(pkcs11_with(module="/nonexistent/canary.so").health)
    assert (type(error), error.code) == (ConfigError, "keys_setting")


def test_a_label_without_a_key_is_denied() -> None:
    """No key is made silently."""
    assert refusal(pkcs11_with(key_label="nothing-of-this-name").health).code == "keys_denied"


def test_a_key_that_can_be_taken_out_is_refused(make_world: MakeWorld) -> None:
    """The token would give it to whoever has the PIN."""
    make_world("pkcs11").provider.health()
    import pkcs11

    with softhsm.session(softhsm.module()) as session:
        session.generate_key(
            pkcs11.KeyType.AES,
            256,
            label="loose",
            id=b"\x01",
            store=True,
            template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False},
        )
    error = refusal(lambda: pkcs11_with(key_label="loose").wrap(DEK, b"a"))
    assert error.code == "keys_denied"
    assert "taken out" in error.message


@dataclass
class Meanwhile:
    """The token's library, with what another machine does between a look and the use of it."""

    library: Any
    act: Callable[[], object]
    looked: bool = False

    def __getattr__(self, name: str) -> Any:
        """The library's own; kinds of objects are named just before each look."""
        if name == "Attribute" and self.looked:
            self.act()
        self.looked = name == "KeyType"
        return getattr(self.library, name)


def test_two_machines_that_rotate_a_key_of_a_token_lock_nobody_out() -> None:
    """What either's key wrapped unwraps, and both are destroyed as one version."""
    provider = pkcs11_with(key_label="raced")
    assert provider.rotate() == "1"
    service = Pkcs11Service(
        module=softhsm.module(), token=softhsm.TOKEN, key_label="raced", pin=lambda: softhsm.PIN
    )
    import pkcs11

    nonce, attribute = bytes(12), pkcs11.Attribute
    with softhsm.session(softhsm.module()) as session:
        session.generate_key(
            pkcs11.KeyType.AES,
            256,
            label="raced",
            id=(1).to_bytes(8, "big"),
            store=True,
            template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
        )
        keys = list(session.get_objects({attribute.LABEL: "raced"}))
        assert len(keys) == 2
        for key in keys:
            sealed = nonce + key.encrypt(
                DEK,
                mechanism=pkcs11.Mechanism.AES_GCM,
                mechanism_param=pkcs11.GCMParams(nonce, b"a", 128),
            )
            assert service.decrypt("1", sealed, b"a") == DEK
            altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
            assert refusal(lambda bad=altered: service.decrypt("1", bad, b"a")).code == (
                "unwrap_failed"
            )
        provider.health()
        assert [(v.id, v.state) for v in provider.versions()] == [("1", "enabled")]
        assert provider.rotate() == "2"
        provider.destroy("1")
        assert len(list(session.get_objects({attribute.LABEL: "raced"}))) == 1


def test_a_key_that_another_removes_at_this_moment_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later call sees what is left."""
    provider = pkcs11_with(key_label="removed")
    provider.rotate()
    provider.rotate()

    def raced(name: str, *, extra: str) -> Any:
        found = driver(name, extra=extra)
        gone = Meanwhile(found, remove)
        return gone if name == "pkcs11" else found

    def remove() -> None:
        import pkcs11

        first = (1).to_bytes(8, "big")
        wanted = {pkcs11.Attribute.LABEL: "removed", pkcs11.Attribute.ID: first}
        with softhsm.session(softhsm.module()) as session:
            for key in list(session.get_objects(wanted)):
                key.destroy()

    monkeypatch.setattr("mayfly.adapters.keys.pkcs11.driver", raced)
    raced_provider = pkcs11_with(key_label="removed")
    error = refusal(raced_provider.versions)
    assert (type(error), error.code) == (TransientError, "keys_unavailable")
    assert [v.id for v in raced_provider.versions()] == ["2"]


def test_a_key_made_by_mayfly_cannot_be_taken_out(make_world: MakeWorld) -> None:
    """The token refuses to give its value."""
    provider = make_world("pkcs11").provider
    provider.health()
    import pkcs11

    with softhsm.session(softhsm.module()) as session:
        keys = list(session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}))
        mine = [key for key in keys if key[pkcs11.Attribute.LABEL] != "loose"]
        assert mine
        for key in mine:
            with pytest.raises(pkcs11.AttributeSensitive):
                key[pkcs11.Attribute.VALUE]


@pytest.mark.parametrize(
    ("library", "extra", "make"),
    [
        ("pkcs11", "pkcs11", lambda: Pkcs11Service(module="", token="", key_label="", pin=str)),
        ("botocore.exceptions", "aws", lambda: AwsKmsService(key_id="k", region="eu-west-1")),
        ("google.cloud.kms_v1", "gcp", lambda: GcpKmsService(key_name="k")),
        ("hvac", "vault", lambda: vault_with("t", "http://127.0.0.1:1")._open()),
    ],
)
def test_a_missing_library_is_named_by_its_extra(
    monkeypatch: pytest.MonkeyPatch, library: str, extra: str, make: Callable[[], object]
) -> None:
    """What to install stands in the hint."""
    monkeypatch.setitem(sys.modules, library, None)
    error = refusal(make)
    assert (type(error), error.code) == (ConfigError, "driver_missing")
    assert error.hint == f"pip install mayfly-data[{extra}]"


_FORKING = """
import os, sys
from key_services import softhsm
from mayfly.adapters.keys.pkcs11 import Pkcs11Service
from mayfly.adapters.keys.service import ServiceKeyProvider

settings = {"module": softhsm.module(), "token": softhsm.TOKEN, "key_label": "forked"}
provider = ServiceKeyProvider("pkcs11", lambda: Pkcs11Service(**settings, pin=lambda: softhsm.PIN))
provider.rotate()
blob = provider.wrap(bytes(32), b"a")
child = os.fork()
if child == 0:
    os._exit(0 if provider.unwrap(blob, b"a") == bytes(32) else 1)
status = os.waitpid(child, 0)[1]
provider.health()
sys.exit(os.waitstatus_to_exitcode(status))
"""


def test_a_token_is_opened_anew_after_a_fork() -> None:
    """Starting the module again in a child harms neither; SoftHSM would forgive leaving it out."""
    softhsm.module()
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", _FORKING],
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
