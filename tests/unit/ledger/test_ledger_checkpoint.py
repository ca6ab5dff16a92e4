"""Checkpoints: what is signed comes back, and nothing else does."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mayfly.domain.errors import IntegrityError
from mayfly.ledger.checkpoint import (
    Checkpoint,
    ListHead,
    Signer,
    make_checkpoint,
    parse_checkpoint,
    parse_verifier_key,
    verify_checkpoint,
)

SIGNER = Signer.from_seed(workspace="shop", seed=bytes(range(32)))
OTHER = Signer.from_seed(workspace="shop", seed=bytes(32))
ROOT = hashlib.sha256(b"a root").digest()
NOTE = SIGNER.checkpoint(7, ROOT)


def test_a_checkpoint_comes_back() -> None:
    """Origin, size and root survive signing and verifying."""
    head = Checkpoint(origin="mayfly/ledger/1/shop", size=7, root=ROOT)
    assert parse_checkpoint(NOTE) == head
    assert verify_checkpoint(NOTE, SIGNER.verifier_key) == head


def test_the_note_has_the_published_form() -> None:
    """Text, an empty line, and one line of em dash, name and base64 of key id and signature."""
    origin, size, root, empty, line, end = NOTE.split("\n")
    assert (origin, size, empty, end) == ("mayfly/ledger/1/shop", "7", "", "")
    assert base64.b64decode(root) == ROOT
    dash, name, signature = line.split(" ")
    raw = base64.b64decode(signature)
    public = SIGNER.private_key.public_key().public_bytes_raw()
    assert (dash, name, len(raw)) == ("\u2014", origin, 68)
    assert raw[:4] == hashlib.sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    SIGNER.private_key.public_key().verify(raw[4:], f"{origin}\n{size}\n{root}\n".encode())


def test_the_key_line_comes_back() -> None:
    """A public key written to key.pub is read as the same key."""
    line = SIGNER.verifier_key.to_line()
    assert parse_verifier_key(line + "\n").to_line() == line
    assert verify_checkpoint(NOTE, parse_verifier_key(line)).size == 7


@pytest.mark.parametrize("line", ["", "a+b", "a+00000000+AAAA", "x" * 90, "a+b+c+d+é"])
def test_other_lines_are_no_key(line: str) -> None:
    """What is not a key line is refused with one code."""
    with pytest.raises(IntegrityError, match="key_malformed"):
        parse_verifier_key(line)


def test_a_key_line_with_another_name_is_refused() -> None:
    """The key's id covers its name."""
    line = SIGNER.verifier_key.to_line().replace("shop", "ship")
    with pytest.raises(IntegrityError, match="key_malformed"):
        parse_verifier_key(line)


@pytest.mark.parametrize(
    "note",
    [
        NOTE.replace("\n7\n", "\n8\n"),
        NOTE.replace("shop\n7", "ship\n7"),
        OTHER.checkpoint(7, ROOT),
        make_checkpoint("mayfly/ledger/1/else", 7, ROOT, SIGNER.private_key),
        NOTE.replace("\n\n", "\nextension\n\n"),
    ],
    ids=["size", "origin", "other key", "other ledger", "extension"],
)
def test_a_forged_note_is_unsigned(note: str) -> None:
    """Any change of the signed text, or another signer, is found out."""
    with pytest.raises(IntegrityError, match="checkpoint_unsigned"):
        verify_checkpoint(note, SIGNER.verifier_key)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        NOTE[:-1],
        NOTE.replace("\n7\n", "\n07\n"),
        NOTE.replace("\n7\n", "\n-7\n"),
        NOTE.replace("\u2014", "-"),
        NOTE.split("\n\n")[0] + "\n",
        NOTE + "x" * 20_000 + "\n",
        "a\n1\nAAAA\n\n\u2014 a AAAA\n",
    ],
)
def test_other_texts_are_malformed(note: str) -> None:
    """What is not a signed note of a head is refused with one code."""
    with pytest.raises(IntegrityError, match="checkpoint_malformed"):
        verify_checkpoint(note, SIGNER.verifier_key)


def test_a_checkpoint_states_the_head_of_the_suppression_list() -> None:
    """Where there is one, and signed; a note holds one at most, in its one form."""
    listed = ListHead(count=3, root=bytes(32))
    note = SIGNER.checkpoint(7, ROOT, listed)
    assert note.split("\n")[3] == f"suppression 3 {base64.b64encode(bytes(32)).decode()}"
    assert verify_checkpoint(note, SIGNER.verifier_key).suppression == listed
    assert verify_checkpoint(NOTE, SIGNER.verifier_key).suppression is None
    with pytest.raises(IntegrityError, match="checkpoint_unsigned"):
        verify_checkpoint(note.replace("suppression 3", "suppression 2"), SIGNER.verifier_key)
    text = note.split("\n\n")[0] + "\n"
    line = text.split("\n")[3] + "\n"
    for wrong in (text + line, text.replace(" 3 ", " 03 "), text.replace(" 3 ", "  ")):
        with pytest.raises(IntegrityError, match="checkpoint_malformed"):
            verify_checkpoint(resigned(wrong), SIGNER.verifier_key)


def test_a_witness_may_sign_beside_us() -> None:
    """Signatures by other keys are passed over; alone they do not suffice."""
    witness = OTHER.checkpoint(7, ROOT).split("\n\n")[1]
    assert verify_checkpoint(NOTE + witness, SIGNER.verifier_key).size == 7
    with pytest.raises(IntegrityError, match="checkpoint_unsigned"):
        verify_checkpoint(NOTE.split("\n\n")[0] + "\n\n" + witness, SIGNER.verifier_key)


def test_what_cannot_be_signed_is_refused() -> None:
    """Origins with line ends, negative sizes and short roots never reach the key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    for origin, size, root in (("a\nb", 1, ROOT), ("a", -1, ROOT), ("a", 1, b"short")):
        with pytest.raises(ValueError, match=r"origin|size"):
            make_checkpoint(origin, size, root, key)


def test_a_signer_never_prints_its_key() -> None:
    """The repr of a signer names the ledger only."""
    assert repr(SIGNER) == "Signer(origin='mayfly/ledger/1/shop')"


def resigned(text: str) -> str:
    """A note over any text, with a good signature under our name and key."""
    signature = SIGNER.private_key.sign(text.encode())
    line = base64.b64encode(SIGNER.verifier_key.key_id + signature).decode()
    return f"{text}\n\u2014 {SIGNER.origin} {line}\n"


def test_our_signature_over_another_ledgers_head_is_refused() -> None:
    """A signature made with our key vouches for our ledger only."""
    text = NOTE.split("\n\n")[0] + "\n"
    assert verify_checkpoint(resigned(text), SIGNER.verifier_key).size == 7
    with pytest.raises(IntegrityError, match="checkpoint_unsigned"):
        verify_checkpoint(resigned(text.replace("shop", "ship")), SIGNER.verifier_key)


def test_base64_has_one_form() -> None:
    """A root whose last letter carries bits beyond the 32 bytes is malformed."""
    text = SIGNER.checkpoint(7, bytes(32)).split("\n\n")[0] + "\n"
    with pytest.raises(IntegrityError, match="checkpoint_malformed"):
        verify_checkpoint(resigned(text.replace("AAA=\n", "AAB=\n")), SIGNER.verifier_key)
