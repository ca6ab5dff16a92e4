"""A receiver of Mayfly's own webhooks: it keeps rows by their key, and knows a repeat by its id."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from mayfly.sandbox.vendor import as_json

_DATA = {"sync", "run", "batch", "batches", "first", "operation", "key", "rows"}
_OPERATIONS = ("write", "insert", "remove", "erase")


class WebhookReceiver:
    """What stands behind `/webhook/NAME`.

    Attributes:
        verify: raises where a message is not signed as it must be; by default only its form is
            looked at, since the sandbox has no secret.
        messages: each taken message once, in order.
        repeated: ids of messages that came again, and changed nothing.
    """

    name = "webhook"

    def __init__(self) -> None:
        self.verify: Callable[[bytes, Mapping[str, str]], object] = _look_at
        self.reset()

    def takes(self, path: str) -> bool:
        """See `Vendor.takes`."""
        return path.startswith("/webhook/")

    async def answer(self, request: Request, body: bytes, *, partial: bool) -> Response:
        """See `Vendor.answer`: 401 where the signature is wrong, 400 where the message is."""
        headers = dict(request.headers)
        try:
            self.verify(body, headers)
        except Exception:
            return as_json({"error": "signature"}, status=401)
        known = self._answers.get(headers["webhook-id"])
        if known is not None:
            self.repeated.append(headers["webhook-id"])
            return as_json(known)
        try:
            told = self._taken(orjson.loads(body), partial=partial)
        except (KeyError, TypeError, ValueError):
            return as_json({"error": "message"}, status=400)
        self._answers[headers["webhook-id"]] = told
        return as_json(told)

    def refused(self, kind: str, path: str, headers: Mapping[str, str]) -> Response:
        """See `Vendor.refused`."""
        del path
        return as_json({"error": kind}, status=400 if kind == "100" else int(kind), headers=headers)

    def members(self, query: Mapping[str, str]) -> Any:
        """See `Vendor.members`: rows of a sync by its id."""
        sync = query.get("audience", "")
        return [*self.rows.get(sync, {}).values(), *self.inserted.get(sync, [])]

    def lists(self) -> list[dict[str, Any]]:
        """See `Vendor.lists`."""
        names = sorted({*self.rows, *self.inserted})
        return [{"name": n, "count": len(self.members({"audience": n}))} for n in names]

    def reset(self) -> None:
        """See `Vendor.reset`."""
        self.messages: list[dict[str, Any]] = []
        self.repeated: list[str] = []
        self.rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self.inserted: dict[str, list[dict[str, Any]]] = {}
        self._answers: dict[str, dict[str, Any]] = {}

    def _taken(self, message: dict[str, Any], *, partial: bool) -> dict[str, Any]:
        if message["type"] == "mayfly.ping":
            return {}
        data = message["data"]
        if message["type"] != "mayfly.rows" or set(message) != {"type", "data"}:
            raise ValueError
        if set(data) != _DATA or data["operation"] not in _OPERATIONS or not data["rows"]:
            raise ValueError
        self.messages.append(message)
        results = []
        for number, row in enumerate(data["rows"]):
            if partial and number == 0:
                results.append({"row": 0, "status": "rejected", "code": "sandbox"})
            else:
                self._keep(data, row)
        return {"results": results} if results else {}

    def _keep(self, data: dict[str, Any], row: dict[str, Any]) -> None:
        sync, operation = data["sync"], data["operation"]
        if operation == "insert":
            self.inserted.setdefault(sync, []).append(row)
            return
        held = self.rows.setdefault(sync, {})
        if operation == "write":
            held[tuple(row[name] for name in data["key"])] = row
            return
        gone = [k for k, old in held.items() if all(old[n] == v for n, v in row.items())]
        for key in gone:
            del held[key]


def _look_at(body: bytes, headers: Mapping[str, str]) -> None:
    del body
    forms = {
        "webhook-id": r"msg_[A-Za-z0-9_]{1,64}",
        "webhook-timestamp": "[0-9]{10}",
        "webhook-signature": r"v1,[A-Za-z0-9+/=]{44}( v1,[A-Za-z0-9+/=]{44})*",
    }
    for name, form in forms.items():
        if not re.fullmatch(form, headers.get(name, "")):
            raise ValueError(name)
