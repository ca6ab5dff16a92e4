"""A PostgreSQL of the system, for what the wheel's lacks: ICU, TLS, TCP, and a server to stop."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

LOCALES = {"tr_TR.utf8": "tr_TR", "en_US.utf8": "en_US"}
HOST = "127.0.0.2"
"""Loopback that Mayfly does not count as such: its certificate is verified as a remote one's."""


def system_programs() -> Path:
    """The folder of the newest PostgreSQL of the system."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path))
    if not found:
        pytest.skip("needs the system's PostgreSQL (apt-get install postgresql)")
    return found[-1].parent


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the tests, and one certificate it signed."""

    root: Path
    certificate: Path
    key: Path


def make_authority(folder: Path, host: str) -> Authority:
    """An authority with a server's certificate for one address."""
    folder.mkdir(parents=True)
    now = dt.datetime.now(dt.UTC)
    root_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"test {folder.name}")])

    def signed(
        name: x509.Name, key: ec.EllipticCurvePrivateKey, *more: x509.ExtensionType
    ) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=6))
        )
        for extension in more:
            made = made.add_extension(extension, critical=False)
        return made.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
    files = Authority(folder / "root.crt", folder / "server.crt", folder / "server.key")
    files.root.write_bytes(
        signed(issuer, root_key, x509.BasicConstraints(ca=True, path_length=None))
    )
    files.certificate.write_bytes(signed(subject, server_key, alternative))
    files.key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


class SystemServer:
    """One cluster in a folder of its own; started and stopped at will.

    Args:
        folder: for data, socket and locales; open to the account the server runs under.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = system_programs()
        self.folder = folder
        self._data = folder / "data"
        self._locales = folder / "locales"
        self._locales.mkdir()
        self._account = None if os.geteuid() else _account()
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = int(free.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """Over the socket."""
        return f"postgresql://postgres:@/postgres?host={self.folder}&port={self.port}"

    def tcp(self, host: str = HOST, **more: object) -> str:
        """Over TCP, as role `remote` with a password."""
        options = "&".join(f"{k}={v}" for k, v in more.items())
        return f"postgresql://remote:secret@{host}:{self.port}/postgres?{options}"

    def make_locales(self) -> None:
        """Those of LOCALES, for this server alone; before `create`."""
        if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/tr_TR").exists():
            pytest.skip("needs the sources of locales (apt-get install locales)")
        for name, source in LOCALES.items():
            command = ["localedef", "-i", source, "-f", "UTF-8", str(self._locales / name)]
            subprocess.run(command, check=True, capture_output=True)

    def create(self) -> None:
        """Make the cluster."""
        if self._account is not None:
            _give(self.folder, self._account)
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"]
        self._run("initdb", "-D", str(self._data), "--locale=C.UTF-8", *options)
        (self._data / "pg_hba.conf").write_text(
            "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"
            "hostnossl all all 127.0.0.1/32 scram-sha-256\n"
        )

    def become_standby(self) -> None:
        """Once stopped in order, start as a standby of a server that is away."""
        signal_file = self._data / "standby.signal"
        signal_file.touch(mode=0o600)
        if self._account is not None:
            os.chown(signal_file, self._account.pw_uid, self._account.pw_gid)

    def start(self, authority: Authority | None = None) -> None:
        """Start; with an authority it takes TLS under its certificate, without one none."""
        settings = {
            "listen_addresses": f"127.0.0.1,{HOST}",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "30",
            "ssl": "off",
        }
        if authority is not None:
            for source, name in (
                (authority.certificate, "server.crt"),
                (authority.key, "server.key"),
            ):
                target = self._data / name
                shutil.copyfile(source, target)
                target.chmod(0o600)
                if self._account is not None:
                    os.chown(target, self._account.pw_uid, self._account.pw_gid)
            settings |= {"ssl": "on"}
        arguments = [x for k, v in settings.items() for x in ("-c", f"{k}={v}")]
        self._run(
            "pg_ctl",
            "-D",
            str(self._data),
            "-w",
            "-l",
            str(self.folder / "log"),
            "-o",
            " ".join(arguments),
            "start",
        )
        with psycopg.connect(self.dsn, autocommit=True) as admin:
            admin.execute(
                "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'remote') THEN "
                "CREATE ROLE remote LOGIN SUPERUSER PASSWORD 'secret'; END IF; END $$"
            )

    def stop(self, mode: str = "immediate") -> None:
        """Stop at once, as a machine that fails does."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """The server process is gone without a word."""
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)

    def _run(self, program: str, *arguments: str) -> None:
        account = self._account
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "LOCPATH": str(self._locales)},
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
            check=False,
        )
        assert done.returncode == 0, (program, done.stderr)


def _account() -> pwd.struct_passwd:
    """PostgreSQL refuses to run as root."""
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _give(folder: Path, account: pwd.struct_passwd) -> None:
    os.chown(folder, account.pw_uid, account.pw_gid)
    folder.chmod(0o755)


@contextmanager
def system_server() -> Iterator[SystemServer]:
    """A server of the system's PostgreSQL, stopped afterwards; not made yet."""
    with tempfile.TemporaryDirectory(prefix="mayfly-sys-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = SystemServer(folder)
        yield server
        if (folder / "data" / "postmaster.pid").exists():
            server.stop()
