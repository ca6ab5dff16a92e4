"""A ClickHouse of the tests, on loopback: its own engine behind its HTTP interface.

See `clickhouse_serve` for what of it is ClickHouse's own.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

USER, PASSWORD = "mayfly", "sécret: /?#"
_PROGRAM = Path(__file__).with_name("clickhouse_serve.py")
_RIGHTS = ("SELECT ON system.processes",)
"""What a test needs to look at it."""
_CONFIG = """<clickhouse>
<users_config>{path}</users_config>
<profiles><default>{settings}</default></profiles>
<quotas><default/></quotas>
<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>
<quota>default</quota>{grants}</default></users>
</clickhouse>
"""


@dataclass
class ClickHouse:
    """One that answers.

    Args:
        endpoint: of its interface.
        folder: of its own.
        process: that serves it.
        grants: what its user may; everything where it is empty.
    """

    endpoint: str
    folder: Path
    process: subprocess.Popen[str]
    grants: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        """On loopback."""
        return int(self.endpoint.rpartition(":")[2])

    def query(self, *statements: str, **settings: str) -> list[dict[str, Any]]:
        """Run statements in turn, as the owner of everything; the rows of the last."""
        text = ""
        with httpx.Client(trust_env=False, timeout=60) as client:
            for sql in statements:
                reply = client.post(
                    self.endpoint, params={"default_format": "JSONEachRow", **settings}, content=sql
                )
                assert reply.status_code == 200, reply.text
                text = reply.text
        return [json.loads(line) for line in text.splitlines()]

    def insert(self, table: str, data: bytes, kind: str = "ArrowStream") -> None:
        """Rows of a format."""
        with httpx.Client(trust_env=False, timeout=60) as client:
            query = f"INSERT INTO {table} FORMAT {kind}"
            reply = client.post(self.endpoint, params={"query": query}, content=data)
            assert reply.status_code == 200, reply.text

    def database(self) -> str:
        """A new, empty one."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self.query(f"CREATE DATABASE {name}")
        return name

    def restrict(self, grants: Sequence[str]) -> None:
        """Leave its user these rights, and those that a test needs to look at it."""
        self.grants = list(grants)
        write_config(self.folder, [*_RIGHTS, *self.grants])
        self.reopen()

    def paste(self, statement: str) -> None:
        """What an owner of everything would run: `GRANT … TO …;`."""
        right = statement.partition(";")[0].removeprefix("GRANT ").rpartition(" TO ")[0]
        self.restrict([*self.grants, right])

    @contextmanager
    def other_settings(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Sessions of its user begin with other settings; of one that is `configured`."""
        xml = "".join(f"<{name}>{value}</{name}>" for name, value in settings.items())
        with self._written(lambda: write_config(self.folder, settings=xml)):
            yield

    @contextmanager
    def hidden(self, policies: Mapping[tuple[str, str], str]) -> Iterator[None]:
        """Row policies let its user see some rows; of one that is `configured`."""
        with self._written(lambda: write_config(self.folder, policies=policies)):
            yield

    @contextmanager
    def _written(self, write: Callable[[], object]) -> Iterator[None]:
        try:
            write()
            self.reopen()
            yield
        finally:
            write_config(self.folder)
            self.reopen()

    def forget_sessions(self) -> None:
        """As a restart would."""
        self._do("forget")

    def reopen(self) -> None:
        """Read its settings anew."""
        self._do("reopen")

    def _do(self, what: str) -> None:
        reply = httpx.post(f"{self.endpoint}/mf/{what}", trust_env=False, timeout=60)
        assert reply.status_code == 200, reply.text

    def log(self) -> list[dict[str, Any]]:
        """Every request so far."""
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def write_config(
    folder: Path,
    grants: Sequence[str] = (),
    settings: str = "",
    policies: Mapping[tuple[str, str], str] = MappingProxyType({}),
) -> Path:
    """The engine's settings.

    Args:
        folder: of the engine.
        grants: with any its user has these rights alone.
        settings: of its user, as XML.
        policies: which rows of a table of a database its user sees.
    """
    filters = "".join(
        f"<{base}><{table}><filter>{which.replace('<', '&lt;')}</filter></{table}></{base}>"
        for (base, table), which in policies.items()
    )
    rights = "".join(f"<query>GRANT {g.replace('<', '&lt;')}</query>" for g in grants)
    path = folder / "config.xml"
    path.write_text(
        _CONFIG.format(
            path=path,
            settings=settings,
            grants=(f"<grants>{rights}</grants>" if rights else "")
            + (f"<databases>{filters}</databases>" if filters else ""),
        )
    )
    return path


@contextmanager
def clickhouse_server(
    *,
    configured: bool = False,
    certificate: tuple[Path, Path] | None = None,
    tagged: bool = True,
    port: int = 0,
) -> Iterator[ClickHouse]:
    """One that ends with the block.

    Args:
        configured: whether its rights and settings may be changed.
        certificate: with its key, of one that speaks TLS.
        tagged: see `clickhouse_serve.Settings`.
        port: to listen on; any free one where it is 0.
    """
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("needs ClickHouse (make engines)")
    with tempfile.TemporaryDirectory(prefix="mayfly-ch-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        asked: dict[str, object] = {
            "folder": name,
            "log": str(folder / "log"),
            "users": {"default": "", USER: PASSWORD},
            "tagged": tagged,
            "port": port,
        }
        if configured:
            asked["config"] = str(write_config(folder))
        if certificate is not None:
            asked["certificate"], asked["key"] = map(str, certificate)
        errors = (folder / "errors").open("w+")
        with (
            errors,
            subprocess.Popen(
                [sys.executable, str(_PROGRAM), json.dumps(asked)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=name,
                text=True,
            ) as process,
        ):
            assert process.stdout is not None
            line = process.stdout.readline()
            errors.seek(0)
            assert line, errors.read()
            scheme = "http" if certificate is None else "https"
            try:
                yield ClickHouse(f"{scheme}://127.0.0.1:{int(line)}", folder, process)
            finally:
                process.kill()
