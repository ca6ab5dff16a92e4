"""Sealed requests and replies of UID2 operators, against another implementation of the format."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from mayfly.crypto.uid2_envelope import open_reply, seal_request
from mayfly.domain.errors import IntegrityError

SECRET = bytes(range(32))


def reply(nonce: bytes, payload: bytes, secret: bytes = SECRET) -> bytes:
    """As an operator seals it."""
    iv = os.urandom(12)
    content = (1_735_689_600_000).to_bytes(8, "big") + nonce + payload
    return iv + AESGCM(secret).encrypt(iv, content, None)


@given(st.binary(max_size=200), st.integers(0, 2**62))
def test_a_request_is_laid_out_as_documented(payload: bytes, now_ms: int) -> None:
    """Version, IV, and sealed: the time, the nonce and the payload."""
    made = seal_request(SECRET, payload, now_ms)
    assert made.envelope[0] == 1
    content = AESGCM(SECRET).decrypt(made.envelope[1:13], made.envelope[13:], None)
    assert content[:8] == now_ms.to_bytes(8, "big")
    assert content[8:16] == made.nonce
    assert content[16:] == payload


def test_the_vendor_s_own_client_seals_alike() -> None:
    """What `uid2-client` sealed opens by the same layout, and what an operator sealed by both."""
    from datetime import UTC, datetime

    from uid2_client.request_response_util import create_envelope, parse_response
    from uid2_client.uid2_response import Uid2Response

    theirs = create_envelope(SECRET, datetime(2026, 1, 1, tzinfo=UTC), b'{"email_hash":[]}')
    envelope = theirs.binary_envelope
    content = AESGCM(SECRET).decrypt(envelope[1:13], envelope[13:], None)
    assert content[8:] == theirs.nonce + b'{"email_hash":[]}'
    ours = seal_request(SECRET, b"{}", 0)
    answered = reply(ours.nonce, b'{"status":"success"}')
    assert parse_response(SECRET, Uid2Response.from_bytes(answered), ours.nonce) == open_reply(
        SECRET, answered, ours.nonce
    )


def test_two_requests_share_neither_iv_nor_nonce() -> None:
    """Nor does the same request sealed twice look the same."""
    made = [seal_request(SECRET, b"{}", 0) for _ in range(50)]
    assert len({one.nonce for one in made}) == 50
    assert len({one.envelope[1:13] for one in made}) == 50


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        bytes(43),
        reply(b"8 bytes.", b"{}")[:-1],
        reply(b"8 bytes.", b"{}") + b"x",
        reply(b"another.", b"{}"),
        reply(b"8 bytes.", b"{}", secret=bytes(32)),
    ],
    ids=["empty", "too short", "cut", "trailing", "of another request", "of another secret"],
)
def test_what_is_no_reply_to_the_request_is_refused(sealed: bytes) -> None:
    """Altered, foreign and repeated replies are all `uid2_reply_altered`."""
    with pytest.raises(IntegrityError) as raised:
        open_reply(SECRET, sealed, b"8 bytes.")
    assert raised.value.code == "uid2_reply_altered"
    assert raised.value.__cause__ is None


def test_a_reply_opens() -> None:
    """Its payload, whatever it holds."""
    assert open_reply(SECRET, reply(b"8 bytes.", b"{}"), b"8 bytes.") == b"{}"


def test_a_secret_of_another_length_is_an_error_of_the_caller() -> None:
    """16 bytes would seal, too, and by another cipher."""
    with pytest.raises(ValueError, match="32 bytes"):
        seal_request(bytes(16), b"", 0)
    with pytest.raises(ValueError, match="32 bytes"):
        open_reply(bytes(16), b"", b"")
    assert "nonce" not in repr(seal_request(SECRET, b"", 0))
