"""What SFTP alone has: host keys, logins, hidden files and connections, on a real OpenSSH server;
passwords on the server of asyncssh, since OpenSSH's would ask the machine for them.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import asyncssh
import psutil
import pyarrow as pa
import pytest

from hubspot_world import Token, batch, context
from mayfly.adapters.egress import allow_hosts
from mayfly.connectors.destinations import sftp
from mayfly.connectors.destinations.batch_files import BatchFiles
from mayfly.connectors.destinations.sftp_session import SftpSettings
from mayfly.domain.batch import Operation, SyncMode
from mayfly.domain.errors import EngineError, PolicyError, TransientError
from mayfly.ports.destination import Done, Progress
from mayfly.privacy.gate import ProtectedBatch
from sshd import HOST, Sshd, key_pair, sshd_server

T = TypeVar("T")
GIVEN = context({"id": pa.int64()}, key="id", mode=SyncMode.APPEND)
NAME = "contract.run-1.000000.csv"
HOUR_SECONDS = 3_600


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    """One server for the module."""
    with sshd_server() as server:
        yield server


def ids(*numbers: int, number: int = 0) -> ProtectedBatch:
    """Rows of a number each."""
    return batch({"id": pa.array(numbers, pa.int64())}, Operation.INSERT, number)


async def write(destination: BatchFiles, one: ProtectedBatch) -> None:
    """A batch that is taken."""
    assert isinstance(await destination.write(one, Progress(rows=len(one))), Done)


def played(destination: BatchFiles, scenario: Coroutine[Any, Any, T]) -> T:
    """On a loop of its own, the destination closed afterwards."""

    async def main() -> T:
        try:
            return await scenario
        finally:
            await destination.close()

    return asyncio.run(main())


def refusal(destination: BatchFiles) -> EngineError:
    """What a check ends with."""
    with pytest.raises(EngineError) as caught:
        played(destination, destination.check())
    assert "marked" not in f"{caught.value} {caught.value.hint}"
    return caught.value


def test_a_server_with_another_key_is_not_logged_in_to(sshd: Sshd, tmp_path: Path) -> None:
    """One of the project's keys is enough, so that one can take the other's place."""
    _, other = key_pair()
    stranger = sshd.destination(GIVEN, tmp_path, host_keys=[other])
    assert refusal(stranger).code == "host_key_unknown"
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode()
    of_another_kind = " ".join(rsa.split()[:2])
    kinds = sshd.destination(GIVEN, tmp_path, host_keys=[of_another_kind])
    assert refusal(kinds).code == "host_key_unknown"
    both = sshd.destination(GIVEN, tmp_path, host_keys=[other, sshd.host_key])
    played(both, both.check())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"private_key": Token(key_pair()[0])}, "reauthorise"),
        ({"private_key": Token("marked-7f3a")}, "credentials_invalid"),
        ({"private_key": Token(key_pair("marked")[0])}, "credentials_invalid"),
        (
            {"private_key": Token(key_pair("open")[0]), "passphrase": Token("marked")},
            "credentials_invalid",
        ),
        (
            {"private_key": Token(key_pair("open")[0]), "passphrase": Token("open")},
            "reauthorise",
        ),
        ({"private_key": None, "password": Token("marked-7f3a")}, "reauthorise"),
        ({"username": "nobody-of-that-name"}, "reauthorise"),
        ({"host_keys": ["ssh-ed25519 AAAAmarkedmarkedmarked"]}, "bad_host_key"),
    ],
)
def test_a_login_that_fails_is_said_to(
    sshd: Sshd, tmp_path: Path, more: dict[str, Any], code: str
) -> None:
    """An unknown key, what is no key, a wrong passphrase, a password where none is taken."""
    assert refusal(sshd.destination(GIVEN, tmp_path, **more)).code == code


def test_folders_that_take_nothing(sshd: Sshd, tmp_path: Path) -> None:
    """Are told apart: none there, a file, nobody listening."""
    (tmp_path / "file").touch()
    assert refusal(sshd.destination(GIVEN, tmp_path / "none")).code == "folder_missing"
    assert refusal(sshd.destination(GIVEN, tmp_path / "file")).code == "folder_missing"
    with socket.socket() as free:
        free.bind((HOST, 0))
        away = sshd.destination(GIVEN, tmp_path, port=free.getsockname()[1])
        error = refusal(away)
    assert (type(error), error.code) == (TransientError, "destination_unreachable")


def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    """Is no outage."""
    with sshd_server("internal-sftp -R") as server:
        destination = server.destination(GIVEN, tmp_path)
        with pytest.raises(EngineError) as caught:
            played(destination, write(destination, ids(1)))
    assert caught.value.code == "folder_unwritable"


@pytest.mark.parametrize(("group_reads", "mode"), [(False, 0o600), (True, 0o640)])
def test_files_are_their_owners_alone(
    sshd: Sshd, tmp_path: Path, group_reads: bool, mode: int
) -> None:
    """And their group's where the project says so."""
    destination = sshd.destination(GIVEN, tmp_path, group_reads=group_reads)
    played(destination, write(destination, ids(1)))
    [path] = tmp_path.iterdir()
    assert (path.name, path.stat().st_mode & 0o777) == (NAME, mode)


def test_two_attempts_at_a_batch_make_one_file(sshd: Sshd, tmp_path: Path) -> None:
    """Over two connections at the same time."""
    first, second = (sshd.destination(GIVEN, tmp_path) for _ in range(2))

    async def scenario() -> None:
        await asyncio.gather(*(write(made, ids(1, 2)) for made in (first, second)))
        await second.close()

    played(first, scenario())
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_upload_that_is_cut_off_is_no_file(sshd: Sshd, tmp_path: Path) -> None:
    """Nobody who lists the folder sees it by its name; the next look at the batch removes it."""
    destination = sshd.destination(GIVEN, tmp_path)
    place = sftp.make(sshd.settings(tmp_path))

    async def scenario() -> None:
        cut = asyncio.ensure_future(place.put(NAME, b"x" * 100_000_000, 1))
        while not list(tmp_path.iterdir()):
            await asyncio.sleep(0)
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        await place.close()
        assert NAME not in os.listdir(tmp_path)
        (tmp_path / f".{NAME}.0f0f.part").write_bytes(b"id\n1\n")  # as a kill leaves it
        (tmp_path / ".contract.run-1.000001.csv.0f0f.part").touch()
        assert await destination.applied(ids(1).head) is False

    played(destination, scenario())
    assert os.listdir(tmp_path) == [".contract.run-1.000001.csv.0f0f.part"]


def test_what_killed_runs_left_is_swept(sshd: Sshd, tmp_path: Path) -> None:
    """Of this sync, once it is an hour old; another sync's and everything else stays."""
    old = (".contract.run-0.000000.csv.0f0f.part", ".other.run-0.000000.csv.0f0f.part", ".note")
    for name in (*old, ".contract.run-0.000001.csv.0f0f.part"):
        (tmp_path / name).touch()
    for name in old:
        long_ago = (tmp_path / name).stat().st_mtime - HOUR_SECONDS - 60
        os.utime(tmp_path / name, (long_ago, long_ago))
    destination = sshd.destination(GIVEN, tmp_path)
    played(destination, write(destination, ids(1)))
    assert sorted(os.listdir(tmp_path)) == [
        ".contract.run-0.000001.csv.0f0f.part",
        ".note",
        ".other.run-0.000000.csv.0f0f.part",
        NAME,
    ]


def test_a_connection_that_is_cut_is_made_anew(sshd: Sshd, tmp_path: Path) -> None:
    """By the next attempt at the latest."""
    destination = sshd.destination(GIVEN, tmp_path)

    async def scenario() -> None:
        await write(destination, ids(1))
        for session in psutil.Process(sshd.pid).children(recursive=True):
            session.kill()
        for _ in range(2):
            # Whether the first attempt sees the end before it asks is the network's affair.
            with suppress(TransientError):
                await write(destination, ids(2, number=1))

    played(destination, scenario())
    assert len(os.listdir(tmp_path)) == 2


def test_a_host_that_is_on_no_list_is_not_reached(sshd: Sshd, tmp_path: Path) -> None:
    """The guard sees the library's sockets: by address and by name."""
    destination = sshd.destination(GIVEN, tmp_path)
    with allow_hosts({"storage.test"}):
        assert isinstance(refusal(destination), PolicyError)
        by_name = sshd.destination(GIVEN, tmp_path, host="sftp.example.com")
        assert refusal(by_name).code == "host_not_allowed"
    with allow_hosts({HOST}):
        again = sshd.destination(GIVEN, tmp_path)
        played(again, again.check())


def test_a_server_without_sftp_is_said_to_have_none(tmp_path: Path) -> None:
    """The login alone is not enough."""
    with sshd_server("/bin/false") as server:
        assert refusal(server.destination(GIVEN, tmp_path)).code == "sftp_refused"


class Passwords(asyncssh.SSHServer):
    """Takes one password; or none at all, for everyone."""

    def __init__(self, *, open_to_all: bool) -> None:
        self._open = open_to_all

    def begin_auth(self, username: str) -> bool:
        """Whether anything is asked for."""
        return not self._open

    def password_auth_supported(self) -> bool:
        """Of the ways to log in."""
        return True

    def validate_password(self, username: str, password: str) -> bool:
        """See the library."""
        return (username, password) == ("mayfly", "open")


@pytest.mark.parametrize(
    ("password", "open_to_all", "code"),
    [("open", False, ""), ("wrong", False, "reauthorise"), ("open", True, "reauthorise")],
)
def test_a_password_logs_in(tmp_path: Path, password: str, open_to_all: bool, code: str) -> None:
    """And a server that asks for none is not the one that knows this user."""
    key = asyncssh.generate_private_key("ssh-ed25519")

    async def scenario() -> str:
        server = await asyncssh.create_server(
            lambda: Passwords(open_to_all=open_to_all),
            HOST,
            0,
            server_host_keys=[key],
            sftp_factory=True,
        )
        settings = SftpSettings(
            host=HOST,
            port=server.get_port(),
            host_keys=[" ".join(key.export_public_key().decode().split()[:2])],
            username="mayfly",
            password=Token(password),
            folder=str(tmp_path),
        )
        destination = BatchFiles(sftp.make(settings), "csv", GIVEN)
        try:
            await write(destination, ids(1))
        except EngineError as error:
            return error.code
        finally:
            await destination.close()
            server.close()
            await server.wait_closed()
        return ""

    assert asyncio.run(scenario()) == code
    assert os.listdir(tmp_path) == ([] if code else [NAME])
