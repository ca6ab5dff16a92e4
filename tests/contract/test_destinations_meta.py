"""The destination contract on Meta custom audiences, over HTTP against a strict Graph in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyarrow as pa
import pytest

from mayfly.adapters.http import HttpxClient
from mayfly.connectors.destinations.meta_ads import SPEC, MetaAds, MetaAdsSettings
from mayfly.domain.batch import BatchHead
from mayfly.privacy.gate import Form, ProtectedBatch
from mayfly.privacy.gate.seal import THE_SEAL
from mayfly.testing.destination_contract import DestinationContract


@dataclass(frozen=True)
class _Token:
    text: str = "token-1"

    def reveal(self) -> str:
        return self.text


@dataclass
class StrictGraph:
    """Members per field; refuses what the vendor's documents do not allow."""

    audiences: dict[str, str] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.headers.get("authorization") != "Bearer token-1":
            return httpx.Response(401, json={"error": {"code": 190}})
        path = request.url.path.removeprefix("/v26.0/")
        match request.method, path.split("/"):
            case "GET", ["act_42"]:
                return httpx.Response(200, json={"id": "act_42"})
            case "GET", ["act_42", "customaudiences"]:
                data = [{"id": i, "name": name} for i, name in self.audiences.items()]
                return httpx.Response(200, json={"data": data})
            case "POST", ["act_42", "customaudiences"]:
                number = str(7_000 + len(self.audiences))
                self.audiences[number] = json.loads(request.content)["name"]
                return httpx.Response(200, json={"id": number})
            case ("POST" | "DELETE") as method, [audience, "users"] if audience in self.audiences:
                return self._users(method, audience, json.loads(request.content))
        return httpx.Response(400, json={"error": {"code": 100}})

    def _users(self, method: str, audience: str, body: dict[str, Any]) -> httpx.Response:
        schema, data = body["payload"]["schema"], body["payload"]["data"]
        known = [SPEC.field(name) for name in schema]
        if not data or not all(known) or any(len(row) != len(schema) for row in data):
            return httpx.Response(400, json={"error": {"code": 100}})
        for row in data:
            for name, cell in zip(schema, row, strict=True):
                members = self.members.setdefault(name, set())
                if method == "POST" and cell:
                    members.add(cell)
                elif method == "DELETE":
                    members.discard(cell)
        return httpx.Response(
            200,
            json={
                "audience_id": audience,
                "session_id": str(body["session"]["session_id"]),
                "num_received": len(data),
                "num_invalid_entries": 0,
                "invalid_entry_samples": {},
            },
        )


class TestMetaAds(DestinationContract):
    """The connector through our own HTTP client; each test has a Graph of its own."""

    @pytest.fixture(autouse=True)
    def _graph(self) -> None:
        self.graph = StrictGraph()

    def make(self) -> MetaAds:
        """A connector with an HTTP client of its own."""
        settings = MetaAdsSettings(account_id="42", access_token=_Token(), audience="Contract")
        http = HttpxClient(SPEC.hosts, transport=httpx.MockTransport(self.graph.answer))
        return MetaAds(settings, http, self.context())

    def protect(self, head: BatchHead, rows: pa.Table, forms: Mapping[str, Form]) -> ProtectedBatch:
        """Sealed as the gate would seal it."""
        return ProtectedBatch(head, rows, forms, seal=THE_SEAL)

    async def contents(self) -> set[str]:
        """E-mail digests in the audience."""
        return set(self.graph.members.get("EMAIL", ()))
