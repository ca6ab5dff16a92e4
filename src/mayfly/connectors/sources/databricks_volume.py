"""A volume of Unity Catalog, through which rows go to a session: nowhere else is there a bulk load.
Compiled, not run.

Values of parameters stay in the history of queries; a file is taken away once it was read.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from mayfly.connectors.sources.databricks_errors import lost, refused_login
from mayfly.domain.errors import ConfigError, ContractError, EngineError

PREFIX = "mayfly-"
"""What the names of our files begin with: a volume may hold those of others."""
LEFT_BEHIND = timedelta(days=1)
"""After that a file is one that a killed run left."""
_REQUEST_SECONDS = 60.0


class Volume:
    """Files of ours in a volume, over the workspace's own host.

    Args:
        address: of the workspace, as `https://HOST`.
        name: of the volume: catalog, schema and its own, with dots between.
        token: gives the access token; None where none is shown.
        now_ms: milliseconds since 1970.
    """

    def __init__(
        self,
        address: str,
        name: str,
        *,
        token: Callable[[], str] | None,
        now_ms: Callable[[], int],
    ) -> None:
        self._address = address
        self._path = f"/Volumes/{name.replace('.', '/')}"
        self._token = token
        self._now_ms = now_ms
        self._swept = False

    @contextmanager
    def holding(self, rows: pa.Table) -> Iterator[str]:
        """The path of a Parquet file with these rows, which is gone afterwards.

        Raises:
            ConfigError: `volume_missing`, `missing_grant`, `source_refused`.
            TransientError: `connection_lost`.
        """
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        path = f"{self._path}/{PREFIX}{uuid.uuid4().hex}.parquet"
        with self._client() as client:
            if not self._swept:
                self._sweep(client)
                self._swept = True
            self._ask(client, "PUT", f"files{path}?overwrite=true", sink.getvalue().to_pybytes())
            try:
                yield path
            finally:
                self._ask(client, "DELETE", f"files{path}", may_lack=True)

    def _sweep(self, client: httpx.Client) -> None:
        """Take away what killed runs left."""
        answer = self._ask(client, "GET", f"directories{self._path}", may_lack=True)
        found = answer.get("contents", [])
        before = self._now_ms() - LEFT_BEHIND // timedelta(milliseconds=1)
        for entry in found if isinstance(found, list) else []:
            path = str(entry.get("path", ""))
            ours = path.startswith(f"{self._path}/{PREFIX}") and path.endswith(".parquet")
            if ours and int(entry.get("last_modified", before)) < before:
                self._ask(client, "DELETE", f"files{path}", may_lack=True)

    def _client(self) -> httpx.Client:
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return httpx.Client(trust_env=False, timeout=_REQUEST_SECONDS, verify=context)

    def _ask(
        self,
        client: httpx.Client,
        method: str,
        what: str,
        body: bytes | None = None,
        *,
        may_lack: bool = False,
    ) -> Mapping[str, object]:
        token = {} if self._token is None else {"authorization": f"Bearer {self._token()}"}
        try:
            answer = client.request(
                method, f"{self._address}/api/2.0/fs/{what}", content=body, headers=token
            )
            if answer.is_success or (may_lack and answer.status_code == 404):
                given = answer.json() if answer.is_success and answer.content else {}
                return given if isinstance(given, dict) else {}
        except (httpx.HTTPError, ValueError):
            raise lost() from None
        raise self._refused(answer.status_code)

    def _refused(self, status: int) -> EngineError:
        if status == 401:
            return refused_login()
        if status == 403:
            return ConfigError(
                "missing_grant",
                "The token's principal may not write files in the volume of the source.",
                hint="`mayfly doctor --grants` prints the GRANT statements.",
            )
        if status == 404:
            return ConfigError(
                "volume_missing",
                "The volume of the source does not exist.",
                hint="Make it (CREATE VOLUME …), or check `volume` of the source.",
            )
        if status == 429 or status >= 500:
            return lost()
        return ContractError("query_failed", f"The volume of the source answers {status}.")
