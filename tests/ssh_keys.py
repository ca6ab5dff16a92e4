"""Keys and signatures of a real `ssh-keygen`, for tests."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

NAMESPACE = "mayfly-approval"
KINDS = (
    ("ed25519", ()),
    ("ecdsa", ("-b", "256")),
    ("ecdsa", ("-b", "384")),
    ("ecdsa", ("-b", "521")),
    ("rsa", ("-b", "2048")),
)


@dataclass(frozen=True)
class SshPerson:
    """Somebody with a key of their own."""

    path: Path
    public: str

    def sign(self, message: bytes, namespace: str = NAMESPACE, *options: str) -> str:
        """The signature file."""
        file = self.path.with_suffix(".message")
        file.write_bytes(message)
        signature = file.with_name(file.name + ".sig")
        signature.unlink(missing_ok=True)
        words = [*_program(), "-Y", "sign", "-f", str(self.path), "-n", namespace, *options]
        subprocess.run([*words, str(file)], check=True, capture_output=True)
        return signature.read_text("ascii")


def ssh_person(folder: Path, name: str, kind: str = "ed25519", *options: str) -> SshPerson:
    """A new key pair."""
    path = folder / name
    made = [*_program(), "-q", "-t", kind, *options, "-N", "", "-C", "a comment", "-f", str(path)]
    subprocess.run(made, check=True, capture_output=True)
    return SshPerson(path, path.with_name(f"{name}.pub").read_text("ascii").strip())


def _program() -> list[str]:
    found = shutil.which("ssh-keygen")
    if found is None:
        pytest.skip("needs ssh-keygen (apt-get install openssh-client)")
    return [found]
