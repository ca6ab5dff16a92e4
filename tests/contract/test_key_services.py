"""What every key provider must hold, on its service: SoftHSM, moto, and servers on loopback."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable

import pytest

from contract.key_fixtures import refusal
from key_services.worlds import ON_NETWORK, SERVICES, WORLDS, World
from mayfly.domain.errors import IntegrityError, PolicyError, TransientError
from mayfly.ports.keys import KeyProvider

DEK = secrets.token_bytes(32)
AAD = b"workspace w1, region eu"


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest, make_world: Callable[[str], World]) -> World:
    """Each provider in turn."""
    return make_world(request.param)


def test_a_wrapped_key_comes_back(world: World) -> None:
    """What was wrapped unwraps with the same associated data, and does not show the key."""
    blob = world.provider.wrap(DEK, AAD)
    assert world.provider.unwrap(blob, AAD) == DEK
    assert DEK not in blob
    world.provider.health()


def test_any_change_is_unwrap_failed(world: World) -> None:
    """Each byte of the blob and the associated data are covered, by one error code."""
    blob = world.provider.wrap(DEK, AAD)
    altered = [blob[:n] + bytes([blob[n] ^ 1]) + blob[n + 1 :] for n in range(len(blob))]
    for bad in [*altered, b"", blob[:-1], blob + b"x", b"garbage" * 20]:
        assert refusal(lambda bad=bad: world.provider.unwrap(bad, AAD)).code == "unwrap_failed"
    for aad in (AAD + b"x", AAD[:-1], AAD.replace(b"eu", b"us")):
        error = refusal(lambda aad=aad: world.provider.unwrap(blob, aad))
        assert isinstance(error, IntegrityError)
        assert error.code == "unwrap_failed"


def test_another_key_unwraps_nothing(world: World) -> None:
    """A blob of one key is of no use to another of the same service."""
    error = refusal(lambda: world.other.unwrap(world.provider.wrap(DEK, AAD), AAD))
    assert (type(error), error.code) == (IntegrityError, "unwrap_failed")


def test_associated_data_is_required(world: World) -> None:
    """A key cannot be wrapped for no use."""
    with pytest.raises(ValueError, match="associated data"):
        world.provider.wrap(DEK, b"")
    with pytest.raises(ValueError, match="associated data"):
        world.provider.unwrap(world.provider.wrap(DEK, AAD), b"")


def test_a_key_is_rotated_rewrapped_and_destroyed(world: World) -> None:
    """After a rotation the old blob unwraps; rewrapped, it outlives the old version's end."""
    old = world.provider.wrap(DEK, AAD)
    [first] = world.provider.versions()
    assert first.state == "enabled"
    assert refusal(lambda: world.provider.destroy(first.id)).code == "key_current"
    rotated = world.rotate()
    assert rotated.unwrap(old, AAD) == DEK
    new = rotated.wrap(rotated.unwrap(old, AAD), AAD)
    assert [world.provider.version_of(old), rotated.version_of(new)] == [
        v.id for v in rotated.versions()
    ]
    assert [v.state for v in rotated.versions()] == ["enabled", "enabled"]
    assert rotated.destroy(first.id) == rotated.destroy(first.id)
    assert rotated.unwrap(new, AAD) == DEK
    assert rotated.version_of(old) == first.id
    assert refusal(lambda: rotated.version_of(b"garbage")).code == "unwrap_failed"
    left = {v.id: v.state for v in rotated.versions()}
    assert left.pop(first.id, "destroyed") in ("destroyed", "pending")
    assert list(left.values()) == ["enabled"]
    assert refusal(lambda: rotated.destroy("0")).code == "key_unknown"
    rotated.health()


@pytest.mark.parametrize("name", [n for n in WORLDS if n != "aws_kms on moto"])
def test_what_a_destroyed_version_wrapped_is_denied(
    make_world: Callable[[str], World], name: str
) -> None:
    """Not by an error that suggests damage or a later try. Moto decrypts all the same."""
    world = make_world(name)
    old = world.provider.wrap(DEK, AAD)
    rotated = world.rotate()
    rotated.destroy(world.provider.versions()[0].id)
    error = refusal(lambda: rotated.unwrap(old, AAD))
    assert (type(error), error.code) == (PolicyError, "keys_denied")


@pytest.mark.parametrize("name", ["pkcs11", "aws_kms", "gcp_kms", "vault"])
def test_a_disabled_version_is_denied(make_world: Callable[[str], World], name: str) -> None:
    """What the operator of the service disabled unwraps no more, and is shown as disabled."""
    world = make_world(name)
    old = world.provider.wrap(DEK, AAD)
    rotated = world.rotate()
    first = rotated.versions()[0].id
    assert world.disable is not None
    world.disable(first)
    error = refusal(lambda: rotated.unwrap(old, AAD))
    assert (type(error), error.code) == (PolicyError, "keys_denied")
    assert rotated.versions()[0].state == "disabled"
    rotated.health()


@pytest.mark.parametrize("name", SERVICES)
def test_a_forged_blob_is_refused(make_world: Callable[[str], World], name: str) -> None:
    """Who recomputes the checksum still cannot alter a byte: no part is left unbound."""
    provider = make_world(name).provider
    blob = provider.wrap(DEK, AAD)
    for n in range(9, len(blob), 1 if name == "pkcs11" else 5):
        rest = blob[9:n] + bytes([blob[n] ^ 1]) + blob[n + 1 :]
        check = hashlib.sha256(b"mayfly/wrapped-key/2\x00" + rest).digest()[:8]
        error = refusal(lambda bad=blob[:1] + check + rest: provider.unwrap(bad, AAD))
        assert error.code in ("unwrap_failed", "keys_denied"), n


@pytest.mark.parametrize("name", ON_NETWORK)
def test_a_service_that_never_answers_is_unavailable(
    make_world: Callable[[str], World], name: str
) -> None:
    """Each call comes back, and says that a later one may succeed."""
    world = make_world(name)
    blob = world.provider.wrap(DEK, AAD)
    assert world.silence is not None
    world.silence()
    error = refusal(lambda: world.provider.unwrap(blob, AAD))
    assert (type(error), error.code) == (TransientError, "keys_unavailable")


@pytest.mark.parametrize("name", ON_NETWORK)
def test_a_service_that_is_gone_opens_the_circuit(
    make_world: Callable[[str], World], name: str
) -> None:
    """Every call is refused with the same code; after three it is not even tried."""
    world = make_world(name)
    blob = world.provider.wrap(DEK, AAD)
    assert world.stop is not None
    world.stop()
    calls: list[Callable[[], object]] = [
        lambda: world.provider.wrap(DEK, AAD),
        lambda: world.provider.unwrap(blob, AAD),
        world.provider.health,
        world.provider.versions,
        world.provider.protection,
    ]
    errors = [refusal(call) for call in calls]
    assert {(type(e), e.code) for e in errors} == {(TransientError, "keys_unavailable")}
    waits = [e.retry_after_seconds for e in errors if isinstance(e, TransientError)]
    assert waits[:3] == [None] * 3
    assert all(wait is not None and 0 < wait <= 30 for wait in waits[3:])


def test_nothing_prints_a_key_or_a_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a repr nor the libraries' own logs, down to DEBUG, hold key material."""
    import base64

    for logger in ("", "botocore", "botocore.parsers", "urllib3", "google.cloud.kms_v1"):
        caplog.set_level(logging.DEBUG, logger)
    blob = world.provider.wrap(DEK, AAD)
    world.provider.unwrap(blob, AAD)
    for text in (caplog.text, repr(world.provider), repr(world.provider.versions())):
        assert "canary" not in text
        assert DEK.hex() not in text
        assert base64.b64encode(DEK).decode() not in text
        assert repr(DEK)[2:-1] not in text


def test_where_the_key_lies_is_told(make_world: Callable[[str], World]) -> None:
    """As each service attests it."""
    told = {name: make_world(name).provider.protection() for name in WORLDS}
    assert told == {
        "local": "software",
        "pkcs11": "software",
        "aws_kms": "hsm",
        "aws_kms on moto": "hsm",
        "gcp_kms": "hsm",
        "vault": "software",
    }


def test_where_a_key_is_is_told(make_world: Callable[[str], World]) -> None:
    """By its own name, where the service gives it one that says so."""
    told = {name: make_world(name).provider.region() for name in WORLDS}
    assert told == {
        "local": "",
        "pkcs11": "",
        "aws_kms": "eu-west-1",
        "aws_kms on moto": "eu-west-1",
        "gcp_kms": "europe-west1",
        "vault": "",
    }


def test_one_provider_s_blob_is_not_another_s(make_world: Callable[[str], World]) -> None:
    """Each blob names its provider."""
    providers: dict[str, KeyProvider] = {
        name: make_world(name).provider for name in ("local", "gcp_kms", "vault")
    }
    for name, provider in providers.items():
        for other, wrapped in providers.items():
            if other != name:
                blob = wrapped.wrap(DEK, AAD)
                error = refusal(lambda p=provider, b=blob: p.unwrap(b, AAD))
                assert error.code == "unwrap_failed"
