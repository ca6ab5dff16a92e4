"""A real OpenSSH server on loopback, for the user who runs the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hubspot_world import Token
from mayfly.connectors.destinations import sftp
from mayfly.connectors.destinations.batch_files import BatchFiles
from mayfly.connectors.destinations.sftp_session import SftpSettings
from mayfly.ports.destination import DestinationContext

HOST = "127.0.0.1"


def sshd_program() -> str:
    """Its path; it must be called by a whole one."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("needs OpenSSH's server (apt-get install openssh-server)")
    return found


def key_pair(passphrase: str = "") -> tuple[str, str]:
    """A new key: private in OpenSSH's form, and public as `host_keys` takes it."""
    key = Ed25519PrivateKey.generate()
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase:
        encryption = BestAvailableEncryption(passphrase.encode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption).decode()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return private, public


@dataclass(kw_only=True)
class Sshd:
    """The server; its files are this machine's, below `folder`.

    Attributes:
        port: where it listens.
        folder: open to whoever logs in.
        host_key: that it shows.
        private_key: that it takes.
        pid: of the process that listens.
    """

    port: int
    folder: Path
    host_key: str
    private_key: str
    pid: int
    user: str = field(default_factory=lambda: pwd.getpwuid(os.geteuid()).pw_name)

    def settings(self, folder: Path, **more: Any) -> SftpSettings:
        """Of a login by key."""
        whole = {
            "host": HOST,
            "port": self.port,
            "host_keys": [self.host_key],
            "username": self.user,
            "private_key": Token(self.private_key),
            "folder": str(folder),
        }
        return SftpSettings(**{**whole, **more})

    def destination(
        self, context: DestinationContext, folder: Path, file_format: str = "csv", **more: Any
    ) -> BatchFiles:
        """A connector with a connection of its own."""
        return BatchFiles(sftp.make(self.settings(folder, **more)), file_format, context)


@contextmanager
def sshd_server(subsystem: str = "internal-sftp") -> Iterator[Sshd]:
    """A server that ends with the block.

    Args:
        subsystem: what speaks SFTP.
    """
    program = sshd_program()
    with tempfile.TemporaryDirectory(prefix="mayfly-sshd-") as name:
        folder = Path(name)
        (host_private, host_public), (private, public) = key_pair(), key_pair()
        for file, text in (("host", host_private), ("known", public)):
            (folder / file).write_text(text + "\n")
            (folder / file).chmod(0o600)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates privileges
        with socket.socket() as free:
            free.bind((HOST, 0))
            port = int(free.getsockname()[1])
        lines = [
            f"ListenAddress {HOST}:{port}",
            f"HostKey {folder}/host",
            f"AuthorizedKeysFile {folder}/known",
            "PidFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "StrictModes no",
            "UsePAM no",
            f"Subsystem sftp {subsystem}",
        ]
        (folder / "config").write_text("\n".join(lines) + "\n")
        process = subprocess.Popen(
            [program, "-D", "-e", "-f", str(folder / "config")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        listening = threading.Event()
        # Read to its end: a full pipe would stop the server.
        reader = threading.Thread(target=_read, args=(process, listening), daemon=True)
        reader.start()
        try:
            assert listening.wait(20), "sshd does not listen"
            yield Sshd(
                port=port,
                folder=folder,
                host_key=host_public,
                private_key=private,
                pid=process.pid,
            )
        finally:
            # Sessions go on without the server, and with its pipe.
            sessions = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            for session in sessions:
                with suppress(psutil.NoSuchProcess):
                    session.kill()
            process.wait()
            reader.join()


def _read(process: subprocess.Popen[str], listening: threading.Event) -> None:
    assert process.stderr is not None
    with process.stderr as said:
        for line in said:
            if line.startswith("Server listening"):
                listening.set()
