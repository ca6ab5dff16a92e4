"""Signatures of `ssh-keygen -Y sign` are verified, and whatever is not one is refused."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mayfly.crypto.sshsig import SignatureError, SshKey, SshSignature, unarmoured, verify
from ssh_keys import KINDS, NAMESPACE, SshPerson, ssh_person

MESSAGE = b"mayfly-approval/1\nact: approve\n"


@pytest.fixture(scope="module")
def alice(tmp_path_factory: pytest.TempPathFactory) -> SshPerson:
    """With a key of the usual kind."""
    return ssh_person(tmp_path_factory.mktemp("alice"), "id")


@pytest.fixture(scope="module")
def signature(alice: SshPerson) -> bytes:
    """Hers, over the message."""
    return unarmoured(alice.sign(MESSAGE))


def holds(blob: bytes, key: SshKey, message: bytes = MESSAGE, namespace: str = NAMESPACE) -> bool:
    """Whether the signature is taken."""
    try:
        verify(blob, message, key=key, namespace=namespace)
    except SignatureError:
        return False
    return True


def changed_string(blob: bytes, index: int, new: bytes) -> bytes:
    """With another one of the strings after magic and version."""
    at, parts = 10, []
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        parts.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    parts[index] = new
    return blob[:10] + b"".join(len(p).to_bytes(4, "big") + p for p in parts)


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_real_signatures_hold(
    tmp_path: Path, kind: str, options: tuple[str, ...], hash_name: str
) -> None:
    """Of each type of key and both hashes; not over another message, nor for another purpose."""
    person = ssh_person(tmp_path, "id", kind, *options)
    other = SshKey.parse(ssh_person(tmp_path, "other", kind, *options).public)
    key = SshKey.parse(person.public)
    for message in (MESSAGE, b"", bytes(range(256)) * 40):
        blob = unarmoured(person.sign(message, NAMESPACE, "-O", f"hashalg={hash_name}"))
        assert holds(blob, key, message)
        assert not holds(blob, key, message + b"\n")
        assert not holds(blob, other, message)
    for_git = unarmoured(person.sign(MESSAGE, "git"))
    assert not holds(for_git, key)
    assert not holds(for_git, key, namespace="")


def test_no_bit_may_differ(alice: SshPerson, signature: bytes) -> None:
    """Of the whole signature, whatever the bit is of."""
    key = SshKey.parse(alice.public)
    assert holds(signature, key)
    for place in range(len(signature) * 8):
        flipped = bytearray(signature)
        flipped[place // 8] ^= 1 << place % 8
        assert not holds(bytes(flipped), key), place


def test_no_byte_may_be_missing_or_more(alice: SshPerson, signature: bytes) -> None:
    """Cut off anywhere, or followed by anything."""
    key = SshKey.parse(alice.public)
    assert not any(holds(signature[:size], key) for size in range(len(signature)))
    assert not holds(signature + b"\x00", key)
    assert not holds(signature + signature, key)


def test_odd_parts_are_refused(alice: SshPerson, signature: bytes) -> None:
    """A reserved part that says something, another hash, bytes after the inner signature."""
    key = SshKey.parse(alice.public)
    inner = signature[-83:]
    assert inner.startswith(b"\x00\x00\x00\x0bssh-ed25519")
    assert holds(changed_string(signature, 4, inner), key)
    assert not holds(changed_string(signature, 4, inner + b"\x00"), key)
    assert not holds(changed_string(signature, 2, b"x"), key)
    for hash_name in (b"sha1", b"md5", b""):
        assert not holds(changed_string(signature, 3, hash_name), key)


def test_signatures_by_sha1_are_refused(tmp_path: Path) -> None:
    """An RSA key signs by SHA-2 or not at all, whatever its signature is called."""
    person = ssh_person(tmp_path, "id", "rsa", "-b", "2048")
    key, blob = SshKey.parse(person.public), unarmoured(person.sign(MESSAGE))
    found = SshSignature.parse(blob)
    for name in (b"ssh-rsa", b"rsa-sha2-256", b"ssh-ed25519"):
        value = found.value
        inner = len(name).to_bytes(4, "big") + name + len(value).to_bytes(4, "big") + value
        assert not holds(changed_string(blob, 4, inner), key)


def test_numbers_of_a_curve_are_positive_and_short(tmp_path: Path) -> None:
    """As SSH writes them: no zero before them without need, none below 1."""
    person = ssh_person(tmp_path, "id", "ecdsa", "-b", "256")
    key, blob = SshKey.parse(person.public), unarmoured(person.sign(MESSAGE))
    name = b"ecdsa-sha2-nistp256"
    value = SshSignature.parse(blob).value
    size = int.from_bytes(value[:4], "big")
    r, s = value[4 : 4 + size], value[8 + size :]

    def of(*numbers: bytes) -> bytes:
        inner = b"".join(len(n).to_bytes(4, "big") + n for n in numbers)
        whole = len(name).to_bytes(4, "big") + name + len(inner).to_bytes(4, "big") + inner
        return changed_string(blob, 4, whole)

    assert holds(of(r, s), key)
    for wrong in ((b"\x00" + r, s), (r, b"\x00" * 4 + s), (b"", s), (r, b""), (r,), (r, s, s)):
        assert not holds(of(*wrong), key)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused(data: bytes) -> None:
    """In our own words, never in those of a library."""
    for blob in (data, b"SSHSIG" + data, b"SSHSIG\x00\x00\x00\x01" + data):
        with pytest.raises(SignatureError):
            SshSignature.parse(blob)
    with pytest.raises(SignatureError):
        SshKey.parse("ssh-ed25519 " + base64.b64encode(data).decode())


@given(st.text(max_size=200))
def test_texts_of_any_kind_are_refused(text: str) -> None:
    """A file that is no signature, a line that is no key."""
    for file in (text, f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----"):
        with pytest.raises(SignatureError):
            SshSignature.parse(unarmoured(file))
    with pytest.raises(SignatureError):
        SshKey.parse(text)


def test_the_armour_is_exact(alice: SshPerson) -> None:
    """Line ends of another system are read; anything before, behind or between is not."""
    armoured = alice.sign(MESSAGE)
    assert unarmoured(armoured.replace("\n", "\r\n")) == unarmoured(armoured)
    for wrong in (" " + armoured, armoured + "x", armoured.replace("U", "!", 1), armoured * 2):
        with pytest.raises(SignatureError):
            unarmoured(wrong)


def test_keys_of_other_kinds_are_refused(tmp_path: Path, alice: SshPerson) -> None:
    """Small RSA keys, other types, and a type that is not the key's own."""
    small = ssh_person(tmp_path, "small", "rsa", "-b", "1024").public
    wrong = alice.public.replace("ssh-ed25519", "ssh-rsa", 1)
    dsa = alice.public.replace("ssh-ed25519", "sk-ssh-ed25519@openssh.com", 1)
    for line in (small, wrong, dsa, "ssh-ed25519", "", alice.public + "\n"):
        with pytest.raises(SignatureError):
            SshKey.parse(line.split(" a comment")[0] + ("\n" if line.endswith("\n") else ""))
    assert SshKey.parse(alice.public).line() == " ".join(alice.public.split()[:2])
